"""A row and its player, as filters and expressions see them, and the paths into them."""

from __future__ import annotations

from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbactors.core import subject as module
from lbactors.core.subject import EVENT_ROOTS, METRIC_ROOTS, Subject, parse_path, reader

PROFILE = {
    "display_name": "Maya",
    "attributes": {"country": "IT", "clan": {"id": 7}, "void": None},
    "tags": ["vip"],
    "roles": [],
    "timezone": "Europe/Rome",
}
SUBJECT = Subject(
    attrs=b'{"mode":"ranked","weapon":{"kind":"bow","mods":[{"x":1}]},"a-b":2,"":3}',
    actor_metadata=b'{"level":3}',
    metadata=b'{"season":4}',
    profile=orjson.dumps(PROFILE),
)


def read(text: str, subject: Subject = SUBJECT) -> Any:
    roots = METRIC_ROOTS if text.startswith("metadata") else EVENT_ROOTS
    return reader(parse_path(text, roots))(subject)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("attrs.mode", "ranked"),
        ("attrs.a-b", 2),
        ("attrs.weapon", {"kind": "bow", "mods": [{"x": 1}]}),
        ("attrs.weapon.kind", "bow"),
        ("attrs.weapon.kind.more", None),
        ("attrs.weapon.mods.0", None),
        ("attrs.weapon.mods.x", None),
        ("attrs.none", None),
        ("attrs.none.more.yet", None),
        ("actor.metadata.level", 3),
        ("metadata.season", 4),
        ("player.attributes.country", "IT"),
        ("player.attributes.clan.id", 7),
        ("player.attributes.void", None),
        ("player.tags", ["vip"]),
        ("player.roles", None),
    ],
)
def test_what_is_at_a_path(path: str, expected: object) -> None:
    assert read(path) == expected
    assert read(path, Subject()) is None


@pytest.mark.parametrize("encode", [orjson.dumps, msgpack.packb])
def test_a_profile_is_read_in_both_encodings(encode: Any) -> None:
    subject = Subject(profile=encode(PROFILE))
    assert (subject.tags, subject.roles, subject.timezone) == (["vip"], None, "Europe/Rome")
    assert subject.attributes == PROFILE["attributes"]
    assert Subject().timezone is None


@given(st.binary(max_size=40))
def test_bytes_that_are_no_object_count_as_empty(raw: bytes) -> None:
    subject = Subject(attrs=raw, actor_metadata=raw, metadata=raw, profile=raw)
    parts = (subject.attrs, subject.actor_metadata, subject.metadata, subject.profile, subject.attributes)
    assert {type(part) for part in parts} == {dict}
    assert all(type(found) in (list, type(None)) for found in (subject.tags, subject.roles))


@pytest.mark.parametrize("raw", [b"{", b"[]", b"null", b"3", b"{" * 100_000, b"\x91" * 100_000, b"\xc1", b""])
def test_damaged_bytes_count_as_empty(raw: bytes) -> None:
    assert Subject(attrs=raw).attrs == {} == Subject(profile=raw).attributes


def test_a_profile_whose_parts_have_other_types_reads_as_one_without_them() -> None:
    subject = Subject(profile=b'{"attributes":[1],"tags":"vip","roles":{"a":1},"timezone":5}')
    assert (subject.attributes, subject.tags, subject.roles, subject.timezone) == ({}, None, None, None)


def test_each_part_is_decoded_once_and_only_if_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []

    class Counting:
        @staticmethod
        def loads(raw: bytes) -> Any:
            decoded.append(raw)
            return orjson.loads(raw)

    monkeypatch.setattr(module, "orjson", Counting)
    profile = b'{"tags":["x"]}'
    subject = Subject(attrs=b'{"a":1}', actor_metadata=b'{"b":1}', metadata=b'{"c":1}', profile=profile)
    assert decoded == []
    for _ in range(2):
        assert read("attrs.a", subject) == 1
    assert decoded == [b'{"a":1}']
    for _ in range(2):
        assert read("player.tags", subject) == ["x"] and read("player.attributes.y", subject) is None
    assert decoded == [b'{"a":1}', b'{"tags":["x"]}']
    assert read("actor.metadata.b", subject) == 1 == read("metadata.c", subject)
    assert len(decoded) == 4


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("attrs", "'attrs' must go on with the name of a field: attrs.…"),
        ("attrs.", "'attrs.' must have a name before and after each dot"),
        ("attrs..x", "'attrs..x' must have a name before and after each dot"),
        ("player.tags.x", "'player.tags' is a list: nothing follows it"),
        ("player.display_name", "unknown path 'player.display_name': must be one of attrs.…, "),
        ("attr.x", "unknown path 'attr.x': must be one of attrs.…, actor.metadata.…, player.attributes.…, "),
        ("attrsx", "unknown path 'attrsx'"),
        ("metadata.x", "unknown path 'metadata.x'"),
        ("", "unknown path ''"),
        ("attrs." + "x" * 123, "a path must have at most 128 characters"),
        ("attrs" + ".x" * 8, "a path must have at most 8 names with dots between them"),
    ],
)
def test_what_is_no_path(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"path|must|follows") as caught:
        parse_path(path, EVENT_ROOTS)
    assert str(caught.value).startswith(message)


def test_the_limits_of_a_path_can_be_reached() -> None:
    assert parse_path("attrs." + "x" * 122, EVENT_ROOTS).fields == ("x" * 122,)
    assert parse_path("attrs" + ".x" * 7, EVENT_ROOTS).fields == ("x",) * 7
    assert parse_path("actor.metadata" + ".x" * 6, EVENT_ROOTS).fields == ("x",) * 6
