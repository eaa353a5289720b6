"""The structure that the design promises: imports run one way, and each foreign system has one door.

Which room may import which, and that there are no circles, is in pyproject.toml; `./run lint` looks at it.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY as ROOT

PACKAGES = ("gateway", "lbactors", "persistence")
FILES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))

# The command line is above all packages: it starts the server, and a restore changes what the server knows of
# its store. It imports the gateway only then.
ABOVE = {ROOT / "lbactors" / "cli" / name for name in ("serve.py", "backup.py")}


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def imported(path: Path) -> frozenset[str]:
    """Every module that a file names in an import, wherever in the file."""
    names = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    above = {"persistence": {"lbactors", "gateway"}, "lbactors": {"gateway"}, "gateway": set()}[package]
    if path not in ABOVE:
        assert not tops(path) & above


def test_a_module_takes_nothing_of_the_packages_that_it_is_in() -> None:
    """That would be a circle too, and the one kind that import-linter does not look for."""
    names = (".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in FILES)
    modules = dict(zip(names, FILES, strict=True))
    for name, path in modules.items():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and node.module and name.startswith(f"{node.module}."):
                taken = {f"{node.module}.{alias.name}" for alias in node.names}
                assert taken <= modules.keys(), f"{name} imports {taken} from its own package"


@pytest.mark.parametrize(
    ("module", "door"),
    [
        ("ray", "lbactors/cluster.py"),
        ("sqlite3", "persistence/sqlite/*.py"),
        ("redis", "persistence/redis/*.py"),
        ("sortedcontainers", "lbactors/core/ranking.py"),
        ("cronsim", "lbactors/core/timeframe.py"),
        ("lark", "lbactors/core/expressions.py"),
        ("pluggy", "lbactors/plugins.py"),
    ],
)
def test_each_foreign_system_has_one_door(module: str, door: str) -> None:
    """One file, or those of one backend."""
    users = {p for p in FILES if module in tops(p)}
    assert users and users <= set(ROOT.glob(door)), users


# What a module may use of a library that is private there; `test_private_names` says what depends on it.
PRIVATE_OF_LIBRARIES = {
    "lbactors/cluster.py": {"_private"},
    "lbactors/core/ranking.py": {"_check", "_delete", "_index", "_len", "_lists", "_maxes", "_reset"},
}
OF_TUPLES_AND_SYSTEM = {"_asdict", "_exit", "_fields", "_make", "_replace"}  # documented all the same


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_private_of_another_module_is_used(path: Path) -> None:
    nodes = list(ast.walk(parsed(path)))
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    own |= {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }
    used = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }
    used |= {
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name.startswith("_")
    }
    allowed = PRIVATE_OF_LIBRARIES.get(str(path.relative_to(ROOT)), set())
    assert not used - own - allowed - OF_TUPLES_AND_SYSTEM


@pytest.mark.parametrize("path", sorted((ROOT / "lbactors" / "core").glob("*.py")), ids=lambda p: p.stem)
def test_the_core_has_no_io_and_no_clock(path: Path) -> None:
    forbidden = {"asyncio", "time", "os", "socket", "pathlib", "random", "secrets", "structlog", "ray"}
    assert not tops(path) & forbidden
    calls = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert not calls & {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_says_what_it_is(path: Path) -> None:
    tree = parsed(path)
    assert not tree.body or ast.get_docstring(tree), "a module opens with its idea"
