"""What the contract suite needs of a backend, and how its tests write, read and ask for refusals."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from persistence.store import Part, Record, Recovered, Store


class Backend(ABC):
    """One store that lives as long as the test, and ways to hurt it that no contract offers.

    `CLAIMS`: whether `claim` decides who uses the store; False where something else does, a lock say.
    `CLUSTERED`: whether journals are in several places, each appended to by itself.
    `KNOWS_ITS_END`: whether a journal's last record can be missed when it is lost.
    """

    CLAIMS = True
    CLUSTERED = False
    KNOWS_ITS_END = True

    @abstractmethod
    def handle(self) -> Store:
        """One more handle on the store, not opened: the view of another process."""

    @abstractmethod
    async def damage_document(self, collection: str, doc_id: str) -> None:
        """Change a byte of the document's body."""

    @abstractmethod
    async def damage_record(self, period_id: str, last_seq: int) -> None:
        """Change a byte of the body of the journal record that ends at `last_seq`."""

    @abstractmethod
    async def lose_record(self, period_id: str, last_seq: int) -> None:
        """Take that record away."""

    @abstractmethod
    async def damage_part(self, period_id: str, name: str) -> None:
        """Change a byte of every version of the part."""

    @abstractmethod
    async def lose_part(self, period_id: str, name: str) -> None:
        """Take every version of the part away."""

    @abstractmethod
    async def damage_manifest(self, period_id: str) -> None:
        """Change a byte of the manifest."""

    @abstractmethod
    async def stored(self, period_id: str) -> tuple[set[tuple[str, int]], list[int]]:
        """What takes up room: parts as (name, seq), and the last seqs of the journal's records."""

    @abstractmethod
    async def leave_stray(self) -> str:
        """Write something that belongs to no period, document or owner; a word that names its place."""


async def recovered(store: Store, period_id: str) -> tuple[int, dict[str, bytes], list[Record]]:
    """All that `recover` gives: seq, parts, records; its order is checked on the way."""
    items = [item async for item in store.recover(period_id)]
    first, rest = items[0], items[1:]
    assert isinstance(first, Recovered)
    parts = [item for item in rest if isinstance(item, Part)]
    records = [item for item in rest if isinstance(item, Record)]
    assert rest == [*parts, *records], "parts come before records"
    assert len({part.name for part in parts}) == len(parts)
    return first.seq, {part.name: part.body for part in parts}, records


async def refusal(call: Awaitable[object]) -> type[BaseException] | None:
    """The type of the exception that a call ends with."""
    (result,) = await asyncio.gather(call, return_exceptions=True)
    return type(result) if isinstance(result, BaseException) else None


async def journal(store: Store, period_id: str, count: int) -> tuple[int, list[Record]]:
    """Take an epoch and append `count` records of one seq each, all at once."""
    epoch = await store.take_epoch(period_id)
    last = await store.last_seq(period_id)
    records = [Record(epoch, seq, seq, b"record %d" % seq) for seq in range(last + 1, last + count + 1)]
    await asyncio.gather(*(store.append(period_id, record) for record in records))
    return epoch, records


class OnBackend:
    """Tests on a new backend each; subclasses bring the fixture `new_backend`."""

    @pytest.fixture
    def backend(self, new_backend: Callable[[], Backend]) -> Backend:
        return new_backend()

    @pytest.fixture
    async def store(self, backend: Backend) -> AsyncIterator[Store]:
        store = backend.handle()
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    async def other(self, backend: Backend, store: Store) -> AsyncIterator[Store]:
        other = backend.handle()
        await other.open()
        yield other
        await other.close()
