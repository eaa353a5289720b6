"""Messages between processes: what was sent is what arrives, whatever the fields hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbactors.core.audience import RankAudience
from lbactors.core.definition import Rules
from lbactors.core.errors import ERROR_STATUS, ApiError
from lbactors.core.model import PeriodRecord, PeriodView, Reading, Row, Submission
from lbactors.core.packing import pack
from lbactors.core.period import FULL, NO_RANK, RANK
from lbactors.core.snapshot_parts import Applied, Entry
from lbactors.documents.audit import Who
from lbactors.wire import reads
from lbactors.wire.catalogue_feed import CatalogueVersion, FeedChange, News
from lbactors.wire.chain_spec import ChainSpec, Follows, HostedDigest
from lbactors.wire.commands import (
    ClosePeriod,
    Command,
    CommandCall,
    CommandReply,
    CreateLeaderboard,
    Idempotency,
    RemoveEntry,
)
from lbactors.wire.logs import FollowOp, Tick, TrimLog
from lbactors.wire.ping import ChainPing, FollowPing, PeriodPing, Ping
from lbactors.wire.replies import ASLEEP, ERROR, NOT_HERE, VALUE, Reply
from lbactors.wire.requests import (
    ChangeEntry,
    EntryChange,
    Erase,
    HandOn,
    HiddenList,
    Host,
    MemberList,
    Moderate,
    Release,
    Seal,
)
from lbactors.wire.writes import Submitted, WriteCall, WriteOp

ints = st.integers(-(2**53), 2**53)
counts = st.integers(0, 2**53)
names = st.text(max_size=8)
numbers = ints | st.floats(allow_nan=False)
maybe_ints = st.none() | ints
errors = st.builds(ApiError, st.sampled_from(sorted(ERROR_STATUS)), names, st.just([]), st.none() | counts)

records = st.builds(
    PeriodRecord, counts, names, maybe_ints, maybe_ints, st.booleans(), counts, counts, ints, counts,
    st.booleans(), st.integers(0, 4), st.booleans(), counts, st.none() | st.just([5, ["best"], None]),
    st.booleans(), st.booleans(), maybe_ints, maybe_ints,
)  # fmt: skip
rules = st.builds(
    Rules, names, names, names, names, names, st.none() | numbers, st.none() | st.integers(1, 9)
)
audiences = st.builds(
    RankAudience, st.frozensets(names, max_size=2), st.lists(names, max_size=2).map(tuple), st.booleans()
)
pauses = st.lists(st.tuples(ints, maybe_ints), max_size=2).map(tuple)
over = st.lists(st.tuples(ints, ints, ints), max_size=2).map(tuple)
follows = st.builds(Follows, names, st.dictionaries(names, names, max_size=2), counts, counts, pauses, over)
specs = st.builds(
    ChainSpec, names, names, counts, rules, counts, st.booleans(), st.lists(records, max_size=2),
    st.none() | records, counts, st.dictionaries(counts, counts, max_size=3), st.booleans(), st.booleans(),
    st.none() | records, audiences, st.none() | follows,
)  # fmt: skip
rows = st.builds(
    Row, maybe_ints, names, numbers, numbers, st.none() | st.binary(max_size=4), counts, ints, ints,
    st.none() | st.sampled_from(["up", "new"]),
)  # fmt: skip
hidden = st.dictionaries(names, maybe_ints, max_size=3)
hidden_lists = st.builds(HiddenList, names, counts, hidden)
labelled = st.lists(names, max_size=2)
member_lists = st.builds(
    MemberList, names, counts, st.booleans(), st.dictionaries(names, labelled, max_size=2),
    st.lists(st.tuples(names, labelled).map(list), max_size=2),
)  # fmt: skip
periods = st.builds(PeriodPing, names, names, counts, counts, counts, counts, counts)
follow_pings = st.builds(FollowPing, names, counts, counts, counts)
chains = st.builds(ChainPing, counts, st.lists(periods, max_size=2), counts, counts, st.none() | follow_pings)
pings = st.builds(
    Ping, names, names, counts, counts, st.floats(0, 1e10), counts, counts,
    st.builds(HostedDigest, counts, counts), st.dictionaries(names, chains, max_size=2),
    st.lists(names, max_size=2), names,
)  # fmt: skip
wants = st.sampled_from([NO_RANK, RANK, FULL])
ops = st.builds(WriteOp, names, ints, wants, st.just([]), st.lists(names, max_size=2), counts,
    st.lists(names, min_size=1, max_size=2) | st.just(()))  # fmt: skip


def raised(work: Callable[[], Any]) -> ApiError:
    with pytest.raises(ApiError) as found:
        work()
    return found.value


def sent(message: Any) -> Any:
    """What arrives at the other side."""
    wire = message.to_wire() if hasattr(message, "to_wire") else message
    arrived = msgpack.unpackb(pack(wire))
    kind = type(message)
    return kind.from_wire(arrived) if hasattr(kind, "from_wire") else kind(*arrived)


@given(
    st.one_of(
        specs,
        pings,
        st.builds(Host, st.lists(specs, max_size=2), st.booleans(), counts),
        st.builds(Release, st.lists(names, max_size=2), st.booleans()),
        st.builds(Seal, names, counts, counts, st.none() | st.lists(counts, max_size=2), counts),
        st.builds(FollowOp, names, counts, counts, st.lists(counts, max_size=3)),
        st.builds(Tick, names, counts),
        st.builds(TrimLog, names, ints, counts),
        st.builds(HandOn, names, counts),
        st.builds(Erase, names, names, names),
        st.builds(
            Moderate,
            counts,
            st.lists(hidden_lists, max_size=2),
            st.booleans(),
            st.lists(member_lists, max_size=2),
            counts,
        ),
        st.builds(ChangeEntry, names, names, names, st.lists(numbers, max_size=3), names),
        st.builds(EntryChange, names, st.none() | rows, st.none() | rows),
        st.builds(CatalogueVersion, counts, counts),
        st.builds(
            News,
            counts,
            counts,
            st.booleans(),
            st.lists(st.builds(FeedChange, names, names, st.none() | st.binary()), max_size=3),
        ),
        st.builds(
            CommandCall,
            st.builds(CreateLeaderboard, st.dictionaries(names, names, max_size=2))
            | st.builds(ClosePeriod, names, names)
            | st.builds(RemoveEntry, names, names, st.none() | names, st.none() | names),
            names,
            st.none() | st.builds(Idempotency, names, names),
            st.none() | st.builds(Who, names, names, names),
        ),
        st.builds(
            CommandReply,
            counts,
            st.dictionaries(names, names, max_size=2),
            st.builds(CatalogueVersion, counts, counts),
        ),
        st.builds(WriteCall, ints, st.lists(ops, max_size=2)),
        st.builds(reads.ReadOp, names, names, names, st.lists(numbers, max_size=3), names),
        st.builds(Reply, st.just(VALUE), st.none() | names),
        st.builds(Reply, st.sampled_from([NOT_HERE, ASLEEP]), st.none()),
    )
)
def test_what_is_sent_arrives(message: Any) -> None:
    assert sent(message) == message


@given(errors)
def test_an_error_arrives_as_it_was_raised(error: ApiError) -> None:
    reply = sent(Reply.of_error(error))
    wire = msgpack.unpackb(pack(CommandReply.error_to_wire(error)))
    for arrived in (reply.error, raised(reply.result), raised(lambda: CommandReply.from_wire(wire))):
        assert arrived.to_wire() == error.to_wire()


def test_a_command_of_another_version_changes_nothing() -> None:
    later = Command.of("close_period", {"leaderboard_id": "xp", "window": "main", "added_later": 1})
    assert later == ClosePeriod("xp", "main")
    with pytest.raises(ApiError, match="no command 'made_up'") as caught:
        Command.of("made_up", {})
    assert caught.value.code == "storage_unavailable"


def test_where_no_chain_is_nothing_can_be_read() -> None:
    for status in (NOT_HERE, ASLEEP):
        assert raised(Reply(status).result).code == "period_loading"
    assert sent(Reply(ERROR, ApiError("period_closed", "x").to_wire())).status == ERROR


@given(st.lists(rows, max_size=3), st.lists(names, max_size=2), maybe_ints)
def test_a_reading_arrives_with_its_rows(found: list[Row], missing: list[str], matched: int | None) -> None:
    view = PeriodView(1, "k", "main", "active", None, 5, None, 2, 3)
    answer = reads.ReadAnswer(view, 2, 9, found, 4, matched, missing)
    arrived = reads.ReadAnswer.from_wire(msgpack.unpackb(pack(answer)))
    assert arrived == Reading(view, 2, 9, found, 4, matched, tuple(missing))
    with_edges = answer._replace(edges=[(5, 0, 1), (2.5, 0, 7)])
    arrived = reads.ReadAnswer.from_wire(msgpack.unpackb(pack(with_edges)))
    edges = ((5, 0, 1), (2.5, 0, 7))
    assert arrived == Reading(view, 2, 9, found, 4, matched, tuple(missing), edges=edges)
    spread = answer._replace(rows={"buckets": []})
    arrived = reads.ReadAnswer.from_wire(msgpack.unpackb(pack(spread)))
    assert (arrived.rows, arrived.spread) == ([], {"buckets": []})


def test_every_query_travels_under_its_kind() -> None:
    for kind, query in reads.QUERIES.items():
        made = query(*range(len(query._fields)))
        op = sent(reads.ReadOp.of("c", "current", made))
        assert op.kind == kind and reads.QUERIES[op.kind](*op.args) == made


taken = st.sampled_from(["period_closed", "period_not_open"]) | st.tuples(
    names, numbers, maybe_ints, st.booleans()
)


@pytest.mark.parametrize("want", [NO_RANK, RANK, FULL])
@given(st.lists(errors | st.tuples(taken, taken), max_size=4))
def test_what_became_of_submissions_arrives(want: int, verdicts: list[Any]) -> None:
    made: list[Any] = []
    for verdict in verdicts:
        made.append(verdict if isinstance(verdict, ApiError) else [])
        for window in () if isinstance(verdict, ApiError) else verdict:
            if isinstance(window, str):
                made[-1].append(window)
                continue
            key, score, rank, duplicate = window
            entry = Entry(score, 0, 1, 1, 0, 0, None)
            made[-1].append((key, Applied(True, entry, None, rank, None, 7, duplicate, None)))
    arrived = Submitted(msgpack.unpackb(pack(Submitted.to_wire(made, want))), want)
    submissions = [Submission(f"p{i}", 1, 0, None, None, None, None) for i in range(len(made))]
    answers = arrived.answers(submissions, ("main", "daily"))
    assert arrived.says_nothing == (want == NO_RANK and not any(isinstance(v, ApiError) for v in made))
    for submission, verdict, answer in zip(submissions, made, answers, strict=True):
        if isinstance(verdict, ApiError):
            assert isinstance(answer, ApiError) and answer.to_wire() == verdict.to_wire()
            continue
        assert isinstance(answer, list)
        if want == NO_RANK:
            assert answer == []
            continue
        assert [(o.window, o.player_id) for o in answer] == [
            (w, submission.player_id) for w in ("main", "daily")
        ]
        for outcome, window in zip(answer, verdict, strict=True):
            if isinstance(window, str):
                assert (outcome.skipped, outcome.applied, outcome.rank) == (window, False, None)
                continue
            key, done = window
            assert (outcome.period_key, outcome.skipped) == (key, None)
            assert (outcome.score, outcome.previous_score) == (done.entry.score, None)
            assert (outcome.rank, outcome.seq, outcome.duplicate) == (done.rank, 7, done.duplicate)


# As version 0.1.0 wrote them: what it sent is read, and it can read what is sent now


def test_the_rows_are_those_of_the_release_before() -> None:
    record = PeriodRecord(1, "k", 0, 5, False, 0, 0, 0)
    spec = ChainSpec("t/b~1/main", "main", 3, Rules("best", "desc", "desc", "first", "ordinal", None, None),
                     0, True, [record], record, 1, {1: 7}, False, True, record)  # fmt: skip
    row = [1, "k", 0, 5, False, 0, 0, 0, 0, False, 0, False]
    rules_row = ["best", "desc", "desc", "first", "ordinal", None, None]
    wire = ["t/b~1/main", "main", 3, rules_row, 0, True, [row], row, 1, [[1, 7]], False, True, row]
    assert msgpack.unpackb(pack(spec.to_wire())) == wire and ChainSpec.from_wire(wire) == spec
    assert Host.from_wire([[wire], True]) == Host([spec], True, 0)
    assert msgpack.unpackb(pack(Reply(NOT_HERE).to_wire())) == [NOT_HERE]
    call = WriteCall(5, [WriteOp("b", 4, 2, [["p", 1, 0, None, None, None, None]], ["main"])])
    rows = [5, [["b", 4, 2, [["p", 1, 0, None, None, None, None]], ["main"], 0]]]
    assert msgpack.unpackb(pack(call.to_wire())) == rows and WriteCall.from_wire(rows) == call
    op = reads.ReadOp.of("c", "current", reads.Page(0, 10))
    assert msgpack.unpackb(pack(op.to_wire())) == ["c", "current", "page", [0, 10, None, None, None, False]]


def test_a_ping_of_the_release_before_is_read() -> None:
    ping = Ping("a", "i", 1, 2, 3.0, 4, 5, HostedDigest.of([("c", 1)]), {"c": ChainPing(1)}, ["t"], "t")
    old = {k: v for k, v in ping.to_wire().items() if k != "went_back"}
    assert Ping.from_wire(msgpack.unpackb(pack(old))).went_back == ""
