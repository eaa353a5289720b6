"""The base install: the client and the commands that talk to a server run without the server's packages.

Processes of their own run with nothing but the packages that the base needs, and theirs. Not verified: that
pip installs what pyproject.toml declares.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lbactors.cli import COMMANDS
from lbactors.cli.server_extra import INSTALL, NEED_SERVER, PACKAGES
from tests.support.fake_api import KEY, FakeApi
from tests.support.repository import REPOSITORY as ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = [path for name in ("gateway", "lbactors", "persistence") for path in (ROOT / name).rglob("*.py")]

OPTIONAL = {"tzdata", "uvloop"}  # the system's time zones and asyncio's loop do as well
# Imported beside the package that needs them anyway.
ALONG = {"yarl": "aiohttp", "pydantic-core": "pydantic", "typing-extensions": "pydantic"}


def declared(requirements: Iterable[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


BASE = declared(PROJECT["dependencies"])
SERVER = declared(PROJECT["optional-dependencies"]["server"])


def with_theirs(names: Iterable[str]) -> set[str]:
    """Distributions, and all that they need."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        for line in distribution(name).requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting |= {canonicalize_name(requirement.name)} - found
    return found


@pytest.fixture(scope="session")
def base_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with links to those of the base install, and to nothing else."""
    folder = tmp_path_factory.mktemp("base-packages")
    for name in with_theirs(BASE):
        installed = distribution(name)
        for top in {path.parts[0] for path in installed.files or []} - {"..", "__pycache__"}:
            (folder / top).symlink_to(str(installed.locate_file(top)))
    return folder


def python(packages: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process that finds the source and those packages, and no others."""
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{packages}", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


# What is declared -----------------------------------------------------------------------------------------


def third_party(paths: Iterable[Path]) -> set[str]:
    """Packages that files import, wherever in the file."""
    own = {"gateway", "lbactors", "persistence", *sys.stdlib_module_names}
    names: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return {canonicalize_name(name) for name in names - own}


def test_every_package_that_the_code_imports_is_declared() -> None:
    imported = third_party(SOURCES)
    assert imported - ALONG.keys() == (BASE | SERVER) - {"tzdata"}
    for name, declared_one in ALONG.items():
        assert name in with_theirs([declared_one])
    assert not BASE & SERVER


def test_the_message_knows_every_package_that_the_server_needs() -> None:
    assert {canonicalize_name(name) for name in PACKAGES} == SERVER - OPTIONAL
    assert set(COMMANDS) > NEED_SERVER


def test_the_extra_for_tests_includes_the_server() -> None:
    (server,) = [
        Requirement(line)
        for line in PROJECT["optional-dependencies"]["test"]
        if Requirement(line).name == "lbactors"
    ]
    assert server.extras == {"server"}
    assert "pip install '.[server]'" in INSTALL and "'lbactors[server]'" in INSTALL


def test_types_are_marked_as_shipped() -> None:
    assert (ROOT / "lbactors" / "py.typed").is_file()
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert "py.typed" in tool["package-data"]["lbactors"]


# What runs without the server -----------------------------------------------------------------------------

EVERY_HELP = """
import sys
import click
from click.testing import CliRunner
from lbactors.cli import cli
from lbactors.cli.server_extra import NEED_SERVER

def show(*path):
    done = CliRunner().invoke(cli, [*path, "--help"], prog_name="lbactors", catch_exceptions=False)
    assert done.exit_code == 0, (path, done.output)
    print(*path)

def below(group, *path):
    context = click.Context(group)
    for name in group.list_commands(context):
        if not (path == () and name in NEED_SERVER):
            show(*path, name)
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                below(command, *path, name)

below(cli)
"""


def test_the_packages_of_the_server_are_not_there(base_packages: Path) -> None:
    """Else the tests below would show nothing."""
    program = "from lbactors.cli.server_extra import missing_packages; print(*missing_packages())"
    assert python(base_packages, "-c", program).stdout.split() == list(PACKAGES)


def test_the_client_is_imported_without_the_server(base_packages: Path) -> None:
    program = "import lbactors.client; print(*sorted(lbactors.client.__all__))"
    done = python(base_packages, "-c", program)
    assert done.stderr == "" and "SyncClient" in done.stdout.split()


def test_every_command_that_talks_to_a_server_shows_its_help(base_packages: Path) -> None:
    done = python(base_packages, "-c", EVERY_HELP)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    assert set(COMMANDS) - NEED_SERVER <= set(shown) and "leaderboards create" in shown


def test_commands_run_against_a_server(base_packages: Path) -> None:
    with FakeApi() as api:
        api.add_board("xp")
        where = {"LBACTORS_URL": api.url, "LBACTORS_KEY": KEY}
        done = python(base_packages, "-m", "lbactors", "submit", "xp", "maya", "5100", **where)
        assert done.returncode == 0, done.stderr
        done = python(base_packages, "-m", "lbactors", "top", "xp", "--json", **where)
        assert [entry["player_id"] for entry in json.loads(done.stdout)["entries"]] == ["maya"]


def test_the_help_lists_the_commands_of_the_server_too(base_packages: Path) -> None:
    done = python(base_packages, "-m", "lbactors", "--help")
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")} > NEED_SERVER


@pytest.mark.parametrize(
    "arguments",
    [
        *([name] for name in sorted(NEED_SERVER)),
        ["serve", "--port", "9000"],
        ["serve", "--help"],
        ["verify", "--store", "redis://127.0.0.1:6379/0", "--json"],
    ],
    ids=" ".join,
)
def test_a_command_of_the_server_names_what_is_missing(base_packages: Path, arguments: list[str]) -> None:
    done = python(base_packages, "-m", "lbactors", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    missing = f"ray, pydantic, pydantic_settings and {len(PACKAGES) - 3} more"
    assert line == f"error: `lbactors {arguments[0]}` needs the server (not installed: {missing}): {INSTALL}"


def test_one_missing_package_is_named_alone(base_packages: Path, tmp_path: Path) -> None:
    for name in PACKAGES:
        if name != "cronsim":
            (tmp_path / f"{name}.py").touch()
    done = python(base_packages, "-m", "lbactors", "serve", PYTHONPATH=f"{ROOT}:{base_packages}:{tmp_path}")
    assert done.returncode == 2 and "(not installed: cronsim)" in done.stderr
