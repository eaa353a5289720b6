"""What the gateway asks of logs: a log is opened once, rows carry their players' profiles, and no leaderboard
that is away, slow or broken keeps an answer.

The catalogue is the real one, the actors behind the router are a model: a log that appends, and leaderboards
that read it when the test lets them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgpack
import pytest

from lbactors.core.errors import ApiError
from lbactors.core.log_model import (
    Balance,
    EventOutcome,
    EventRow,
    LogStats,
    Matched,
    MatchedWindow,
    MetricRow,
    RowOutcome,
    Transaction,
)
from lbactors.core.model import Board
from lbactors.service import logs as logs_module
from lbactors.service.logs import BEHIND_WAIT_MS, LATE_S, Logs, ProjectionStatus
from lbactors.service.profiles import Profiles
from lbactors.wire.catalogue_feed import CatalogueVersion
from lbactors.wire.commands import CommandReply, Idempotency, OpenLog
from lbactors.wire.logs import (
    BALANCE,
    EVENTS,
    STATS,
    TRANSACTION,
    TRANSACTIONS,
    AppendedWire,
    FollowedWire,
    FollowOp,
    LogOp,
    LogRead,
    SettleRow,
    TransactionsAsked,
    TransactionsFound,
)
from tests.support.told_catalogue import TENANT, ToldCatalogue, of_events, projection

NOW_MS = 1_795_003_200_000
WAIT_MS = 2000  # as the setting's default
WITHIN_S = 5.0  # of a test
ROW = MetricRow("p1", "award", "completed", 5, 0, None, None, None)
EVENT = EventRow("e1", "match", "p1", None, b"{}", None)

Follow = Callable[[FollowOp], Coroutine[Any, Any, FollowedWire]]


class ModelRouter:
    """Actors: logs by board id that count rows, and what leaderboards answer (`follows`, by id; up to date if
    not named). `appended`, `asked`, `followed`: what arrived.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.ids: dict[str, int] = {}
        self.pending: dict[int, str] = {}  # seq -> player
        self.settled_by: dict[str, int] = {}
        self.states: dict[int, str] = {}
        self.balance = 0
        self.refusal: ApiError | None = None
        self.follows: dict[str, Follow] = {}
        self.appended: list[LogOp] = []
        self.asked: list[LogRead] = []
        self.followed: list[FollowOp] = []

    async def append(self, op: LogOp) -> AppendedWire:
        self.appended.append(op)
        told = [self._verdict(op, row) for row in op.rows]
        return AppendedWire(*msgpack.unpackb(msgpack.packb(AppendedWire.of(self.seq, told))))

    def _verdict(self, op: LogOp, row: Any) -> RowOutcome | EventOutcome | ApiError:
        if self.refusal is not None:
            return self.refusal
        if isinstance(row, SettleRow):
            known = self.settled_by.get(row.row_id or "")
            if known is not None:
                return RowOutcome(known, 0, 0, True)
            if self.states.get(row.seq) != "pending":
                return ApiError("transaction_settled", "it is settled")
            self.states[row.seq] = "completed" if row.complete else "rejected"
            if row.row_id is not None:
                self.settled_by[row.row_id] = row.seq
        row_id = row.event_id if isinstance(row, EventRow) else getattr(row, "submission_id", None)
        if row_id is not None and row_id in self.ids:
            return self._outcome(op, self.ids[row_id], duplicate=True)
        self.seq += 1
        if row_id is not None:
            self.ids[row_id] = self.seq
        if isinstance(row, MetricRow):
            self.states[self.seq] = row.state
        self.balance += 5
        return self._outcome(op, self.seq, duplicate=False)

    def _outcome(self, op: LogOp, seq: int, *, duplicate: bool) -> RowOutcome | EventOutcome:
        if op.kind == EVENTS:
            return EventOutcome(seq, duplicate)
        return RowOutcome(seq, self.balance, self.balance, duplicate)

    async def read_log(self, asked: LogRead) -> Any:
        self.asked.append(asked)
        if asked.kind == STATS:
            found: Any = LogStats(1, self.seq, NOW_MS)
        elif asked.kind == BALANCE:
            found = Balance(self.balance, self.balance, 0, 0, self.seq, NOW_MS)
        elif asked.kind == TRANSACTION:
            (seq,) = asked.args
            if seq not in self.states:
                raise ApiError("transaction_not_found", f"no transaction 'tx-{seq}'")
            found = self._transaction(seq)
        else:
            assert asked.kind == TRANSACTIONS
            wanted = TransactionsAsked(*asked.args)
            rows = [self._transaction(seq) for seq in sorted(self.states, reverse=True)][: wanted.limit]
            found = TransactionsFound(rows, len(self.states), rows[-1].seq if rows else None)
        return msgpack.unpackb(msgpack.packb(found))

    def _transaction(self, seq: int) -> Transaction:
        state: Any = self.states[seq]
        return Transaction(seq, "p1", "award", state, 5, 0, None, None, None, NOW_MS, None)

    async def follow(self, op: FollowOp) -> FollowedWire:
        self.followed.append(op)
        leaderboard_id = op.board_id.partition("/")[2].rpartition("~")[0]
        answer = self.follows.get(leaderboard_id)
        return FollowedWire(False) if answer is None else await answer(op)


class Supervisor:
    """Opens logs, and has the catalogue know of them; `opened`: what was asked for."""

    def __init__(self, catalogue: ToldCatalogue) -> None:
        self.catalogue = catalogue
        self.opened: list[OpenLog] = []
        self.refusal: ApiError | None = None

    async def command(self, command: OpenLog, tenant_id: str) -> CommandReply:
        self.opened.append(command)
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        board = await self.catalogue.put_log(command.metric, tenant_id)
        return CommandReply(200, {"board_id": board.board_uid}, CatalogueVersion(1, 1))


class StoredProfiles:
    def __init__(self) -> None:
        self.profiles: dict[str, Any] = {}

    async def get(self, collection: str, ids: Sequence[str]) -> list[bytes | None]:
        assert collection == "profiles"
        found = (self.profiles.get(i) for i in ids)
        return [None if profile is None else msgpack.packb(profile) for profile in found]


class World:
    """A gateway's logs, and what is behind them."""

    def __init__(self) -> None:
        self.router = ModelRouter()
        self.catalogue = ToldCatalogue()
        self.supervisor = Supervisor(self.catalogue)
        self.stored = StoredProfiles()
        self.wait_ms = WAIT_MS
        router: Any = self.router
        supervisor: Any = self.supervisor
        store: Any = self.stored
        self.profiles = Profiles(store)
        self.logs = Logs(router, self.catalogue, supervisor, self.profiles, lambda: self.wait_ms)

    async def rows(self, *rows: MetricRow, metric: str = "coins", tenant_id: str = TENANT) -> Any:
        return await self.logs.append_rows(tenant_id, metric, rows or [ROW], NOW_MS)

    async def events(self, *rows: EventRow, matched: bool = True) -> Any:
        return await self.logs.append_events(TENANT, rows or [EVENT], NOW_MS, matched=matched)


@pytest.fixture
def world() -> World:
    return World()


async def code_of(asked: Coroutine[Any, Any, Any]) -> str:
    with pytest.raises(ApiError) as raised:
        await asked
    return raised.value.code


# Opening ------------------------------------------------------------------------------------------------


async def test_a_log_is_opened_once_for_many(world: World) -> None:
    found = await asyncio.gather(*(world.rows() for _ in range(20)))
    assert world.supervisor.opened == [OpenLog("coins")]
    assert sorted(one.verdicts[0].seq for one in found) == list(range(1, 21))
    await world.rows()
    assert len(world.supervisor.opened) == 1, "the catalogue knows it by now"


async def test_each_metric_and_tenant_has_a_log(world: World) -> None:
    await asyncio.gather(world.rows(), world.rows(metric="gems"), world.events(), world.rows(metric="coins"))
    await world.rows(tenant_id="other")
    assert sorted(str(o.metric) for o in world.supervisor.opened) == ["None", "coins", "coins", "gems"]
    logs = [op.board_id for op in world.router.appended]
    assert len(set(logs)) == 4 and logs.count(logs[0]) == 2


async def test_a_log_that_could_not_be_opened_is_asked_for_again(world: World) -> None:
    """By the next one; all who waited are told why."""
    world.supervisor.refusal = ApiError("validation_failed", "at most 1000 metrics")
    told = await asyncio.gather(*(world.rows() for _ in range(3)), return_exceptions=True)
    assert [error.code for error in told] == ["validation_failed"] * 3
    assert not world.router.appended
    world.supervisor.refusal = None
    assert (await world.rows()).verdicts[0].seq == 1
    assert len(world.supervisor.opened) == 2


async def test_no_rows_open_no_log(world: World) -> None:
    assert await world.logs.append_rows(TENANT, "coins", [], NOW_MS) == ([], [])
    assert await world.logs.append_events(TENANT, [], NOW_MS, matched=True) == ([], [])
    assert not world.supervisor.opened and not world.router.appended


@pytest.mark.parametrize("what", ["balance", "transactions", "transaction", "settle"])
async def test_a_metric_that_nobody_wrote_is_not_found(world: World, what: str) -> None:
    """A read makes none."""
    await world.rows(metric="gems")
    asks: dict[str, Coroutine[Any, Any, Any]] = {
        "balance": world.logs.balance(TENANT, "coins", "p1"),
        "transactions": world.logs.transactions(TENANT, "coins", None, None, 10),
        "transaction": world.logs.transaction(TENANT, "coins", 1),
        "settle": world.logs.settle(TENANT, "coins", 1, complete=True, player_id=None),
    }
    asked = asks.pop(what)
    for other in asks.values():
        other.close()
    assert await code_of(asked) == "metric_not_found"
    assert len(world.supervisor.opened) == 1


# Profiles -----------------------------------------------------------------------------------------------


async def test_rows_carry_what_filters_see_of_their_players(world: World) -> None:
    world.stored.profiles = {
        f"{TENANT}/p1": {"display_name": "One", "tags": ["eu"], "timezone": "Europe/Rome"},
        f"{TENANT}/p3": {"display_name": "Three", "attributes": {}, "tags": []},
    }
    names = ["p1", "p2", "p1", "p3"]
    await world.rows(*(ROW._replace(player_id=name) for name in names))
    await world.events(*(EVENT._replace(player_id=name, event_id=f"e{i}") for i, name in enumerate(names)))
    facts = {"tags": ["eu"], "timezone": "Europe/Rome"}
    for op in world.router.appended:
        sent = [msgpack.unpackb(row.profile) if row.profile else row.profile for row in op.rows]  # type: ignore[attr-defined]
        assert sent == [facts, None, facts, {}], "what is shown of a player travels with no row"
        assert [row.player_id for row in op.rows] == names  # type: ignore[attr-defined]


async def test_a_settlement_sees_the_profile_of_its_time(world: World) -> None:
    await world.rows(ROW._replace(state="pending"))
    world.stored.profiles[f"{TENANT}/p1"] = {"tags": ["vip"]}
    world.profiles.changed(TENANT, "p1")
    await world.logs.settle(TENANT, "coins", 1, complete=True, player_id="p1")
    (asked,) = world.router.appended[-1].rows
    assert isinstance(asked, SettleRow) and asked.profile is not None
    assert msgpack.unpackb(asked.profile) == {"tags": ["vip"]}
    assert (asked.seq, asked.complete, asked.player_id, asked.row_id) == (1, True, "p1", None)


# Who is behind ------------------------------------------------------------------------------------------


async def never(op: FollowOp) -> FollowedWire:
    """An actor that does not answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def away(op: FollowOp) -> FollowedWire:
    raise ApiError("period_loading", "the period actor went away")


async def bug(op: FollowOp) -> FollowedWire:
    raise RuntimeError("KeyError('a bug')")


async def garbage(op: FollowOp) -> FollowedWire:
    """What the router makes of an answer that is none."""
    raise ValueError("not enough values to unpack")


async def says_so(op: FollowOp) -> FollowedWire:
    return FollowedWire(True)


TROUBLE = {"away": away, "broken": bug, "garbled": garbage, "slow": never, "told": says_so}


@pytest.mark.parametrize("what", TROUBLE)
@pytest.mark.parametrize("kind", ["rows", "events", "settle"])
async def test_a_leaderboard_that_has_not_read_is_behind(
    world: World, what: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever keeps it: the rows are in the log, and the others are told of them."""
    monkeypatch.setattr(logs_module, "LATE_S", 0.01)
    world.wait_ms = 10
    await world.rows(ROW._replace(state="pending"))
    scoring = of_events("match") if kind == "events" else {"source": "metric", "metric": "coins"}
    await world.catalogue.put(projection("good", scoring=scoring), projection("bad", scoring=scoring))
    world.router.follows["bad"] = TROUBLE[what]
    async with asyncio.timeout(WITHIN_S):
        if kind == "rows":
            found = await world.rows()
            assert found.verdicts == [RowOutcome(2, 10, 10, False)]
        elif kind == "events":
            found = await world.events()
            assert [(v.seq, v.duplicate, list(v.matched)) for v in found.verdicts] == [(2, False, [])]
        else:
            found = await world.logs.settle(TENANT, "coins", 1, complete=True, player_id=None)
            assert found.outcome.seq == 2
    assert list(found.behind) == ["bad"]
    assert {op.board_id for op in world.router.followed} == {f"{TENANT}/{i}~u1" for i in ("good", "bad")}
    assert {op.through for op in world.router.followed} == {2}


async def test_a_leaderboard_without_a_period_is_not_behind(world: World) -> None:
    """A manual one, say, before its first: there is nothing that could take a row."""

    async def no_period(op: FollowOp) -> FollowedWire:
        raise ApiError("period_not_open", "the leaderboard has no period yet")

    await world.catalogue.put(projection("xp", timeframe={"type": "manual"}))
    world.router.follows["xp"] = no_period
    assert (await world.rows()).behind == []


async def test_only_those_concerned_are_told(world: World) -> None:
    await world.catalogue.put(
        projection("coins"),
        projection("gems", scoring={"source": "metric", "metric": "gems"}),
        projection("match", scoring=of_events("match")),
        projection("login", scoring=of_events("login")),
        projection("old", status="archived"),
    )
    await world.rows()
    await world.events(EVENT, EVENT._replace(event_id="e2", event_type="chat"))
    names = [op.board_id.partition("/")[2] for op in world.router.followed]
    assert names == ["coins~u1", "match~u1"]


async def test_rows_that_were_refused_concern_nobody(world: World) -> None:
    await world.catalogue.put(projection("coins"), projection("match", scoring=of_events("match")))
    world.router.refusal = ApiError("insufficient_balance", "the balance is 0")
    found = await world.rows()
    assert [v.code for v in found.verdicts] == ["insufficient_balance"] and not found.behind
    events = await world.events()
    assert [v.code for v in events.verdicts] == ["insufficient_balance"] and not events.behind
    assert not world.router.followed


async def test_a_repeat_is_waited_for_too(world: World) -> None:
    """Whoever sends again wants to read what he wrote: the first answer may have been lost."""
    await world.catalogue.put(projection("xp"))
    for _ in range(2):
        found = await world.rows(ROW._replace(submission_id="once"))
    assert found.verdicts[0].duplicate
    assert [op.through for op in world.router.followed] == [1, 1]


class Watched:
    """A leaderboard that takes as long as it is let; how long it was to take."""

    def __init__(self) -> None:
        self.is_behind = True

    async def follow(self, op: FollowOp) -> FollowedWire:
        return FollowedWire(self.is_behind)


async def test_one_that_was_behind_is_hardly_waited_for_until_it_has_caught_up(world: World) -> None:
    await world.catalogue.put(projection("xp"), projection("good"))
    watched = Watched()
    world.router.follows["xp"] = watched.follow

    async def asked_within_ms() -> dict[str, int]:
        world.router.followed.clear()
        await world.rows()
        return {
            op.board_id.partition("/")[2].rpartition("~")[0]: op.within_ms for op in world.router.followed
        }

    assert await asked_within_ms() == {"xp": WAIT_MS, "good": WAIT_MS}
    for _ in range(3):
        assert await asked_within_ms() == {"xp": BEHIND_WAIT_MS, "good": WAIT_MS}
    watched.is_behind = False
    assert await asked_within_ms() == {"xp": BEHIND_WAIT_MS, "good": WAIT_MS}, "not known yet"
    assert await asked_within_ms() == {"xp": WAIT_MS, "good": WAIT_MS}, "forgiven"


async def test_a_leaderboard_is_not_blamed_for_one_of_the_same_name(world: World) -> None:
    await world.catalogue.put(first := projection("xp"))
    world.router.follows["xp"] = says_so
    assert (await world.rows()).behind == ["xp"]
    await world.catalogue.drop(first)
    await world.catalogue.put(projection("xp", uid="u2"))
    world.router.followed.clear()
    await world.rows()
    assert [op.within_ms for op in world.router.followed] == [WAIT_MS]


async def test_not_all_that_ever_were_behind_are_remembered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many leaderboards are made, fall behind and are purged."""
    monkeypatch.setattr(logs_module, "LATE_KEPT", 3)
    for number in range(20):
        await world.catalogue.put(board := projection(f"b{number}"))
        world.router.follows[f"b{number}"] = says_so
        await world.rows()
        await world.catalogue.drop(board)
        assert len(world.logs._late) <= 3
    await world.catalogue.put(board)
    world.router.followed.clear()
    await world.rows()
    assert [op.within_ms for op in world.router.followed] == [BEHIND_WAIT_MS], "the last one is"


@pytest.mark.parametrize("wait_ms", [0, 1, 5])
async def test_one_that_was_behind_is_forgiven_however_short_the_wait_is(world: World, wait_ms: int) -> None:
    """An answer over the network takes a moment; a leaderboard that has read everything is not behind for
    want of it.
    """
    world.wait_ms = wait_ms
    await world.catalogue.put(projection("xp"))
    world.router.follows["xp"] = says_so
    assert (await world.rows()).behind == ["xp"]

    async def after_a_moment(op: FollowOp) -> FollowedWire:
        for _ in range(3):  # a few turns of the loop, as a connection needs them
            await asyncio.sleep(0)
        return FollowedWire(False)

    world.router.follows["xp"] = after_a_moment
    assert (await world.rows()).behind == []


# How long an answer takes ---------------------------------------------------------------------------------


async def test_no_answer_is_later_than_the_wait_and_a_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of however many leaderboards: they are waited for together."""
    boards = [projection(f"b{number}") for number in range(50)]
    await world.catalogue.put(*boards)
    world.router.follows = {board.leaderboard_id: never for board in boards}
    timeout, given_s = asyncio.timeout, list[float]()

    def soon(within_s: float) -> asyncio.Timeout:
        given_s.append(within_s)
        return timeout(0.01)

    monkeypatch.setattr("lbactors.service.logs.asyncio.timeout", soon)
    async with timeout(WITHIN_S):
        found = await world.rows()
    assert sorted(found.behind) == sorted(b.leaderboard_id for b in boards)
    assert set(given_s) == {WAIT_MS / 1000 + LATE_S}
    given_s.clear()
    async with timeout(WITHIN_S):
        found = await world.rows()
    assert len(found.behind) == len(given_s) == 50
    assert max(given_s) <= 2 * BEHIND_WAIT_MS / 1000, "known to be behind"


async def test_an_answer_that_is_not_waited_for_any_more_ends_what_it_asked(world: World) -> None:
    await world.catalogue.put(projection("xp"))
    began, ended = asyncio.Event(), asyncio.Event()

    async def follow(op: FollowOp) -> FollowedWire:
        began.set()
        try:
            return await never(op)
        finally:
            ended.set()

    world.router.follows["xp"] = follow
    asked = asyncio.create_task(world.rows())
    async with asyncio.timeout(WITHIN_S):
        await began.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await ended.wait()


# Settling -----------------------------------------------------------------------------------------------

ONCE = Idempotency("k1", "ab12")


async def test_a_repeat_of_a_settlement_tells_the_account_as_it_is(world: World) -> None:
    await world.rows(ROW._replace(state="pending"))
    first = await world.logs.settle(TENANT, "coins", 1, complete=True, player_id=None, idempotency=ONCE)
    assert (first.outcome.balance, first.outcome.duplicate) == (10, False)
    assert first.transaction.state == "completed"
    await world.rows()
    again = await world.logs.settle(TENANT, "coins", 1, complete=True, player_id=None, idempotency=ONCE)
    assert (again.outcome.balance, again.outcome.earned, again.outcome.duplicate) == (15, 15, True)
    assert again.transaction == first.transaction
    asked = [SettleRow(*row) for op in world.router.appended for row in op.rows if isinstance(row, SettleRow)]
    assert asked[0].row_id == asked[1].row_id and asked[0].tag == asked[1].tag != 0


async def test_ids_of_settlements_are_no_ids_of_rows(world: World) -> None:
    await world.rows(ROW._replace(state="pending", submission_id="k1"))
    await world.logs.settle(TENANT, "coins", 1, complete=True, player_id=None, idempotency=ONCE)
    (asked,) = world.router.appended[-1].rows
    assert isinstance(asked, SettleRow)
    assert asked.row_id is not None and " " in asked.row_id and asked.row_id != "k1"


async def test_another_body_under_the_same_key_is_told_apart(world: World) -> None:
    await world.rows(ROW._replace(state="pending"))
    for digest in ("ab12", "cd34"):
        idempotency = Idempotency("k1", digest)
        await world.logs.settle(TENANT, "coins", 1, complete=True, player_id=None, idempotency=idempotency)
    tags = [row.tag for op in world.router.appended for row in op.rows if isinstance(row, SettleRow)]
    assert tags[0] != tags[1]


async def test_a_settlement_that_is_refused_is_told_so(world: World) -> None:
    await world.catalogue.put(projection("xp"))
    await world.rows()
    world.router.followed.clear()
    refused = world.logs.settle(TENANT, "coins", 1, complete=True, player_id=None)
    assert await code_of(refused) == "transaction_settled"
    assert not world.router.followed


@pytest.mark.parametrize("seq", [-1, 0, 7])
async def test_a_row_that_there_is_not_cannot_be_settled(world: World, seq: int) -> None:
    await world.rows()
    asked = world.logs.settle(TENANT, "coins", seq, complete=True, player_id=None)
    assert await code_of(asked) == "transaction_not_found"
    assert await code_of(world.logs.transaction(TENANT, "coins", seq)) == "transaction_not_found"
    assert len(world.router.appended) == 1


# Reads --------------------------------------------------------------------------------------------------


async def test_metrics_are_listed_by_name_with_their_numbers(world: World) -> None:
    assert await world.logs.metrics(TENANT) == []
    for metric in ("gems", "coins", "a.b"):
        await world.rows(metric=metric)
    await world.events()
    found = await world.logs.metrics(TENANT)
    assert [name for name, _ in found] == ["a.b", "coins", "gems"]
    assert all(stats == LogStats(1, 4, NOW_MS) for _, stats in found)
    logs = [world.catalogue.log(TENANT, name) for name, _ in found]
    assert [asked.board_id for asked in world.router.asked] == [log.board_uid for log in logs if log]


async def test_accounts_and_pages_are_read(world: World) -> None:
    for _ in range(3):
        await world.rows()
    assert await world.logs.balance(TENANT, "coins", "p1") == Balance(15, 15, 0, 0, 3, NOW_MS)
    rows, total, before = await world.logs.transactions(TENANT, "coins", "p1", None, 2)
    assert ([row.seq for row in rows], total, before) == ([3, 2], 3, 2)
    assert (await world.logs.transaction(TENANT, "coins", 2)).seq == 2


# What leaderboards made of events -------------------------------------------------------------------------


def made(**windows: tuple[float, int | None]) -> list[Any]:
    """Points and windows of an event, as an actor tells them."""
    return [7, [[name, score, rank] for name, (score, rank) in windows.items()]]


async def test_matches_are_told_event_by_event(world: World) -> None:
    await world.catalogue.put(
        projection("all", scoring=of_events("match", "login")),
        projection("match", scoring=of_events("match")),
    )

    async def all_of(op: FollowOp) -> FollowedWire:
        return FollowedWire(False, [made(main=(seq * 10, 1)) for seq in op.seqs])

    async def second(op: FollowOp) -> FollowedWire:
        return FollowedWire(False, [None, made(main=(7, 2), daily=(7, None))])

    world.router.follows = {"all": all_of, "match": second}
    found = await world.events(EVENT, EVENT._replace(event_id="e2", event_type="login"))
    first_of = Matched("all", 7, [MatchedWindow("main", 10, 1)])
    second_of = [
        Matched("all", 7, [MatchedWindow("main", 20, 1)]),
        Matched("match", 7, [MatchedWindow("main", 7, 2), MatchedWindow("daily", 7, None)]),
    ]
    assert [list(v.matched) for v in found.verdicts] == [[first_of], second_of]
    assert {tuple(op.seqs) for op in world.router.followed} == {(1, 2)}


async def test_repeats_match_nothing_again(world: World) -> None:
    """Also one in the same batch; the others keep their places."""
    await world.catalogue.put(projection("xp", scoring=of_events("match")))

    async def follow(op: FollowOp) -> FollowedWire:
        return FollowedWire(False, [made(main=(seq * 10, seq)) for seq in op.seqs])

    world.router.follows["xp"] = follow
    await world.events()
    world.router.followed.clear()
    batch = [EVENT._replace(event_id=i) for i in ("e1", "e2", "e2", "e3")]
    found = await world.events(*batch)
    assert [(v.seq, v.duplicate) for v in found.verdicts] == [(1, True), (2, False), (2, True), (3, False)]
    scores = [[m.windows[0].score for m in v.matched] for v in found.verdicts]
    assert scores == [[], [20], [], [30]]
    assert [list(op.seqs) for op in world.router.followed] == [[2, 3]]
    found = await world.events(*batch)
    assert all(v.duplicate and not v.matched for v in found.verdicts)


async def test_refused_events_match_nothing(world: World) -> None:
    await world.catalogue.put(projection("xp", scoring=of_events("match")))
    world.router.refusal = ApiError("storage_unavailable", "away")
    found = await world.events()
    assert [v.code for v in found.verdicts] == ["storage_unavailable"]


async def test_ranks_beyond_the_top_are_not_told(world: World) -> None:
    ranking = {"top_only": 2}
    await world.catalogue.put(
        projection("top", scoring=of_events("match"), ranking=ranking),
        projection("every", scoring=of_events("match")),
    )

    async def follow(op: FollowOp) -> FollowedWire:
        return FollowedWire(False, [made(main=(9, 2), daily=(9, 3), weekly=(9, None))])

    world.router.follows = {"top": follow, "every": follow}
    (verdict,) = (await world.events()).verdicts
    ranks = {m.leaderboard_id: [w.rank for w in m.windows] for m in verdict.matched}
    assert ranks == {"top": [2, None, None], "every": [2, 3, None]}


async def test_matches_are_asked_for_only_where_somebody_wants_them(world: World) -> None:
    await world.catalogue.put(projection("xp", scoring=of_events("match")))
    found = await world.events(matched=False)
    assert [(v.seq, list(v.matched)) for v in found.verdicts] == [(1, [])]
    assert [list(op.seqs) for op in world.router.followed] == [[]]


# How far a leaderboard is ---------------------------------------------------------------------------------


async def status_of(world: World, board: Board, follow: Follow) -> ProjectionStatus | None:
    world.router.follows[board.leaderboard_id] = follow
    async with asyncio.timeout(WITHIN_S):
        return await world.logs.projection(board)


async def test_how_far_a_projection_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_module, "STATUS_WITHIN_S", 0.01)

    async def reads(op: FollowOp) -> FollowedWire:
        assert (op.through, op.within_ms) == (0, 0)
        return FollowedWire(False, (), ["filling", 70, 100, 1500])

    async def sleeps(op: FollowOp) -> FollowedWire:
        return FollowedWire(False)

    board = projection("xp")
    assert await status_of(world, board, reads) == ProjectionStatus("filling", 70, 100, 1.5)
    assert await status_of(world, board, sleeps) == ProjectionStatus("asleep", 0, 0, 0.0)
    assert await status_of(world, board, away) is None
    assert await status_of(world, board, never) is None
    assert await status_of(world, projection("plain", scoring={}), bug) is None, "it follows nothing"
