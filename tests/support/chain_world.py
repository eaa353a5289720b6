"""A chain and its activations on a real SQLite store, with a clock and a store that obey the test.

`World` plays the supervisor: it writes the period records and tells chains what to be. `Obedient` passes all
calls on to the store, holds them at a gate, or makes them fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import msgpack
import pytest

from lbactors.clock import Clock
from lbactors.core.definition import Rules
from lbactors.core.errors import ApiError
from lbactors.core.model import PeriodRecord
from lbactors.core.period import FULL, Applied
from lbactors.period_actor.chain import Chain, Limits
from lbactors.period_actor.chain_reads import read
from lbactors.period_actor.leaderboard import Leaderboard
from lbactors.wire.chain_spec import ChainSpec
from lbactors.wire.writes import Verdict
from persistence.sqlite.store import SqliteStore
from persistence.store import Change, Record, Recovered, StoreError, StoreUnavailable

NOON_MS = 1_795_003_200_000  # 2026-11-18T12:00:00Z
HOUR_MS, GRACE_MS = 3_600_000, 5_000
END_MS = NOON_MS + HOUR_MS  # of period 1
OVER_MS = END_MS + GRACE_MS + 1_000  # when it is sealed
BOARD_ID = "default/xp~1"
CHAIN_ID = f"{BOARD_ID}/main"
SUM = Rules("sum", "desc", "desc", "first", "ordinal", None, None)


class Gate:
    """Calls of one method for one period wait here until it is opened."""

    def __init__(self) -> None:
        self.entered, self.opened = asyncio.Event(), asyncio.Event()


class Obedient:
    """A store that holds calls at gates, fails them as told, and counts appends."""

    def __init__(self, store: SqliteStore) -> None:
        self.inner = store
        self.appended: list[Record] = []
        self._gates: dict[tuple[str, str], Gate] = {}
        self._faults: dict[tuple[str, str], list[tuple[StoreError, bool]]] = {}

    def hold(self, method: str, serial: int) -> Gate:
        gate = self._gates[method, f"{CHAIN_ID}/{serial}"] = Gate()
        return gate

    def fail(
        self, method: str, serial: int, unknown: bool = False, happened: bool = False, n: int = 1
    ) -> None:
        """Let the next calls fail, after they were carried out if they `happened`."""
        self.fault(method, serial, StoreUnavailable(f"{method} fails as told", unknown=unknown), happened, n)

    def fault(self, method: str, serial: int, error: StoreError, happened: bool = False, n: int = 1) -> None:
        """Let the next calls fail with an error."""
        self._faults.setdefault((method, f"{CHAIN_ID}/{serial}"), []).extend([(error, happened)] * n)

    async def _obey(self, method: str, name: str) -> tuple[StoreError | None, bool]:
        gate, faults = self._gates.get((method, name)), self._faults.get((method, name))
        if gate is not None:
            gate.entered.set()
            await gate.opened.wait()
        return faults.pop(0) if faults else (None, True)

    async def recover(self, period_id: str) -> AsyncIterator[Any]:
        error, _ = await self._obey("recover", period_id)
        if error is not None:
            raise error
        async for item in self.inner.recover(period_id):
            yield item

    async def records_after(self, period_id: str, seq: int) -> AsyncIterator[Record]:
        error, _ = await self._obey("records_after", period_id)
        if error is not None:
            raise error
        async for record in self.inner.records_after(period_id, seq):
            yield record

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **named: Any) -> Any:
            error, happens = await self._obey(method, args[0] if args and isinstance(args[0], str) else "")
            result = await getattr(self.inner, method)(*args, **named) if happens else None
            if error is not None:
                raise error
            if method == "append":
                self.appended.append(args[1])
            return result

        return call


def hour(serial: int) -> PeriodRecord:
    """Period 1 begins at noon, each at the end of the one before."""
    start_ms = NOON_MS + (serial - 1) * HOUR_MS
    return PeriodRecord(serial, f"hour-{serial}", start_ms, start_ms + HOUR_MS, False, 0, 0, start_ms)


class World:
    """A store, a clock at 12:30, and chains; the supervisor's part towards them."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock(str(directory / "clock"))
        self.store = Obedient(SqliteStore(directory))
        self.chains: list[Chain] = []
        self.lost = asyncio.Event()
        self.patch = pytest.MonkeyPatch()

    async def __aenter__(self) -> World:
        for name, value in (
            ("open_periods.RETRY_S", (0.001,)),
            ("activation.SNAPSHOT_ROWS", 8),
        ):
            self.patch.setattr(f"lbactors.period_actor.{name}", value)
        self.patch.setattr("lbactors.core.period.BUCKET_ENTRIES", 4)
        self.at(NOON_MS + HOUR_MS // 2)
        await self.store.inner.open()
        self.epoch = await self.store.inner.take_ownership("supervisor")
        return self

    async def __aexit__(self, *_: object) -> None:
        for chain in self.chains:
            chain.check()
            chain.stop()
        await self.store.inner.close()
        self.patch.undo()

    def at(self, at_ms: int) -> None:
        self.clock.move(at_ms - self.clock.now_ms())

    async def save(self, *records: PeriodRecord) -> None:
        changes = [Change("periods", f"{CHAIN_ID}/{r.key}", msgpack.packb(list(r))) for r in records]
        await self.store.inner.commit(changes, owner="supervisor", epoch=self.epoch)

    async def chain(
        self,
        *records: PeriodRecord,
        wait: bool = True,
        queue: int = 10_000,
        lease_s: float = 60.0,
        **fields: Any,
    ) -> Chain:
        """A chain in a new process, as it were: it takes the periods over from any chain before."""
        spec = ChainSpec(CHAIN_ID, "main", 1, SUM, GRACE_MS, True, list(records), None, 1)
        spec, store = spec._replace(**fields), cast(Any, self.store)
        chain = Chain(store, self.clock, Limits(1_000_000, queue, lease_s), spec, lambda _: self.lost.set())
        self.chains.append(chain)
        await self.save(*records)
        await chain.become(ChainSpec.from_wire(msgpack.unpackb(msgpack.packb(spec.to_wire()))))
        chain.check()
        if wait:
            await chain.wait_loaded()
        return chain

    async def change(self, chain: Chain, *, wait: bool = True, **fields: Any) -> None:
        await chain.become(chain.spec._replace(version=chain.spec.version + 1, **fields))
        chain.check()
        if wait:
            await chain.wait_loaded()

    async def seal(self, chain: Chain, serial: int) -> PeriodRecord:
        """Seal, write the record, and tell the chain: what the supervisor does after a period's end."""
        record = await chain.seal(serial)
        chain.check()
        await self.save(record)
        await self.change(chain, records=[a.record for a in chain.open], previous=record)
        return record

    async def stored(self, serial: int) -> tuple[int, list[Record], bytes]:
        """What the store holds of a period: the snapshot's seq, the journal after it, all of its bytes."""
        first, *items = [item async for item in self.store.inner.recover(f"{CHAIN_ID}/{serial}")]
        bodies = b"".join(item.body for item in items if not isinstance(item, Recovered))
        return cast(Recovered, first).seq, [i for i in items if isinstance(i, Record)], bodies


async def submit(
    chain: Chain, player_id: str, score: float, submission_id: str | None = None, **times: int | None
) -> tuple[str, Applied]:
    """One submission: period key and result with ranks. times: occurred_at_ms, arrived_at_ms. ApiError."""
    item = [player_id, score, 0, None, submission_id, times.get("occurred_at_ms"), None]
    now_ms = times.get("arrived_at_ms") or chain.clock.now_ms()
    (verdict,) = await submit_all(chain, [item], FULL, now_ms)
    chain.check()
    if isinstance(verdict, ApiError):
        raise verdict
    assert verdict is not None and not isinstance(verdict[0], str)
    return verdict[0]


async def submit_all(
    chain: Chain, items: list[list[Any]], want: int, arrived_at_ms: int | None = None
) -> list[Verdict]:
    """Submissions to a leaderboard that has this chain alone. ApiError."""
    return await leaderboard(chain).submit([chain], items, arrived_at_ms or chain.clock.now_ms(), want)


def leaderboard(*chains: Chain) -> Leaderboard:
    """Of these windows. They share a writer if they were made with one."""
    board = Leaderboard(chains[0].store, chains[0].clock, chains[0].limits.queue_inputs)
    board.writer = chains[0].writer
    for chain in chains:
        board.add(chain)
    return board


async def refusal(work: Awaitable[Any]) -> str:
    """The code of the ApiError that must come."""
    with pytest.raises(ApiError) as caught:
        await work
    return caught.value.code


async def standings(chain: Chain, ref: str = "current") -> dict[str, tuple[int, float]]:
    rows = (await read(chain, ref, "page", [0, 1000, None, None]))[3]
    return {row.player_id: (row.rank, row.score) for row in rows}


async def two_windows(world: World, *records: PeriodRecord) -> tuple[Chain, Chain, Leaderboard]:
    """A leaderboard whose windows have the same periods."""
    main = await world.chain(*records)
    spec = ChainSpec(f"{BOARD_ID}/daily", "daily", 1, SUM, GRACE_MS, True, list(records), None, 1)
    limits = Limits(1_000_000, 10_000, 60.0)
    daily = Chain(main.store, world.clock, limits, spec, lambda _: None, writer=main.writer)
    world.chains.append(daily)
    await daily.become(spec)
    await daily.wait_loaded()
    return main, daily, leaderboard(main, daily)
