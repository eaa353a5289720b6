"""Submission ids and what they go with. How they are forgotten and handed on: `test_period`."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbactors.core.seen_ids import HOUR_MS, IdSegment, SeenIds, body_tag, contradict, tag_of

TAGS = st.builds(tag_of, st.sampled_from(["p", "q"]), st.sampled_from([0, body_tag(b"1"), body_tag(b"2")]))


def test_a_tag_tells_players_and_bodies_apart() -> None:
    one, two = body_tag(b"one"), body_tag(b"two")
    assert not contradict(tag_of("p", one), tag_of("p", one))
    assert contradict(tag_of("p"), tag_of("q"))
    assert contradict(tag_of("p", one), tag_of("p", two)) and contradict(tag_of("p", one), tag_of("q", one))
    assert not contradict(tag_of("p", one), tag_of("p")), "the id that a key made, sent by its name"
    assert not contradict(0, tag_of("p", one)), "stored before there were tags"


@given(TAGS, TAGS)
def test_contradicting_is_mutual(one: int, other: int) -> None:
    assert contradict(one, other) == contradict(other, one)
    assert not contradict(one, one)


@pytest.mark.parametrize("tag", [0, tag_of("p"), tag_of("p", body_tag(b"x"))])
def test_tags_are_saved_loaded_and_handed_on(tag: int) -> None:
    ids = SeenIds(limit=100)
    ids.add("a", 7, HOUR_MS, tag)
    loaded = SeenIds(limit=100)
    loaded.unpack(0, ids.segments[0].pack(1))
    loaded.finish_loading(1)
    (handed,) = loaded.handed_on(SeenIds(limit=100), 0)
    heir = SeenIds(limit=100)
    heir.inherit(handed.ids, 9, handed.newest_ms, HOUR_MS, handed.tags)
    for found in (ids, loaded, heir):
        found.check()
        assert "a" in found and len(found) == 1 and not found.knows_none(["b", "a"])
        assert found.contradicts("a", tag_of("q")) == bool(tag)
        assert not found.contradicts("a", tag or tag_of("q"))
        assert not found.contradicts("b", tag_of("q"))
    assert (ids.seq("a"), heir.seq("a"), ids.seq("b")) == (7, 9, None)


def test_segments_of_the_version_before_have_no_tags() -> None:
    segment = IdSegment(5)
    segment.ids.append("a")
    segment.seqs.append(3)
    segment.tags.append(0)
    old = msgpack.packb(msgpack.unpackb(segment.pack(1))[:4])
    loaded = SeenIds(limit=100)
    loaded.unpack(0, old)
    loaded.finish_loading(1)
    loaded.check()
    assert loaded.seq("a") == 3 and not loaded.contradicts("a", tag_of("anybody"))
