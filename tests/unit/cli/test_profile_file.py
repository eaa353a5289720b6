"""The file of profiles: what is written is read, by its owner alone, and damage is one line that names it."""

from __future__ import annotations

import os
import stat
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbactors.cli.profile_file import (
    Profile,
    ProfileError,
    Profiles,
    profile_path,
    read_profiles,
    write_profiles,
)

names = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=64)
texts = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1)
profiles = st.builds(Profile, texts, st.none() | texts, st.none() | texts)


@given(st.dictionaries(names, profiles), st.booleans())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, by_name: dict[str, Profile], with_default: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "profiles.toml"
    default = next(iter(by_name), None) if with_default else None
    write_profiles(path, Profiles(default, by_name))
    assert read_profiles(path) == Profiles(default, by_name)


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "settings" / "profiles.toml"
    before = os.umask(0)
    try:
        write_profiles(path, Profiles(None, {"a": Profile("http://a", "lb_1", None)}))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "profiles.toml"
    good = Profiles("a", {"a": Profile("http://a", None, None)})
    write_profiles(path, good)
    with pytest.raises(ProfileError, match="cannot be saved"):
        write_profiles(path, Profiles("a", {"a": Profile("http://a", "lb_\n", None)}))
    with pytest.raises(ProfileError, match="cannot write"):
        write_profiles(path / "below", good)
    assert read_profiles(path) == good and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default = ", "Invalid value"),
        ("\xff", "utf-8"),
        ("default = 3", "default is not a string"),
        ('default = "b"\n[profiles.a]\nurl = "http://a"', "the default 'b' is not one of its profiles"),
        ("profiles = 3", "profiles is not a table"),
        ("[profiles]\na = 3", "'profiles.a' is not a profile"),
        ('[profiles."a b"]\nurl = "http://a"', "'profiles.a b' is not a profile"),
        ('[profiles.a]\nkey = "lb_1"', "profiles.a has no url"),
        ("[profiles.a]\nurl = 3", "profiles.a.url is not a string"),
        ('[profiles.a]\nurl = "http://a"\nkye = "lb_1"', "unknown field profiles.a.kye"),
        ("other = 1", "unknown field other"),
    ],
)
def test_damage_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "profiles.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ProfileError) as caught:
        read_profiles(path)
    assert str(path) in str(caught.value) and said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot read"):
        read_profiles(tmp_path)
    assert read_profiles(tmp_path / "missing") == Profiles(None, {})


def test_the_place_of_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LBACTORS_CONFIG")
    assert profile_path().parts[-2:] == ("lbactors", "profiles.toml")
    monkeypatch.setenv("LBACTORS_CONFIG", str(tmp_path / "mine"))
    assert profile_path() == tmp_path / "mine"


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """`/dev/null`, say, which root could replace."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ProfileError, match="not a regular file"):
        write_profiles(pipe, Profiles(None, {}))
    assert pipe.is_fifo()
