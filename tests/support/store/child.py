"""A process beside the test's own, for what only real processes show. One line per event on stdout.

child.py append STORE PERIOD       epoch E / ack SEQ… until it is killed; `fenced` at the end of its epoch
child.py log STORE PERIOD          the same with a log, which is kept, trimmed and rewritten
child.py full DIRECTORY            appends into a file size limit, then without it: ack, refused, ack…
child.py hold DIRECTORY            locks the data directory: `locked`, until stdin ends

STORE is a store's URL, or the directory of an SQLite store.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections import deque
from pathlib import Path

from persistence import open_store
from persistence.data_dir import DATABASE_NAME
from persistence.sqlite.store import SqliteStore, lock_data_dir
from persistence.store import Fenced, Record, StoreUnavailable

IN_FLIGHT = 8
SNAPSHOT_EVERY = 40


def body_of(seq: int) -> bytes:
    """What the record of a seq holds, so that the test can tell it from any other."""
    return b"%d;" % seq * (1 + seq % 900)


def say(*words: object) -> None:
    print(*words, flush=True)


def check_child_records(seq: int, parts: dict[str, bytes], records: list[Record]) -> int:
    """Assert that snapshot and journal, as recovered, are what `append` wrote; the last seq."""
    assert parts == ({"low": body_of(seq), "high": b"x" * seq} if seq else {})
    for record in records:
        assert record[1:] == (seq + 1, seq + 1, body_of(seq + 1))
        seq += 1
    return seq


async def append(place: str, period_id: str) -> None:
    store = open_store(place if ":" in place else f"sqlite:{place}")
    await store.open()
    epoch = await store.take_epoch(period_id)
    seq = await store.last_seq(period_id)
    say("epoch", epoch)
    pending: deque[tuple[int, asyncio.Future[None]]] = deque()
    try:
        while True:
            seq += 1
            record = Record(epoch, seq, seq, body_of(seq))
            pending.append((seq, asyncio.ensure_future(store.append(period_id, record))))
            if seq % SNAPSHOT_EVERY == 0:
                await asyncio.gather(*(future for _, future in pending))
                await store.put_parts(period_id, epoch, seq, {"low": body_of(seq), "high": b"x" * seq})
                await store.commit_snapshot(period_id, epoch, seq, {"low": seq, "high": seq})
            while len(pending) >= IN_FLIGHT:
                done, future = pending.popleft()
                await future
                say("ack", done)
    except Fenced:
        await asyncio.gather(*(future for _, future in pending), return_exceptions=True)
        say("fenced")
        await store.close()


def rewritten(seq: int) -> bytes:
    """What the record of a seq holds when it was rewritten."""
    return b"rewritten %d" % seq


def check_child_log(first_seq: int, last_seq: int, records: list[Record]) -> None:
    """Assert that the whole of a log, as read in pages, is what `log` wrote."""
    assert [record[1:3] for record in records] == [(seq, seq) for seq in range(first_seq, last_seq + 1)]
    for record in records:
        assert record.body in (body_of(record.last_seq), rewritten(record.last_seq))


async def log(place: str, period_id: str) -> None:
    store = open_store(place if ":" in place else f"sqlite:{place}")
    await store.open()
    epoch = await store.take_epoch(period_id)
    seq = await store.last_seq(period_id)
    say("epoch", epoch)
    while True:
        records = [Record(epoch, n, n, body_of(n)) for n in range(seq + 1, seq + 1 + IN_FLIGHT)]
        await asyncio.gather(*(store.append(period_id, record) for record in records))
        seq += IN_FLIGHT
        say("ack", seq)
        if seq % SNAPSHOT_EVERY == 0:
            await store.put_parts(period_id, epoch, seq, {"low": body_of(seq), "high": b"x" * seq})
            manifest = {"low": seq, "high": seq}
            await store.commit_snapshot(period_id, epoch, seq, manifest, keep_journal=True)
            old = await store.records(period_id, max(seq - 2 * SNAPSHOT_EVERY, 0), 3)
            new = [record._replace(body=rewritten(record.last_seq)) for record in old]
            await store.rewrite(period_id, epoch, new)
            await store.trim(period_id, epoch, seq - 6 * SNAPSHOT_EVERY)


async def full(directory: str) -> None:
    store = SqliteStore(directory)
    await store.open()
    epoch = await store.take_epoch("p")
    room = max(Path(directory, name).stat().st_size for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal"))
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    seq = 0
    for limit in (room + 50_000, room + 150_000, hard):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        for _ in range(60):
            seq += 1
            try:
                await store.append("p", Record(epoch, seq, seq, body_of(seq + 400)))
                say("ack", seq)
            except StoreUnavailable as error:
                say("refused", seq, "unknown" if error.unknown else "unchanged")
                assert (
                    len([item async for item in store.recover("p")]) == seq
                )  # Recovered, and seq - 1 records
                seq -= 1
    await store.close()


def hold(directory: str) -> None:
    with lock_data_dir(directory):
        say("locked")
        sys.stdin.read()


if __name__ == "__main__":
    mode, *arguments = sys.argv[1:]
    if mode == "hold":
        hold(*arguments)
    elif mode == "append":
        asyncio.run(append(*arguments))
    elif mode == "log":
        asyncio.run(log(*arguments))
    else:
        asyncio.run(full(*arguments))
