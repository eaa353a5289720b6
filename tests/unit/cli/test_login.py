"""`login`, `logout`, `profiles`, and what the other commands take from a profile."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import sys
from pathlib import Path

import pytest

from tests.support.command import ok, ok_json, refused, run
from tests.support.fake_api import KEY, FakeApi

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def config(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of profiles that is not there yet, and no variables."""
    for name in ("LBACTORS_URL", "LBACTORS_KEY"):
        monkeypatch.delenv(name)
    path = tmp_path / "profiles.toml"
    monkeypatch.setenv("LBACTORS_CONFIG", str(path))
    return path


def login(api: FakeApi, *words: str) -> str:
    return ok("login", "--url", api.url, "--key", KEY, *words)


def test_a_profile_is_saved_used_and_deleted(api: FakeApi, config: Path) -> None:
    assert login(api, "--tenant", "studio-a") == f"Saved {api.url} as profile default in {config}\n"
    ok("top", "xp")
    headers = api.requests[-1][2]
    assert (headers["Authorization"], headers["X-Tenant-Id"]) == (f"Bearer {KEY}", "studio-a")
    assert ok("logout") == "Deleted profile default\n"
    assert KEY not in config.read_text()
    assert "no default profile" in refused(2, "logout")


def test_several_profiles(api: FakeApi, config: Path) -> None:
    login(api, "--profile", "local")
    assert "--profile live" in login(api, "--profile", "live", "--tenant", "studio-a")
    lines = [line.split() for line in ok("profiles").splitlines()]
    assert lines == [
        ["profile", "url", "tenant", "key", "default"],
        ["live", api.url, "studio-a", "…", "-"],
        ["local", api.url, "-", "…", "yes"],
    ]
    ok("top", "xp")
    assert "X-Tenant-Id" not in api.requests[-1][2]
    ok("--profile", "live", "top", "xp")
    assert api.requests[-1][2]["X-Tenant-Id"] == "studio-a"
    ok("profiles", "use", "live")
    ok("top", "xp")
    assert api.requests[-1][2]["X-Tenant-Id"] == "studio-a"
    assert "choose one" in ok("logout")
    assert "no profile 'live'" in refused(2, "profiles", "use", "live")
    assert "no profile 'live'" in refused(2, "logout", "--profile", "live")


def test_the_variable_names_a_profile(api: FakeApi, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    login(api, "--profile", "local")
    login(api, "--profile", "live", "--tenant", "studio-a")
    monkeypatch.setenv("LBACTORS_PROFILE", "live")
    ok("top", "xp")
    assert api.requests[-1][2]["X-Tenant-Id"] == "studio-a"
    ok("top", "xp", "--profile", "local")
    assert "X-Tenant-Id" not in api.requests[-1][2]
    monkeypatch.setenv("LBACTORS_PROFILE", "nope")
    message = refused(2, "top", "xp")
    assert message.startswith(f"error: no profile 'nope' in {config}")


def test_options_and_variables_beat_the_profile(
    api: FakeApi, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login(api, "--tenant", "studio-a")
    assert "the key from --key" in refused(1, "top", "xp", "--key", "lb_wrong")
    ok("top", "xp", "--tenant", "studio-b")
    assert api.requests[-1][2]["X-Tenant-Id"] == "studio-b"
    monkeypatch.setenv("LBACTORS_KEY", "lb_wrong")
    assert "the key from LBACTORS_KEY" in refused(1, "top", "xp")
    ok("top", "xp", "--key", KEY)
    monkeypatch.setenv("LBACTORS_URL", NOWHERE)
    assert f"cannot connect to {NOWHERE}" in refused(1, "top", "xp", "--key", KEY)


def test_a_saved_key_is_sent_to_its_own_server_alone(api: FakeApi, config: Path) -> None:
    login(api, "--tenant", "studio-a")
    ok("top", "xp", "--url", f"{api.url}/")
    elsewhere = api.url.replace("127.0.0.1", "localhost")
    message = refused(1, "top", "xp", "--url", elsewhere)
    assert "no API key was given (the one of profile default is for another URL)" in message
    assert {"Authorization", "X-Tenant-Id"}.isdisjoint(api.requests[-1][2])


def test_a_key_is_checked_before_it_is_saved(api: FakeApi, config: Path) -> None:
    assert "nothing was saved" in refused(1, "login", "--url", api.url, "--key", "lb_wrong")
    assert "nothing was saved" in refused(1, "login", "--url", NOWHERE, "--key", KEY)
    assert "not an API key" in refused(2, "login", "--url", api.url, "--key", "lb_ü")
    assert "is no name of a profile" in refused(2, "login", "--url", api.url, "--profile", "a b")
    assert "--url" in refused(2, "login", "--url", "nonsense", "--key", KEY)
    assert not config.exists()
    api.fail(403, "forbidden", message="needs a key with the scope leaderboards:read")
    result = run("login", "--url", api.url, "--key", KEY)  # a key that may only submit is a good key
    assert result.exit_code == 0 and "scope leaderboards:read" in result.stderr
    assert config.exists()


def test_a_key_comes_from_stdin_the_variable_or_a_person(
    api: FakeApi, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "there is no terminal" in refused(2, "login", "--url", api.url)
    assert not config.exists()
    ok("login", "--url", api.url, "--key", "-", stdin=f"{KEY}\n")
    ok("top", "xp")
    assert "there is no terminal" in refused(2, "login", "--url", api.url), "a saved key is not taken again"
    monkeypatch.setenv("LBACTORS_KEY", KEY)
    ok("login", "--url", api.url, "--profile", "other")


def printed(terminal: int) -> bytes:
    """What a terminal shows next; nothing at its end."""
    ready, _, _ = select.select([terminal], [], [], 60)
    assert ready, "nothing for a minute"
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        return os.read(terminal, 1024)
    return b""


def test_a_person_types_the_key_unseen(api: FakeApi, config: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        words = [sys.executable, "-m", "lbactors", "login", "--url", api.url]
        os.execv(sys.executable, words)
    shown = b""
    while b"API key" not in shown:
        shown += printed(terminal)
    os.write(terminal, f"{KEY}\n".encode())
    while chunk := printed(terminal):
        shown += chunk
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    os.close(terminal)
    assert KEY.encode() not in shown and KEY in config.read_text()


def test_a_damaged_file_is_one_line_and_exit_code_2(config: Path) -> None:
    config.write_text("default = ")
    for words in (("top", "xp"), ("login", "--key", KEY), ("logout",), ("profiles",), ("bench",)):
        message = refused(2, *words)
        assert message.startswith(f"error: {config} is damaged") and message.count("\n") == 1


def test_json_of_the_three(api: FakeApi, config: Path) -> None:
    saved = json.loads(login(api, "--json"))
    item = {"profile": "default", "url": api.url, "tenant": None, "key": "…", "default": True}
    assert saved == {**item, "file": str(config)}
    assert ok_json("profiles") == {"items": [item], "total": 1, "file": str(config)}
    assert ok_json("profiles", "use", "default") == item
    assert ok_json("logout") == {"deleted": "default", "default": None, "file": str(config)}
    assert run("profiles").stdout == ""


def test_of_a_key_the_end_is_shown(config: Path) -> None:
    config.write_text('[profiles.a]\nurl = "http://a"\nkey = "lb_0123456789abcdef9f3c"\n')
    assert ok_json("profiles")["items"][0]["key"] == "lb_…9f3c"
