"""The structure that the design promises: imports run one way, and each foreign system has one door."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY as ROOT

PACKAGES = ("gateway", "lbactors", "persistence")
FILES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))

# The command line starts the server, so it is above all packages; it imports the server only when asked to.
ABOVE = {ROOT / "lbactors" / "cli" / "serve.py"}


@cache
def imported(path: Path) -> set[str]:
    """Every module that a file names in an import, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    above = {"persistence": {"lbactors", "gateway"}, "lbactors": {"gateway"}, "gateway": set()}[package]
    if path not in ABOVE:
        assert not tops(path) & above


@pytest.mark.parametrize(
    ("module", "door"),
    [
        ("ray", "lbactors/cluster.py"),
        ("sqlite3", "persistence/sqlite/*.py"),
        ("redis", "persistence/redis/*.py"),
        ("sortedcontainers", "lbactors/core/ranking.py"),
        ("cronsim", "lbactors/core/timeframe.py"),
        ("pluggy", "lbactors/plugins.py"),
    ],
)
def test_each_foreign_system_has_one_door(module: str, door: str) -> None:
    """One file, or those of one backend."""
    users = {p for p in FILES if module in tops(p)}
    assert users and users <= set(ROOT.glob(door)), users


@pytest.mark.parametrize("path", sorted((ROOT / "lbactors" / "core").glob("*.py")), ids=lambda p: p.stem)
def test_the_core_has_no_io_and_no_clock(path: Path) -> None:
    forbidden = {"asyncio", "time", "os", "socket", "pathlib", "random", "secrets", "structlog", "ray"}
    assert not tops(path) & forbidden
    calls = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert not calls & {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert not text or ast.get_docstring(ast.parse(text)), "a module opens with its idea"
