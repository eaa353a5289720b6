"""Redis backend: one server, a primary with replicas behind Sentinels, or a Redis Cluster.

Idea. Every change is one Lua script (`redis.scripts`, with the map of all keys) that checks the epoch and
writes in one step: between processes, machines and copies of an actor that each believe they are the only
one, Redis decides. Commands run on lanes (`redis.lane`), which say of every outcome whether it is known.
Journals, and what is small, have one lane; snapshot parts and replays, which are large, another; reads a
third; pages of logs a fourth: so none of them waits behind the other.

What departs from the obvious:

* The manifest of a snapshot is made here, not in Lua: Redis is asked for the versions of the parts that were
  put, the manifest is made and checked, and a script puts it in force if nothing was put or committed since.
* Large deletions are made in steps after the commit, so that no append waits for them. A step that is missed
  is made up for by the next commit.
* A period's keys share a hash tag, so the index of all periods is elsewhere. It is written before the first
  epoch is given out and cleaned after a drop: it may name a period that has nothing, never miss one that has.

Only this file and `redis.lane` import redis.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgpack
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from persistence.paging import PAGE_BYTES, page_after, page_before
from persistence.redis import reading
from persistence.redis.keys import Keys, sealed, text
from persistence.redis.lane import Address, Lane, Nodes, Reply, explained, is_no_cluster
from persistence.redis.scripts import (
    DROPPED_EPOCH_S,
    FORMAT,
    NODE_BYTES,
    NODE_ENTRIES,
    READING,
    TRIM_RECORDS,
    script_of,
)
from persistence.redis.server import ServerInfo
from persistence.redis.url import parse_redis_url
from persistence.store import (
    Change,
    Examined,
    Fenced,
    Part,
    Record,
    Recovered,
    SeqMismatch,
    StoreCorrupt,
    StoreError,
    StoreInUse,
    StoreTooNew,
    StoreUnavailable,
    StoreWentBack,
    not_tried,
)

SCAN_DOCUMENTS = 500  # documents in one reply
PUT_BYTES = 4 << 20  # of snapshot parts in one script
COLLECT_PARTS = 200  # parts deleted in one step
COMMIT_ATTEMPTS = 5
NO_LIMIT = 1 << 30

JOURNAL, BULK, READ, LOG, INFO = "journal", "bulk", "read", "log", "info"


class RedisStore:
    """The storage contract on Redis; see `persistence.store.Store` for what each method promises.

    All methods belong to the event loop that opened the store. url: see `persistence.redis.url`.
    """

    def __init__(self, url: str) -> None:
        self.options = parse_redis_url(url)
        self.where = self.options.safe_url
        self.keys = Keys(self.options.prefix)
        self.info: list[ServerInfo] = []
        self._nodes = Nodes(self.options)
        self._lanes: dict[tuple[str, Address | None], Lane] = {}
        self._open = False
        self._id = ""

    # Opening --------------------------------------------------------------------------------------------

    def expect(self, identity: str) -> None:
        """Refuse to open, with StoreWentBack, any store but this one ("": any)."""
        self._id = identity

    async def open(self) -> None:
        """Connect, look at the server, make the format on an empty store.

        StoreUnavailable, StoreTooNew, StoreCorrupt (other data under the prefix), StoreError (a server on
        which the promises cannot be kept: too old, one that evicts keys, the wrong kind for the URL).
        """
        if self._open:
            return
        self.options.check_files()
        self._open = True
        try:
            await self._find_nodes()
            self.info = [await self._server(node) for node in self._nodes.primaries()]
            for info in self.info:
                info.check(self.options)
            await self._make()
        except BaseException:
            await self.close()
            raise

    async def _find_nodes(self) -> None:
        try:
            async with asyncio.timeout(self.options.timeout_s):
                await self._nodes.find()
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            if is_no_cluster(error):
                raise StoreError(f"{self.where} is no Redis Cluster: use redis://") from error
            raise explained(error, self.where, unknown=False) from error

    async def _server(self, node: Address | None) -> ServerInfo:
        """What a server says of itself, on a connection that asks for nothing else."""
        return ServerInfo(await self._ask(INFO, node, "INFO"), self.where)

    async def _make(self) -> None:
        if self._id:  # a new connection looks for the id by itself
            await self.ping()
            return
        keys = [self.keys.store, self.keys.owners, self.keys.periods]
        found = await self._script(JOURNAL, "make", keys, FORMAT, uuid.uuid4().hex, int(time.time()))
        if len(found) < 2 or None in found:
            raise StoreCorrupt(
                f"{self.where}: {self.keys.store.decode()} is missing, but other keys of the prefix are there"
            )
        version, store_id = map(text, found)
        if not version.isdigit() or int(version) > int(FORMAT):
            raise StoreTooNew(f"{self.where} has format {version}; this version knows formats up to {FORMAT}")
        if self._id and store_id != self._id:
            raise self._replaced(store_id)
        self._id = store_id

    def _same(self, reply: Reply) -> Reply:
        """A reply, unless it says that this is another store."""
        if isinstance(reply, list) and reply[0] == b"OTHER":
            raise self._replaced(text(reply[1]))
        return reply

    def _replaced(self, store_id: str) -> StoreWentBack:
        return StoreWentBack(
            f"{self.where} was emptied or replaced: the id of the store in use was {self._id}, and is now "
            + (store_id or "gone")
        )

    async def close(self) -> None:
        """Finish what was queued, then let go. Idempotent."""
        self._open = False
        lanes, self._lanes = list(self._lanes.values()), {}
        await asyncio.gather(*(lane.close() for lane in lanes))
        await self._nodes.close()

    async def identity(self) -> str:
        self._check_open()
        return self._id

    async def cautions(self) -> list[str]:
        """What this server may lose, as far as it says."""
        found: list[str] = []
        for node in self._nodes.primaries():
            info = await self._server(node)
            try:
                settings = await self._ask(
                    INFO, node, "CONFIG", "GET", "appendfsync", "save", "no-appendfsync-on-rewrite"
                )
            except StoreError:
                settings = []  # not allowed: INFO says the most important things as well
            values = {text(k): text(v) for k, v in zip(settings[::2], settings[1::2], strict=True)}
            found += [c for c in info.cautions(values, self.options) if c not in found]
        return found

    async def claim(self, holder: str, description: str, lease_s: float) -> None:
        ms = max(int(lease_s * 1000), 1)
        reply = await self._script(JOURNAL, "claim", [self.keys.claim], holder, description, ms)
        if reply != b"OK":
            held_by = text(reply[1]).partition("\n")[2]
            raise StoreInUse(
                f"{self.where} is in use by {held_by} (if that is gone, its claim ends in "
                f"{int(reply[2]) / 1000:.0f} s)"
            )

    async def disclaim(self, holder: str) -> None:
        await self._script(JOURNAL, "disclaim", [self.keys.claim], holder)

    async def ping(self) -> None:
        """Write something that leaves nothing. StoreUnavailable; StoreWentBack if it is another store now."""
        probe = self._run(JOURNAL, self.keys.probe, "SET", self.keys.probe, b"", "PX", 1000, writes=True)
        found = self._run(JOURNAL, self.keys.store, "HGET", self.keys.store, "id")
        _, store_id = await asyncio.gather(probe, found)
        if text(store_id or b"") != self._id:
            raise self._replaced(text(store_id or b""))

    # Documents ------------------------------------------------------------------------------------------

    async def commit(self, changes: Sequence[Change], *, owner: str, epoch: int) -> None:
        collections = sorted({change.collection for change in changes})
        keys = [self.keys.owners]
        for collection in collections:
            keys += [self.keys.documents(collection), self.keys.index(collection)]
        words: list[Any] = [owner, epoch]
        for collection, doc_id, body in changes:
            number = collections.index(collection) + 1
            if body is None:
                words += [number, doc_id, 0, b""]
            else:
                words += [number, doc_id, 1, sealed(body, collection, doc_id)]
        await self._script(JOURNAL, "commit", keys, *words, name=owner, epoch=epoch)

    async def get(self, collection: str, doc_ids: Sequence[str]) -> list[bytes | None]:
        doc_ids = list(doc_ids)
        if not doc_ids:
            return []
        key = self.keys.documents(collection)
        found = await self._run(READ, key, "HMGET", key, *doc_ids)
        return [
            None if value is None else reading.document(value, collection, doc_id)
            for doc_id, value in zip(doc_ids, found, strict=True)
        ]

    async def scan(
        self, collection: str, *, prefix: str = "", after: str = "", limit: int = 0
    ) -> list[tuple[str, bytes]]:
        keys = [self.keys.documents(collection), self.keys.index(collection)]
        # Redis compares the bytes of UTF-8, whose order is that of the code points; none of them is FF.
        above = b"(" + after.encode() if after and after >= prefix else b"[" + prefix.encode()
        below = b"(" + prefix.encode() + b"\xff"
        found: list[tuple[str, bytes]] = []
        while True:
            count = min(limit - len(found), SCAN_DOCUMENTS) if limit else SCAN_DOCUMENTS
            ids, values = await self._script(READ, "scan", keys, above, below, count)
            for raw_id, value in zip(ids, values, strict=True):
                doc_id = text(raw_id)
                if value is None:
                    raise StoreCorrupt(f"document {collection!r} {doc_id!r} is in the index and not there")
                found.append((doc_id, reading.document(value, collection, doc_id)))
            if len(ids) < count or (limit and len(found) >= limit):
                return found
            above = b"(" + ids[-1]

    async def take_ownership(self, owner: str) -> int:
        keys = [self.keys.owners, self.keys.store]
        return int(self._same(await self._script(JOURNAL, "take_ownership", keys, owner, self._id, FORMAT)))

    async def ownership(self, owner: str) -> int:
        return int(await self._run(JOURNAL, self.keys.owners, "HGET", self.keys.owners, owner) or 0)

    # Journals -------------------------------------------------------------------------------------------

    async def take_epoch(self, period_id: str) -> int:
        keys = [self.keys.periods, self.keys.store]
        self._same(await self._script(JOURNAL, "register", keys, period_id, self._id))
        return int(await self._script(JOURNAL, "take_epoch", self.keys.period(period_id)))

    async def epochs(self, period_ids: Sequence[str]) -> list[int]:
        async def one(period_id: str) -> int:
            head = self.keys.period(period_id)[0]
            return int(await self._run(READ, head, "HGET", head, "e") or 0)

        return list(await asyncio.gather(*map(one, period_ids)))

    async def append(self, period_id: str, record: Record) -> None:
        epoch, first_seq, last_seq, body = record
        value = sealed(body, period_id, epoch, first_seq, last_seq)
        words = (epoch, first_seq, last_seq, value)
        keys = self.keys.period(period_id)
        reply = await self._script(JOURNAL, "append", keys, *words, name=period_id, epoch=epoch)
        if reply != b"OK":
            raise self._refused(period_id, record, reply)

    async def append_all(self, stages: Sequence[Mapping[str, Record]]) -> dict[str, StoreError]:
        if self.options.kind == "cluster":
            return await self._append_each(stages)
        records = {period_id: record for stage in stages for period_id, record in stage.items()}
        if not records:
            return {}
        keys: list[bytes] = []
        words: list[Any] = []
        for period_id, (epoch, first_seq, last_seq, body) in records.items():
            head, journal, _, _, overlay = self.keys.period(period_id)
            keys += (head, journal, overlay)
            words += (epoch, first_seq, last_seq, sealed(body, period_id, epoch, first_seq, last_seq))
        try:
            reply = await self._script(JOURNAL, "append_all", keys, *words)
        except StoreError as error:
            return dict.fromkeys(records, error)
        if reply == b"OK":
            return {}
        refused = list(records)[int(reply[0]) - 1]
        why = self._refused(refused, records[refused], reply[1:])
        return {i: why if i == refused else not_tried(why) for i in records}

    async def _append_each(self, stages: Sequence[Mapping[str, Record]]) -> dict[str, StoreError]:
        """Journals of a cluster are on several nodes: no step is one on all of them."""
        failed: dict[str, StoreError] = {}
        for stage in stages:
            if failed:
                error = next(iter(failed.values()))
                failed |= {period_id: not_tried(error) for period_id in stage}
                continue
            appends = [self.append(period_id, record) for period_id, record in stage.items()]
            outcomes = await asyncio.gather(*appends, return_exceptions=True)
            for period_id, outcome in zip(stage, outcomes, strict=True):
                if isinstance(outcome, StoreError):
                    failed[period_id] = outcome
                elif outcome is not None:
                    raise outcome
        return failed

    @staticmethod
    def _refused(period_id: str, record: Record, reply: Sequence[bytes]) -> StoreError:
        """What keeps a record from being appended, by the script's word for it."""
        why, number = reply
        if why == b"FENCED":
            return _fenced(period_id, record.epoch, int(number))
        return SeqMismatch(
            f"period {period_id!r}: record {record.first_seq}..{record.last_seq} does not follow "
            f"seq {text(number)}"
        )

    async def put_parts(self, period_id: str, epoch: int, seq: int, parts: Mapping[str, bytes]) -> None:
        keys = self.keys.period(period_id)
        words: list[Any] = []
        size_bytes = 0
        for name, body in [*parts.items(), (None, b"")]:  # the last one sends what is left
            if name is not None:
                words += [name, sealed(body, period_id, name, seq)]
                size_bytes += len(body)
            if name is None or size_bytes >= PUT_BYTES:
                if words or not parts:
                    await self._script(
                        BULK, "put_parts", keys, epoch, seq, *words, name=period_id, epoch=epoch
                    )
                words, size_bytes = [], 0

    async def commit_snapshot(
        self,
        period_id: str,
        epoch: int,
        seq: int,
        manifest: Mapping[str, int],
        *,
        keep_journal: bool = False,
    ) -> None:
        head, _, parts, staged, _ = keys = self.keys.period(period_id)
        for _ in range(COMMIT_ATTEMPTS):
            fields, put, versions, boundary = await asyncio.gather(
                self._run(BULK, head, "HMGET", head, "e", "s", "m", "g"),
                self._run(BULK, head, "HGETALL", staged),
                self._run(BULK, head, "HKEYS", parts),
                self._reader(period_id).ends_at(period_id, max(seq, 0)),
            )
            highest, old_seq, old, generation = fields
            self._fence(int(highest or 0), period_id, epoch)
            if seq < 1 or (seq != int(old_seq or 0) and (seq < int(old_seq or 0) or not boundary)):
                raise SeqMismatch(
                    f"period {period_id!r}: no record ends at seq {seq} (snapshot at {int(old_seq or 0)})"
                )
            known = {(name, at): v for name, at, v in reading.manifest(old, period_id, int(old_seq or 0))}
            for field, version in zip(put[::2], put[1::2], strict=True):
                put_at, _, name = text(field).partition(":")
                known[name, int(put_at)] = int(version)
            there = set(map(int, versions))
            entries = [[name, at, known.get((name, at))] for name, at in manifest.items()]
            missing = next((e for e in entries if e[2] is None or e[2] not in there), None)
            body = bytes(msgpack.packb(entries))
            words = (epoch, generation or 0, seq, sealed(body, period_id, seq), int(keep_journal))
            if missing is not None:
                raise StoreCorrupt(
                    f"period {period_id!r}: part {missing[0]!r} of seq {missing[1]} is missing"
                )
            reply = await self._script(BULK, "commit_snapshot", keys, *words, name=period_id, epoch=epoch)
            if reply == b"OK":
                named = {version for _, _, version in entries}
                await self._collect(period_id, epoch, sorted(there - named))
                return
            if reply[0] == b"SEQ":
                raise SeqMismatch(f"period {period_id!r}: no record ends at seq {seq}")
        raise StoreUnavailable(f"{self.where}: snapshots of period {period_id!r} are made at the same time")

    async def _collect(self, period_id: str, epoch: int, versions: list[int]) -> None:
        """Delete some versions of parts and what the journal has before its floor, a little at a time."""
        keys = self.keys.period(period_id)
        while True:
            some, versions = versions[:COLLECT_PARTS], versions[COLLECT_PARTS:]
            words = (epoch, TRIM_RECORDS, *some)
            reply = await self._script(BULK, "collect", keys, *words, name=period_id, epoch=epoch)
            if not versions and reply == b"0":
                return

    async def recover(self, period_id: str) -> AsyncIterator[Recovered | Part | Record]:
        async for item in reading.replay(self._reader(period_id), period_id):
            yield item

    async def records_after(self, period_id: str, seq: int) -> AsyncIterator[Record]:
        async for record in reading.records_after(self._reader(period_id), period_id, seq):
            yield record

    async def manifest(self, period_id: str) -> dict[str, int]:
        head = await self._reader(period_id).head()
        entries = reading.manifest(head.manifest, period_id, head.snapshot_seq)
        return {name: put_at for name, put_at, _ in entries}

    async def records(self, period_id: str, after_seq: int, limit: int) -> list[Record]:
        page = await self._page(period_id, max(after_seq, 0), reading.AFTER, limit)
        return page_after(period_id, after_seq, page.floor, page.last_seq, page.found)

    async def records_before(self, period_id: str, before_seq: int, limit: int) -> list[Record]:
        page = await self._page(period_id, max(before_seq - 1, 0), reading.BEFORE, limit)
        return page_before(period_id, before_seq, page.floor, page.last_seq, page.found)

    async def _page(self, period_id: str, seq: int, way: str, limit: int) -> reading.Page:
        keys = self.keys.period(period_id)
        reply = await self._script(LOG, "records", keys, seq, way, limit, PAGE_BYTES)
        return reading.page_of(reply, period_id)

    async def first_seq(self, period_id: str) -> int:
        head = self.keys.period(period_id)[0]
        trimmed, snapshot = await self._run(READ, head, "HMGET", head, "t", "s")
        return int(trimmed or snapshot or 0) + 1

    async def trim(self, period_id: str, epoch: int, seq: int) -> None:
        keys = self.keys.period(period_id)
        reply = await self._script(JOURNAL, "trim", keys, epoch, seq, name=period_id, epoch=epoch)
        if reply != b"OK":
            raise SeqMismatch(f"period {period_id!r}: the snapshot covers seq {text(reply[1])}, not {seq}")
        await self._collect(period_id, epoch, [])

    async def rewrite(self, period_id: str, epoch: int, records: Sequence[Record]) -> None:
        keys = self.keys.period(period_id)
        words: list[Any] = await self._stream_node(keys[0])
        for epoch_of, first_seq, last_seq, body in records:
            value = sealed(body, period_id, epoch_of, first_seq, last_seq)
            words += (epoch_of, first_seq, last_seq, value)
        reply = await self._script(JOURNAL, "rewrite", keys, epoch, *words, name=period_id, epoch=epoch)
        if reply != b"OK":
            raise SeqMismatch(f"period {period_id!r}: there is no such record at seq {text(reply[1])}")

    async def _stream_node(self, key: bytes) -> list[int]:
        """How many bytes and entries a node of a stream has at most, on the server that has the key."""
        names = ("stream-node-max-bytes", "stream-node-max-entries")
        try:
            found = await self._ask(INFO, self._nodes.node_of(key), "CONFIG", "GET", *names)
        except StoreError:  # not allowed, or away: then the script will say so
            found = []
        values = {text(k): int(v) for k, v in zip(found[::2], found[1::2], strict=True)}
        limits = [
            values.get(name, default) for name, default in zip(names, (NODE_BYTES, NODE_ENTRIES), strict=True)
        ]
        return [limit or NO_LIMIT for limit in limits]  # 0: none is set

    async def examine(self, period_id: str) -> Examined:
        return await reading.examine(self._reader(period_id), period_id)

    def _reader(self, period_id: str) -> reading.Reader:
        self._check_open()
        keys = self.keys.period(period_id)
        return reading.Reader(
            keys,
            lambda *words: self._run(BULK, keys[0], *words),
            lambda operation, *words: self._script(BULK, operation, keys, *words),
        )

    async def cut(self, period_id: str, epoch: int, seq: int) -> None:
        keys = self.keys.period(period_id)
        reply = await self._script(JOURNAL, "cut", keys, epoch, seq, name=period_id, epoch=epoch)
        if reply != b"OK":
            raise SeqMismatch(
                f"period {period_id!r}: no record ends at seq {seq} (snapshot at {text(reply[1])})"
            )

    async def drop_periods(self, period_ids: Sequence[str]) -> None:
        for period_id in period_ids:
            await self._script(JOURNAL, "drop", self.keys.period(period_id), DROPPED_EPOCH_S)
            now_s = int(time.time())
            words = (period_id, now_s, now_s - DROPPED_EPOCH_S)
            await self._script(JOURNAL, "deregister", [self.keys.periods], *words)

    async def list_periods(self) -> list[str]:
        names = await self._run(READ, self.keys.periods, "ZRANGE", self.keys.periods, 0, -1)
        period_ids = [text(name) for name in names]
        last = await asyncio.gather(*map(self._last_seq, period_ids))
        return sorted(p for p, seq in zip(period_ids, last, strict=True) if seq)

    async def last_seq(self, period_id: str) -> int:
        return await self._last_seq(period_id, JOURNAL)

    async def last_seqs(self, period_ids: Sequence[str]) -> list[int]:
        return list(await asyncio.gather(*map(self._last_seq, period_ids)))

    async def _last_seq(self, period_id: str, lane: str = READ) -> int:
        head = self.keys.period(period_id)[0]
        found = await self._run(lane, head, "HMGET", head, "l", "s")
        return max(int(value or 0) for value in found)

    async def scrub(self) -> bool:
        """Nothing to do: what is deleted is gone from memory. An append-only file has it until its next
        rewrite, which is the operator's to ask for.
        """
        return True

    async def strays(self) -> list[str]:
        found: list[str] = []
        known = await self._run(READ, self.keys.periods, "ZRANGE", self.keys.periods, 0, -1)
        tags = {self.keys.period(text(name))[0][:-1] for name in known}
        for node in self._nodes.primaries():
            for pattern in self.keys.patterns():
                cursor: Any = 0
                while True:
                    cursor, some = await self._ask(
                        READ, node, "SCAN", cursor, "MATCH", pattern, "COUNT", 1000
                    )
                    for key in some:
                        stray = await reading.stray(
                            key, self.keys, tags, lambda *w: self._run(READ, w[1], *w)
                        )
                        found += [stray] if stray else []
                    if int(cursor) == 0:
                        break
        return sorted(set(found))

    # Commands -------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if not self._open:
            raise StoreUnavailable(f"{self.where}: the store is not open")

    def _lane(self, kind: str, node: Address | None) -> Lane:
        lane = self._lanes.get((kind, node))
        if lane is None:

            async def connect() -> Any:
                connection = await self._nodes.connect(node)
                if kind != INFO:
                    await self._nodes.load_scripts(connection)
                    await self._same_store(connection, node)
                return connection

            def lost(_: Exception) -> None:
                self._nodes.stale()

            where = self.where if node is None else f"{self.where} ({node[0]}:{node[1]})"
            lane = self._lanes[kind, node] = Lane(where, self.options, connect, lost)
        return lane

    async def _same_store(self, connection: Any, node: Address | None) -> None:
        """Look, on a new connection, whether it leads to the store that was opened. StoreWentBack."""
        if self._id and self._nodes.node_of(self.keys.store) == node:
            await connection.send_command("HGET", self.keys.store, "id")
            found = text(await connection.read_response(disable_decoding=True) or b"")
            if found != self._id:
                await connection.disconnect(nowait=True)
                raise self._replaced(found)

    async def _run(
        self, kind: str, key: bytes, *words: Any, size_bytes: int = 0, writes: bool = False
    ) -> Reply:
        """One command on the node that serves `key`. StoreUnavailable; StoreCorrupt: wrong type."""
        self._check_open()
        if self._nodes.is_stale:
            await self._find_nodes()
        lane = self._lane(kind, self._nodes.node_of(key))
        try:
            return await lane.run(*words, size_bytes=size_bytes, writes=writes)
        except ResponseError as error:
            raise StoreCorrupt(
                f"{self.where}: {words[0]} of {key.decode(errors='replace')}: {error}"
            ) from error

    async def _ask(self, kind: str, node: Address | None, *words: Any) -> Reply:
        """A command about a node. StoreUnavailable, StoreError."""
        try:
            return await self._lane(kind, node).run(*words)
        except ResponseError as error:
            raise StoreError(f"{self.where}: {words[0]}: {error}") from error

    async def _script(
        self, kind: str, operation: str, keys: Sequence[bytes], *words: Any, name: str = "", epoch: int = 0
    ) -> Reply:
        """One operation of the Lua program. Fenced, and what `_run` raises."""
        size_bytes = sum(len(word) for word in words if isinstance(word, bytes))
        sha = script_of(operation).sha
        command = ("EVALSHA", sha, len(keys), *keys, operation, *words)
        reply = await self._run(
            kind, keys[0], *command, size_bytes=size_bytes, writes=operation not in READING
        )
        if isinstance(reply, list) and reply and reply[0] == b"FENCED":
            self._fence(int(reply[1]), name, epoch)
        return reply

    @staticmethod
    def _fence(highest: int, name: str, epoch: int) -> None:
        if epoch != highest or highest == 0:
            raise _fenced(name, epoch, highest)


def _fenced(name: str, epoch: int, highest: int) -> Fenced:
    what = "is over" if epoch < highest else "was never given out"
    return Fenced(f"{name!r}: epoch {epoch} {what}, the highest is {highest}", highest)


__all__ = ["RedisStore"]
