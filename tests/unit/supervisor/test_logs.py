"""Which logs there are, and up to where rows may go: not before every leaderboard has read them."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.ids import log_document
from lbactors.core.model import Board
from lbactors.documents.entities import unpack_board
from lbactors.supervisor import logs as logs_module
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.logs import DAY_MS, MAX_SEQ, Logs
from lbactors.wire.logs import TrimLog
from lbactors.wire.ping import ChainPing, FollowPing, PeriodPing
from lbactors.wire.replies import VALUE
from tests.support.supervisor.local_logs import LocalLogs, row
from tests.support.supervisor.local_supervisor import LocalServer
from tests.support.supervisor.scripted_actors import ScriptedActor, ScriptedHosting
from tests.support.told_catalogue import of_events, projection

NOW_MS = 1_795_003_200_000


class World(ScriptedHosting):
    """Logs of the tenant `t`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(NOW_MS, **settings)
        self.logs = Logs(self.state, self.hosting)

    def open(self, metric: str | None = "coins", tenant_id: str = "t") -> ChainState:
        _, (chain,) = self.logs.ensure(tenant_id, metric)
        return chain

    def follow(self, name: str, rows_read: int | None, **more: Any) -> ChainState:
        """A leaderboard, in an actor that is up, that has read its log so far; None: it is not loaded."""
        chain = self.add(projection(name, tenant_id="t", **more))
        self.begin(chain)
        if rows_read is not None:
            self.has_read(chain, rows_read)
        return chain

    def has_read(self, chain: ChainState, rows_read: int) -> None:
        """The actor of a chain tells how far it is."""
        actor, _ = self.actor_of(chain)
        assert actor.last_ping is not None
        period = PeriodPing("all_time", "serving", 1, 0, 0, 1, 1)
        told = ChainPing(1, [period], follow=FollowPing("live", rows_read, 1000, 0))
        chains = {**actor.last_ping.chains, chain.chain_id: told}
        actor.last_ping = dataclasses.replace(actor.last_ping, chains=chains)

    def read_by_all(self, metric: str | None = "coins") -> int:
        return self.logs._read_by_all(log_document("t", metric))


@pytest.fixture
def world() -> World:
    return World()


# Which there are ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["coins", None])
async def test_a_log_is_made_once(world: World, metric: str | None) -> None:
    changes, (chain,) = world.logs.ensure("t", metric)
    by_collection = {change.collection: change for change in changes}
    assert sorted(by_collection) == ["homes", "logs", "periods"] and len(changes) == 3
    made = by_collection["logs"]
    assert made.doc_id == log_document("t", metric)
    board = unpack_board(made.body or b"")
    assert board.uid.startswith("events-" if metric is None else "metric-")
    assert world.state.logs[made.doc_id] == board == chain.board
    (record,) = chain.records
    assert record.ends_at_ms is None and not record.sealed, "its one period has no end"
    assert chain.home and chain.chain_id in world.hosting.actors[chain.home].chains
    assert world.logs.ensure("t", metric) == ([], []), "it is there"
    world.hosting.check()
    chain.check()


async def test_each_tenant_and_metric_has_its_own(world: World) -> None:
    chains = [
        world.open(metric, tenant_id) for metric in ("coins", "events", None) for tenant_id in ("t", "u")
    ]
    assert len({chain.chain_id for chain in chains}) == 6
    assert len(world.state.logs) == 6


async def test_a_tenant_has_so_many_metrics_at_most(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its events are none, and neither are those of others."""
    monkeypatch.setattr(logs_module, "METRICS_LIMIT", 2)
    for tenant_id, metric in (("t2", "x"), ("t2", "y"), ("t", None), ("t", "coins"), ("t", "gems")):
        world.open(metric, tenant_id)
    known = dict(world.state.logs), dict(world.state.chains)
    with pytest.raises(ApiError) as refused:
        world.logs.ensure("t", "one-too-many")
    assert (refused.value.code, refused.value.details[0]["loc"]) == ("validation_failed", ["path", "metric"])
    assert (world.state.logs, world.state.chains) == known, "nothing was made"
    assert world.logs.ensure("t", "gems") == ([], []), "what is there is"
    world.open("z", "t3")


@pytest.mark.parametrize(
    ("scoring", "log"),
    [
        ({"source": "metric", "metric": "coins"}, "t/metric/coins"),
        (of_events("match"), "t/events"),
        ({}, None),
    ],
)
async def test_a_projection_has_its_log(world: World, scoring: Any, log: str | None) -> None:
    changes, chains = world.logs.ensure_of(projection("xp", tenant_id="t", scoring=scoring))
    assert [change.doc_id for change in changes if change.collection == "logs"] == ([log] if log else [])
    assert len(chains) == (log is not None)


# Up to where they have been read --------------------------------------------------------------------------


async def test_the_slowest_leaderboard_says_how_far_rows_were_read(world: World) -> None:
    world.open()
    assert world.read_by_all() == MAX_SEQ, "nobody reads them"
    world.follow("fast", 900)
    slow = world.follow("slow", 100, windows=["daily"])
    world.follow("gems", 3, scoring={"source": "metric", "metric": "gems"})
    world.follow("events", 2, scoring=of_events("match"))
    assert world.read_by_all() == 100
    daily = world.state.new_chain(slow.board, "daily")
    world.has_read(daily, 7)
    assert world.read_by_all() == 7, "each window counts"


async def test_what_an_actor_that_is_away_has_read_is_not_known(world: World) -> None:
    world.open()
    chain = world.follow("xp", 900)
    actor, _ = world.actor_of(chain)
    actor.last_ping = None
    assert world.read_by_all() == 0
    world.lie_dormant(chain)
    assert world.read_by_all() == MAX_SEQ, "nobody uses it: it is not waited for"


async def test_a_leaderboard_without_periods_has_read_nothing_that_matters(world: World) -> None:
    world.open()
    world.state.new_chain(projection("xp", tenant_id="t", timeframe={"type": "manual"}), "main")
    assert world.read_by_all() == MAX_SEQ


# Age ----------------------------------------------------------------------------------------------------


def trimmed(ref: ScriptedActor) -> list[TrimLog]:
    return [TrimLog(*request) for method, request in ref.calls if method == "trim_log"]


def trims(chain: ChainState, world: World) -> ScriptedActor:
    ref = world.begin(chain)

    async def trim_log(request: Any) -> Any:
        return [VALUE, 5]

    ref.answers["trim_log"] = trim_log
    return ref


async def test_rows_go_when_they_are_old_and_read(world: World) -> None:
    world = World(metric_retain_days=400, event_retain_days=30)
    coins, events = world.open(), world.open(None)
    of_coins, of_rest = trims(coins, world), trims(events, world)
    world.follow("xp", 42)
    await world.logs.trim()
    found = {request.chain_id: request for ref in {of_coins, of_rest} for request in trimmed(ref)}
    assert found == {
        coins.chain_id: TrimLog(coins.chain_id, NOW_MS - 400 * DAY_MS, 42),
        events.chain_id: TrimLog(events.chain_id, NOW_MS - 30 * DAY_MS, MAX_SEQ),
    }


async def test_a_log_waits_for_a_leaderboard_that_is_away(world: World) -> None:
    coins, gems = world.open(), world.open("gems")
    refs = {trims(coins, world), trims(gems, world)}
    chain = world.follow("xp", 42)
    actor, _ = world.actor_of(chain)
    actor.last_ping = None
    await world.logs.trim()
    assert [request.chain_id for ref in refs for request in trimmed(ref)] == [gems.chain_id]


async def test_one_that_nothing_was_read_of_is_left_alone(world: World) -> None:
    ref = trims(world.open(), world)
    world.follow("xp", 0)
    await world.logs.trim()
    assert not trimmed(ref)


async def test_a_dormant_log_is_left_alone(world: World) -> None:
    chain = world.open()
    ref = trims(chain, world)
    world.lie_dormant(chain)
    await world.logs.trim()
    assert not ref.calls and chain.home in world.hosting.dormant


async def test_a_log_that_cannot_be_trimmed_keeps_no_other(world: World) -> None:
    broken, fine = world.open("a"), world.open("b")
    assert broken.home != fine.home
    world.begin(broken)  # its actor answers nothing
    ref = trims(fine, world)
    await world.logs.trim()
    assert [request.chain_id for request in trimmed(ref)] == [fine.chain_id]


# On a whole server ----------------------------------------------------------------------------------------


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data") as server:
        yield server


def scoring_of(metric: str) -> dict[str, Any]:
    return {"source": "metric", "metric": metric, "aggregation": "sum"}


async def test_a_leaderboard_makes_its_log_and_follows_another_when_it_is_changed(
    server: LocalServer,
) -> None:
    """Also one that nobody wrote a row of: the leaderboard is empty then, and takes the first."""
    logs = LocalLogs(server)
    definition = {"leaderboard_id": "xp", "scoring": scoring_of("coins")}
    await server.command("create_leaderboard", definition=definition)
    assert list(server.supervisor.state.logs) == ["default/metric/coins"]
    coins = logs.board("coins")
    await logs.write("coins", row("p1", 5))
    assert logs.board("coins") == coins, "a first row makes no second one"
    await logs.read_by("xp", "coins")
    assert await server.page("xp") == [(1, "p1", 5)]
    await server.command(
        "patch_leaderboard", leaderboard_id="xp", patch={"scoring": scoring_of("gems")}, if_match=None
    )
    assert sorted(server.supervisor.state.logs) == ["default/metric/coins", "default/metric/gems"]
    await logs.write("coins", row("p1", 9))
    await logs.write("gems", row("p2", 7))
    await logs.read_by("xp", "gems")
    assert await server.page("xp") == [(1, "p2", 7)]


async def test_a_change_to_one_metric_too_many_changes_nothing(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_module, "METRICS_LIMIT", 1)
    logs = LocalLogs(server)
    await server.command(
        "create_leaderboard", definition={"leaderboard_id": "xp", "scoring": scoring_of("coins")}
    )
    await logs.write("coins", row("p1", 5))
    before = server.supervisor.state.boards["default/xp"]
    patch = {"scoring": scoring_of("gems")}
    in_body = ["body", "scoring", "metric"]
    calls: list[tuple[str, dict[str, Any], list[str]]] = [
        ("patch_leaderboard", {"leaderboard_id": "xp", "patch": patch, "if_match": None}, in_body),
        ("create_leaderboard", {"definition": {"leaderboard_id": "more", **patch}}, in_body),
        ("open_log", {"metric": "gems"}, ["path", "metric"]),
    ]
    for name, args, loc in calls:
        with pytest.raises(ApiError) as refused:
            await server.command(name, **args)
        assert (refused.value.code, refused.value.details[0]["loc"]) == ("validation_failed", loc)
    state = server.supervisor.state
    assert state.boards == {"default/xp": before}
    assert list(state.logs) == ["default/metric/coins"]
    assert {chain.board.board_uid for chain in state.chains.values()} == {
        before.board_uid,
        logs.board("coins").board_uid,
    }
    await logs.write("coins", row("p1", 5))
    await logs.read_by("xp", "coins")
    assert await server.page("xp") == [(1, "p1", 10)]


async def test_logs_are_known_after_a_restart(tmp_path: Path) -> None:
    server = LocalServer(tmp_path / "data")
    logs = LocalLogs(server)
    boards: dict[str, Board] = {}
    for _ in range(2):
        async with server:
            await logs.write("coins", row("p1", 5))
            boards = boards or dict(server.supervisor.state.logs)
            assert server.supervisor.state.logs == boards
            assert (await logs.balance("coins", "p1")).balance in (5, 10)
