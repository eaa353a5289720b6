"""Where the repository is, for whoever reads its files or starts its processes."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PLUGINS = REPOSITORY / "tests" / "support" / "plugins"  # of servers under test: `judging_plugin`


def python_path(*folders: Path) -> str:
    """PYTHONPATH for a child process: these folders, the repository, and what is set already."""
    return os.pathsep.join(filter(None, (*map(str, folders), str(REPOSITORY), os.environ.get("PYTHONPATH"))))
