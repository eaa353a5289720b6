"""A store to oneself, for tools that work on it while no server does: they take the server's place.

Of an SQLite store the data directory is locked; any other is claimed, and the claim renewed. Either guards
against mistakes only (what keeps writers apart is epochs): a tool that finds its claim in other hands ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from persistence import open_backup, open_store
from persistence.data_dir import DATABASE_NAME, lock_data_dir
from persistence.store import Store, StoreError, StoreInUse

CLAIM_S = 15.0
RENEW_EVERY_S = 5.0


@contextlib.asynccontextmanager
async def open_alone(url: str, *, make: bool = False, lock: bool = True) -> AsyncIterator[Store]:
    """The store that a URL names, open, its data directory locked if it is SQLite. StoreError.

    make: an SQLite store that is missing is made. lock: False to look at one that a server uses. A path to a
    file in place of a directory is that of a backup, which can only be read.
    """
    async with contextlib.AsyncExitStack() as stack:
        path = Path(url.removeprefix("sqlite:")) if url.startswith("sqlite:") else None
        if path is not None and path.is_file():
            if make:
                raise StoreError(f"{path} is a file; name a directory")
            store = open_backup(path)
        else:
            if path is not None and not make and not (path / DATABASE_NAME).is_file():
                raise StoreError(f"no store in {path}: there is no {DATABASE_NAME}")
            if path is not None and lock:
                stack.enter_context(lock_data_dir(path))
            store = open_store(url)
        stack.push_async_callback(store.close)
        await store.open()
        yield store


@contextlib.asynccontextmanager
async def claimed(store: Store, holder: str, tool: str) -> AsyncIterator[None]:
    """The claim on a store, renewed for the length of the block. StoreInUse, also if it is lost meanwhile."""
    description = f"lbactors {tool}, {socket.gethostname()} pid {os.getpid()}"
    await store.claim(holder, description, CLAIM_S)
    worker = asyncio.current_task()
    assert worker is not None
    lost: list[StoreInUse] = []

    async def keep() -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                await store.claim(holder, description, CLAIM_S)
            except StoreInUse as error:
                lost.append(error)
                worker.cancel()
                return
            except StoreError:
                continue  # the store is away; the work itself will say so

    keeper = asyncio.create_task(keep())
    try:
        yield
    except asyncio.CancelledError:
        if lost and worker.uncancel() == 0:
            raise lost[0] from None
        raise
    finally:
        keeper.cancel()
        with contextlib.suppress(StoreError):  # it ends by itself
            await store.disclaim(holder)
