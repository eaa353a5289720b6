"""The journal's bytes: those that were always written, whatever the code that makes them looks like."""

from __future__ import annotations

import msgpack

from lbactors.core import inputs
from lbactors.core.definition import Rules
from lbactors.core.followed import Terms
from lbactors.core.inputs import JournalBody
from lbactors.core.period import FULL, Period
from lbactors.core.snapshot_parts import META, Meta

RULES = Rules("best", "desc", "desc", "first", "ordinal", 100, 0)
TERMS = Terms(1, "metric:xp", 0, None, ((5, 6), (8, None)))
ROW = ["p1", 5, 1, b"{}", "id", 7, None]
EVERY_KIND = [
    (inputs.submit(ROW, 3), [0, 3, "p1", 5, 1, b"{}", "id", None]),
    (inputs.submit_all([ROW], 3)[0], [0, 3, "p1", 5, 1, b"{}", "id", None]),
    (inputs.remove("p1", 3), [1, 3, "p1"]),
    (inputs.configure(RULES, 3), [2, 3, ["best", "desc", "desc", "first", "ordinal", 100, 0]]),
    (inputs.erase("p1", None, 3), [3, 3, "p1", None]),
    (inputs.inherit(["a", "b"], 2, 3), [4, 3, 2, ["a", "b"]]),
    (inputs.hide("p1", 9, 3), [5, 3, "p1", 9]),
    (inputs.show("p1", 3), [6, 3, "p1"]),
    (inputs.edit("p1", 4, None, False, 3), [7, 3, "p1", 4, None, False]),
    (inputs.restore("p1", 3), [8, 3, "p1"]),
    (inputs.submit(ROW, 3, 7), [9, 3, "p1", 5, 1, b"{}", "id", None, 7]),
    (inputs.import_entry(["p1", 5, 1, b"{}", 4, 1, 2], True, 3), [10, 3, "p1", 5, 1, b"{}", 4, 1, 2, True]),
    (inputs.occurred(ROW, 3, 7), [11, 3, "p1", 5, 1, b"{}", "id", None, 7]),
    (inputs.occurred(ROW, 3), [11, 3, "p1", 5, 1, b"{}", "id", None, 0]),
    (inputs.close(1, 9, 3), [12, 3, 1, 9]),
    (inputs.outside("p1", 3), [13, 3, "p1", None]),
    (inputs.outside("p1", 3, inputs.restore("p1", 3)), [13, 3, "p1", [8, 3, "p1"]]),
    (inputs.inside("p1", 3), [14, 3, "p1"]),
    (inputs.follow(7, 2, 3, TERMS), [15, 3, 7, 2, [1, "metric:xp", 0, None, [[5, 6], [8, None]]]]),
    (inputs.follow(8, 2, 3), [15, 3, 8, 2]),
    (inputs.refill(0, 0, 3, TERMS), [16, 3, 0, 0, [1, "metric:xp", 0, None, [[5, 6], [8, None]]]]),
    (inputs.again(3), [17, 3]),
    (inputs.outside("p1", 3, inputs.again(3)), [13, 3, "p1", [17, 3]]),
]


def test_every_input_is_written_as_it_always_was() -> None:
    made, rows = [list(column) for column in zip(*EVERY_KIND, strict=True)]
    body = JournalBody(RULES, 11, made).pack()
    assert body == msgpack.packb([list(RULES), 11, rows])
    assert JournalBody.unpack(body) == (RULES, 11, rows)
    assert JournalBody.unpack(msgpack.packb([None, 11, []])).rules is None
    assert [inputs.told_kind(row) for row in rows] == [0, *range(12), 11, 12, 13, 8, 14, 15, 15, 16, 17, 17]
    assert {inputs.player_id_of(row) for row in rows if row[0] not in inputs.NAMELESS} == {"p1"}
    assert sorted(inputs.NAMELESS) == [2, 4, 12, 15, 16, 17]


def test_a_period_does_the_same_with_what_was_made_and_with_what_was_read() -> None:
    made, rows = [list(column) for column in zip(*EVERY_KIND, strict=True)]
    states = []
    for items in (made, rows):
        period = Period(RULES)
        results, parts = [], []
        refill = [item[0] for item in items].index(inputs.REFILL)
        for some in (items[:refill], items[refill:]):
            results += period.apply(11, some, [FULL] * len(some))
            period.check()
            assert period.begin_snapshot() is not None
            parts.append(period.next_parts(100))
            period.end_snapshot(committed=True)
        states.append((results, parts))
    assert states[0] == states[1]
    metas = [parts[META] for parts in states[0][1]]
    assert all(Meta.unpack(meta).pack() == meta for meta in metas)
    assert msgpack.unpackb(metas[0])[2] == 1 + 4
    assert msgpack.unpackb(metas[1])[:3] == [list(RULES), len(rows), 0]


def test_only_the_snapshot_of_a_closed_period_says_so() -> None:
    period = Period(RULES)
    saved: dict[str, bytes] = {}
    for closed in (None, (0, 9), (1, None)):
        inputs_of = [inputs.submit(ROW, 3)] if closed is None else [inputs.close(*closed, 3)]
        period.apply(11, inputs_of)
        assert period.closed == closed and period.begin_snapshot() is not None
        parts = period.next_parts(100)
        period.end_snapshot(committed=True)
        saved |= parts
        assert len(msgpack.unpackb(parts[META])) == (5 if closed is None else 6)
        assert Period.load(saved.items(), period.seq).closed == closed
