"""The generated modules of the client are what `docs/generate_client.py` writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.repository import REPOSITORY as ROOT


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_client", ROOT / "docs" / "generate_client.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


@pytest.mark.parametrize("path", GENERATOR.TEXTS, ids=lambda path: path.name)
def test_generated_files_are_fresh(path: Path) -> None:
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    assert found == GENERATOR.TEXTS[path](), f"{path.name}: run `python docs/generate_client.py`"
