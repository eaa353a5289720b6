"""All figures in one run: `python bench` (the server over HTTP, then the engine beside Redis)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run both benchmarks one after the other, on 100 000 entries; the first failure's exit code."""
    for command in (["http_load.py"], ["engine.py", "--entries", "100000"]):
        code = subprocess.run([sys.executable, str(HERE / command[0]), *command[1:]], check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
