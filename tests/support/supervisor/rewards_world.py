"""The supervisor as granting sees it: a store under an epoch, the real outbox, standings from a list, and a
commit that dies on demand, before or after the documents are durable.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgpack
import orjson
import pytest

from lbactors.core.definition import Definition
from lbactors.core.model import Board, PeriodRecord, PeriodView, Reading, Row
from lbactors.documents.rewards import Promise, promise_id, winners_of
from lbactors.documents.webhooks import BODY
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.events.outbox import Outbox
from lbactors.supervisor.rewards.claiming import Claims
from lbactors.supervisor.rewards.granting import EVENT, Granting
from lbactors.supervisor.rewards.retention import RewardRetention
from lbactors.supervisor.state import SupervisorState
from lbactors.wire import reads
from lbactors.wire.commands import ClaimReward
from persistence import open_store
from persistence.store import Change, Store
from tests.support.actor_settings import actor_settings

NOW_MS = 1_795_003_200_000
DAY_MS = 86_400_000
Standings = list[tuple[str, int]]  # players and scores, best first

TIERS = [
    {"name": "champion", "rank_from": 1, "rank_to": 1, "payload": {"coins": 1000, "badge": "gold"}},
    {"name": "podium", "rank_from": 2, "rank_to": 3, "payload": {"coins": 500}},
    {"name": "top", "top_percent": 80, "payload": {"coins": 10}},
]


class Died(Exception):
    """The process ended here."""


class Clock:
    def __init__(self) -> None:
        self.at_ms = NOW_MS

    def now_ms(self) -> int:
        return self.at_ms


class Hosting:
    """Standings by period key; `before_read`, if set, is awaited before each page is answered."""

    def __init__(self) -> None:
        self.standings: dict[str, Standings] = {}
        self.rows_read = 0
        self.after_read: Callable[[], Any] | None = None

    async def read(self, chain: ChainState, key: str, query: reads.Query) -> Reading:
        assert isinstance(query, reads.Standings)
        offset, limit = query
        rows = list(enumerate(self.standings[key], start=1))[offset : offset + limit]
        self.rows_read += len(rows)
        if self.after_read is not None:
            await self.after_read()
        found = [Row(rank, player, score, 0, None, 1, 0, 0, "new") for rank, (player, score) in rows]
        view = PeriodView(1, key, "main", "closed", None, None, None, len(self.standings[key]), 0)
        return Reading(view, len(self.standings[key]), 9, found, offset)


class MortalState(SupervisorState):
    """The real state, whose process may die at a commit. Boards, chains and clock are the world's."""

    def __init__(self, world: World) -> None:
        super().__init__(actor_settings(), world.store, world.epoch)
        self.world = world
        self.boards, self.chains, self.clock = world.boards, world.chains, world.clock

    async def commit(self, changes: list[Change]) -> None:
        world = self.world
        world.commits += 1
        number, when = world.die_at or (0, "")
        if number == world.commits and when == "before":
            raise Died
        await super().commit(changes)
        if number == world.commits and when == "after":
            raise Died


class World:
    """The supervisor as granting sees it. `commits` counts; `die_at`: (commit's number, before | after)."""

    def __init__(self, store: Store, epoch: int) -> None:
        self.store, self.epoch = store, epoch
        self.clock, self.hosting = Clock(), Hosting()
        self.boards: dict[str, Board] = {}
        self.chains: dict[str, ChainState] = {}
        self.lock = asyncio.Lock()  # of commands
        self.commits = 0
        self.die_at: tuple[int, str] | None = None
        self.restart()

    def restart(self) -> None:
        """Another process over the same store."""
        self.state = state = MortalState(self)
        self.events = Outbox(state)
        self.events.register("plugin:watch", {EVENT}, None)  # type: ignore[arg-type]
        self.reward_retention = RewardRetention(state)
        self.claims = Claims(state)
        hosting: Any = self.hosting
        self.rewards = Granting(state, hosting, self.events, self.reward_retention)

    async def commit(self, changes: list[Change]) -> None:
        await self.state.commit(changes)

    def add_chain(self, rewards: Any, leaderboard_id: str = "xp", window: str = "main") -> ChainState:
        definition = Definition.model_validate(
            {"leaderboard_id": leaderboard_id, "rewards": rewards, "windows": ["daily"]}
        )
        board = Board("acme", "u1", definition, 1, 0, 0)
        chain = ChainState(board, window, {}, {})
        self.boards[f"acme/{leaderboard_id}"], self.chains[chain.chain_id] = board, chain
        return chain

    def close(
        self, chain: ChainState, standings: Standings, serial: int = 1, key: str = "W47"
    ) -> PeriodRecord:
        """A sealed period with these standings."""
        self.hosting.standings[key] = standings
        return PeriodRecord(serial, key, 0, NOW_MS, True, len(standings), 99, 0)

    async def granted(self, chain: ChainState, record: PeriodRecord) -> None:
        await self.commit(await self.rewards.begin(chain, record))
        while not await self.rewards.grant(chain, record):
            pass

    async def events_sent(self) -> list[dict[str, Any]]:
        bodies = await self.store.scan("deliveries", prefix=f"{BODY}/")
        return [orjson.loads(msgpack.unpackb(body)) for _, body in bodies]

    async def stored(self) -> dict[str, Any]:
        """Every document of rewards and claims."""
        found = {}
        for name in ("rewards", "claims"):
            for doc_id, body in await self.store.scan(name):
                found[f"{name}:{doc_id}"] = msgpack.unpackb(body)
        return found

    async def promise(self, chain: ChainState, serial: int = 1) -> Promise:
        (body,) = await self.store.get("rewards", [promise_id(chain.chain_id, serial)])
        return Promise(*msgpack.unpackb(body or b""))

    async def winners(self, chain: ChainState, serial: int = 1) -> list[list[Any]]:
        """[player, rank, score, tiers] of every chunk, in order."""
        prefix = promise_id(chain.chain_id, serial) + "/0"
        chunks = await self.store.scan("rewards", prefix=prefix)
        return [list(w) for _, body in chunks for w in winners_of(body)]

    async def claim(self, player_id: str, claim: Any = None, serial: int = 1) -> dict[str, Any]:
        command = ClaimReward("xp", "main", serial, player_id, {} if claim is None else claim)
        return await self.claims.claim(self.lock, "acme", command)


@pytest.fixture(params=["sqlite", "redis"])
def url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}"
    return f"{request.getfixturevalue('shared_redis').url}?prefix=granting-{secrets.token_hex(4)}"


@pytest.fixture
async def world(url: str) -> AsyncIterator[World]:
    store = open_store(url)
    await store.open()
    world = World(store, await store.take_ownership("supervisor"))
    await world.events.load()
    yield world
    await store.close()


def field(players: int) -> Standings:
    return [(f"p{i}", 10_000 - i) for i in range(players)]
