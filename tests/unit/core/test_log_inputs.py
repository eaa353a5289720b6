"""What a log's journal keeps: arrays with all that was asked for."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from lbactors.core import log_inputs as made
from lbactors.core.log_inputs import (
    AWARD,
    DEDUCT,
    KIND_NUMBERS,
    SET,
    Event,
    Row,
    Settle,
    at_ms_of,
    names,
    previous_seq_of,
)
from lbactors.core.log_model import ROW_KINDS, EventRow, MetricRow
from lbactors.core.packing import pack

AT_MS = 1_700_000_000_000

ASKED = MetricRow("p1", "deduct", "pending", 2.5, 1, b"{}", "id1", AT_MS - 9, b'{"tags":[]}')
ROW = Row(
    made.ROW, AT_MS, "p1", DEDUCT, True, 2.5, 1, b"{}", "id1", AT_MS - 9, 7, -2.5, 10, b'{"tags":[]}', 4
)
EVENT = Event(made.EVENT, AT_MS, "p1", "match", "e1", AT_MS - 9, b"[]", b"{}", b'{"tags":[]}', 4)
SETTLE = Settle(made.SETTLE, AT_MS, "p1", 3, True, SET, 2.5, 1, b"{}", AT_MS - 9, -2.5, 10, None, "id2", 7, 4)
OTHERS = [
    made.tick(AT_MS),
    made.erase((99, 4), AT_MS),
    made.forget((99, 4), AT_MS),
    made.erased(ROW),
    made.trim(5, AT_MS),
]


def test_a_row_has_every_field_in_its_place() -> None:
    item = made.row(ASKED, AT_MS, AT_MS - 9, 7, -2.5, 10, 4)
    assert type(item) is Row and item == ROW and len(item) == len(Row._fields)


@pytest.mark.parametrize("kind", ROW_KINDS)
@pytest.mark.parametrize("state", ["completed", "pending"])
def test_kinds_and_states_are_numbers_and_flags(kind: Any, state: Any) -> None:
    item = made.row(ASKED._replace(kind=kind, state=state), AT_MS, None, 0, 0, 0, 0)
    assert ROW_KINDS[item.kind] == kind and KIND_NUMBERS[kind] == item.kind
    assert item.is_pending is (state == "pending") and item.occurred_at_ms is None


def test_an_event_has_every_field_in_its_place() -> None:
    asked = EventRow("e1", "match", "p1", AT_MS - 9, b"[]", b"{}", b'{"tags":[]}')
    assert made.event(asked, AT_MS, AT_MS - 9, 4) == EVENT
    assert made.event(asked, AT_MS, None, 0)[-5:] == (None, b"[]", b"{}", b'{"tags":[]}', 0)


def test_numbers_of_kinds_are_those_of_journals_that_there_are() -> None:
    """What was journaled is read for years: nothing may move."""
    assert (made.ROW, made.SETTLE, made.EVENT, made.TICK) == (0, 1, 2, 3)
    assert (made.ERASE, made.FORGET, made.ERASED, made.TRIM) == (4, 5, 6, 7)
    assert (AWARD, DEDUCT, SET) == (0, 1, 2)
    assert OTHERS == [(3, AT_MS), (4, AT_MS, 99, 4), (5, AT_MS, 99, 4), (6, AT_MS, 4), (7, AT_MS, 5)]
    assert Row._fields[2:7] == ("player_id", "kind", "is_pending", "amount", "subscore")
    assert Row._fields[7:11] == ("metadata", "submission_id", "occurred_at_ms", "tag")
    assert Row._fields[11:] == ("delta", "balance", "profile", "previous_seq")
    assert Settle._fields[3:6] == ("seq", "is_completed", "kind")
    assert Settle._fields[6:10] == Row._fields[5:8] + Row._fields[9:10]
    assert Settle._fields[10:] == ("delta", "balance", "profile", "row_id", "tag", "previous_seq")


@pytest.mark.parametrize("item", [ROW, EVENT, SETTLE, *OTHERS])
def test_an_input_comes_back_as_it_was(item: Any) -> None:
    found = msgpack.unpackb(pack(item))
    assert found == list(item) and at_ms_of(found) == AT_MS
    if isinstance(item, Row | Event | Settle):
        assert repr(type(item)(*found)) == repr(item)


@pytest.mark.parametrize("item", [ROW, EVENT, SETTLE, *OTHERS])
def test_whose_an_input_is(item: Any) -> None:
    is_of_a_player = item[0] in (made.ROW, made.EVENT, made.SETTLE)
    assert (names(item, "p1"), names(list(item), "p2")) == (is_of_a_player, False)


@pytest.mark.parametrize("item", [ROW, EVENT, SETTLE])
def test_a_chain_of_inputs_leads_on_through_those_that_were_erased(item: Any) -> None:
    gone = made.erased(item)
    assert (previous_seq_of(item), previous_seq_of(gone), previous_seq_of(list(gone))) == (4, 4, 4)
    assert gone == (made.ERASED, AT_MS, 4) and made.erased(gone) == gone
    assert not names(gone, "p1")


def test_what_is_in_no_chain_leads_nowhere() -> None:
    for item in (
        made.tick(AT_MS),
        made.trim(5, AT_MS),
        made.erase((99, 4), AT_MS),
        made.forget((99, 4), AT_MS),
    ):
        assert previous_seq_of(item) == 0 and made.erased(item) == (made.ERASED, AT_MS, 0)
