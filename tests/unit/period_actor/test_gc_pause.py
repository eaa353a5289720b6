"""The collector rests while anybody wants it to, and takes what was made for old."""

from __future__ import annotations

import gc

import pytest

from lbactors.period_actor.gc_pause import resting


def test_it_rests_until_the_last_one_is_done() -> None:
    assert gc.isenabled()
    first, second = resting(), resting()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_it_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="bad part"), resting():
        raise ValueError("bad part")
    assert gc.isenabled()


def test_it_stays_off_where_it_was_off() -> None:
    gc.disable()
    try:
        with resting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_was_made_counts_as_old_and_is_still_collected() -> None:
    class Node:
        itself: Node

    gc.collect()
    with resting():
        node = Node()
        node.itself = node
    assert any(item is node for item in gc.get_objects(generation=2))
    assert gc.get_freeze_count() == 0
    del node
    assert gc.collect() >= 1
    assert not [item for item in gc.get_objects() if type(item) is Node]
