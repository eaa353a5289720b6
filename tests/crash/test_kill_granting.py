"""kill -9 while winners are granted: of the supervisor, of the period's actor, of everything at once.

Verified: afterwards each winner is there once, in the order of ranks, has one claim to make, and stands in
one event. Not verified here: the moments between two commits, one by one (the unit tests of granting do it).
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from tests.support.crash.server_process import ROOT_KEY, MakeServer, Server
from tests.support.crash.writers import Api, unique
from tests.support.figures import Note
from tests.support.rounds import long, of
from tests.support.supervisor.outbox import Receiver

PLAYERS = 16_000
BATCH = 8_000
WITHIN_S = 90.0
KILLS = of(((0.1, "supervisor"), (0.3, "actor"), (0.5, "supervisor")), ((0.1, "supervisor"), (0.3, "actor")))
TIERS = [
    {"name": "champion", "rank_from": 1, "rank_to": 1, "payload": {"gems": 1000}},
    {"name": "all", "top_percent": 100, "payload": {"gems": 1}},
]


async def granted(api: Api, path: str, *, at_least: int) -> dict[str, Any]:
    """The first page of the rewards once so many are there; asked for again while the server is away."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            status, page = await api.call("GET", path, None, limit=1)
            if status == 200 and (page["winners"] >= at_least or page["state"] == "granted"):
                found: dict[str, Any] = page
                return found
            assert status in (200, 503), page


async def all_winners(api: Api, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    more: dict[str, str] = {}
    while True:
        page = await api.ok("GET", path, None, limit=1000, **more)
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        more = {"cursor": page["next_cursor"]}


async def played(api: Api) -> tuple[str, str]:
    """A leaderboard with all its players; the paths of its closing and of its rewards."""
    board = unique("won")
    rewards = {"tiers": TIERS}
    await api.ok("POST", "/v1/leaderboards", {"leaderboard_id": board, "rewards": rewards})
    path = f"/v1/leaderboards/{board}"
    for start in range(0, PLAYERS, BATCH):
        batch = [{"player_id": f"p{n}", "score": PLAYERS - n} for n in range(start, start + BATCH)]
        answer = await api.ok("POST", f"{path}/scores", batch)
        assert answer["accepted"] == BATCH
    return f"{path}/periods/current/close", f"{path}/periods/all_time/rewards"


async def kill_the_actors(server: Server) -> None:
    """All of them: where the chain lives, a supervisor that was just killed does not know yet."""
    pids = await asyncio.to_thread(server.actors)
    assert pids
    for pid in pids:
        server.kill_one(pid)


def told(receiver: Receiver) -> list[int]:
    """Ranks in all events, each event taken once under its id."""
    events = {got.event_id: got.body["data"]["players"] for got in receiver.got}
    return [player["rank"] for players in events.values() for player in players]


@long
async def test_kill_whatever_while_winners_are_granted(
    make_server: MakeServer, rng: random.Random, note: Note
) -> None:
    server = make_server(ROOT_KEY)
    receiver = await Receiver().start()
    await server.start()
    progress = []
    async with Api(server.url, server.key) as api:
        await api.ok("POST", "/v1/webhooks", {"url": receiver.url, "events": ["reward.granted"]})
        close, rewards = await played(api)
        await api.ok("POST", close, {})
        for share, whom in KILLS:
            page = await granted(api, rewards, at_least=int(PLAYERS * rng.uniform(share, share + 0.1)))
            progress.append(page["winners"])
            if whom == "supervisor":
                server.kill_one(await api.supervisor_pid())
            else:
                await kill_the_actors(server)
        page = await granted(api, rewards, at_least=int(PLAYERS * rng.uniform(0.7, 0.8)))
        progress.append(page["winners"])
    assert progress[1] < PLAYERS, f"all was granted before anything could be killed: {progress}"
    await server.kill_everything()
    await server.start()
    async with Api(server.url, server.key) as api:
        page = await granted(api, rewards, at_least=PLAYERS + 1)
        assert (page["state"], page["winners"], page["total"]) == ("granted", PLAYERS, PLAYERS)
        assert [tier["winners"] for tier in page["tiers"]] == [1, PLAYERS - 1]
        winners = await all_winners(api, rewards)
    async with asyncio.timeout(WITHIN_S):
        while len(told(receiver)) < PLAYERS:
            await receiver.until(len(receiver.got) + 1)
    assert [w["rank"] for w in winners] == list(range(1, PLAYERS + 1))
    assert [w["player_id"] for w in winners] == [f"p{n}" for n in range(PLAYERS)]
    assert not any(w["claimed"] for w in winners)
    assert sorted(told(receiver)) == list(range(1, PLAYERS + 1))
    note(f"winners granted when something was killed: {progress} of {PLAYERS}")
    await receiver.stop()
