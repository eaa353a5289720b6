"""Granting against a real store: who wins, what is stored, and that a death at any commit changes neither.

The supervisor is a small one of the test's own: a store under an epoch, the real outbox, standings from a
list, and a commit that dies on demand, before or after the documents are durable.
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

from lbactors import claiming, granting
from lbactors.document_pages import read_document
from lbactors.events import Events
from lbactors.granting import EVENT, Rewards, erase_rewards
from lbactors.model import ApiError, Board, Definition, PeriodRecord
from lbactors.reward_documents import (
    CHUNK_WINNERS,
    Claim,
    Promise,
    chain_of_claim,
    claim_doc_id,
    packed,
    player_prefix,
    promise_id,
    winners_of,
)
from lbactors.reward_retention import purge_changes
from lbactors.rewards import Awarding, RewardRules
from lbactors.supervised import ChainState
from lbactors.webhook_documents import BODY
from persistence import open_store
from persistence.store import Change, Store

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

    async def read(self, chain: ChainState, key: str, kind: str, args: list[Any]) -> list[Any]:
        offset, limit = args
        assert kind == "standings"
        rows = list(enumerate(self.standings[key], start=1))[offset : offset + limit]
        self.rows_read += len(rows)
        if self.after_read is not None:
            await self.after_read()
        found = [[rank, player, score, 0, None, 1, 0, 0, "new"] for rank, (player, score) in rows]
        return [None, len(self.standings[key]), 9, found, offset, None, []]


class World:
    """The supervisor as granting sees it. `commits` counts; `die_at`: (commit's number, before | after)."""

    def __init__(self, store: Store, epoch: int) -> None:
        self.store, self.epoch = store, epoch
        self.clock, self.hosting = Clock(), Hosting()
        self.settings: dict[str, Any] = {}
        self.boards: dict[str, Board] = {}
        self.chains: dict[str, ChainState] = {}
        self.lock = asyncio.Lock()  # of commands
        self.commits = 0
        self.die_at: tuple[int, str] | None = None
        self.restart()

    def restart(self) -> None:
        """Another process over the same store."""
        self.events = Events(self)  # type: ignore[arg-type]
        self.events.register("plugin:watch", {EVENT}, None)  # type: ignore[arg-type]
        self.rewards = Rewards(self)  # type: ignore[arg-type]

    async def commit(self, changes: list[Change]) -> None:
        self.commits += 1
        number, when = self.die_at or (0, "")
        if number == self.commits and when == "before":
            raise Died
        await self.store.commit(changes, owner="supervisor", epoch=self.epoch)
        self.events.took(changes)
        if number == self.commits and when == "after":
            raise Died

    def add_chain(self, rewards: Any, leaderboard_id: str = "xp", window: str = "main") -> ChainState:
        definition = Definition.model_validate(
            {"leaderboard_id": leaderboard_id, "rewards": rewards, "windows": ["daily"]}
        )
        board = Board("acme", "u1", definition, 1, 0, 0)
        chain = ChainState(board, window)
        self.boards[f"acme/{leaderboard_id}"], self.chains[chain.chain_id] = board, chain
        return chain

    def close(
        self, chain: ChainState, standings: Standings, serial: int = 1, key: str = "W47"
    ) -> PeriodRecord:
        """A sealed period with these standings."""
        self.hosting.standings[key] = standings
        return PeriodRecord(serial, key, 0, NOW_MS, True, len(standings), 99, 0)

    async def granted(self, chain: ChainState, record: PeriodRecord) -> None:
        await self.commit(self.rewards.begin(chain, record))
        await self.rewards.grant(chain, record)

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
        return await self.rewards.claims.claim(
            self.lock,
            "acme",
            leaderboard_id="xp",
            window="main",
            serial=serial,
            player_id=player_id,
            claim={} if claim is None else claim,
        )


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


# Who wins -------------------------------------------------------------------------------------------------


async def test_winners_are_stored_in_rank_order_with_what_they_won(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    record = world.close(chain, field(1600))
    await world.granted(chain, record)
    winners = await world.winners(chain)
    assert [w[0] for w in winners] == [f"p{i}" for i in range(1280)]
    assert [w[3] for w in winners[:4]] == [[0], [1], [1], [2]]
    promise = await world.promise(chain)
    assert (promise.winners, promise.by_tier, promise.granted_at_ms) == (1280, [1, 2, 1277], NOW_MS)
    chunks = await world.store.scan("rewards", prefix=promise_id(chain.chain_id, 1) + "/0")
    assert [len(winners_of(body)) for _, body in chunks] == [CHUNK_WINNERS, CHUNK_WINNERS, 280]
    (body,) = await world.store.get("claims", [claim_doc_id(chain.chain_id, 1, "p700")])
    expected = Claim(701, 9300, [2], 1, NOW_MS, NOW_MS + 90 * DAY_MS)
    assert Claim(*msgpack.unpackb(body or b"")) == expected
    assert len(await world.store.scan("claims")) == 1280


async def test_no_more_is_read_than_can_win(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS[:2]})
    await world.granted(chain, world.close(chain, field(5000)))
    assert world.hosting.rows_read == 4
    assert [w[0] for w in await world.winners(chain)] == ["p0", "p1", "p2"]


async def test_boards_and_windows_without_rewards_write_nothing(world: World) -> None:
    plain = world.add_chain(None)
    daily = world.add_chain({"tiers": TIERS}, "other", "daily")
    for chain in (plain, daily):
        record = world.close(chain, field(3))
        assert world.rewards.begin(chain, record) == []
        await world.rewards.grant(chain, record)
    assert await world.stored() == {} and not world.hosting.rows_read


async def test_a_period_without_entries_has_granted_everything_at_once(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    await world.granted(chain, world.close(chain, []))
    promise = await world.promise(chain)
    assert (promise.winners, promise.granted_at_ms, world.hosting.rows_read) == (0, NOW_MS, 0)
    assert not await world.events_sent()


async def test_what_was_promised_at_the_closing_holds(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    record = world.close(chain, field(10))
    await world.commit(world.rewards.begin(chain, record))
    chain.board = world.add_chain(None).board
    await world.rewards.grant(world.chains[chain.chain_id], record)
    assert (await world.promise(chain)).by_tier == [1, 2, 5]
    assert (await world.claim("p0"))["rewards"] == [{"tier": "champion", "payload": TIERS[0]["payload"]}]


async def test_standings_that_end_early_end_the_granting(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    record = world.close(chain, field(10))._replace(entries=50)
    await world.granted(chain, record)
    promise = await world.promise(chain)
    assert promise.winners == 10 and promise.granted_at_ms is not None


# Events ---------------------------------------------------------------------------------------------------


async def test_events_list_every_winner_once(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS, "grant": "every"})
    await world.granted(chain, world.close(chain, field(1100)))
    events = await world.events_sent()
    assert [len(e["data"]["players"]) for e in events] == [500, 380]
    first = events[0]
    assert (first["type"], first["tenant_id"], first["leaderboard_id"]) == (EVENT, "acme", "xp")
    assert first["data"]["period"]["period_key"] == "W47"
    assert first["data"]["players"][0] == {
        "player_id": "p0", "rank": 1, "score": 10_000, "tiers": ["champion", "top"],
    }  # fmt: skip
    assert first["data"]["tiers"] == [{"tier": t["name"], "payload": t["payload"]} for t in TIERS]
    assert [t["tier"] for t in events[1]["data"]["tiers"]] == ["top"]
    assert first["data"]["rewards_url"] == "/v1/leaderboards/xp/periods/W47/rewards?window=main"
    listed = [p["player_id"] for e in events for p in e["data"]["players"]]
    assert listed == [f"p{i}" for i in range(880)]


async def test_an_event_stays_below_its_size(world: World) -> None:
    """The longest ids of the widest characters, a hundred tiers for each player, payloads of 64 KiB."""
    payload = {"x": "y" * 630}
    tiers = [
        {"name": f"{i:02d}" + "t" * 62, "rank_from": 1, "rank_to": 1000, "payload": payload}
        for i in range(100)
    ]
    chain = world.add_chain({"tiers": tiers, "grant": "every"})
    players = [(f"{i:04d}" + "\U0001f3c6" * 1020, 5000 - i) for i in range(120)]
    await world.granted(chain, world.close(chain, players))
    bodies = [msgpack.unpackb(body) for _, body in await world.store.scan("deliveries", prefix=f"{BODY}/")]
    assert len(bodies) > 3 and max(map(len, bodies)) < 256 * 1024
    events = [orjson.loads(body) for body in bodies]
    assert [p["rank"] for e in events for p in e["data"]["players"]] == list(range(1, 121))
    assert len({e["id"] for e in events}) == len(events)


# Death ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_death_at_any_commit_changes_nothing(
    world: World, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every commit of a granting in turn; then a new process goes on, until nothing is left to do."""
    monkeypatch.setattr(granting, "CHUNK_WINNERS", 7)
    monkeypatch.setattr("lbactors.rewards.PAGE_ROWS", 5)
    undisturbed = world.add_chain({"tiers": TIERS}, "undisturbed")
    standings = field(40)
    world.commits = 0
    await world.granted(undisturbed, world.close(undisturbed, standings))
    expected = await world.winners(undisturbed)
    needed = world.commits
    assert needed == 6  # begin, four chunks of seven, one of four
    for number in range(2, needed + 1):
        world.restart()
        await world.events.load()
        chain = world.add_chain({"tiers": TIERS}, f"board-{number}")
        record = world.close(chain, standings)
        world.commits, world.die_at = 0, (number, when)
        with pytest.raises(Died):
            await world.granted(chain, record)
        world.die_at = None
        world.restart()
        await world.events.load()
        for _ in range(2):
            await world.rewards.grant(chain, record)
        assert await world.winners(chain) == expected
        promise = await world.promise(chain)
        assert (promise.winners, promise.by_tier) == (32, [1, 2, 29]) and promise.granted_at_ms
        told = [e for e in await world.events_sent() if e["leaderboard_id"] == f"board-{number}"]
        assert len({e["id"] for e in told}) == len(told) == 5
        players = [p["player_id"] for e in told for p in e["data"]["players"]]
        assert players == [f"p{i}" for i in range(32)]


async def test_two_grants_of_one_period_after_each_other_are_one(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    record = world.close(chain, field(20))
    await world.granted(chain, record)
    before, commits = await world.stored(), world.commits
    await world.rewards.grant(chain, record)
    assert (await world.stored(), world.commits) == (before, commits)


async def test_a_purge_during_a_granting_ends_it(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    record = world.close(chain, field(2000))

    async def purge() -> None:
        if chain.chain_id in world.chains:
            await world.commit(purge_changes([chain.chain_id]))
            del world.chains[chain.chain_id], world.boards["acme/xp"]

    world.hosting.after_read = purge
    with pytest.raises(ApiError):
        await world.granted(chain, record)
    await world.rewards.retention.sweep()
    assert await world.stored() == {}


# Claims ---------------------------------------------------------------------------------------------------


async def test_the_first_claim_decides(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS, "grant": "every"})
    await world.granted(chain, world.close(chain, field(10)))
    world.clock.at_ms += 5000
    first = await world.claim("p0", {"claim_id": "order-7"})
    assert first["claimed"] is True and first["claimed_at"] == "2026-11-18T12:00:05.000Z"
    assert [r["tier"] for r in first["rewards"]] == ["champion", "top"]
    assert (first["rank"], first["score"], first["player_id"]) == (1, 10_000, "p0")
    world.clock.at_ms += 5000
    assert await world.claim("p0", {"claim_id": "order-8"}) == first
    assert await world.claim("p0") == first
    await world.claim("p5")
    stored = await world.stored()
    assert stored[f"rewards:{promise_id(chain.chain_id, 1)}/claims"] == [2, [1, 0, 2]]


async def test_what_cannot_be_claimed(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS, "retain_days": 1})
    record = world.close(chain, field(10))
    await world.commit(world.rewards.begin(chain, record))

    async def code(player_id: str, claim: Any = None, serial: int = 1) -> str:
        with pytest.raises(ApiError) as caught:
            await world.claim(player_id, claim, serial)
        return caught.value.code

    assert await code("p0") == "rewards_pending"
    await world.rewards.grant(chain, record)
    assert await code("p9") == await code("p0", serial=2) == "reward_not_found"
    for wrong in ({"claim_id": ""}, {"claim_id": 7}, {"claim_id": "x" * 129}, {"other": 1}, [1]):
        assert await code("p0", wrong) == "validation_failed"
    world.clock.at_ms += DAY_MS
    assert await code("p0") == "reward_not_found"


async def test_who_waits_is_taken_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claiming, "AT_ONCE", 50)
    chain = world.add_chain({"tiers": TIERS})
    await world.granted(chain, world.close(chain, field(200)))
    world.commits = 0
    claims = [world.claim(f"p{n % 80}", {"claim_id": f"tx-{n}"}) for n in range(160)]
    answers = await asyncio.gather(*claims, world.claim("nobody"), return_exceptions=True)
    refused = answers.pop()
    assert isinstance(refused, ApiError) and refused.code == "reward_not_found"
    assert [a["claim_id"] for a in answers if isinstance(a, dict)] == [f"tx-{n % 80}" for n in range(160)]
    assert world.commits == 3  # one, for whom nobody waited yet, then 50, then 29 and what changed nothing
    stored = await world.stored()
    assert stored[f"rewards:{promise_id(chain.chain_id, 1)}/claims"] == [80, [1, 2, 77]]


async def test_claims_whose_commit_fails_are_told_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = world.add_chain({"tiers": TIERS})
    await world.granted(chain, world.close(chain, field(20)))

    async def away(*_: Any) -> None:
        raise ApiError("storage_unavailable", "away")

    with monkeypatch.context() as patch:
        patch.setattr(world, "commit", away)
        answers = await asyncio.gather(*(world.claim(f"p{n}") for n in range(5)), return_exceptions=True)
        assert [getattr(a, "code", a) for a in answers] == ["storage_unavailable"] * 5
        monkeypatch.setattr(claiming, "WAITING", 0)
        with pytest.raises(ApiError, match="too many"):
            await world.claim("p1")
        monkeypatch.setattr(claiming, "WAITING", 10)
    assert (await world.claim("p1"))["claimed"] is True


async def test_claims_take_turns_with_commands(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    await world.granted(chain, world.close(chain, field(20)))
    async with world.lock:
        claim = asyncio.create_task(world.claim("p1"))
        gone = asyncio.create_task(world.claim("p2"))
        await asyncio.sleep(0)
        changes = await erase_rewards(world, "acme", "p1", "erased-1")  # type: ignore[arg-type]
        await world.commit(changes)
        gone.cancel()
    with pytest.raises(ApiError, match="no reward"):
        await claim
    assert not [i for i in await world.stored() if "/p1/" in i]
    assert (await world.claim("p2"))["claimed"] is True


# Erasure --------------------------------------------------------------------------------------------------


def mentions(documents: dict[str, Any], text: str) -> list[str]:
    return [name for name, body in documents.items() if text in name or text in repr(body)]


@pytest.mark.parametrize("player_id", ["maya", "maya/x", "100%", "%2F", "ma~ya"])
def test_ids_of_claims_can_be_read_back(player_id: str) -> None:
    chain_id = "acme/xp~u1/daily"
    doc_id = claim_doc_id(chain_id, 7, player_id)
    assert chain_of_claim("acme", player_id, doc_id) == (chain_id, 7)
    for other in ("maya", "maya/x", "maya/x/", "100", "100%", "%2F", "/", "ma~ya"):
        assert doc_id.startswith(player_prefix("acme", other)) == (other == player_id)


async def test_an_erased_player_leaves_a_place_without_a_name(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    other = world.add_chain({"tiers": TIERS}, "other")
    standings = [("maya", 9), ("maya/x", 8), ("noor", 7)]
    for c in (chain, other):
        await world.granted(c, world.close(c, standings))
    await world.claim("maya", {"claim_id": "order-of-maya"})
    changes = await erase_rewards(world, "acme", "maya", "erased-1")  # type: ignore[arg-type]
    await world.commit(changes)
    stored = await world.stored()
    assert not mentions(stored, "order-of-maya")
    assert all("maya/x" in repr(stored[n]) or "maya%2Fx" in n for n in mentions(stored, "maya"))
    assert await world.winners(chain) == [
        ["erased-1", 1, 9, [0]], ["maya/x", 2, 8, [1]], ["noor", 3, 7, [1]],
    ]  # fmt: skip
    claim = Claim(*stored[f"claims:{claim_doc_id(chain.chain_id, 1, 'erased-1')}"])
    assert (claim.claimed_at_ms, claim.claim_id) == (NOW_MS, None)
    assert await world.winners(chain) == await world.winners(other)
    assert await erase_rewards(world, "acme", "maya", "erased-2") == []  # type: ignore[arg-type]


async def test_a_player_erased_during_a_granting_is_not_named_by_it(world: World) -> None:
    """The page was read before, the winners are stored after the erasure."""
    chain = world.add_chain({"tiers": TIERS})
    record = world.close(chain, [("maya", 9), ("noor", 8)])

    async def erase() -> None:
        changes = await erase_rewards(world, "acme", "maya", "erased-1")  # type: ignore[arg-type]
        assert changes == []

    world.hosting.after_read = erase
    await world.granted(chain, record)
    assert not mentions(await world.stored(), "maya")
    assert [w[0] for w in await world.winners(chain)] == ["erased-1", "noor"]
    assert "maya" not in repr(await world.events_sent())


# What verification reads ----------------------------------------------------------------------------------


async def test_every_document_is_held_against_its_shape(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    await world.granted(chain, world.close(chain, [("maya/x", 9), ("noor", 7.5)]))
    await world.claim("noor")
    await world.commit(purge_changes(["acme/gone~u2/main"]))
    kinds = set()
    for name in ("rewards", "claims"):
        for doc_id, body in await world.store.scan(name):
            kinds.add(type(read_document(name, doc_id, body)))
            damaged = [(doc_id, packed({"hunter2": 1}))]
            if not doc_id.startswith("~"):
                damaged.append((doc_id.replace("0000000001", "1") + "/x", body))
            for damaged_id, damaged_body in damaged:
                with pytest.raises(ValueError, match=r"is not what it should be|stands under an id"):
                    read_document(name, damaged_id, damaged_body)
    assert kinds == {Promise, list, tuple, int, type(None), Claim}


# Retention ------------------------------------------------------------------------------------------------


async def test_rewards_end_when_their_time_is_over(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS, "retain_days": 2})
    await world.granted(chain, world.close(chain, field(1300)))
    await world.claim("p3")
    world.clock.at_ms += DAY_MS
    chain = world.add_chain({"tiers": TIERS, "retain_days": 1})
    await world.granted(chain, world.close(chain, field(2), 2, "W48"))
    await world.granted(chain, world.close(chain, field(2), 3, "W47"))  # the key of the first, used again
    await world.rewards.retention.sweep()
    assert len(await world.store.scan("claims")) == 1040 + 4
    world.clock.at_ms += DAY_MS - 1
    await world.rewards.retention.sweep()
    assert len(await world.store.scan("claims")) == 1040 + 4
    world.clock.at_ms += 1
    await world.rewards.retention.sweep()
    assert await world.stored() == {}


async def test_a_key_that_a_later_period_took_stays_with_it(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS, "retain_days": 1})
    await world.granted(chain, world.close(chain, field(2)))
    chain = world.add_chain({"tiers": TIERS})
    await world.granted(chain, world.close(chain, field(2), 2))
    world.clock.at_ms += DAY_MS
    await world.rewards.retention.sweep()
    stored = await world.stored()
    assert stored[f"rewards:{chain.chain_id}/key/W47"] == 2
    assert f"rewards:{promise_id(chain.chain_id, 1)}" not in stored
    assert len(await world.winners(chain, 2)) == 2


async def test_a_sweep_that_dies_is_made_up_for(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS, "retain_days": 1})
    await world.granted(chain, world.close(chain, field(3000)))
    world.clock.at_ms += DAY_MS
    for _ in range(20):
        world.commits, world.die_at = 0, (2, "before")
        try:
            await world.rewards.retention.sweep()
        except Died:
            continue
        break
    else:
        pytest.fail("never comes to an end")
    assert await world.stored() == {}


async def test_the_task_deletes_by_itself_what_is_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = asyncio.Event()
    retention = world.rewards.retention
    really = retention.sweep

    async def sweep() -> None:
        await really()
        swept.set()

    monkeypatch.setattr(retention, "sweep", sweep)
    task = asyncio.create_task(retention.run())
    await asyncio.wait_for(swept.wait(), 10)
    chain = world.add_chain({"tiers": TIERS})
    await world.granted(chain, world.close(chain, field(3)))
    await world.commit(purge_changes([chain.chain_id]))
    swept.clear()
    retention.look()
    await asyncio.wait_for(swept.wait(), 10)
    assert await world.stored() == {}
    task.cancel()


def test_winners_agree_with_the_rules_alone() -> None:
    """What the tests above count by hand."""
    awarding = Awarding(RewardRules.model_validate({"tiers": TIERS}), 1600, "desc")
    assert sum(bool(awarding.tiers(rank, 0)) for rank in range(1, 1601)) == 1280
