"""What ends an activation, and what its successor does with its state: leases, fences, stores that go back.

The world of `test_chain`: a real SQLite store between, which holds calls or fails them as told. The monotonic
clock that leases go by is moved by the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lbactors.core.errors import ApiError
from lbactors.core.period import FULL
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.actor import PeriodActor
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.chain_reads import read
from lbactors.period_actor.entry_edits import erase
from lbactors.period_actor.journaling import JournalWriter
from lbactors.wire.chain_spec import ChainSpec
from lbactors.wire.replies import ERROR, VALUE
from persistence.sqlite.store import SqliteStore
from persistence.store import SeqMismatch
from tests.support.actor_settings import actor_settings
from tests.support.chain_world import (
    BOARD_ID,
    CHAIN_ID,
    GRACE_MS,
    NOON_MS,
    SUM,
    World,
    hour,
    refusal,
    standings,
    submit,
)

LEASE_S = 10.0
LONG_S = 3.0  # in the place of LONG_WRITE_S, which a busy machine can take without a pause
PERIOD = f"{CHAIN_ID}/1"


class Monotonic:
    """The clock of leases: the real one, and what the test adds."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        import time

        self._real = time.monotonic
        self.ahead_s = 0.0
        patch.setattr(
            "lbactors.period_actor.activation.time.monotonic", lambda: self._real() + self.ahead_s
        )  # all have it


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> Monotonic:
    return Monotonic(monkeypatch)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "data").mkdir()
    async with World(tmp_path / "data") as world:
        yield world


def settings_in(directory: Path) -> dict[str, Any]:
    return actor_settings(
        store_url=f"sqlite:{directory}",
        lease_seconds=LEASE_S,
        clock_file=str(directory / "clock"),
        seen_ids_limit=1000,
        queue_limit=1000,
        snapshot_inputs=1000,
        snapshot_seconds=3600,
        idle_unload_seconds=3600,
        log_level="warning",
    ).to_wire()


async def again(chain: Chain, state: str) -> Activation:
    """Wait until the chain's open period is in a state."""
    await until(lambda: chain.open[0].state == state)
    return chain.open[0]


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def recovers(world: World) -> list[str]:
    """Count the full loads from now on."""
    seen: list[str] = []
    plain = world.store.recover

    def counted(period_id: str) -> Any:
        seen.append(period_id)
        return plain(period_id)

    world.patch.setattr(world.store, "recover", counted)
    return seen


# The lease ------------------------------------------------------------------------------------------------


async def test_without_the_store_for_longer_than_its_lease_it_takes_no_writes(
    world: World, monotonic: Monotonic
) -> None:
    chain = await world.chain(hour(1), lease_s=LEASE_S)
    await submit(chain, "ann", 1)
    monotonic.ahead_s += LEASE_S - 1
    await submit(chain, "ann", 2)  # which reached the store: the lease begins anew
    monotonic.ahead_s += LEASE_S - 1
    await submit(chain, "ann", 3)
    monotonic.ahead_s += LEASE_S + 1
    appends = len(world.store.appended)
    with pytest.raises(ApiError, match=r"not reached for 1[1-9] s") as caught:
        await submit(chain, "ann", 4)
    assert caught.value.code == "storage_unavailable"
    assert len(world.store.appended) == appends, "not even tried"
    assert await standings(chain) == {"ann": (1, 6)}, "readers are served"
    (highest,) = await world.store.inner.epochs([PERIOD])
    chain.open[0].renewed(highest)
    await submit(chain, "ann", 4)
    assert await standings(chain) == {"ann": (1, 10)}


async def test_an_idle_activation_learns_that_another_one_began(world: World) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "ann", 1)
    await world.store.inner.take_epoch(PERIOD)
    (highest,) = await world.store.inner.epochs([PERIOD])
    old = chain.open[0]
    old.renewed(highest)
    assert old.state == "gone"
    await asyncio.wait_for(world.lost.wait(), 10)
    assert await refusal(submit(chain, "ann", 1)) == "storage_unavailable"
    assert await refusal(read(chain, "current", "page", [0, 10, None, None])) == "storage_unavailable"


@pytest.mark.parametrize("pause_s", [0.0, LONG_S * 2, LEASE_S * 2])
@pytest.mark.parametrize("overtaken", [False, True])
async def test_what_was_journaled_before_a_pause_is_confirmed_after_it(
    tmp_path: Path, monotonic: Monotonic, pause_s: float, overtaken: bool
) -> None:
    """The process stops between the append and its answer, and another one may take over meanwhile."""
    store = SqliteStore(tmp_path)
    await store.open()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        actor = PeriodActor("period-1", settings_in(tmp_path))
        spec = ChainSpec(CHAIN_ID, "main", 1, SUM, GRACE_MS, True, [hour(1)], None, 1)
        await actor.host(msgpack.packb([[spec.to_wire()], True]))
        plain = JournalWriter._append

        async def paused(writer: JournalWriter, *arguments: Any) -> Any:
            results = await plain(writer, *arguments)
            monotonic.ahead_s += pause_s
            if overtaken:
                await store.take_epoch(PERIOD)
            return results

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(JournalWriter, "_append", paused)
            patch.setattr("lbactors.period_actor.actor.LONG_WRITE_S", LONG_S)
            item = ["ann", 1, 0, None, "id", None, None]
            op = [BOARD_ID, NOON_MS, FULL, [item], ["main"]]
            (reply,) = msgpack.unpackb(await actor.write(msgpack.packb([actor.clock.now_ms(), [op]])))
        if overtaken and pause_s:
            assert reply[0] == ERROR and reply[1][0] == "storage_unavailable", "so the client asks again"
            assert CHAIN_ID not in actor.chains, "and this one is over"
        else:  # without a pause the answer is as good as sent before
            assert reply[0] == VALUE
        assert await store.last_seq(PERIOD) == 1
        await actor.stop()


# Taking a state over --------------------------------------------------------------------------------------


@pytest.mark.parametrize("happened", [True, False])
async def test_after_an_unknown_append_the_state_is_taken_over(world: World, happened: bool) -> None:
    chain = await world.chain(hour(1))
    for number in range(20):
        await submit(chain, f"p{number}", number, f"id-{number}")
    loads = await recovers(world)
    epoch, gate = chain.open[0].epoch, world.store.hold("records_after", 1)
    world.store.fail("append", 1, unknown=True, happened=happened)
    assert await refusal(submit(chain, "p3", 100, "uncertain")) == "storage_unavailable"
    await gate.entered.wait()
    assert (await standings(chain))["p3"] == (17, 3), "readable meanwhile, without what is uncertain"
    gate.opened.set()
    now = await again(chain, "serving")
    assert now.epoch == epoch + 1
    assert not loads, "nothing was loaded again"
    key, result = await submit(chain, "p3", 100, "uncertain")
    assert (result.duplicate, (await standings(chain))["p3"]) == (happened, (1, 103)), key
    now.period.check()
    successor = await world.chain(hour(1))
    assert await standings(successor) == await standings(chain), "and the journal tells the same"


async def test_a_snapshot_under_way_does_not_spoil_what_is_taken_over(world: World) -> None:
    chain = await world.chain(hour(1))
    for number in range(40):
        await submit(chain, f"p{number}", number)
    epoch, gate = chain.open[0].epoch, world.store.hold("put_parts", 1)
    snapshot = asyncio.create_task(chain.open[0].snapshot())
    await gate.entered.wait()
    world.store.fail("append", 1, unknown=True, happened=True)
    assert await refusal(submit(chain, "p0", 1000)) == "storage_unavailable"
    await until(lambda: chain.open[0].last_epoch > epoch)  # its successor has taken the next one
    gate.opened.set()
    assert isinstance((await asyncio.gather(snapshot, return_exceptions=True))[0], Exception), "fenced"
    now = await again(chain, "serving")
    await submit(chain, "late", 7)
    assert await now.snapshot()
    now.period.check()
    expected = await standings(chain)
    assert expected["p0"] == (1, 1000)
    chain.stop()
    assert await standings(await world.chain(hour(1))) == expected


@pytest.mark.parametrize("act", ["erase", "leave"])
async def test_nobody_waits_behind_a_gentle_snapshot(world: World, act: str) -> None:
    """It is gentle to writers; whoever needs a snapshot to be done has it done at once."""
    chain = await world.chain(hour(1))
    for number in range(40):
        await submit(chain, f"p{number}", number)
    world.patch.setattr("lbactors.period_actor.activation.SNAPSHOT_PAUSES", 1e9)
    gate, step = world.store.hold("append", 1), world.store.hold("put_parts", 1)
    writing = asyncio.create_task(submit(chain, "p0", 1000))
    await gate.entered.wait()
    gentle = asyncio.create_task(chain.open[0].snapshot(gentle_inputs=1_000_000))
    await step.entered.wait()
    step.opened.set()
    acting = asyncio.create_task(erase(chain, "stranger", "nobody") if act == "erase" else chain.leave())
    assert await asyncio.wait_for(gentle, 10)
    gate.opened.set()
    async with asyncio.timeout(10):
        await writing
        await acting


@pytest.mark.parametrize("between", ["look and epoch", "append and look"])
async def test_a_process_that_stood_still_does_not_take_its_period_back(world: World, between: str) -> None:
    """Its append ended unknown, and meanwhile another activation began elsewhere."""
    chain = await world.chain(hour(1))
    await submit(chain, "ann", 1)
    world.store.fail("append", 1, unknown=True)
    gate = world.store.hold("append" if between == "append and look" else "take_epoch", 1)
    uncertain = asyncio.create_task(refusal(submit(chain, "ann", 2)))
    await gate.entered.wait()
    other = Activation(world.store.inner, world.clock, CHAIN_ID, hour(1), SUM, 1000)
    await other.load()
    gate.opened.set()
    assert await uncertain == "storage_unavailable"
    await asyncio.wait_for(world.lost.wait(), 10)
    assert chain.open[0].state == "gone"
    assert await refusal(submit(chain, "ann", 2)) == "storage_unavailable"
    if between == "append and look":
        await other.submit([[0, world.clock.now_ms(), "ben", 5, 0, None, None, None]], 0)


@pytest.mark.parametrize("lost", [1, 3])
async def test_an_epoch_that_was_taken_and_whose_reply_was_lost_fences_nobody(
    world: World, lost: int
) -> None:
    """It is this process's own: readers and the state stay, and the next attempt takes the one after it."""
    chain = await world.chain(hour(1))
    await submit(chain, "ann", 1)
    loads, epoch = await recovers(world), chain.open[0].epoch
    world.store.fail("take_epoch", 1, unknown=True, happened=True, n=lost)
    world.store.fail("append", 1, unknown=True)
    assert await refusal(submit(chain, "ann", 2)) == "storage_unavailable"
    now = await again(chain, "serving")
    assert now.epoch == epoch + lost + 1
    assert not world.lost.is_set() and not loads
    await submit(chain, "ann", 2)
    assert await standings(chain) == {"ann": (1, 3)}


async def test_one_that_was_taken_for_a_whole_load_fences_nobody_either(world: World) -> None:
    """The journal does not go on from the state, so all is loaded; and the load fails in between."""
    chain = await world.chain(hour(1))
    await submit(chain, "ann", 1)
    world.store.fault("records_after", 1, SeqMismatch("a snapshot covers more"), n=2)
    world.store.fail("recover", 1)
    world.store.fail("take_epoch", 1, unknown=True, happened=True)
    world.store.fail("append", 1, unknown=True)
    assert await refusal(submit(chain, "ann", 2)) == "storage_unavailable"
    await again(chain, "serving")
    assert not world.lost.is_set()
    assert await standings(chain) == {"ann": (1, 1)}


async def test_after_a_lost_reply_too_somebody_else_is_noticed(world: World) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "ann", 1)
    gate = world.store.hold("last_seq", 1)
    world.store.fail("take_epoch", 1, unknown=True, happened=True)
    world.store.fail("append", 1, unknown=True)
    assert await refusal(submit(chain, "ann", 2)) == "storage_unavailable"
    await gate.entered.wait()
    for _ in range(2):
        other = Activation(world.store.inner, world.clock, CHAIN_ID, hour(1), SUM, 1000)
        await other.load()
    gate.opened.set()
    await asyncio.wait_for(world.lost.wait(), 10)
    assert chain.open[0].state == "gone"


async def test_the_store_away_for_long_costs_attempts_and_no_state(world: World) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "ann", 1)
    world.store.fail("take_epoch", 1, n=30)
    world.store.fail("append", 1, unknown=True)
    assert await refusal(submit(chain, "ann", 2)) == "storage_unavailable"
    for _ in range(20):
        assert await standings(chain) == {"ann": (1, 1)}
        await asyncio.sleep(0.001)
    await again(chain, "serving")
    await submit(chain, "ann", 2)
    assert await standings(chain) == {"ann": (1, 3)}


# A store that goes back -----------------------------------------------------------------------------------


async def put_back(world: World, old: Path) -> None:
    """Put an older copy of the store's files in its place, under the same open handles of the world."""
    await world.store.inner.close()
    directory = world.store.inner.directory
    for file in directory.glob("*.sqlite3*"):
        file.unlink()
    for file in old.glob("*.sqlite3*"):
        shutil.copy(file, directory)
    await world.store.inner.open()


async def copy_of(world: World, to: Path) -> Path:
    directory = world.store.inner.directory
    await world.store.inner.close()
    shutil.copytree(directory, to)
    await world.store.inner.open()
    return to


@pytest.mark.parametrize("emptied", [False, True])
async def test_a_store_that_went_back_is_refused_and_the_state_stays_readable(
    world: World, tmp_path: Path, emptied: bool
) -> None:
    world.patch.setattr("lbactors.period_actor.open_periods.WENT_BACK_RETRY_S", 0.001)
    (tmp_path / "nothing").mkdir()
    chain = await world.chain(hour(1))
    await submit(chain, "ann", 1)
    old = await copy_of(world, tmp_path / "old")
    await submit(chain, "ann", 2)
    newest = await copy_of(world, tmp_path / "newest")
    await put_back(world, tmp_path / "nothing" if emptied else old)
    for _ in range(3):
        with pytest.raises(ApiError) as caught:
            await submit(chain, "ann", 4)
        assert caught.value.code == "storage_unavailable"
        assert await standings(chain) == {"ann": (1, 3)}, "what was acknowledged is still shown"
        await asyncio.sleep(0.01)
    assert "lost what it had acknowledged" in caught.value.message
    assert (await world.store.inner.last_seq(PERIOD)) == (0 if emptied else 1), "nothing was written"
    await put_back(world, newest)  # the right data again: it goes on by itself
    await again(chain, "serving")
    await submit(chain, "ann", 4)
    assert await standings(chain) == {"ann": (1, 7)}


async def test_a_new_process_refuses_what_is_behind_the_floor_that_it_was_told(world: World) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "ann", 1)
    chain.stop()
    world.patch.setattr("lbactors.period_actor.open_periods.WENT_BACK_RETRY_S", 0.001)
    fresh = await world.chain(hour(1), wait=False, floors={1: 2})
    await until(lambda: "seq 2 was acknowledged" in fresh.open[0].reason)
    assert await refusal(submit(fresh, "ann", 1)) in ("storage_unavailable", "period_loading")
    fresh.stop()
    assert await standings(await world.chain(hour(1), floors={1: 1})) == {"ann": (1, 1)}


async def test_a_sealed_period_that_lost_its_standings_is_not_served_empty(world: World) -> None:
    chain = await world.chain(hour(1), hour(2))
    await submit(chain, "ann", 1)
    record = await chain.seal(1)
    chain.stop()
    await world.store.inner.drop_periods([PERIOD])
    fresh = await world.chain(record._replace(sealed=True), hour(2), previous=record)
    code = await refusal(read(fresh, "hour-1", "page", [0, 10, None, None]))
    assert code == "storage_unavailable"
