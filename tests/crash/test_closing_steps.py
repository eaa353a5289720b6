"""kill -9 at every step of a closing: it completes after the restart, and everything happens once.

One server for all steps. For each there is a board of its own whose period ends soon; the clock is moved over
the end, and the process that comes to the step kills itself (`kill_orders`). Ray brings it back. Then the
closed standings are those of brute force, each event came under one id, in order, every winner has what he
won once, and the ids of submissions were handed on to the next period, which took scores meanwhile.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from lbactors.clock import Clock
from lbactors.documents.entities import COLLECTIONS
from persistence import open_store
from persistence.store import Store
from tests.support.crash.kill_orders import Orders, Step
from tests.support.crash.readers import audit, compare, standings_of
from tests.support.crash.told import firsts, subscribe, until_told
from tests.support.crash.writers import Api, Ledger, Load, wire
from tests.support.receiver import Receiver
from tests.support.rounds import long, of
from tests.support.server_process import NO_SPARE, ROOT_KEY, Server

PLAYERS, CHUNK = 12, 5  # so the winners of a period are stored in three chunks
CHUNKS = -(-PLAYERS // CHUNK)
DAY_S = 86_400
ENDS_IN_S = 200  # longer than the next period is opened ahead
OPENED_BEFORE_S = 25  # by then it is; what is to be done before its end must not take longer
SEALED_AFTER_S = 30  # grace, linger and spread
KILLED_WITHIN_S, DONE_WITHIN_S = 30.0, 60.0
TIERS = [
    {"name": "first", "rank_from": 1, "rank_to": 1, "payload": {"coins": 100}},
    {"name": "others", "top_percent": 100},
]

BOARD, FIRST, SECOND = "/{board}~", "/main/1", "/main/2"
COMMIT = "SupervisorState.commit"
SENT = '"leaderboard_id":"{board}"'

AHEAD = [Step(when, COMMIT, (BOARD, "serial=2 stage=0")) for when in ("before", "after")]
STEPS = [
    # The supervisor: its time is over, and the next one's begins.
    *(Step(when, COMMIT, (BOARD, "serial=1 stage=2", "serial=2 stage=1")) for when in ("before", "after")),
    Step("before", "Lifecycle._sealed"),
    # The actor: ids handed on, last snapshot, sealed.
    Step("before", "PeriodActor.seal"),
    Step("before", "Chain.seal"),
    Step("after", "Activation.drain", (BOARD, FIRST)),
    *(Step(when, "Activation.inherit_ids", (BOARD, SECOND)) for when in ("before", "after")),
    *(Step(when, "SqliteStore.put_parts", (BOARD, FIRST)) for when in ("before", "after")),
    *(Step(when, "SqliteStore.commit_snapshot", (BOARD, FIRST)) for when in ("before", "after")),
    Step("after", "Activation.seal", (BOARD, FIRST)),
    Step("after", "Chain.seal"),
    Step("after", "PeriodActor.seal"),
    # The supervisor: closed, with the event and what was promised, in one commit.
    Step("after", "Lifecycle._sealed"),
    Step("after", "Granting.begin"),
    *(Step(when, COMMIT, (BOARD, "serial=1 stage=3")) for when in ("before", "after")),
    # Winners, chunk by chunk; complete.
    Step("before", "Granting.grant"),
    *(Step(when, COMMIT, (BOARD, "claims/"), nth) for nth in (1, 2, 3) for when in ("before", "after")),
    Step("after", "Granting.grant"),
    *(Step(when, COMMIT, (BOARD, "serial=1 stage=4")) for when in ("before", "after")),
    # What was told to others.
    *(Step(when, "Sender.post", (SENT, '"type":"period.closed"')) for when in ("before", "after")),
    *(Step(when, "Sender.post", (SENT, '"type":"reward.granted"'), 2) for when in ("before", "after")),
]
DELETION = [
    *(Step(when, "SqliteStore.drop_periods", (BOARD, FIRST)) for when in ("before", "after")),
    *(Step(when, COMMIT, ("periods/default/{board}~", "deleted")) for when in ("before", "after")),
]
EXTENSION = [
    *(
        Step(when, COMMIT, ("leaderboards/default/{board}", "serial=1 stage=1"))
        for when in ("before", "after")
    ),
    Step("before", "Hosting.host", (BOARD,)),
]
PURGE = [
    *(Step(when, COMMIT, ("leaderboards/default/{board} deleted",)) for when in ("before", "after")),
    *(Step(when, "SqliteStore.drop_periods", (BOARD, FIRST)) for when in ("before", "after")),
    *(Step(when, COMMIT, ("purged/default/{board}~", "deleted")) for when in ("before", "after")),
]

# Of each kind one: the supervisor ends a period; its actor hands ids on, or seals; winners are granted; an
# event is sent. Of a deletion and of a purge one step each.
USUAL = [
    AHEAD[1],
    Step("after", COMMIT, (BOARD, "serial=1 stage=2", "serial=2 stage=1")),
    Step("after", "Activation.inherit_ids", (BOARD, SECOND)),
    Step("before", "PeriodActor.seal"),
    Step("before", COMMIT, (BOARD, "claims/"), 2),
    Step("after", "Sender.post", (SENT, '"type":"period.closed"')),
]


class Site(NamedTuple):
    """A running server, its clock, a client, who is told of events, and orders to die."""

    server: Server
    clock: Clock
    api: Api
    receiver: Receiver
    orders: Orders


@pytest.fixture(scope="module")
def _killable() -> Any:
    server = Server(ROOT_KEY, *NO_SPARE)
    server.variables |= {
        "LBACTORS_CLOCK_FILE": str(server.folder / "clock"),
        "LBACTORS_SNAPSHOT_SECONDS": str(7 * DAY_S),  # the one at the end is the one that is meant
        "LBACTORS_IDLE_UNLOAD_SECONDS": str(7 * DAY_S),
    }
    yield server, Orders(server, f"lbactors.documents.rewards:CHUNK_WINNERS={CHUNK}")
    server.close()


@pytest.fixture
async def site(_killable: tuple[Server, Orders]) -> AsyncIterator[Site]:
    server, orders = _killable
    clock = Clock(str(server.folder / "clock"))
    if not server.ready_at_s:
        await server.start()
    receiver = await Receiver().start()
    async with Api(server.url, server.key) as api:
        hook = await subscribe(receiver, api)
        yield Site(server, clock, api, receiver, orders)
        async with asyncio.timeout(DONE_WITHIN_S):
            while (await api.call("DELETE", f"/v1/webhooks/{hook}"))[0] == 503:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    await receiver.stop()
    print(server.tail())  # shown if the test failed


async def open_board(site: Site, rng: random.Random, **frame: Any) -> Ledger:
    """A board whose first period ends soon, with scores in it."""
    ledger = Ledger(site.api, "sum", rng, PLAYERS)
    starts_ms = site.clock.now_ms() // 1000 * 1000 + ENDS_IN_S * 1000 - DAY_S * 1000
    frame |= {"type": "every", "every_seconds": DAY_S, "starts_at": wire(starts_ms), "late_grace_seconds": 1}
    await ledger.create(timeframe=frame, rewards={"tiers": TIERS})
    while len(ledger.floor) < PLAYERS:
        await ledger.fill(10)
    assert len(ledger.acknowledged) == len(ledger.sent)
    return ledger


async def periods(ledger: Ledger) -> list[dict[str, Any]]:
    """Oldest first."""
    found: list[dict[str, Any]] = (await ledger.api.ok("GET", f"{ledger.path}/periods"))["items"]
    return found[::-1]


async def until_opened(ledger: Ledger, count: int) -> None:
    async with asyncio.timeout(DONE_WITHIN_S):
        while len(await periods(ledger)) < count:  # noqa: ASYNC110 - the API has no event for it
            await asyncio.sleep(0.02)


async def check_closed(site: Site, first: Ledger, key: str) -> None:
    """The closed period's standings, and what its event and its rewards say."""
    expected = await standings_of(first, period=key)
    compare(expected, first)
    events = [got.body for got in firsts(site.receiver, first.board_id)]
    (closed,) = [e["data"] for e in events if e["type"] == "period.closed"]
    assert (closed["period"]["period_key"], closed["total"]) == (key, len(expected))
    told = [(e["rank"], e["player_id"], e["score"]) for e in closed["standings"]]
    assert told == [(rank, p, s) for rank, (p, s, _) in enumerate(expected[:10], 1)]
    granted = [player for e in events if e["type"] == "reward.granted" for player in e["data"]["players"]]
    won = [(player["rank"], player["player_id"], player["tiers"]) for player in granted]
    due = [(rank, p, ["first" if rank == 1 else "others"]) for rank, (p, *_) in enumerate(expected, 1)]
    assert won == due, "each winner is told of once, in rank order"
    page = await first.api.ok("GET", f"{first.path}/periods/{key}/rewards", limit=100)
    assert (page["state"], page["winners"]) == ("granted", len(due))
    assert [(w["rank"], w["player_id"], [r["tier"] for r in w["rewards"]]) for w in page["items"]] == due


def check_events(site: Site, board_id: str, first_key: str, second_key: str) -> None:
    """One id for each boundary, in order; whoever was killed between sending and noting it sends it again."""
    events = [got.body for got in firsts(site.receiver, board_id)]
    told = [(event["type"], event["data"]["period"]["period_key"]) for event in events]
    assert told == [
        ("period.opened", first_key),
        ("period.closing", first_key),
        ("period.opened", second_key),
        ("period.closed", first_key),
        *[("reward.granted", first_key)] * CHUNKS,
    ]


async def roll_over(site: Site, rng: random.Random, step: Step) -> float:
    """A board's whole closing, with a death at the step; the seconds until that came about."""
    first = await open_board(site, rng)
    ahead = step in AHEAD
    if ahead:
        site.orders.give(step, first.board_id)
    site.clock.move((ENDS_IN_S - OPENED_BEFORE_S) * 1000)
    if ahead:
        await site.orders.carried_out(KILLED_WITHIN_S)
    await until_opened(first, 2)
    one, two = [period["period_key"] for period in await periods(first)]
    if not ahead:
        site.orders.give(step, first.board_id)
    second = first.beside(site.api, "later")
    site.clock.move((OPENED_BEFORE_S + SEALED_AFTER_S) * 1000)
    async with Load(second, patient=(1, 3)):
        died_s = 0.0 if ahead else await site.orders.carried_out(KILLED_WITHIN_S)
        kinds = {"period.opened": 2, "period.closing": 1, "period.closed": 1, "reward.granted": CHUNKS}
        await until_told(site.receiver, first.board_id, kinds, DONE_WITHIN_S)
    await second.resend()
    await audit(second)
    await second.repeat()
    await first.repeat(len(first.acknowledged))  # known in the next period, where nothing is counted again
    await check_closed(site, first, one)
    check_events(site, first.board_id, one, two)
    await audit(second)
    return died_s


@long
@pytest.mark.parametrize("step", of([*AHEAD, *STEPS], USUAL), ids=str)
async def test_a_death_at_a_step_of_a_closing(site: Site, rng: random.Random, step: Step) -> None:
    await roll_over(site, rng, step)


@long
@pytest.mark.parametrize("step", of(DELETION, DELETION[1:2]), ids=str)
async def test_a_death_while_an_old_period_is_deleted(site: Site, rng: random.Random, step: Step) -> None:
    """It is gone, the one that is kept is complete, and what it won can still be looked up."""
    ledger = await open_board(site, rng, retain_periods=1, retain_days=0)
    site.clock.move((ENDS_IN_S + SEALED_AFTER_S) * 1000)
    closed = {"period.closed": 1, "reward.granted": CHUNKS}
    await until_told(site.receiver, ledger.board_id, closed, DONE_WITHIN_S)
    second = ledger.beside(site.api, "later")
    await second.fill(20)
    one, two = [period["period_key"] for period in await periods(ledger)]
    site.orders.give(step, ledger.board_id)
    site.clock.move(DAY_S * 1000)
    await site.orders.carried_out(KILLED_WITHIN_S)
    closed["period.closed"] = 2
    await until_told(site.receiver, ledger.board_id, closed, DONE_WITHIN_S)
    async with asyncio.timeout(DONE_WITHIN_S):
        while one in (keys := [period["period_key"] for period in await periods(ledger)]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert keys[0] == two and len(keys) == 2
    compare(await standings_of(second, period=two), second)
    page = await ledger.api.ok("GET", f"{ledger.path}/periods/{one}/rewards", limit=100)
    assert (page["state"], page["winners"]) == ("granted", PLAYERS)
    async with asyncio.timeout(DONE_WITHIN_S):  # its actor hears of it when the supervisor is back
        while (await ledger.api.call("GET", f"{ledger.path}/rankings", period=one))[0] != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@long
@pytest.mark.parametrize("step", of(EXTENSION, EXTENSION[1:2]), ids=str)
async def test_a_death_while_a_season_is_extended(site: Site, rng: random.Random, step: Step) -> None:
    """It was sealed, and goes on with its entries and its ids; who had won wins once."""
    ledger = Ledger(site.api, "sum", rng, PLAYERS)
    ends_ms = site.clock.now_ms() // 1000 * 1000 + ENDS_IN_S * 1000
    frame = {"type": "range", "starts_at": wire(ends_ms - DAY_S * 1000), "ends_at": wire(ends_ms)}
    await ledger.create(timeframe={**frame, "late_grace_seconds": 1}, rewards={"tiers": TIERS})
    while len(ledger.floor) < PLAYERS:
        await ledger.fill(10)
    site.clock.move((ENDS_IN_S + SEALED_AFTER_S) * 1000)
    told = {"period.closed": 1, "reward.granted": CHUNKS}
    await until_told(site.receiver, ledger.board_id, told, DONE_WITHIN_S)
    site.orders.give(step, ledger.board_id)
    extended = {"timeframe": {"ends_at": wire(ends_ms + DAY_S * 1000)}}
    await site.api.call("PATCH", ledger.path, extended)
    await site.orders.carried_out(KILLED_WITHIN_S)
    async with asyncio.timeout(DONE_WITHIN_S):
        while (await site.api.call("PATCH", ledger.path, extended))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await ledger.fill(20)
    await ledger.resend()
    await ledger.repeat(len(ledger.acknowledged))
    await audit(ledger)
    site.clock.move(DAY_S * 1000)
    told = {"period.reopened": 1, "period.closing": 2, "period.closed": 2, "reward.granted": CHUNKS}
    await until_told(site.receiver, ledger.board_id, told, DONE_WITHIN_S)
    (period,) = await periods(ledger)
    assert (period["state"], period["ends_at"]) == ("closed", wire(ends_ms + DAY_S * 1000))
    compare(await standings_of(ledger), ledger)
    page = await ledger.api.ok("GET", f"{ledger.path}/periods/{period['period_key']}/rewards", limit=100)
    assert (page["winners"], len({w["player_id"] for w in page["items"]})) == (PLAYERS, PLAYERS)


async def left_of(store: Store, board_id: str) -> list[str]:
    """What a store has of a leaderboard but for what was done to it and what was told of it."""
    found = [f"journal {period_id}" for period_id in await store.list_periods()]
    for name in COLLECTIONS:
        if name not in ("audit", "deliveries"):
            found += [f"{name} {doc_id}" for doc_id, _ in await store.scan(name)]
    return [text for text in found if f"/{board_id}~" in text or text.endswith(f"/{board_id}")]


@long
@pytest.mark.parametrize("step", of(PURGE, PURGE[1:2]), ids=str)
async def test_a_death_while_a_leaderboard_is_purged(site: Site, rng: random.Random, step: Step) -> None:
    """Nothing of it is left, whether or not anybody asks again."""
    ledger = await open_board(site, rng)
    site.clock.move((ENDS_IN_S + SEALED_AFTER_S) * 1000)
    closed = {"period.closed": 1, "reward.granted": CHUNKS}
    await until_told(site.receiver, ledger.board_id, closed, DONE_WITHIN_S)
    store = open_store(f"sqlite:{site.server.data_dir}")
    await store.open()
    try:
        assert await left_of(store, ledger.board_id)
        site.orders.give(step, ledger.board_id)
        status, _ = await site.api.call("DELETE", ledger.path, purge="true")
        await site.orders.carried_out(KILLED_WITHIN_S)
        if (step.when, step.call) == ("before", COMMIT) and status == 503:
            async with asyncio.timeout(DONE_WITHIN_S):  # it may not have begun
                while (await site.api.call("DELETE", ledger.path, purge="true"))[0] == 503:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        async with asyncio.timeout(DONE_WITHIN_S):
            while await left_of(store, ledger.board_id):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await store.close()
