"""The contract's laws of whose store it is, and which: identity, claims, owners of documents, epochs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from persistence.store import (
    Change,
    Fenced,
    Record,
    Store,
    StoreInUse,
    StoreUnavailable,
    StoreWentBack,
)
from tests.support.store.backend import Backend, OnBackend, journal, refusal

LONG_S = 60.0


class UseContract(OnBackend):
    """A part of `StoreContract`."""

    # Identity -----------------------------------------------------------------------------------------------

    async def test_identity(self, store: Store, other: Store, new_backend: Callable[[], Backend]) -> None:
        identity = await store.identity()
        assert identity and identity == await other.identity() == await store.identity()
        elsewhere = new_backend().handle()
        await elsewhere.open()
        assert await elsewhere.identity() not in ("", identity)
        await elsewhere.close()

    async def test_identity_outlives_its_handles(self, backend: Backend) -> None:
        found = set()
        for _ in range(3):
            store = backend.handle()
            await store.open()
            found.add(await store.identity())
            await store.take_epoch("p")
            await store.drop_periods(["p"])
            await store.close()
        assert len(found) == 1

    async def test_first_handles_at_once_agree(self, backend: Backend) -> None:
        stores = [backend.handle() for _ in range(4)]
        await asyncio.gather(*(store.open() for store in stores))
        assert len(set(await asyncio.gather(*(store.identity() for store in stores)))) == 1
        for store in stores:
            await store.close()

    async def test_the_store_expected(self, store: Store, backend: Backend) -> None:
        await journal(store, "p", 2)
        for identity in (await store.identity(), ""):
            again = backend.handle()
            again.expect(identity)
            await again.open()
            assert await again.last_seq("p") == 2
            await again.close()

    async def test_another_store_than_expected(
        self, store: Store, new_backend: Callable[[], Backend]
    ) -> None:
        """As after a flush, or a new disk under the old path."""
        identity = await store.identity()
        emptied, another = new_backend(), new_backend()
        first = another.handle()
        await first.open()
        await journal(first, "p", 2)
        for backend in (
            emptied,
            another,
            emptied,
        ):  # nothing is made by the first one, so it is the same again
            handle = backend.handle()
            handle.expect(identity)
            with pytest.raises(StoreWentBack, match=identity):
                await handle.open()
            assert await refusal(handle.last_seq("p")) is StoreUnavailable
            await handle.close()
        assert await first.last_seq("p") == 2
        await first.close()
        fresh = emptied.handle()
        await fresh.open()
        assert await fresh.identity() not in ("", identity)
        await fresh.close()

    async def test_a_refused_store_is_left_as_it_was(self, store: Store, backend: Backend) -> None:
        identity = await store.identity()
        epoch, records = await journal(store, "p", 2)
        owner = await store.take_ownership("owner")
        await store.commit([Change("c", "1", b"x")], owner="owner", epoch=owner)
        handle = backend.handle()
        handle.expect("another" + identity)
        for _ in range(2):
            with pytest.raises(StoreWentBack, match=identity):
                await handle.open()
            assert await refusal(handle.take_epoch("p")) is StoreUnavailable
        handle.expect(identity)
        await handle.open()
        assert await handle.identity() == identity
        assert [*await handle.epochs(["p"]), await handle.ownership("owner")] == [epoch, owner]
        assert [record async for record in handle.records_after("p", 0)] == records
        assert (await handle.scan("c"), await handle.strays()) == ([("1", b"x")], [])
        await handle.close()

    async def test_cautions(self, store: Store) -> None:
        found = await store.cautions()
        assert all(isinstance(caution, str) and len(caution.split()) > 3 for caution in found)
        assert len(set(found)) == len(found)

    # Claims -------------------------------------------------------------------------------------------------

    async def test_one_claim_at_a_time(self, store: Store, other: Store, backend: Backend) -> None:
        await store.claim("first", "server one on host a", LONG_S)
        await store.claim("first", "server one on host b", LONG_S)
        await other.claim("first", "server one on host b", LONG_S)
        if not backend.CLAIMS:
            await other.claim("second", "server two", LONG_S)
            return
        for holder in ("second", "firs", "firstly", ""):
            with pytest.raises(StoreInUse, match="server one on host b"):
                await other.claim(holder, "server two", LONG_S)
            await other.disclaim(holder)
        assert await refusal(store.claim("second", "server two", LONG_S)) is StoreInUse, (
            "a handle is no holder"
        )

    async def test_a_claim_ends_when_its_holder_lets_go(self, store: Store, other: Store) -> None:
        await store.disclaim("first")
        await store.claim("first", "server one", LONG_S)
        await store.disclaim("first")
        await other.claim("second", "server two", LONG_S)
        await other.disclaim("second")
        await other.disclaim("second")
        await store.claim("first", "server one", LONG_S)

    async def test_a_claim_outlives_its_handle(self, store: Store, backend: Backend) -> None:
        gone = backend.handle()
        await gone.open()
        await gone.claim("first", "server one", LONG_S)
        await gone.close()
        expected = StoreInUse if backend.CLAIMS else None
        assert await refusal(store.claim("second", "server two", LONG_S)) is expected
        await store.claim("first", "server one, started again", LONG_S)

    async def test_a_claim_ends_with_its_lease(self, store: Store, other: Store, backend: Backend) -> None:
        async def until_free(description: str) -> int:
            refused = 0
            async with asyncio.timeout(10):
                while await refusal(other.claim("second", description, LONG_S)) is StoreInUse:
                    refused += 1
                    await asyncio.sleep(0.01)
            return refused

        refused = 0
        for lease_s in (0.3, 1.0, 5.0):  # a busy machine may be late for the first
            await other.disclaim("second")
            await store.claim("first", "server one", LONG_S)
            await store.claim("first", "server one", lease_s)
            refused = await until_free("server two")
            if refused or not backend.CLAIMS:
                break
        assert (refused > 0) is backend.CLAIMS
        expected = StoreInUse if backend.CLAIMS else None
        assert await refusal(store.claim("first", "server one", LONG_S)) is expected

    async def test_a_repeated_claim_runs_on(self, store: Store, other: Store, backend: Backend) -> None:
        await store.claim("first", "server one", 0.05)
        await store.claim("first", "server one", LONG_S)
        await asyncio.sleep(0.1)
        expected = StoreInUse if backend.CLAIMS else None
        assert await refusal(other.claim("second", "server two", LONG_S)) is expected

    async def test_a_claim_is_in_nobodys_way(self, store: Store, other: Store) -> None:
        await store.claim("first", "server one", LONG_S)
        epoch, _ = await journal(other, "p", 2)
        assert (epoch, await store.list_periods(), await store.strays()) == (1, ["p"], [])

    # Owners -------------------------------------------------------------------------------------------------

    async def test_ownership(self, store: Store, other: Store, backend: Backend) -> None:
        assert await store.ownership("owner") == 0
        assert [await view.take_ownership("owner") for view in (store, other, store)] == [1, 2, 3]
        assert await other.take_ownership("another") == 1
        taken = await asyncio.gather(*(v.take_ownership("owner") for v in (store, other) for _ in range(10)))
        assert sorted(taken) == list(range(4, 24))
        third = backend.handle()
        await third.open()
        assert await third.ownership("owner") == 23
        assert await third.take_ownership("owner") == 24
        await third.close()
        assert await store.ownership("owner") == await other.ownership("owner") == 24
        assert await store.ownership("another") == 1

    async def test_owners_and_periods_have_nothing_in_common(self, store: Store) -> None:
        assert [await store.take_ownership("name") for _ in range(3)] == [1, 2, 3]
        assert await store.epochs(["name"]) == [0]
        assert await refusal(store.append("name", Record(3, 1, 1, b"x"))) is Fenced
        epoch, _ = await journal(store, "name", 2)
        assert epoch == 1
        assert await refusal(store.commit([], owner="name", epoch=epoch)) is Fenced
        await store.drop_periods(["name"])
        assert await store.ownership("name") == 3
        await store.commit([Change("c", "1", b"x")], owner="name", epoch=3)
        assert await store.list_periods() == []

    async def test_scrub_changes_nothing_that_is_there(self, store: Store, other: Store) -> None:
        epoch = await store.take_epoch("p")
        for seq in (1, 2):
            await store.append("p", Record(epoch, seq, seq, b"x"))
        await store.put_parts("p", epoch, 1, {"a": b"a"})
        await store.commit_snapshot("p", epoch, 1, {"a": 1})
        assert await store.scrub() and await other.scrub()
        assert [type(item).__name__ async for item in other.recover("p")] == ["Recovered", "Part", "Record"]
        await store.append("p", Record(epoch, 3, 3, b"x"))
        assert await other.last_seq("p") == 3

    # Epochs -------------------------------------------------------------------------------------------------

    async def test_epochs(self, store: Store, other: Store) -> None:
        assert await store.epochs([]) == []
        assert await store.epochs(["p", "never"]) == [0, 0]
        for count, name in enumerate(("p", "q", "💡/{%}"), start=1):
            for _ in range(count):
                await store.take_epoch(name)
        assert await other.epochs(["q", "never", "💡/{%}", "p", "q"]) == [2, 0, 3, 1, 2]
        await store.drop_periods(["q", "never"])
        assert await other.epochs(["q", "never"]) == [3, 0]
        assert await other.take_epoch("q") == 4
        assert await store.epochs(["q"]) == [4]
        names = [f"many {number}" for number in range(300)]
        await asyncio.gather(*(store.take_epoch(name) for name in names[::2]))
        assert await other.epochs(names) == [1, 0] * 150

    async def test_the_fence_says_how_high_it_is(self, store: Store, other: Store) -> None:
        """Above the caller: another writer took over. Below: the store went back."""

        async def highest(call: Awaitable[object]) -> int:
            with pytest.raises(Fenced) as refused:
                await call
            return refused.value.highest

        for view in (store, other, store, other):
            await view.take_epoch("p")
            await view.take_ownership("owner")
        await other.append("p", Record(4, 1, 1, b"x"))
        for epoch in (1, 3, 5, 1000):
            assert await highest(store.append("p", Record(epoch, 2, 2, b"x"))) == 4
            assert await highest(store.put_parts("p", epoch, 1, {"a": b"a"})) == 4
            assert await highest(store.commit_snapshot("p", epoch, 1, {})) == 4
            assert await highest(store.cut("p", epoch, 1)) == 4
            assert await highest(store.commit([], owner="owner", epoch=epoch)) == 4
            assert await highest(store.append("never", Record(epoch, 1, 1, b"x"))) == 0
            assert await highest(store.cut("never", epoch, 0)) == 0
            assert await highest(store.commit([], owner="nobody", epoch=epoch)) == 0
        await store.drop_periods(["p"])
        assert await highest(other.append("p", Record(4, 2, 2, b"x"))) == 5
