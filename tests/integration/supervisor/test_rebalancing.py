"""Homes of chains over time: moves while scores come, actors that end and chains that wait for nobody.

A whole server in this process (`simulation.in_process`): the real supervisor, actors, store and service.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.model import Submission
from lbactors.wire.commands import CreateLeaderboard, PatchLeaderboard
from tests.support.supervisor.in_process import Server

NOON_MS = 1_795_003_200_000  # 2026-11-18T12:00:00Z
HOUR_MS = 3_600_000
WITHIN_S = 20.0


class Boards:
    """A server with leaderboards, and what was acknowledged."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sums: dict[str, int] = {}

    async def make(self, *names: str, **fields: Any) -> None:
        for name in names:
            definition = {"leaderboard_id": name, "scoring": {"aggregation": "sum"}, **fields}
            await self.server.service.admin(CreateLeaderboard(definition), "default")

    async def patch(self, name: str, **patch: Any) -> None:
        args = {"leaderboard_id": name, "patch": patch, "if_match": None}
        await self.server.service.admin(PatchLeaderboard(**args), "default")

    async def submit(self, name: str, number: int = 0) -> None:
        board = self.server.service.catalogue.board("default", name)
        assert board is not None
        submission = Submission("p", 1, 0, None, f"{name}-{number}-{self.sums.get(name, 0)}", None, None)
        (answer,) = await self.server.service.submit(board, [submission], self.server.now_ms(), "full")
        if isinstance(answer, ApiError):
            raise answer
        self.sums[name] = self.sums.get(name, 0) + 1
        self.server.check()

    async def score(self, name: str) -> float:
        board = self.server.service.catalogue.board("default", name)
        assert board is not None
        return (await self.server.service.entry(board, "main", "current", "p")).rows[0].score

    async def check(self) -> None:
        self.server.check()
        for name, total in self.sums.items():
            assert await self.score(name) == total, name

    def home(self, name: str) -> str:
        board = self.server.service.catalogue.board("default", name)
        assert board is not None
        return self.server.supervisor.state.chains[board.chain_id("main")].home

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not what():
                self.server.check()
                await asyncio.sleep(0.01)


@pytest.fixture
async def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Boards]:
    """Two actors at most; one that has nothing awake ends at once."""
    monkeypatch.setattr("lbactors.supervisor.rebalancing.RETIRE_AFTER_S", 0.3)
    monkeypatch.setattr("lbactors.supervisor.rebalancing.BALANCE_LOOKS", 1)
    monkeypatch.setattr("lbactors.supervisor.rebalancing.GATEWAYS_LEARN_S", 0.01)
    settings = {"actors_per_core": 2, "spare_actors": 0, "idle_unload_seconds": 600}
    async with Server(tmp_path / "data", NOON_MS, **settings) as server:
        yield Boards(server)


async def everything_dormant(boards: Boards) -> None:
    boards.server.move_to(boards.server.now_ms() + HOUR_MS)
    await boards.until(lambda: bool(boards.server.supervisor.hosting.dormant) and not actors(boards))


def actors(boards: Boards) -> list[str]:
    return boards.server.cluster.period_actors()


async def test_what_nobody_uses_ends_and_comes_back_with_the_first_who_asks(boards: Boards) -> None:
    await boards.make("a", "b", "c")
    for name in "abc":
        await boards.submit(name)
    assert len(actors(boards)) == 2, "the budget"
    await everything_dormant(boards)
    status = await boards.server.service.status()
    homes = (boards.home("a"), boards.home("b"))
    found = {a["name"]: (a["dormant"], a["pid"]) for a in status["actors"]}
    assert found == dict.fromkeys(homes, (True, None))
    placed = {b["leaderboard_id"]: b["windows"] for a in status["actors"] for b in a["leaderboards"]}
    assert placed.keys() == {"a", "b", "c"}
    assert not any(window["awake"] for windows in placed.values() for window in windows)
    assert status["ready"] and status["periods"] == {"serving": 0, "loading": 0, "asleep": 3}
    await asyncio.gather(*(boards.submit(name) for name in "abc"), boards.score("a"))
    await boards.check()
    await everything_dormant(boards)
    assert await boards.score("b") == 2, "a read rouses, too"


async def test_a_restart_starts_what_was_in_use_and_nothing_else(boards: Boards) -> None:
    await boards.make("a", "b")
    await boards.submit("a")
    await boards.submit("b")
    await everything_dormant(boards)
    await boards.submit("b")
    await boards.until(lambda: boards.home("b") in boards.server.supervisor.rebalancer._warm)
    await boards.server.lose_power()
    await boards.server.start()
    await boards.server.settle()
    assert actors(boards) == [boards.home("b")]
    assert boards.home("a") in boards.server.supervisor.hosting.dormant
    await boards.check()


async def test_large_periods_are_loaded_before_anyone_asks(
    boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbactors.supervisor.rebalancing.WARM_ENTRIES", 1)
    await boards.make("a", "b")
    await boards.submit("a")
    home = boards.home("a")
    await boards.until(lambda: bool(boards.server.supervisor.rebalancer._warm.get(home)))
    await boards.server.lose_power()
    await boards.server.start()
    chain = boards.server.supervisor.state.chains
    await boards.until(lambda: any(c.awake and c.entries == 1 for c in chain.values()))
    await boards.check()


@pytest.mark.parametrize("crash", [None, "release", "host"])
async def test_a_move_while_scores_come_loses_none_and_refuses_none(
    boards: Boards, crash: str | None
) -> None:
    """A dedicated leaderboard leaves the actor that it shares; once the supervisor dies in the middle."""
    await boards.make("a", "b", "c", "d")
    shared = next(n for n in "abcd" if sum(boards.home(n) == boards.home(m) for m in "abcd") > 1)
    stop, crashed = asyncio.Event(), asyncio.Event()

    async def on_reply(name: str, method: str, payload: bytes, reply: bytes) -> bool:
        if method == crash and boards.server.has_supervisor and not crashed.is_set():
            crashed.set()
            asyncio.get_running_loop().create_task(boards.server.cluster.crash("supervisor"))
        return True

    async def write(name: str, number: int) -> None:
        while not stop.is_set():
            await boards.submit(name, number)
            await asyncio.sleep(0)

    writing = [asyncio.create_task(write(name, n)) for n, name in enumerate("abcd")]
    await boards.until(lambda: boards.sums.get("d", 0) > 20)
    boards.server.cluster.on_reply = on_reply
    while True:
        try:
            await boards.patch(shared, placement="dedicated")
            break
        except ApiError as error:
            assert crash and error.code == "storage_unavailable", "the supervisor died while it was told"
            await asyncio.sleep(0.01)

    def is_alone() -> bool:
        if not boards.server.has_supervisor:
            return False
        found = boards.server.supervisor.state.boards.get(f"default/{shared}")
        homes = [c.home for c in boards.server.supervisor.state.chains.values()]
        return found is not None and len(homes) == 4 and homes.count(boards.home(shared)) == 1

    try:
        await boards.until(is_alone)
        before = dict(boards.sums)
        await boards.until(lambda: all(boards.sums[n] > before[n] + 5 for n in "abcd"))
    finally:
        stop.set()
        await asyncio.gather(*writing)
    assert crash is None or crashed.is_set()
    await boards.check()
    await boards.server.lose_power()
    await boards.server.start()
    await boards.check()


async def test_a_busy_leaderboard_gets_an_actor_of_its_own(
    boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    await boards.make("a", "b", "c", "d")
    monkeypatch.setattr("lbactors.core.placement.BUSY_PER_S", 5.0)
    monkeypatch.setattr("lbactors.core.placement.CALM_PER_S", 1.0)
    busy = next(n for n in "abcd" if sum(boards.home(n) == boards.home(m) for m in "abcd") > 1)

    def is_alone() -> bool:
        return [boards.home(n) for n in "abcd"].count(boards.home(busy)) == 1

    async with asyncio.timeout(WITHIN_S):
        while not is_alone():
            await boards.submit(busy)
    status = await boards.server.service.status()
    assert {a["name"]: a["reserved"] for a in status["actors"]}[boards.home(busy)]
    await boards.make("e")
    assert boards.home("e") != boards.home(busy), "it is kept for the busy one"
    await boards.check()


async def test_periods_that_nobody_used_are_closed_without_an_actor(boards: Boards) -> None:
    await boards.make("a", "b", timeframe={"type": "hourly"})
    await boards.submit("b")
    home = boards.home("a")
    assert home != boards.home("b")
    boards.server.move_to(NOON_MS + HOUR_MS + HOUR_MS // 6)  # the first periods are closed, by their actors
    await boards.server.settle()
    boards.server.move_to(NOON_MS + HOUR_MS * 5 // 3)
    await boards.until(lambda: home in boards.server.supervisor.hosting.dormant)
    boards.server.move_to(NOON_MS + HOUR_MS * 13 // 6)  # the second ones, without it
    await boards.server.settle()
    service, board = boards.server.service, boards.server.service.catalogue.board("default", "a")
    assert board is not None
    views, _ = await service.periods(board, "main", "closed", 0, 10)
    assert [(v.key, v.entries) for v in reversed(views)] == [("2026-11-18T12", 0), ("2026-11-18T13", 0)]
    assert boards.home("a") == home and home in boards.server.supervisor.hosting.dormant
    boards.sums.clear()
    await boards.submit("a", 9)
    await boards.check()
    board = service.catalogue.board("default", "b")
    assert board is not None
    assert (await service.entry(board, "main", "2026-11-18T12", "p")).rows[0].score == 1
