"""Claims of rewards: the first one decides; who waits is taken together, and takes turns with commands."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.documents.rewards import promise_id
from lbactors.supervisor.rewards import claiming
from tests.support.supervisor.rewards_world import DAY_MS, TIERS, World, field

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
    await world.commit(await world.rewards.begin(chain, record))

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
        patch.setattr(world.state, "commit", away)
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
        changes = await world.rewards.erase("acme", "p1", "erased-1")
        await world.commit(changes)
        gone.cancel()
    with pytest.raises(ApiError, match="no reward"):
        await claim
    assert not [i for i in await world.stored() if "/p1/" in i]
    assert (await world.claim("p2"))["claimed"] is True
