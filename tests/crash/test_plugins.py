"""Plugins and kill -9: no closing is skipped, and what is approved counts once.

The plugin (`judging_plugin`) kills the supervisor itself, after its hook's work and before the server can
know that it is done: the one moment in which an event must be told again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.crash.server_process import MakeServer, Server
from tests.support.crash.writers import Api, Disconnected, unique
from tests.support.repository import PLUGINS, python_path
from tests.support.rounds import long, rounds
from tests.support.zones import zone_at_noon

CLOSINGS, APPROVALS = rounds(1, 3), rounds(2, 4)
WITHIN_S = 40.0


@pytest.fixture
async def judged(make_server: MakeServer) -> AsyncIterator[tuple[Server, Api]]:
    server = make_server(None)
    server.variables |= {
        "PYTHONPATH": python_path(PLUGINS),
        "LBACTORS_PLUGINS": "judging_plugin",
        "JUDGING_FOLDER": str(server.folder),
    }
    await server.start()
    async with Api(server.url, server.key) as api:
        yield server, api


def heard(server: Server, board_id: str) -> list[tuple[str, str]]:
    """(period key, event id) of the closings of a leaderboard that its plugin heard of, in order."""
    file = server.folder / "heard"
    lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return [
        (key, event) for kind, name, _, key, event in lines if (kind, name) == ("period.closed", board_id)
    ]


async def at_last(api: Api, method: str, path: str, body: Any = None) -> Any:
    """A 2xx answer, asked for again while the server says 503 or nothing at all."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            with contextlib.suppress(Disconnected):
                status, found = await api.call(method, path, body)
                if status < 300:
                    return found
                assert status == 503, f"{method} {path}: {status} {found}"
            await asyncio.sleep(0.05)


@long
async def test_killed_between_a_hooks_success_and_its_record(judged: tuple[Server, Api]) -> None:
    server, api = judged
    board_id = unique("closing")
    path = f"/v1/leaderboards/{board_id}"
    await api.ok("POST", "/v1/leaderboards", {"leaderboard_id": board_id})
    wanted = []
    for number in range(CLOSINGS):
        await at_last(api, "POST", f"{path}/scores", {"player_id": "p", "score": number})
        victim = await api.supervisor_pid()
        (server.folder / "die").write_text(board_id)
        status, _ = await api.call("POST", f"{path}/periods/current/close", {})
        assert status in (200, 503)  # it is carried out, whether the answer comes before the death or not
        wanted.append("all_time" if not number else f"all_time-{number + 1}")
        async with asyncio.timeout(WITHIN_S):
            while [key for key, _ in heard(server, board_id)].count(wanted[-1]) < 2:  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.05)
        assert not (server.folder / "die").exists() and await api.supervisor_pid() != victim
    told = heard(server, board_id)
    assert [key for key, _ in told] == [key for key in wanted for _ in range(2)]
    assert len({event for _, event in told}) == CLOSINGS  # the second time under the same id
    server.terminate()
    assert await server.exit_code() == 0
    await server.start()
    await at_last(api, "POST", f"{path}/periods/current/close", {})
    async with asyncio.timeout(WITHIN_S):
        while len(heard(server, board_id)) == len(told):  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.05)
    again = heard(server, board_id)  # in order: what is told a second time would come before what is new
    assert again[:-1] == told, "what was recorded is not told again"
    assert again[-1][0] == f"all_time-{CLOSINGS + 1}"


@long
async def test_approved_once_whatever_dies(judged: tuple[Server, Api], rng: random.Random) -> None:
    server, api = judged
    board_id = unique("approving")
    path = f"/v1/leaderboards/{board_id}"
    definition = {"leaderboard_id": board_id, "scoring": {"aggregation": "sum"}, "windows": ["daily"]}
    await api.ok("POST", "/v1/leaderboards", definition | {"timeframe": {"timezone": zone_at_noon()}})
    held = []
    for number in range(APPROVALS):
        item = {"player_id": "p", "score": 10**number, "metadata": {"judge": "hold"}}
        item |= {"submission_id": f"m-{number}"} if number % 2 else {}
        held.append((await api.ok("POST", f"{path}/scores", item))["held_id"])
    for number, held_id in enumerate(held):
        victims = server.supervisors() if number % 3 else server.actors()
        assert victims
        approving = asyncio.create_task(at_last(api, "POST", f"{path}/held/{held_id}/approve", {}))
        await asyncio.sleep(rng.uniform(0, 0.03))
        for victim in victims:
            with contextlib.suppress(ProcessLookupError, AssertionError):
                server.kill_one(victim)
        await approving
        again = await at_last(api, "POST", f"{path}/held/{held_id}/approve", {})
        assert again["held"]["state"] == "approved" and again["outcome"]["player_id"] == "p"
    await server.kill_everything()
    await server.start()
    for window in ("main", "daily"):
        (entry,) = (await api.ok("GET", f"{path}/rankings", window=window))["entries"]
        assert entry["score"] == sum(10**number for number in range(APPROVALS)), window
        assert entry["submissions"] == APPROVALS
    assert (await api.ok("GET", f"{path}/held"))["items"] == []
