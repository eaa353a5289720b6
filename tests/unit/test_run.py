"""`./run`: what it installs, and what it says when that fails."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

from tests.support.repository import REPOSITORY as ROOT


def load_run() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("run_script", str(ROOT / "run"))
    spec = importlib.util.spec_from_loader("run_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


RUN = load_run()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(file: str) -> dict[str, str]:
    lines = (line.split("==") for line in (ROOT / file).read_text().splitlines())
    return {normal(name): version for name, version in lines}


def test_what_runs_and_what_tests_are_pinned_apart() -> None:
    runs, tests = pinned("requirements.txt"), pinned("requirements-test.txt")
    assert not runs.keys() & tests.keys()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = {*project["dependencies"], *extras.get("server", [])}
    for places, wanted in ((runs, needed), (runs | tests, set(extras["test"]))):
        for requirement in map(Requirement, wanted):
            if normal(requirement.name) != "lbactors":
                version = places.get(normal(requirement.name))
                assert version is not None, f"{requirement} is not pinned"
                assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Collecting aiohttp==3.14.5 (from -r requirements.txt (line 2))", "aiohttp"),
        ("Processing /a-b/c/charset_normalizer-3.5.2-cp311-any.whl (from x)", "charset_normalizer"),
        ("Requirement already satisfied: ray==2.60.0 in ./.venv", "ray"),
        ("Installing collected packages: ray", None),
    ],
)
def test_progress_by_what_pip_prints(line: str, name: str | None) -> None:
    found = RUN.PACKAGE.match(line)
    assert (found and found[1]) == name


def test_a_failed_step_shows_the_end_of_its_output() -> None:
    script = "import sys; [print(f'line {n}') for n in range(50)]; sys.exit('no space left')"
    with pytest.raises(RUN.SetUpFailed) as failure:
        RUN.report(Path("python3"), "-c", script)
    said = str(failure.value)
    assert said.endswith("no space left") and "line 49" in said and "line 5\n" not in said


def test_a_set_counts_as_installed_until_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RUN, "ROOT", tmp_path)
    monkeypatch.setattr(RUN, "VENV", tmp_path / ".venv")
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text("a==1\n")
    installed = []
    monkeypatch.setattr(RUN, "report", lambda *words, total=0: installed.append(words))
    RUN.set_up(["requirements.txt"])
    assert installed and RUN.is_set_up("requirements.txt")
    installed.clear()
    RUN.set_up(["requirements.txt"])
    assert not installed
    (tmp_path / "requirements.txt").write_text("a==2\n")
    assert not RUN.is_set_up("requirements.txt")
