"""kill -9 of period actors, the supervisor and everything while profiles and audiences change under load:
afterwards exactly the audience is ranked, by the last profiles and definitions that were acknowledged.

Scores, profiles and definitions are repeated until they are acknowledged: all three may be.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from tests.support.crash.writers import DISCONNECTED, PASSES_WITHIN_S, Api, unique
from tests.support.figures import Note
from tests.support.redis_server import RedisServer
from tests.support.rounds import long, rounds
from tests.support.server_process import ROOT_KEY, MakeServer, Server

KILLS = rounds(8, 24)
PLAYERS = [f"p{number}" for number in range(30)]
ROLES, TAGS = ("vip", "mod"), ("beta",)
PASSING = ("period_loading", "storage_unavailable", DISCONNECTED, "overloaded", "leaderboard_not_found")
PAUSE_S = (0.2, 1.2)
FOLLOWED_WITHIN_S = 30.0


class World:
    """One board in two windows; what was last acknowledged of players and of its audience."""

    def __init__(self, api: Api, rng: random.Random) -> None:
        self.api = api
        self.rng = rng
        self.board = f"/v1/leaderboards/{unique('audience')}"
        self.profiles: dict[str, dict[str, Any]] = {}
        self.audience: dict[str, Any] = {"rank": {"players": [], "roles": ["vip"], "tags": []}}
        self.scores: dict[str, int] = {}
        self.done = False
        self.changes = 0
        self.taken = asyncio.Condition()  # notified of every batch that was acknowledged

    async def create(self) -> None:
        definition = {"leaderboard_id": self.board.rpartition("/")[2], "windows": ["yearly"]}
        await self.api.ok("POST", "/v1/leaderboards", {**definition, "audience": self.audience})

    async def play(self) -> None:
        """Batches of scores, best counts; each is sent until it is acknowledged."""
        score = 0
        while not self.done:
            batch = {player_id: (score := score + 1) for player_id in self.rng.sample(PLAYERS, 5)}
            items = [{"player_id": p, "score": s} for p, s in batch.items()]
            while True:  # what was refused for now may be in, too
                answer = await self.api.ok("POST", f"{self.board}/scores", items, passing=PASSING)
                if not answer["errors"]:
                    break
                assert {error["code"] for error in answer["errors"]} <= set(PASSING), answer
            self.scores |= batch
            async with self.taken:
                self.taken.notify_all()
            await asyncio.sleep(0.01)

    async def change(self) -> None:
        """Profiles, now and then the audience."""
        rng = self.rng
        while not self.done:
            if rng.random() < 0.1:
                rank = {"players": some(rng, PLAYERS), "roles": some(rng, ROLES), "tags": some(rng, TAGS)}
                audience = {"rank": rank, "include_test_players": rng.random() < 0.3}
                await self.api.ok("PATCH", self.board, {"audience": audience}, passing=PASSING)
                self.audience = audience
            else:
                player_id = rng.choice(PLAYERS)
                profile = {
                    "roles": some(rng, ROLES), "tags": some(rng, TAGS), "test": rng.random() < 0.2
                }  # fmt: skip
                path = f"/v1/players/{player_id}"
                await self.api.ok("PUT", path, profile, passing=PASSING)
                self.profiles[player_id] = profile
            self.changes += 1

    def is_ranked(self, player_id: str) -> bool:
        profile, rank = self.profiles.get(player_id, {}), self.audience["rank"]
        if profile.get("test") and not self.audience.get("include_test_players"):
            return False
        if not any(rank.values()):
            return True
        return player_id in rank["players"] or any(
            set(profile.get(name, [])) & set(rank[name]) for name in ("roles", "tags")
        )

    def expected(self) -> list[tuple[int, str]]:
        ranked = [p for p in self.scores if self.is_ranked(p)]
        return list(enumerate(sorted(ranked, key=lambda p: -self.scores[p]), 1))

    async def shown(self, window: str) -> list[tuple[int, str]]:
        path = f"{self.board}/rankings"
        page = await self.api.ok("GET", path, passing=PASSING, limit=1000, window=window)
        assert page["total"] == len(page["entries"])
        return [(entry["rank"], entry["player_id"]) for entry in page["entries"]]

    async def check(self) -> None:
        """Everybody is where he must be, in both windows; soon after the last change."""
        for window in ("main", "yearly"):
            deadline_s = time.monotonic() + FOLLOWED_WITHIN_S
            while (shown := await self.shown(window)) != self.expected():
                assert time.monotonic() < deadline_s, (window, shown, self.expected())
                await asyncio.sleep(0.05)
            looked = await self.api.ok(
                "POST",
                f"{self.board}/rankings/lookup",
                {"player_ids": PLAYERS},
                passing=PASSING,
                window=window,
            )
            kept = {entry["player_id"]: entry["score"] for entry in looked["entries"]}
            assert kept == self.scores, "whoever is not ranked keeps the entry"


def some(rng: random.Random, of: Any) -> list[str]:
    return rng.sample(list(of), rng.choice([0, 0, 1]))


async def victims_of(api: Api, kind: str, rng: random.Random) -> int:
    """A process of a kind, waited for while there is none."""
    while True:
        status = await api.ok("GET", "/v1/status", passing=PASSING)
        if kind == "supervisor":
            return int(status["supervisor"]["pid"])
        pids = [actor["pid"] for actor in status["actors"] if actor["pid"] and actor["leaderboards"]]
        if pids:
            return int(rng.choice(pids))
        await asyncio.sleep(0.05)


@long
async def test_kill_while_profiles_and_audiences_change(
    make_server: MakeServer, storage: RedisServer | None, rng: random.Random, note: Note
) -> None:
    where = [] if storage is None else ["--store", storage.url]
    server: Server = make_server(ROOT_KEY, "--spare-actors", "0", *where)
    await server.start()
    async with Api(server.url, server.key) as api:
        world = World(api, rng)
        await world.create()
        work = [asyncio.create_task(world.play()), asyncio.create_task(world.change())]
        try:
            for number in range(KILLS):
                await asyncio.sleep(rng.uniform(*PAUSE_S))
                kind = "supervisor" if number % 3 == 2 else "actor"
                server.kill_one(await victims_of(api, kind, rng))
                async with world.taken:  # where all are slow, kills alone would go on for ever
                    await asyncio.wait_for(world.taken.wait(), PASSES_WITHIN_S)
            world.done = True
            await asyncio.gather(*work)
        finally:
            for task in work:
                task.cancel()
        await world.check()
        before = [await world.shown(window) for window in ("main", "yearly")]
        server.kill_one(await victims_of(api, "actor", rng))  # a replay ranks as it was ranked
        assert [await world.shown(window) for window in ("main", "yearly")] == before
        await world.check()
        note(f"{KILLS} kills, {world.changes} changes of profiles and audiences: all ranks exact")
