"""Rewards in a whole supervisor: periods end by a moved clock; winners are granted, claimed, kept, deleted.

Real commands, period actors and store in this process (`local_supervisor`); what gateways read is read with
their reader. Waiting is for commits. Deaths are commits that fail, before or after they are durable: the
supervisor then forgets all that it knows and starts from the documents, as another process would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.lifecycle import Stage
from lbactors.core.model import Board, PeriodRecord
from lbactors.documents.rewards import promise_id, winners_of
from lbactors.service import reward_reader
from lbactors.service.reward_reader import RewardReader
from lbactors.supervisor.rewards import granting
from lbactors.supervisor.supervisor import Supervisor
from persistence.store import StoreUnavailable
from tests.support.supervisor.local_supervisor import LocalServer

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
RULES: dict[str, Any] = {
    "tiers": [
        {"name": "champion", "rank_from": 1, "rank_to": 1, "payload": {"gems": 100}},
        {"name": "rest", "top_percent": 100, "payload": {"gems": 1}},
    ],
    "windows": ["main", "daily"],
}
WAIT_S = 20.0


class Life:
    """A server, a reader over its store, and a look at every commit."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.store = server.supervisor.state.store
        self.reader = RewardReader(self.store, server.clock.now_ms)
        self.commits = 0
        self.cut: tuple[int, bool] | None = None  # (which commit fails, whether it is durable all the same)
        self._news = asyncio.Event()
        self._really: Callable[..., Awaitable[None]] = self.store.commit
        self.store.commit = self._commit  # type: ignore[method-assign]

    @property
    def supervisor(self) -> Supervisor:
        return self.server.supervisor

    async def _commit(self, changes: Any, **owner: Any) -> None:
        self.commits += 1
        number, durable = self.cut or (0, False)
        if number == self.commits and not durable:
            raise StoreUnavailable("cut")
        await self._really(changes, **owner)
        self._news.set()
        self._news = asyncio.Event()
        if number == self.commits:
            raise StoreUnavailable("cut", unknown=True)

    async def until(self, probe: Callable[[], Awaitable[Any]]) -> Any:
        """What `probe` finds, asked again after every commit."""
        async with asyncio.timeout(WAIT_S):
            while True:
                news = self._news
                if found := await probe():
                    return found
                await news.wait()

    async def board(self, leaderboard_id: str = "xp", **fields: Any) -> Board:
        timeframe = {"type": "hourly", "late_grace_seconds": 0, **fields.pop("timeframe", {})}
        definition = {"leaderboard_id": leaderboard_id, "timeframe": timeframe, "windows": ["daily"]}
        await self.server.command("create_leaderboard", definition={**definition, "rewards": RULES, **fields})
        return self.supervisor.state.boards[f"default/{leaderboard_id}"]

    async def field(self, players: int, leaderboard_id: str = "xp") -> None:
        for n in range(players):
            for window in ("main", "daily"):
                await self.server.submit(leaderboard_id, f"p{n}", 1000 - n, window)

    def record(self, board: Board, serial: int, window: str = "main") -> PeriodRecord | None:
        chain = self.supervisor.state.chains.get(board.chain_id(window))
        records = chain.records if chain is not None else []
        return next((r for r in records if r.serial == serial), None)

    async def complete(self, board: Board, serial: int = 1, window: str = "main") -> PeriodRecord:
        """The record of a period once everything is granted."""

        async def probe() -> PeriodRecord | None:
            record = self.record(board, serial, window)
            return record if record is not None and record.stage == Stage.COMPLETE else None

        found: PeriodRecord = await self.until(probe)
        return found

    async def carried_out(self, board: Board) -> None:
        """All that is due for a board's main window, whatever it takes."""
        while True:
            try:
                await self.server.actor.start()  # as the watch of every gateway does
                chain = self.supervisor.state.chains[board.chain_id("main")]
                async with chain.lock:
                    await self.supervisor.advance(chain)
            except (ApiError, StoreUnavailable):
                await asyncio.sleep(0)  # those that it cancelled end
                continue
            if (record := self.record(board, 1)) is not None and record.stage == Stage.COMPLETE:
                return

    async def listed(self, board: Board, key: str, window: str = "main") -> list[tuple[int, str, list[str]]]:
        """(rank, player, tiers) as a gateway lists them."""
        found = await self.reader.find(board, window, key)
        summary = await self.reader.summary(found)
        page = await self.reader.page(found, 0, 1000, None, None, summary)
        assert page.total == len(page.items) == summary["winners"] and page.after is None
        return [(i["rank"], i["player_id"], [s["tier"] for s in i["rewards"]]) for i in page.items]

    async def claim(self, player_id: str, serial: int = 1, **claim: Any) -> dict[str, Any]:
        return await self.server.command(
            "claim_reward",
            leaderboard_id="xp",
            window="main",
            serial=serial,
            player_id=player_id,
            claim=claim,
        )

    async def documents(self) -> list[str]:
        return [i for name in ("rewards", "claims") for i, _ in await self.store.scan(name)]


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[Life]:
    async with LocalServer(tmp_path / "data") as server:
        yield Life(server)


def expected(players: int) -> list[tuple[int, str, list[str]]]:
    return [(n + 1, f"p{n}", ["champion" if n == 0 else "rest"]) for n in range(players)]


async def test_a_period_that_ends_has_winners(life: Life) -> None:
    board = await life.board()
    await life.field(5)
    first = life.record(board, 1)
    assert first is not None
    assert (await life.reader.find(board, "main", first.key)).state == "pending"
    life.server.clock.move(HOUR_MS + 60_000)
    assert (await life.complete(board)).key == first.key
    assert await life.listed(board, first.key) == expected(5)
    daily = life.record(board, 1, "daily")
    assert daily is not None and (await life.reader.find(board, "daily", daily.key)).state == "pending"
    life.server.clock.move(DAY_MS)
    await life.complete(board, 1, "daily")
    assert await life.listed(board, daily.key, "daily") == expected(5)
    won = await life.reader.of_player("default", "p0", [board], None)
    assert [chain_id.rpartition("/")[2] for chain_id, _, _ in won] == ["daily", "main"]


async def test_a_forced_close_grants_too(life: Life) -> None:
    board = await life.board(timeframe={"type": "permanent"})
    await life.field(3)
    life.server.clock.move(1000)
    await life.server.command("close_period", leaderboard_id="xp", window="main")
    await life.complete(board)
    assert await life.listed(board, "all_time") == expected(3)


@pytest.mark.parametrize("durable", [False, True], ids=["lost", "durable"])
async def test_a_death_at_any_commit_of_a_closing_grants_once(
    life: Life, durable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (granting, reward_reader):
        monkeypatch.setattr(module, "CHUNK_WINNERS", 2)
    monkeypatch.setattr(granting, "CHUNKS_AT_ONCE", 1)
    number, cut = 0, True
    while cut:
        number += 1
        name = f"board-{number}"
        board = await life.board(name, windows=[], rewards={**RULES, "windows": ["main"]})
        for n in range(5):
            await life.server.submit(name, f"p{n}", 1000 - n)
        key = (life.record(board, 1) or pytest.fail("no period")).key
        life.commits, life.cut = 0, (number, durable)
        life.server.clock.move(HOUR_MS + 60_000)
        async with asyncio.timeout(WAIT_S):
            await life.carried_out(board)
        cut = life.commits >= number
        life.cut = None
        assert await life.listed(board, key) == expected(5)
        prefix = promise_id(board.chain_id("main"), 1) + "/0"
        chunks = await life.store.scan("rewards", prefix=prefix)
        assert [len(winners_of(body)) for _, body in chunks] == [2, 2, 1]
        claims = [i for i in await life.documents() if f"/{name}~" in i and i.startswith("default/p")]
        assert len(claims) == 5
        # Else its hours would end in the next rounds, too, and their commits be counted and cut.
        await life.server.command("purge_leaderboard", leaderboard_id=name)
    assert number > 4


async def test_of_many_claims_at_once_one_is_the_first(life: Life) -> None:
    board = await life.board()
    await life.field(2)
    life.server.clock.move(HOUR_MS + 60_000)
    await life.complete(board)
    answers = await asyncio.gather(*(life.claim("p1", claim_id=f"tx-{n}") for n in range(20)))
    assert all(a == answers[0] for a in answers) and answers[0]["claim_id"].startswith("tx-")
    life.server.clock.move(60_000)
    assert await life.claim("p1", claim_id="tx-99") == answers[0]
    found = await life.reader.find(board, "main", answers[0]["period"]["period_key"])
    assert (await life.reader.summary(found))["claimed"] == 1
    assert await life.reader.one(found, "p1") == answers[0]


async def test_rewards_outlive_their_period_and_end_in_their_time(life: Life) -> None:
    board = await life.board(timeframe={"retain_periods": 1, "retain_days": 0})
    await life.field(3)
    key = (life.record(board, 1) or pytest.fail("no period")).key
    life.server.clock.move(HOUR_MS + 60_000)
    await life.complete(board)
    for _ in range(3):
        life.server.clock.move(HOUR_MS)

    async def deleted() -> bool:
        return life.record(board, 1) is None and life.record(board, 3) is not None

    await life.until(deleted)
    assert await life.listed(board, key) == expected(3)
    assert (await life.claim("p2"))["claimed"] is True
    life.server.clock.move(91 * DAY_MS)

    async def ended() -> bool:
        return not [i for i in await life.documents() if "/main/" in i]

    await life.until(ended)
    with pytest.raises(ApiError, match="no period"):
        await life.reader.find(board, "main", key)


async def test_a_period_is_not_deleted_before_its_rewards_are_granted(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (granting, reward_reader):
        monkeypatch.setattr(module, "CHUNK_WINNERS", 2)
    monkeypatch.setattr(granting, "CHUNKS_AT_ONCE", 1)
    board = await life.board(timeframe={"retain_periods": 0, "retain_days": 0})
    await life.field(7)
    key = (life.record(board, 1) or pytest.fail("no period")).key
    life.server.clock.move(HOUR_MS + 60_000)

    async def deleted() -> bool:
        return life.record(board, 1) is None and life.record(board, 2) is not None

    await life.until(deleted)
    assert await life.listed(board, key) == expected(7)


async def test_an_erasure_finds_rewards_whose_period_is_gone(life: Life) -> None:
    board = await life.board(
        timeframe={"retain_periods": 1, "retain_days": 0}, windows=[], rewards=RULES_MAIN
    )
    for n in range(3):
        await life.server.submit("xp", f"maya-{n}", 1000 - n)
    key = (life.record(board, 1) or pytest.fail("no period")).key
    life.server.clock.move(HOUR_MS + 60_000)
    await life.complete(board)
    await life.claim("maya-1", claim_id="order-of-maya-1")
    for _ in range(3):
        life.server.clock.move(HOUR_MS)

    async def deleted() -> bool:
        return life.record(board, 1) is None and life.record(board, 3) is not None

    await life.until(deleted)
    await life.server.command("erase_player", player_id="maya-1")
    (_, first, _), (rank, anonymous, tiers), (_, third, _) = await life.listed(board, key)
    assert (first, third) == ("maya-0", "maya-2")
    assert (rank, tiers) == (2, ["rest"]) and anonymous.startswith("erased-")
    for name in ("rewards", "claims", "idempotency"):
        for doc_id, body in await life.store.scan(name):
            assert "maya-1" not in doc_id and b"maya-1" not in body
    with pytest.raises(ApiError, match="no reward"):
        await life.claim("maya-1")
    found = await life.reader.find(board, "main", key)
    assert (await life.reader.one(found, anonymous))["claimed"] is True
    with pytest.raises(ApiError, match="no player"):
        await life.server.command("erase_player", player_id="maya-1")


@pytest.mark.parametrize("how", ["purge", "tenant"])
async def test_nothing_is_left_of_what_is_removed(life: Life, how: str) -> None:
    server = life.server
    await server.command("create_tenant", tenant={"tenant_id": "acme"})
    kept = await life.board()
    await life.field(2)
    definition = {"leaderboard_id": "gone", "timeframe": {"type": "permanent"}, "rewards": RULES_MAIN}
    await server.command("create_leaderboard", "acme", definition=definition)
    board = life.supervisor.state.boards["acme/gone"]
    chain = life.supervisor.state.chains[board.chain_id("main")]
    item = ["maya", 5, 0, None, None, None, None]
    actor = server.actors.by_name[chain.home]
    await server._reply(actor, "write", [chain.board_id, server.clock.now_ms(), 2, [item], ["main"]])
    server.clock.move(1000)
    await server.command("close_period", "acme", leaderboard_id="gone", window="main")
    await life.complete(board)
    server.clock.move(HOUR_MS + 60_000)
    await life.complete(kept)
    assert any(i.startswith("acme/maya/gone~") for i in await life.documents())
    if how == "purge":
        await server.command("purge_leaderboard", "acme", leaderboard_id="gone")
    else:
        await server.command("delete_tenant", tenant_id="acme")

    async def clean() -> bool:
        return not any("acme/" in i for i in await life.documents())

    await life.until(clean)
    record = life.record(kept, 1)
    assert record is not None and await life.listed(kept, record.key) == expected(2)


RULES_MAIN = {**RULES, "windows": ["main"]}
