"""One supervisor after the other: what fails, or was under way when a commit failed, leaves no trace behind.

The real supervisor, commands, period actors and store in this process (`local_supervisor`); the store fails
at chosen calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lbactors.core.errors import ApiError
from lbactors.core.lifecycle import Stage
from lbactors.core.model import PeriodRecord
from lbactors.documents.webhooks import unpack_delivery
from lbactors.supervisor.chain_state import ChainState
from persistence.store import Change, StoreUnavailable
from tests.support.supervisor.local_supervisor import WHO, LocalServer

HOUR_MS = 3_600_000
PAST_SEAL_MS = 120_000  # so long after each hour began: the one before is sealed at once
WITHIN_S = 20.0
LOOK_S = 0.01


class Failing:
    """Lets chosen calls of a store fail, by method: `fail[method]` says of its arguments whether it does."""

    def __init__(self, server: LocalServer) -> None:
        self.fail: dict[str, Callable[..., bool]] = {}
        self.gates: dict[str, asyncio.Event] = {}  # a method waits for its gate first
        self.entered = asyncio.Event()
        store = server.supervisor.state.store
        for method in ("commit", "scan", "get", "take_ownership"):
            setattr(store, method, self._wrapped(method, getattr(store, method)))

    def _wrapped(self, method: str, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **named: Any) -> Any:
            if method in self.gates:
                self.entered.set()
                await self.gates[method].wait()
            if method in self.fail and self.fail[method](*args):
                raise StoreUnavailable("away for a moment")
            return await real(*args, **named)

        return call

    def once(self, method: str, *begins: Any) -> None:
        """The next call fails whose first arguments are these."""

        def chosen(*args: Any) -> bool:
            if args[: len(begins)] != begins:
                return False
            del self.fail[method]
            return True

        self.fail[method] = chosen


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data", log_level="critical") as server:
        server.clock.move(PAST_SEAL_MS)
        yield server


async def make(server: LocalServer, name: str = "xp", *, retain: int = 100, **fields: Any) -> None:
    timeframe = {"type": "hourly", "late_grace_seconds": 0, "retain_periods": retain, "retain_days": 0}
    await server.command(
        "create_leaderboard", definition={"leaderboard_id": name, "timeframe": timeframe, **fields}
    )


def chain_of(server: LocalServer, name: str = "xp") -> ChainState:
    """As the present supervisor knows it."""
    return server.supervisor.state.chains[server.supervisor.state.boards[f"default/{name}"].chain_id("main")]


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not what():  # noqa: ASYNC110 - memory of the supervisor, which has no event
            await asyncio.sleep(LOOK_S)


async def hours(server: LocalServer, number: int) -> None:
    """So many periods with an entry each, closed."""
    for _ in range(number):
        serial = chain_of(server).records[-1].serial
        await server.submit("xp", "p", serial)
        server.clock.move(HOUR_MS)
        await until(lambda serial=serial: chain_of(server).record(serial).stage == Stage.COMPLETE)


async def stored(server: LocalServer) -> list[PeriodRecord]:
    rows = await server.supervisor.state.store.scan("periods")
    return sorted((PeriodRecord(*msgpack.unpackb(body)) for _, body in rows), key=lambda r: r.serial)


async def refused(asked: Awaitable[Any]) -> str:
    with pytest.raises(ApiError) as raised:
        await asked
    return raised.value.code


async def lose_memory(server: LocalServer, failing: Failing) -> None:
    """A commit fails, and the next supervisor begins."""
    failing.once("commit")
    assert await refused(server.supervisor.state.commit([Change("warm", "x", b"")])) == "storage_unavailable"
    await server.actor.start()


@pytest.mark.parametrize("collection", ["leaderboards", "periods", "webhooks", "hidden", "warm"])
async def test_a_start_that_fails_halfway_deletes_nothing(server: LocalServer, collection: str) -> None:
    """Records that were read twice would count twice for `retain_periods`."""
    await make(server, retain=4)
    await hours(server, 4)
    failing = Failing(server)
    failing.once("commit")
    failing.once("scan", collection)
    name = {"player_id": "p", "profile": {"display_name": "P"}}
    codes = [await refused(server.command("put_player", **name)) for _ in range(2)]
    assert codes == ["storage_unavailable"] * 2, "the commit; then the start"
    await server.command("put_player", **name)
    await hours(server, 1)
    await until(lambda: chain_of(server).records[0].serial > 1)
    async with chain_of(server).lock:  # whatever is at it comes to its end
        assert [record.serial for record in chain_of(server).records] == [2, 3, 4, 5, 6]
        assert [record.serial for record in await stored(server)] == [2, 3, 4, 5, 6]


async def test_two_failures_at_once_make_one_new_supervisor(server: LocalServer) -> None:
    await make(server, retain=4)
    await hours(server, 4)
    failing, first = Failing(server), server.supervisor
    gate = failing.gates["commit"] = asyncio.Event()
    failing.fail["commit"] = lambda *_: True
    profile = {"profile": {"display_name": "P"}}
    one = asyncio.create_task(server.command("put_player", player_id="p", **profile))
    entry = {"leaderboard_id": "xp", "player_id": "p", "window": None, "reason": None}
    two = asyncio.create_task(server.command("remove_entry", **entry))  # it runs beside other commands
    await failing.entered.wait()
    failing.gates["take_ownership"] = slow = asyncio.Event()
    gate.set()
    answers = await asyncio.gather(one, two, return_exceptions=True)
    assert all(isinstance(answer, ApiError) for answer in answers)
    failing.fail.clear()
    starts = [asyncio.create_task(server.actor.start()) for _ in range(3)]
    slow.set()
    assert len({id(found) for found in await asyncio.gather(*starts)}) == 1
    assert server.supervisor is not first and first.state.is_over
    assert [record.serial for record in chain_of(server).records] == [1, 2, 3, 4, 5]


async def test_what_waited_while_the_memory_was_lost_is_refused(server: LocalServer) -> None:
    """Else "create it, to be sure" would find none in an empty memory, and overwrite the stored one."""
    await make(server)
    await server.submit("xp", "p", 5)
    uid = server.supervisor.state.boards["default/xp"].uid
    failing = Failing(server)
    gate = failing.gates["commit"] = asyncio.Event()
    failing.once("commit")
    one = asyncio.create_task(server.command("put_player", player_id="p", profile={"display_name": "P"}))
    await failing.entered.wait()
    two = asyncio.create_task(make(server))
    gate.set()
    answers = await asyncio.gather(one, two, return_exceptions=True)
    assert [answer.code for answer in answers if isinstance(answer, ApiError)] in (
        ["storage_unavailable", "storage_unavailable"],
        ["storage_unavailable", "leaderboard_exists"],
    )
    await server.actor.start()
    assert server.supervisor.state.boards["default/xp"].uid == uid
    assert await server.page("xp") == [(1, "p", 5)]


async def test_a_close_that_outlived_its_supervisor_changes_nothing(server: LocalServer) -> None:
    """Its successor has closed the period, and a reward was claimed: that must not be granted again."""
    await make(server, rewards={"tiers": [{"name": "first", "rank_from": 1, "rank_to": 1}]})
    await server.submit("xp", "ada", 5)
    failing = Failing(server)
    (actor,) = server.actors.by_name.values()
    real, inside, go_on = actor.call, asyncio.Event(), asyncio.Event()

    async def call(method: str, *payload: bytes, **options: Any) -> bytes:
        if method == "host" and not inside.is_set():
            inside.set()
            await go_on.wait()
        return await real(method, *payload, **options)

    actor.call = call  # type: ignore[method-assign]
    closing = asyncio.create_task(server.command("close_period", leaderboard_id="xp", window="main"))
    await inside.wait()
    await lose_memory(server, failing)
    await until(lambda: chain_of(server).record(1).stage == Stage.COMPLETE)
    asked = {"leaderboard_id": "xp", "window": "main", "serial": 1, "player_id": "ada"}
    assert (await server.command("claim_reward", claim={"claim_id": "tx-1"}, **asked))["claim_id"] == "tx-1"
    go_on.set()
    assert await refused(closing) == "storage_unavailable"
    assert (await stored(server))[0].stage == Stage.COMPLETE
    await lose_memory(server, failing)
    assert (await server.command("claim_reward", claim={"claim_id": "tx-2"}, **asked))["claim_id"] == "tx-1"


async def test_a_close_with_a_key_never_overwrites_what_time_closed(server: LocalServer) -> None:
    """Looking for old keys takes long; meanwhile the period's own time comes."""
    await make(server)
    await server.submit("xp", "ada", 5)
    failing = Failing(server)
    gate = failing.gates["scan"] = asyncio.Event()
    close = server.command_as(
        WHO, "close_period", idempotency=["key", "digest"], leaderboard_id="xp", window="main"
    )
    closing = asyncio.create_task(close)
    await failing.entered.wait()
    server.clock.move(HOUR_MS)
    await until(lambda: chain_of(server).record(1).stage == Stage.COMPLETE)
    gate.set()
    answer = await closing
    assert answer["closed"]["period_key"] == chain_of(server).record(2).key, "the one that is current by now"
    first = (await stored(server))[0]
    assert (first.serial, first.sealed, first.stage, first.entries) == (1, True, Stage.COMPLETE, 1)


async def test_steps_that_a_failed_read_cut_off_are_told_later_in_order(server: LocalServer) -> None:
    await make(server)
    kinds = ["period.opened", "period.closing", "period.closed"]
    await server.command("create_webhook", webhook={"url": "http://127.0.0.1:9/", "events": kinds})
    await server.submit("xp", "ada", 5)
    failing = Failing(server)
    failing.once("get", "profiles")  # the names in the final standings of the first
    server.clock.move(4 * HOUR_MS)
    await until(lambda: "get" not in failing.fail)
    await until(lambda: [r.stage for r in chain_of(server).records[:4]] == [Stage.COMPLETE] * 4)
    rows = await server.supervisor.state.store.scan("deliveries", prefix="p/")
    told = [unpack_delivery(body) for _, body in rows]
    seen = [(delivery.type, delivery.at_ms) for delivery in told]
    bounds = [(r.starts_at_ms, r.ends_at_ms) for r in chain_of(server).records[:4]]
    expected = [("period.closing", bounds[0][1]), ("period.opened", bounds[0][1])]
    assert [kind for kind, _ in seen].count("period.closed") == 4
    assert [kind for kind, _ in seen].count("period.closing") == 4
    assert set(expected) <= set(seen) and len(seen) == len(set(seen))
    assert [at_ms for _, at_ms in seen] == sorted(at_ms for _, at_ms in seen), "in the order of time"


async def test_a_watch_over_a_lost_memory_hears_what_became_durable(server: LocalServer) -> None:
    supervisor = server.supervisor
    epoch, version, full, _ = msgpack.unpackb(await server.actor.watch(msgpack.packb([0, 0])))
    assert full
    watching = asyncio.create_task(server.actor.watch(msgpack.packb([epoch, version])))
    real = supervisor.state.store.commit

    async def commit(*args: Any, **named: Any) -> None:
        supervisor.state.store.commit = real  # type: ignore[method-assign]
        await real(*args, **named)
        raise StoreUnavailable("the connection was lost", unknown=True)

    supervisor.state.store.commit = commit  # type: ignore[method-assign]
    made = server.command("create_tenant", tenant={"tenant_id": "acme"})
    assert await refused(made) == "storage_unavailable"
    epoch, version, full, changes = msgpack.unpackb(await watching)
    if not full:  # no news of the one that is over; the next watch is its successor's
        epoch, version, full, changes = msgpack.unpackb(
            await server.actor.watch(msgpack.packb([epoch, version]))
        )
    assert full and epoch == server.supervisor.state.epoch > supervisor.state.epoch
    assert "acme" in [doc_id for collection, doc_id, _ in changes if collection == "tenants"]


async def test_what_nobody_expected_of_a_command_leaves_nothing_in_memory(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leaderboard is planned, and no actor can be found for it: it does not exist, and can be made."""

    def away(*_: Any) -> Any:
        raise RuntimeError("the head cannot be reached")

    definition = {"leaderboard_id": "xp", "windows": ["daily"]}
    with monkeypatch.context() as patch:
        patch.setattr(server.actors, "cores", away)
        with pytest.raises(RuntimeError):
            await server.command("create_leaderboard", definition=definition)
    assert (await server.command("create_leaderboard", definition=definition))["version"] == 1
    await server.submit("xp", "ada", 5, "daily")
    assert await server.page("xp", window="daily") == [(1, "ada", 5)]


async def test_what_nobody_expected_stops_neither_clock_nor_pings(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray's head may be away whenever an actor is made, counted or ended."""
    monkeypatch.setattr("lbactors.supervisor.rebalancing.PING_S", 0.05)
    await make(server)
    await server.submit("xp", "ada", 5)
    supervisor = server.supervisor
    hit = set()

    def broken(name: str) -> Callable[..., Any]:
        def fail(*_: Any) -> Any:
            hit.add(name)
            raise RuntimeError("the head cannot be reached")

        return fail

    with monkeypatch.context() as patch:
        patch.setattr(supervisor.hosting, "start_spares", broken("clock"))
        patch.setattr(server.actors, "cores", broken("pings"))
        supervisor.reconciled = False
        await until(lambda: hit == {"clock", "pings"})
    server.clock.move(HOUR_MS)
    await until(lambda: chain_of(server).record(1).stage == Stage.COMPLETE)
    (actor,) = server.actors.by_name.values()
    await actor.kill()
    await until(lambda: list(actor.actor.chains) == [chain_of(server).chain_id])
