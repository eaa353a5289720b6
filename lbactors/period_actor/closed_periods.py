"""A chain's closed periods: loaded when someone reads them, let go when nobody does.

A closed period is only read, so it needs no epoch and any process may load it. The one thing that still
changes it is the erasure of a player; it is loaded as a writer for that, and sealed again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping

import msgpack
import structlog

from lbactors.core.ids import in_chain
from lbactors.core.inputs import erase
from lbactors.core.model import PeriodRecord
from lbactors.core.period import NO_RANK
from lbactors.period_actor.activation import Activation
from persistence.store import Store, StoreCorrupt, StoreError, StoreWentBack

TRY_AGAIN_S = 5.0  # between attempts to load what failed, as long as its neighbour is read

log = structlog.get_logger("chain")


class ClosedPeriods(Mapping[int, Activation]):
    """Those that are loaded or being loaded, by serial. `new` makes an activation for a record."""

    def __init__(self, store: Store, chain_id: str, new: Callable[[PeriodRecord], Activation]) -> None:
        self._store = store
        self._chain_id = chain_id
        self._new = new
        self._loaded: dict[int, Activation] = {}
        self._loading: dict[int, asyncio.Task[None]] = {}
        self._failed: dict[int, StoreError] = {}  # why they did not load when last tried
        self._failed_at_s: dict[int, float] = {}

    def __getitem__(self, serial: int) -> Activation:
        return self._loaded[serial]

    def __iter__(self) -> Iterator[int]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)

    async def records(self) -> list[PeriodRecord]:
        """The sealed periods that are kept, oldest first, from the store. StoreError."""
        found = await self._store.scan("periods", prefix=in_chain(self._chain_id, ""))
        records = [PeriodRecord(*msgpack.unpackb(body)) for _, body in found]
        return sorted((r for r in records if r.sealed), key=lambda r: r.serial)

    def begin(self, record: PeriodRecord) -> Activation:
        """Begin to load a closed period."""
        activation = self._new(record._replace(sealed=True))
        self._loaded[record.serial] = activation
        self._loading[record.serial] = asyncio.create_task(self._load(activation))
        return activation

    async def _load(self, activation: Activation) -> None:
        serial = activation.record.serial
        try:
            await activation.load()
            self._note_sound(serial)
        except StoreError as error:
            self._failed[serial], self._failed_at_s[serial] = error, time.monotonic()
            log.error("closed period does not load", period=activation.period_id, error=str(error))
            self._loaded.pop(serial, None)
        finally:
            self._loading.pop(serial, None)

    def _note_sound(self, serial: int) -> None:
        self._failed.pop(serial, None)
        self._failed_at_s.pop(serial, None)

    async def ensure_loaded(self, record: PeriodRecord) -> Activation:
        """A closed period, loaded. ApiError storage_unavailable if it cannot be, period_loading if the chain
        was let go of meanwhile.
        """
        activation = self._loaded.get(record.serial) or self.begin(record)
        loading = self._loading.get(record.serial)
        if activation.state == "loading" and loading is not None:
            await asyncio.wait([loading])
        activation.require_loaded()
        return activation

    def has_failed(self, serial: int) -> bool:
        """Whether one did not load when last tried."""
        return serial in self._failed

    def try_again(self, record: PeriodRecord) -> None:
        """Load one that failed, beside and not at once, unless that is useless."""
        due = time.monotonic() - self._failed_at_s.get(record.serial, 0.0) >= TRY_AGAIN_S
        if due and record.serial not in self._loading and not self.is_lost(record.serial):
            self.begin(record)

    def is_lost(self, serial: int) -> bool:
        """Whether one was found damaged or gone: trying again does not help."""
        return isinstance(self._failed.get(serial), StoreCorrupt | StoreWentBack)

    def take(self, activation: Activation) -> None:
        """A period that was just sealed."""
        self._loaded[activation.record.serial] = activation

    def forget(self, serial: int) -> None:
        """Let go of one."""
        self._note_sound(serial)
        activation = self._loaded.pop(serial, None)
        loading = self._loading.pop(serial, None)
        if loading is not None:
            loading.cancel()
        if activation is not None:
            activation.discard()

    def forget_older(self, serial: int) -> None:
        """Let go of all before a serial."""
        for older in [s for s in {*self._loaded, *self._failed} if s < serial]:
            self.forget(older)

    def forget_idle(self, older_than_ms: int, keep: int) -> None:
        """Let go of those that nobody read since then, but for one serial, and for those that are being
        loaded: somebody waits for them.
        """
        for serial, activation in list(self._loaded.items()):
            if serial != keep and serial not in self._loading and activation.last_used_ms < older_than_ms:
                self.forget(serial)

    def stop(self) -> None:
        """Let go of all."""
        for serial in list(self._loaded):
            self.forget(serial)

    async def erase(self, player_id: str, anonymous_id: str, now_ms: int) -> int:
        """Take a player's name out of every closed period that is kept; how many had an entry. StoreError."""
        sealed = {r.serial: r for r in await self.records()}
        sealed |= {serial: a.record for serial, a in self._loaded.items()}
        count = 0
        for record in sealed.values():
            count += await self._erase_one(record, player_id, anonymous_id, now_ms)
        return count

    async def _erase_one(self, record: PeriodRecord, player_id: str, anonymous_id: str, now_ms: int) -> int:
        reader = await self.ensure_loaded(record)
        journaled = reader.period.seq != reader.period.saved_seq  # an erasure that was interrupted
        if not reader.period.mentions(player_id) and not journaled:
            return 0
        writer = self._new(record._replace(sealed=False))
        writer.rules = reader.period.rules  # those at its end
        await writer.load()
        count = 0
        if writer.period.mentions(player_id):
            count = int(writer.period.entry(player_id) is not None)
            # It has no rank: under another name it might have one if the period were reopened.
            stays = None if writer.period.is_left_out(player_id) else anonymous_id
            await writer.submit([erase(player_id, stays, now_ms)], NO_RANK, final_too=True)
        await writer.seal()
        writer.record = record
        if self._loaded.get(record.serial) is reader:
            self._loaded[record.serial] = writer
            reader.discard()
        else:  # let go of meanwhile
            writer.discard()
        return count

    def check(self) -> None:
        """Assert every invariant; called throughout the tests. It holds whenever another task runs."""
        loading = {serial for serial, activation in self._loaded.items() if activation.state == "loading"}
        assert loading == set(self._loading), f"tasks load {set(self._loading)}, loading are {loading}"
        assert self._failed.keys() == self._failed_at_s.keys()
        for serial, activation in self._loaded.items():
            assert activation.record.serial == serial and activation.record.sealed, activation.period_id
            assert activation.state in ("loading", "sealed"), f"{activation.period_id}: {activation.state}"
            activation.check()
