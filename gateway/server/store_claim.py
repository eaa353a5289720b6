"""The server's claim on its store, from the first look to the end: opened, recognised, claimed, released.

At most one server uses a store. The claim says which one, for CLAIM_S from its last renewal. It guards
against a second server that was pointed at the store by mistake, and no more: what keeps two writers of a
period apart is epochs. A server that finds its claim in other hands therefore just ends.

`server.json` (`known_store`) tells whether the store is the one that the server left. Where it is not, the
server does not start, unless it was announced to go on with what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable

import structlog

from gateway.server.known_store import KnownStores
from lbactors.tools.migration_marker import unfinished_migration
from persistence import open_store, store_address
from persistence.store import Store, StoreError, StoreInUse, StoreLoading, StoreWentBack

CLAIM_S = 15.0
RENEW_EVERY_S = 5.0
LOOK_EVERY_S = 1.0  # at the supervisor's epoch; between two attempts to renew while the store is away
LOADING_WITHIN_S = 60.0  # how long a store may take that reads its data from disk
LOADING_POLL_S = 0.5
SUPERVISOR = "supervisor"  # the owner whose epoch tells how far a store has come

log = structlog.get_logger("store")


class StoreClaim:
    """An open store that is this server's; made by `claim_store`.

    `supervisor_epoch` tells the supervisor's epoch as last seen; `is_written`: processes of this server may
    be writing to the store. Both are set by whoever starts those.
    """

    def __init__(self, store: Store, store_id: str, known: KnownStores, address: str) -> None:
        self.store = store
        self.store_id = store_id
        self.address = address
        self.supervisor_epoch: Callable[[], int] = int
        self.is_written = False
        self._known = known
        self._epoch = 0
        self._away = False
        self._keeper: asyncio.Task[None] | None = None
        self._taken_by = ""

    @property
    def server_id(self) -> str:
        return self._known.server_id

    @property
    def description(self) -> str:
        """Who has the claim, for people."""
        return f"server {socket.gethostname()} pid {os.getpid()}"

    @property
    def lost(self) -> str:
        """Who has the claim now, in a sentence; empty as long as it is ours as far as we know."""
        if self._keeper is not None and self._keeper.done() and not self._keeper.cancelled():
            error = self._keeper.exception()
            return self._taken_by or f"the claim is not renewed any more: {error!r}"
        return self._taken_by

    async def renew(self) -> None:
        """Renew the claim, or make it. StoreInUse, StoreUnavailable."""
        await self.store.claim(self.server_id, self.description, CLAIM_S)

    @contextlib.asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Renew the claim and note the supervisor's epoch, for the length of the block."""
        self._keeper = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._note()

    async def _keep(self) -> None:
        renewed_s = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._note()
            if time.monotonic() - renewed_s < RENEW_EVERY_S:
                continue
            try:
                await self.renew()
            except StoreInUse as error:
                self._taken_by = str(error)
                return
            except StoreError as error:
                if not self._away:
                    log.info("claim not renewed, the store is away; trying again", error=str(error))
                self._away = True
            else:
                renewed_s, self._away = time.monotonic(), False

    def _note(self) -> None:
        epoch = self.supervisor_epoch()
        if epoch > self._epoch:
            try:
                self._known.note(self.address, self.store_id, epoch)
                self._epoch = epoch
            except OSError as error:  # the next look tries again; nothing depends on it before the next start
                log.warning("supervisor epoch not noted", error=str(error))

    async def release(self) -> None:
        """Close the store, and give up the claim, unless something of this server may write to it still."""
        if not self.is_written:
            with contextlib.suppress(StoreError):  # it expires
                await self.store.disclaim(self.server_id)
        await self.store.close()


async def claim_store(url: str, known: KnownStores, *, accept_older: bool) -> StoreClaim:
    """Open a store, make sure that it is the one that this server knows, and claim it.

    What an operator should know about the store is logged, and printed on stderr as `caution: …`. StoreError,
    with everything in one line, for whatever is in the way: away, in use, gone back, half migrated.
    """
    address = store_address(url)
    shown = url if address == "sqlite" else address
    store = await _open(url, shown)
    try:
        cautions = await store.cautions()
        unfinished = await unfinished_migration(store)
        if unfinished is not None:
            raise StoreError(f"store {shown} {unfinished}")
        store_id, epoch = await store.identity(), await store.ownership(SUPERVISOR)
        try:
            known.check(address, store_id, epoch)
        except StoreWentBack as error:
            if not accept_older:
                advice = "--accept-older-store goes on with what is there"
                raise StoreWentBack(f"store {shown} {error}. {advice}") from None
            cautions = [f"store {shown} {error}; going on with what is there", *cautions]
        claim = StoreClaim(store, store_id, known, address)
        try:
            known.keep()  # before the claim: who claims must still know its own id after a crash
            await claim.renew()
            known.note(address, store_id, epoch)
        except OSError as error:
            raise StoreError(f"what is known about store {shown} cannot be kept: {error}") from None
    except BaseException:
        await store.close()
        raise
    for caution in cautions:
        log.warning("store", caution=caution)
        print(f"caution: {caution}", file=sys.stderr, flush=True)
    return claim


async def _open(url: str, shown: str) -> Store:
    """The store, open; one that still reads its data from disk is waited for. StoreError."""
    deadline_s = time.monotonic() + LOADING_WITHIN_S
    announced = False
    while True:
        store = open_store(url)
        try:
            await store.open()
        except StoreLoading:
            await store.close()
            if time.monotonic() >= deadline_s:
                raise
            if not announced:
                announced = True
                print(
                    f"store {shown} is loading its data; waiting up to {LOADING_WITHIN_S:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )
            await asyncio.sleep(LOADING_POLL_S)
        except BaseException:
            await store.close()
            raise
        else:
            return store
