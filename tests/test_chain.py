"""Chains and activations on a real SQLite store, with a clock and a store that obey the test.

`World` plays the supervisor: it writes the period records and tells chains what to be. `Obedient` passes all
calls on to the store, holds them at a gate, or makes them fail. What is read is in `test_reading`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lbactors import activation as activation_module
from lbactors import chain as chain_module
from lbactors import period as period_module
from lbactors.activation import Activation
from lbactors.chain import Chain, ChainSpec, Limits
from lbactors.clock import Clock
from lbactors.model import ApiError, PeriodRecord, Rules
from lbactors.period import FULL, NO_RANK, Applied, Period
from persistence import SqliteStore
from persistence.store import Change, Record, Recovered, StoreError, StoreUnavailable

NOON_MS = 1_795_003_200_000  # 2026-11-18T12:00:00Z
HOUR_MS, GRACE_MS = 3_600_000, 5_000
CHAIN_ID = "default/xp~1/main"
SUM = Rules("sum", "desc", "desc", "first", "ordinal", None, None)


@pytest.fixture(autouse=True)
def _small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_module, "RETRY_S", (0.001,))
    monkeypatch.setattr(activation_module, "SNAPSHOT_ROWS", 8)
    monkeypatch.setattr(period_module, "BUCKET_ENTRIES", 4)


class Gate:
    """Calls of one method wait here until it is opened."""

    def __init__(self) -> None:
        self.entered, self.opened = asyncio.Event(), asyncio.Event()


class Obedient:
    """A store that holds calls at gates, fails them as told, and counts appends."""

    def __init__(self, store: SqliteStore) -> None:
        self.inner = store
        self.appended: list[Record] = []
        self._gates: dict[tuple[str, str], Gate] = {}
        self._faults: dict[str, list[tuple[StoreError, bool]]] = {}

    def hold(self, method: str, serial: int | str = "") -> Gate:
        gate = self._gates[method, f"{CHAIN_ID}/{serial}"] = Gate()
        return gate

    def fail(self, method: str, *, unknown: bool = False, happened: bool = False, times: int = 1) -> None:
        """Let the next calls fail, after they were carried out if they `happened`."""
        error = StoreUnavailable(f"{method} fails as told", unknown=unknown)
        self._faults.setdefault(method, []).extend([(error, happened)] * times)

    async def _wait(self, method: str, name: str) -> None:
        for gate in (self._gates.get((method, name)), self._gates.get((method, f"{CHAIN_ID}/"))):
            if gate is not None:
                gate.entered.set()
                await gate.opened.wait()

    async def recover(self, period_id: str) -> AsyncIterator[Any]:
        await self._wait("recover", period_id)
        async for item in self.inner.recover(period_id):
            yield item

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **named: Any) -> Any:
            await self._wait(method, args[0] if args and isinstance(args[0], str) else "")
            faults = self._faults.get(method)
            error, happened = faults.pop(0) if faults else (None, True)
            result = await getattr(self.inner, method)(*args, **named) if happened else None
            if error is not None:
                raise error
            if method == "append":
                self.appended.append(args[1])
            return result

        return call


def hour(serial: int, length_ms: int | None = HOUR_MS) -> PeriodRecord:
    """Period 1 begins at noon, each at the end of the one before."""
    start_ms = NOON_MS + (serial - 1) * HOUR_MS
    end_ms = None if length_ms is None else start_ms + length_ms
    return PeriodRecord(serial, f"hour-{serial}", start_ms, end_ms, False, 0, 0, start_ms - 30_000)


class World:
    """A store, a clock at 12:30, and chains; the supervisor's part towards them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock(str(directory / "clock"))
        self.store = Obedient(SqliteStore(directory))
        self.chains: list[Chain] = []
        self.version = 0
        self.lost = asyncio.Event()

    async def __aenter__(self) -> World:
        self.at(NOON_MS + HOUR_MS // 2)
        await self.store.inner.open()
        self.epoch = await self.store.inner.take_epoch("supervisor")
        return self

    async def __aexit__(self, *_: object) -> None:
        for chain in self.chains:
            chain.stop()
        await self.store.inner.close()

    def at(self, at_ms: int) -> None:
        self.clock.move(at_ms - self.clock.now_ms())

    async def save(self, *records: PeriodRecord) -> None:
        changes = [Change("periods", f"{CHAIN_ID}/{r.key}", msgpack.packb(list(r))) for r in records]
        await self.store.inner.commit(changes, owner="supervisor", epoch=self.epoch)

    def spec(self, records: list[PeriodRecord], rules: Rules, previous: PeriodRecord | None, more: bool) -> Any:
        self.version += 1
        return ChainSpec(CHAIN_ID, "main", self.version, rules, GRACE_MS, more, records, previous)

    async def chain(
        self,
        *records: PeriodRecord,
        rules: Rules = SUM,
        previous: PeriodRecord | None = None,
        more: bool = True,
        wait: bool = True,
        queue: int = 10_000,
    ) -> Chain:
        """A chain in a new process, as it were: it takes the periods over from any chain before."""
        spec = self.spec(list(records), rules, previous, more)
        limits = Limits(1_000_000, queue)
        chain = Chain(self.store, self.clock, limits, spec, lambda _: self.lost.set())  # type: ignore[arg-type]
        self.chains.append(chain)
        await self.save(*records)
        await chain.become(ChainSpec.from_wire(msgpack.unpackb(msgpack.packb(spec.to_wire()))))
        if wait:
            await chain.loaded()
        return chain

    async def change(self, chain: Chain, **fields: Any) -> None:
        self.version += 1
        await chain.become(chain.spec._replace(version=self.version, **fields))
        await chain.loaded()

    async def seal(self, chain: Chain, serial: int) -> PeriodRecord:
        """Seal, write the record, and tell the chain: what the supervisor does after a period's end."""
        record = await chain.seal(serial)
        await self.save(record)
        await self.change(chain, records=[a.record for a in chain.open], previous=record)
        return record

    async def stored(self, serial: int) -> tuple[int, list[Record], bytes]:
        """What the store holds of a period: the snapshot's seq, the journal after it, all of its bytes."""
        items = [item async for item in self.store.inner.recover(f"{CHAIN_ID}/{serial}")]
        first = items[0]
        assert isinstance(first, Recovered)
        bodies = b"".join(item.body for item in items if not isinstance(item, Recovered))
        return first.seq, [i for i in items if isinstance(i, Record)], bodies


async def submit(
    chain: Chain,
    player_id: str,
    score: float,
    submission_id: str | None = None,
    *,
    occurred_at_ms: int | None = None,
    arrived_at_ms: int | None = None,
) -> tuple[str, Applied]:
    """One submission with its ranks, arriving now: period key and result. ApiError."""
    item = [player_id, score, 0, None, submission_id, occurred_at_ms, None]
    now_ms = chain.clock.now_ms() if arrived_at_ms is None else arrived_at_ms
    (result,) = await chain.submit(now_ms, FULL, [item])
    if isinstance(result, ApiError):
        raise result
    return result


async def refusal(work: Awaitable[Any]) -> str:
    """The code of the ApiError that must come."""
    with pytest.raises(ApiError) as caught:
        await work
    return caught.value.code


async def standings(chain: Chain, ref: str = "current") -> dict[str, tuple[int, float]]:
    rows = (await chain.read(ref, "page", [0, 1000, None, None]))[3]
    return {row.player_id: (row.rank, row.score) for row in rows}


async def eventually(happens: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(5):
        while not happens():
            await asyncio.sleep(0.001)
    assert happens(), what


async def again_serving(chain: Chain, old: Activation) -> None:
    """Wait for the successor of an activation."""
    await eventually(lambda: all(a is not old and a.state == "serving" for a in chain.open), "a successor")
