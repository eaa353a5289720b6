"""What is shown as closed is closed: from the first read that says so nothing moves, whatever arrives.

Time stands still between a period's end and its seal, so the tests look at what commands do meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.instants import format_instant
from lbactors.core.lifecycle import Stage
from tests.support.supervisor.local_supervisor import NOON_MS, LocalServer

HOUR_MS = 3_600_000
END_MS = NOON_MS + HOUR_MS
TIERS = [{"name": "first", "rank_from": 1, "rank_to": 1, "payload": {"coins": 1}}]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data") as server:
        yield server


def season(ends_at_ms: int = END_MS, **fields: Any) -> dict[str, Any]:
    return {
        "type": "range",
        "starts_at": format_instant(NOON_MS),
        "ends_at": format_instant(ends_at_ms),
        "late_grace_seconds": 0,
        **fields,
    }


async def create(server: LocalServer, **fields: Any) -> None:
    definition = {"leaderboard_id": "xp", "timeframe": season(), **fields}
    await server.command("create_leaderboard", definition=definition)


async def patch(server: LocalServer, **fields: Any) -> None:
    await server.command("patch_leaderboard", leaderboard_id="xp", patch=fields, if_match=None)


def chain_of(server: LocalServer, window: str = "main") -> Any:
    board = server.supervisor.state.boards["default/xp"]
    return server.supervisor.state.chains[board.chain_id(window)]


async def shown(server: LocalServer, period: str = "current") -> tuple[str, list[tuple[int, str, float]]]:
    """State and standings."""
    view, _, _, rows, *_ = await server.read("xp", "page", [0, 1000, None, None], period)
    return view[3], [(row[0], row[1], row[2]) for row in rows]


async def sealed(server: LocalServer) -> None:
    server.clock.move(30_000)
    async with asyncio.timeout(20):
        while True:
            if chain_of(server).records[0].stage == Stage.COMPLETE:
                return
            await asyncio.sleep(0.01)


Act = Callable[[LocalServer], Awaitable[Any]]


async def _act(server: LocalServer, name: str, **args: Any) -> None:
    try:
        await server.command(name, leaderboard_id="xp", player_id="a", window=None, **args)
    except ApiError as error:
        assert error.code == "period_closed", error.code
    else:
        raise AssertionError(f"{name} was carried out")


ACTS: dict[str, Act] = {
    "min_score": lambda s: patch(s, ranking={"min_score": 25}),
    "max_entries": lambda s: patch(s, ranking={"max_entries": 1}),
    "rank_style": lambda s: patch(s, ranking={"rank_style": "dense"}),
    "grace": lambda s: patch(s, timeframe={"late_grace_seconds": 3600}),
    "archived": lambda s: patch(s, status="archived"),
    "remove": lambda s: _act(s, "remove_entry", reason=None),
    "edit": lambda s: _act(s, "edit_entry", edit={"score": 1, "reason": "cheats"}),
    "restore": lambda s: _act(s, "restore_entry", restore={}),
    "hide": lambda s: s.command("hide_player", player_id="a", hide={"reason": "cheats"}),
}


@pytest.mark.parametrize("act", ACTS)
async def test_nothing_moves_once_a_period_was_read_as_closed(server: LocalServer, act: str) -> None:
    await create(server)
    for player, score in (("a", 30), ("b", 20), ("c", 20)):
        await server.submit("xp", player, score)
    server.clock.move(END_MS - server.clock.now_ms())
    before = await shown(server)
    assert before == ("closed", [(1, "a", 30), (2, "b", 20), (3, "c", 20)])
    await ACTS[act](server)
    assert await shown(server) == before
    for actor in server.actors.by_name.values():
        await actor.kill()
    assert await shown(server) == before, "by another process, too"
    await sealed(server)
    assert await shown(server) == before


async def test_what_was_changed_after_the_end_is_in_no_final_standings(server: LocalServer) -> None:
    """Nobody looks in between, and it sleeps: it is sealed with the definition as it was at its end."""
    await create(server, rewards={"tiers": TIERS})
    for player, score in (("a", 30), ("b", 20)):
        await server.submit("xp", player, score)
    await patch(server, ranking={"min_score": 25})
    for actor in server.actors.by_name.values():
        await actor.kill()
    server.clock.move(END_MS - server.clock.now_ms())
    await patch(server, ranking={"min_score": 5}, rewards=None)
    await patch(server, ranking={"min_score": 40})
    await sealed(server)
    assert await shown(server) == ("closed", [(1, "a", 30)])
    granted = [i for i, _ in await server.supervisor.state.store.scan("claims")]
    assert [i.split("/")[1] for i in granted] == ["a"]


async def test_an_erased_player_leaves_an_anonymous_entry(server: LocalServer) -> None:
    await create(server)
    for player, score in (("a", 30), ("b", 20)):
        await server.submit("xp", player, score)
    server.clock.move(END_MS - server.clock.now_ms())
    assert (await shown(server))[0] == "closed"
    await server.command("erase_player", player_id="a")
    for _ in range(2):
        state, ((first, name, score), second) = await shown(server)
        assert (state, first, score, second) == ("closed", 1, 30, (2, "b", 20))
        assert name.startswith("erased-")
        await sealed(server)


async def test_a_grace_that_is_changed_takes_no_closed_period_back(server: LocalServer) -> None:
    """Neither one that waits for its seal nor a sealed one."""
    await create(server, timeframe=season(late_grace_seconds=5))
    await server.submit("xp", "a", 30)
    server.clock.move(END_MS + 5000 - server.clock.now_ms())
    before = await shown(server)
    await patch(server, timeframe={"late_grace_seconds": 86_400})
    assert (await shown(server), before[0]) == (before, "closed")
    await sealed(server)
    assert await shown(server) == before
    await patch(server, timeframe={"late_grace_seconds": 80_000})
    assert await shown(server) == before


@pytest.mark.parametrize("looked_at", [(), ("daily",)])
async def test_a_hiding_after_the_end_changes_no_window(
    server: LocalServer, looked_at: tuple[str, ...]
) -> None:
    """Whether or not somebody read one of them before; what is sealed later says the same."""
    windows = ("main", "daily", "all_time")
    await create(server, windows=list(windows[1:]))
    for window in windows:
        for player, score in (("a", 5), ("b", 9)):
            await server.submit("xp", player, score, window)
    await server.command("hide_player", player_id="b", hide={"until": format_instant(END_MS + 500)})
    server.clock.move(END_MS + 100 - server.clock.now_ms())
    for window in looked_at:
        assert await server.page("xp", window=window) == [(1, "a", 5)]
    await server.command("hide_player", player_id="a", hide={})
    await server.command("unhide_player", player_id="b", unhide={})
    for window in windows:
        assert await server.page("xp", window=window) == [(1, "a", 5)], window
    await sealed(server)
    for window in windows:
        assert await server.page("xp", window=window) == [(1, "a", 5)], window
