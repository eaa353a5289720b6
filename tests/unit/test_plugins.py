"""Finding and checking plugins: from modules, objects, classes and entry points; what is wrong with one."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lbactors.plugins import VALIDATE, PluginError, Plugins
from tests.support.command import ok, ok_json, refused

Write = Callable[..., str]
HEAD = "from lbactors.plugins import Hold, Refuse, hookimpl\n\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Makes a module that can be imported; its name."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def make(text: str, name: str = "") -> str:
        name = name or f"plugin_{tmp_path.name.replace('-', '_')}_{len(made)}"
        (tmp_path / f"{name}.py").write_text(HEAD + text)
        made.append(name)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return make


def install(folder: Path, name: str, target: str, version: str = "1.2") -> None:
    """What an installed package with an entry point leaves on Python's path."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[lbactors]\n{name} = {target}\n")
    importlib.invalidate_caches()


JUDGE = """
@hookimpl
def validate_submission(submission):
    return Refuse("no") if submission == 1 else None
"""


def test_nothing_named_nothing_found() -> None:
    plugins = Plugins.load("", group="lbactors.none")
    assert plugins.found == () and plugins.hooks(VALIDATE) == ()


def test_a_module(write: Write) -> None:
    name = write("__version__ = '3.1'\n" + JUDGE)
    plugins = Plugins.load(f" {name} ,, ")
    (plugin,) = plugins.found
    assert plugin == (name, "3.1", "setting plugins", (VALIDATE,))
    ((owner, hook),) = plugins.hooks(VALIDATE)
    assert owner == name and hook("t", "b", 1, "context") == ("no",) and hook("t", "b", 2, "c") is None
    assert plugins.hooks("on_period_closed") == ()


def test_objects_classes_and_the_order_of_hooks(write: Write) -> None:
    text = """
class Counts:
    def __init__(self): self.seen = []
    @hookimpl
    def on_period_closed(self, event): self.seen.append(event)
    @hookimpl
    def validate_submission(self, context, tenant_id): return (tenant_id, context, self.seen)

class Other(Counts):
    class Inner(Counts):
        @hookimpl(tryfirst=True)
        def validate_submission(self): return "first"

counts = Counts()
"""
    name = write(text)
    plugins = Plugins.load(f"{name}:counts,{name}:Other,{name}:Other.Inner")
    assert [plugin.name for plugin in plugins.found] == [
        f"{name}:{at}" for at in ("counts", "Other", "Other.Inner")
    ]
    assert plugins.found[0].hooks == ("on_period_closed", VALIDATE)
    hooks = plugins.hooks(VALIDATE)
    assert [owner.partition(":")[2] for owner, _ in hooks] == ["Other.Inner", "Other", "counts"]
    for _, close in plugins.hooks("on_period_closed")[-1:]:
        close("event")
    assert [hook(1, 2, 3, 4) for _, hook in hooks] == ["first", (1, 4, []), (1, 4, ["event"])]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import nowhere.at.all", "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("def validate_submission(submission): ...", "it has no hook"),
        ("@hookimpl\ndef on_period_begun(event): ...", "unknown hook 'on_period_begun'"),
        ("@hookimpl\ndef validate_submission(submission, wrong): ...", "Argument(s) {'wrong'}"),
        ("@hookimpl\nasync def on_period_opened(event): ...", "on_period_opened must be a plain function"),
        ("@hookimpl\ndef on_period_opened(event): yield", "on_period_opened must be a plain function"),
        ("@hookimpl(wrapper=True)\ndef on_period_opened(event): return (yield)", "must not be a wrapper"),
        ("@hookimpl\ndef validate_submission(submission, *, extra): ...", "argument by keyword alone: extra"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_name(write: Write, text: str, why: str) -> None:
    name = write(text)
    with pytest.raises(PluginError) as raised:
        Plugins.load(name)
    words = str(raised.value)
    assert words.startswith(f"plugin {name!r} (setting plugins): ") and why in words and "\n" not in words


def test_an_object_that_is_not_there(write: Write) -> None:
    name = write(JUDGE)
    with pytest.raises(PluginError, match=f"plugin '{name}:rules'.*has no attribute 'rules'"):
        Plugins.load(f"{name}:rules")


def test_installed_ones(write: Write, tmp_path: Path) -> None:
    name = write(JUDGE, "judging")
    install(tmp_path, "fair-play", name)
    plugins = Plugins.load(name)  # named, too, but it is there once
    assert plugins.found == (("fair-play", "1.2", "entry point of fair-play 1.2", (VALIDATE,)),)


CLASS = """
class Rules:
    @hookimpl
    def validate_submission(self, submission): return None

rules = Rules()
"""


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("judging", "judging"),
        ("judging:Rules", "judging:Rules"),
        ("judging:Rules", "judging"),
        ("judging:rules", "judging:rules"),
        ("judging:rules", "judging"),
    ],
)
def test_an_installed_one_that_the_setting_names_too(
    tmp_path: Path, write: Write, target: str, names: str
) -> None:
    """It is there once, under its entry point's name: that of its metrics and of its queue of events."""
    write(JUDGE if target == "judging" else CLASS, "judging")
    install(tmp_path, "fair-play", target)
    plugins = Plugins.load(names)
    assert plugins.found == (("fair-play", "1.2", "entry point of fair-play 1.2", (VALIDATE,)),)
    assert [owner for owner, _ in plugins.hooks(VALIDATE)] == ["fair-play"]


def test_one_that_the_setting_names_twice(write: Write) -> None:
    name = write(CLASS)
    assert [plugin.name for plugin in Plugins.load(f"{name}:Rules,{name}:Rules").found] == [f"{name}:Rules"]


def test_a_module_with_hooks_of_its_own_beside_an_installed_class(tmp_path: Path, write: Write) -> None:
    write(CLASS + JUDGE, "judging")
    install(tmp_path, "fair-play", "judging:Rules")
    assert [plugin.name for plugin in Plugins.load("judging").found] == ["fair-play", "judging"]


def test_a_module_whose_class_has_the_hooks(write: Write) -> None:
    name = write(CLASS)
    with pytest.raises(PluginError, match=f"no hook of its own, but a class has: name {name}:Rules"):
        Plugins.load(name)


def test_an_installed_one_that_is_broken(tmp_path: Path, write: Write) -> None:
    install(tmp_path, "fair-play", write("1 / 0"))
    with pytest.raises(PluginError, match=r"plugin 'fair-play' \(entry point of fair-play 1.2\): cannot be"):
        Plugins.load()


def test_names_are_unique_and_fit_for_listeners(tmp_path: Path, write: Write) -> None:
    taken = write(JUDGE, "taken")
    install(tmp_path, "taken", f"{write(JUDGE)}")
    with pytest.raises(PluginError, match=r"plugin 'taken' .*same name"):
        Plugins.load(taken)


def test_a_name_with_a_slash(tmp_path: Path, write: Write) -> None:
    install(tmp_path, "a", write(JUDGE))
    entry = tmp_path / "a-1.2.dist-info" / "entry_points.txt"
    entry.write_text(entry.read_text().replace("a =", "a/b ="))
    with pytest.raises(PluginError, match="must not contain"):
        Plugins.load()


def test_the_command(write: Write) -> None:
    name = write(JUDGE)
    (item,) = ok_json("plugins", "--plugins", name)["items"]
    assert item == {"name": name, "version": "", "source": "setting plugins", "hooks": [VALIDATE]}
    assert name in ok("plugins", "--plugins", name)
    assert refused(2, "plugins", "--plugins", "nowhere").startswith("error: plugin 'nowhere'")


def test_a_server_with_a_broken_plugin_does_not_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lbactors", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
    done = subprocess.run([*command, "--plugins", "nowhere"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines() == [
        "error: plugin 'nowhere' (setting plugins): cannot be imported: ModuleNotFoundError: "
        "No module named 'nowhere'"
    ]
    done = subprocess.run([*command, "--plugins", "a b"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "--plugins: must be module or module:object each" in done.stderr
    assert not (tmp_path / "data").exists()
