"""Granting against real stores: who wins, what is stored and told; a death at any commit changes neither."""

from __future__ import annotations

from typing import Any

import msgpack
import orjson
import pytest

from lbactors.core.errors import ApiError
from lbactors.core.reward_rules import Awarding, RewardRules
from lbactors.documents.rewards import CHUNK_WINNERS, Claim, claim_doc_id, promise_id, winners_of
from lbactors.documents.webhooks import BODY
from lbactors.supervisor.rewards import granting
from lbactors.supervisor.rewards.granting import EVENT
from lbactors.supervisor.rewards.retention import purge_changes
from tests.support.supervisor.rewards_world import DAY_MS, NOW_MS, TIERS, Died, World, field

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
        assert await world.rewards.begin(chain, record) == []
        await world.rewards.grant(chain, record)
    assert await world.stored() == {} and not world.hosting.rows_read


async def test_a_period_without_entries_has_granted_everything_at_once(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    await world.granted(chain, world.close(chain, []))
    promise = await world.promise(chain)
    assert (promise.winners, promise.granted_at_ms, world.hosting.rows_read) == (0, NOW_MS, 0)
    assert not await world.events_sent()


async def test_a_period_that_is_closed_again_grants_to_who_had_won_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose rank is another by then; chunks stay full, and the events tell of the new winners alone."""
    for module in ("supervisor.rewards.granting", "documents.rewards"):
        monkeypatch.setattr(f"lbactors.{module}.CHUNK_WINNERS", 4)
    chain = world.add_chain({"tiers": [{"name": "best", "rank_from": 1, "rank_to": 10}]})
    record = world.close(chain, [(f"p{i}", 100 - i) for i in range(6)])
    await world.granted(chain, record)
    for times in (1, 2):
        await world.commit(await world.rewards.reopen(chain, record))
        chain.board = world.add_chain({"tiers": TIERS}).board
        chain = world.chains[chain.chain_id]
        late = [(f"new{times}{i}", 1000 * times - i) for i in range(5)]
        record = world.close(chain, [*late, *((f"p{i}", 100 - i) for i in range(6))])
        record = record._replace(reopened=times)
        world.die_at = (world.commits + 2, "after")  # the first of its chunks
        while True:
            try:
                await world.commit(await world.rewards.begin(chain, record))
                while not await world.rewards.grant(chain, record):
                    pass
                break
            except Died:
                world.die_at = None
                world.restart()
                await world.events.load()
                while not await world.rewards.grant(chain, record):
                    pass
                break
    players = [f"p{i}" for i in range(6)] + [f"new{times}{i}" for times in (1, 2) for i in range(5)]
    assert [w[0] for w in await world.winners(chain)] == players
    promise = await world.promise(chain)
    assert (promise.winners, promise.by_tier, promise.reopened) == (16, [16], 2)
    chunks = await world.store.scan("rewards", prefix=promise_id(chain.chain_id, 1) + "/0")
    assert [len(winners_of(body)) for _, body in chunks] == [4, 4, 4, 4]
    for number, player in enumerate(players):
        (body,) = await world.store.get("claims", [claim_doc_id(chain.chain_id, 1, player)])
        assert Claim(*msgpack.unpackb(body or b"")).chunk == number // 4
    events = await world.events_sent()
    assert len({event["id"] for event in events}) == len(events)
    assert sorted(p["player_id"] for e in events for p in e["data"]["players"]) == sorted(players)
    expiries = await world.store.scan("rewards", prefix="~expiry/")
    assert len(expiries) == 1


async def test_what_was_promised_at_the_closing_holds(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    record = world.close(chain, field(10))
    await world.commit(await world.rewards.begin(chain, record))
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


def test_winners_agree_with_the_rules_alone() -> None:
    """What the tests above count by hand."""
    awarding = Awarding(RewardRules.model_validate({"tiers": TIERS}), 1600, "desc")
    assert sum(bool(awarding.tiers(rank, 0)) for rank in range(1, 1601)) == 1280


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
    monkeypatch.setattr("lbactors.core.reward_rules.PAGE_ROWS", 5)
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
            assert await world.rewards.grant(chain, record)
        assert await world.winners(chain) == expected
        promise = await world.promise(chain)
        assert (promise.winners, promise.by_tier) == (32, [1, 2, 29]) and promise.granted_at_ms
        told = [e for e in await world.events_sent() if e["leaderboard_id"] == f"board-{number}"]
        assert len({e["id"] for e in told}) == len(told) == 5
        players = [p["player_id"] for e in told for p in e["data"]["players"]]
        assert players == [f"p{i}" for i in range(32)]


async def test_a_long_granting_is_many_calls(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between them others have the chain's lock."""
    monkeypatch.setattr(granting, "CHUNK_WINNERS", 10)
    monkeypatch.setattr(granting, "CHUNKS_AT_ONCE", 2)
    chain = world.add_chain({"tiers": TIERS})
    record = world.close(chain, field(100))
    await world.commit(await world.rewards.begin(chain, record))
    found = []
    while not await world.rewards.grant(chain, record):
        promise = await world.promise(chain)
        found.append((promise.winners, promise.granted_at_ms))
    assert found == [(20, None), (40, None), (60, None), (80, None)]
    assert [w[1] for w in await world.winners(chain)] == list(range(1, 81))
    assert (await world.promise(chain)).granted_at_ms == NOW_MS


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
    await world.reward_retention.sweep()
    assert await world.stored() == {}


# Erasure --------------------------------------------------------------------------------------------------


def mentions(documents: dict[str, Any], text: str) -> list[str]:
    return [name for name, body in documents.items() if text in name or text in repr(body)]


async def test_an_erased_player_leaves_a_place_without_a_name(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    other = world.add_chain({"tiers": TIERS}, "other")
    standings = [("maya", 9), ("maya/x", 8), ("noor", 7)]
    for c in (chain, other):
        await world.granted(c, world.close(c, standings))
    await world.claim("maya", {"claim_id": "order-of-maya"})
    changes = await world.rewards.erase("acme", "maya", "erased-1")
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
    assert await world.rewards.erase("acme", "maya", "erased-2") == []


async def test_a_player_erased_during_a_granting_is_not_named_by_it(world: World) -> None:
    """The page was read before, the winners are stored after the erasure."""
    chain = world.add_chain({"tiers": TIERS})
    record = world.close(chain, [("maya", 9), ("noor", 8)])

    async def erase() -> None:
        changes = await world.rewards.erase("acme", "maya", "erased-1")
        assert changes == []

    world.hosting.after_read = erase
    await world.granted(chain, record)
    assert not mentions(await world.stored(), "maya")
    assert [w[0] for w in await world.winners(chain)] == ["erased-1", "noor"]
    assert "maya" not in repr(await world.events_sent())
