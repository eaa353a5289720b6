"""Entries that are imported: put where players have none, exactly as told, once and for all.

Supervisor and actors are the real ones (`local_supervisor`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.model import Reading
from lbactors.documents.audit import Wanted, search
from lbactors.wire.reads import ReadAnswer
from tests.support.supervisor.local_supervisor import NOON_MS, LocalServer

DAY_MS = 86_400_000
XP = {"leaderboard_id": "xp", "scoring": {"aggregation": "sum"}}
ADA = ["ada", 9, 2, b'{"level":7}', 4, NOON_MS - DAY_MS, NOON_MS - 1000]
BOB = ["bob", 9, 2, None, 1, NOON_MS - 900, NOON_MS - 900]
CYD = ["cyd", 7, 0, None, 2, NOON_MS - 800, NOON_MS - 700]
ALL = [ADA, BOB, CYD]
NAMES = ("imported", "unchanged", "dropped")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data") as server:
        await server.command("create_leaderboard", definition=XP)
        yield server


async def import_(
    server: LocalServer,
    *entries: list[Any],
    replace: bool = False,
    period_key: str | None = None,
    window: str = "main",
) -> tuple[tuple[int, ...], list[list[Any]]]:
    """The counts, and those refused."""
    told = {"leaderboard_id": "xp", "window": window, "period_key": period_key, "replace": replace}
    answer = await server.command("import_entries", entries=list(entries), **told)
    return tuple(answer[name] for name in NAMES), answer["refused"]


async def page(server: LocalServer) -> Reading:
    return ReadAnswer.from_wire(await server.read("xp", "page", [0, 10_000, None, None]))


async def standings(server: LocalServer) -> list[tuple[Any, ...]]:
    """Everything but rank and change, best first."""
    return [tuple(row)[1:-1] for row in (await page(server)).rows]


async def test_entries_stand_as_they_are_told(server: LocalServer) -> None:
    assert await import_(server, *ALL) == ((3, 0, 0), [])
    assert await standings(server) == [tuple(entry) for entry in ALL]
    assert (await page(server)).period.submissions == 7
    for actor in server.actors.by_name.values():
        await actor.kill()
    assert await standings(server) == [tuple(entry) for entry in ALL]


async def test_a_repeat_changes_nothing_however_late(server: LocalServer) -> None:
    await import_(server, *ALL)
    await server.submit("xp", "cyd", 5)
    after = await standings(server)
    server.clock.move(9 * DAY_MS)
    assert await import_(server, *ALL) == ((0, 2, 0), [[2, "entry_exists"]])
    assert await standings(server) == after and after[0][:2] == ("cyd", 12)


async def test_an_import_that_broke_off_is_completed(server: LocalServer) -> None:
    await import_(server, ADA)
    assert await import_(server, *ALL) == ((2, 1, 0), [])
    assert await standings(server) == [tuple(entry) for entry in ALL]


async def test_replacing(server: LocalServer) -> None:
    await import_(server, *ALL)
    await server.submit("xp", "cyd", 5)
    assert await import_(server, *ALL, replace=True) == ((1, 2, 0), [])
    assert await standings(server) == [tuple(entry) for entry in ALL]


async def test_who_was_removed_is_not_brought_back_by_the_way(server: LocalServer) -> None:
    await import_(server, *ALL)
    await server.command("remove_entry", leaderboard_id="xp", player_id="bob", window=None, reason="cheat")
    assert await import_(server, *ALL) == ((0, 2, 0), [[1, "entry_removed"]])
    assert [row[0] for row in await standings(server)] == ["ada", "cyd"]
    assert await import_(server, BOB, replace=True) == ((1, 0, 0), [])
    assert [row[0] for row in await standings(server)] == ["ada", "bob", "cyd"]


async def test_who_is_hidden_is_imported_unseen(server: LocalServer) -> None:
    await server.command("hide_player", player_id="bob", hide={})
    assert await import_(server, *ALL) == ((3, 0, 0), [])
    assert [row[0] for row in await standings(server)] == ["ada", "cyd"]
    await server.command("unhide_player", player_id="bob", unhide={})
    assert await standings(server) == [tuple(entry) for entry in ALL]


async def test_those_beyond_max_entries(server: LocalServer) -> None:
    await server.command(
        "patch_leaderboard", leaderboard_id="xp", patch={"ranking": {"max_entries": 2}}, if_match=None
    )
    assert await import_(server, *ALL) == ((2, 0, 1), [])
    assert [row[0] for row in await standings(server)] == ["ada", "bob"]


async def test_more_than_one_append_holds(server: LocalServer) -> None:
    many = [[f"p{n:05}", 100_000 - n, 0, None, 1, NOON_MS, NOON_MS] for n in range(9000)]
    assert await import_(server, *many) == ((9000, 0, 0), [])
    assert await import_(server, *many) == ((0, 9000, 0), [])
    assert (await page(server)).total == 9000


async def test_a_period_that_is_not_the_current_one(server: LocalServer) -> None:
    with pytest.raises(ApiError, match="the current period is 'all_time'"):
        await import_(server, *ALL, period_key="2026-W46")
    with pytest.raises(ApiError, match="no period in window 'daily'"):
        await import_(server, *ALL, window="daily")
    assert await standings(server) == []
    found, _, _ = await search(server.supervisor.state.store, "default", Wanted(act="entry"), 0, 10)
    assert found == [], "nothing was done, so there is no record"


async def test_what_the_log_says(server: LocalServer) -> None:
    await import_(server, ADA)
    await import_(server, [*ADA[:1], 8, *ADA[2:]], BOB, period_key="all_time")
    (second, first), _, _ = await search(server.supervisor.state.store, "default", Wanted(act="entry"), 0, 10)
    assert (first["act"], first["target"], first["details"]["outcome"]) == ("entry.import", "xp", "done")
    told = {
        name: second["details"][name] for name in ("entries", "imported", "refused", "outcome", "replace")
    }
    assert told == {"entries": 2, "imported": 1, "refused": 1, "outcome": "in part", "replace": False}
