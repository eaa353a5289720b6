"""A store in Redis, hurt from beside with plain commands: what a test must know of the layout of the keys."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgpack
import pytest

from persistence import open_store
from persistence.redis.store import RedisStore
from persistence.store import Store, StoreUnavailable
from tests.support.store.contract import Backend

CRC_BYTES = 4

Command = Callable[..., Any]


def with_options(url: str, **options: object) -> str:
    """A store's URL with more options."""
    more = "&".join(f"{name}={value}" for name, value in options.items())
    return f"{url}{'&' if '?' in url else '?'}{more}" if more else url


@contextlib.asynccontextmanager
async def opened(url: str, **options: object) -> AsyncIterator[RedisStore]:
    """A store, open for as long as the context."""
    store = RedisStore(with_options(url, **options))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def unavailable(call: Awaitable[object]) -> StoreUnavailable:
    """What a call raises that must end with StoreUnavailable."""
    with pytest.raises(StoreUnavailable) as raised:
        await call
    return raised.value


class RedisBackend(Backend):
    """All keys under one prefix. `command`: sends one to the server, or to the node that has its key."""

    def __init__(self, url: str, prefix: str, command: Command) -> None:
        self.url = with_options(url, prefix=prefix)
        self.CLUSTERED = RedisStore(self.url).options.kind == "cluster"
        self.prefix = prefix
        self._command = command

    def handle(self) -> Store:
        return open_store(self.url)

    def key(self, name: str) -> str:
        """A key that is no period's: store, claim, owners, periods, d:<collection>, i:<collection>."""
        return f"{{{self.prefix}}}:{name}"

    def period_key(self, period_id: str, kind: str) -> str:
        """A period's key. `kind`: h | j | p | s | o, see `persistence.redis.scripts`."""
        name = period_id.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
        return f"{{{self.prefix}:p:{name}}}{kind}"

    async def damage_document(self, collection: str, doc_id: str) -> None:
        key = self.key(f"d:{collection}")
        self._damage_field(key, doc_id)

    async def damage_record(self, period_id: str, last_seq: int) -> None:
        key, wanted = self.period_key(period_id, "j"), b"%d-0" % last_seq
        member = self._overlaid(period_id).get(last_seq)
        if member is not None:
            place, value = member.split(b":", 3)[:3], member.split(b":", 3)[3]
            self._command("ZREM", self.period_key(period_id, "o"), member)
            self._command("ZADD", self.period_key(period_id, "o"), 0, b":".join([*place, _other_byte(value)]))
            return
        entries = self._command("XRANGE", key, "-", "+")
        assert wanted in [entry_id for entry_id, _ in entries], "nothing to hurt"
        self._command("DEL", key)  # an entry cannot be changed: all are written again
        for entry_id, fields in entries:
            if entry_id == wanted:
                fields[5] = _other_byte(fields[5])
            self._command("XADD", key, entry_id, *fields)

    async def lose_record(self, period_id: str, last_seq: int) -> None:
        member = self._overlaid(period_id).get(last_seq)
        if member is not None:
            assert self._command("ZREM", self.period_key(period_id, "o"), member) == 1
            return
        assert self._command("XDEL", self.period_key(period_id, "j"), f"{last_seq}-0") == 1

    async def damage_part(self, period_id: str, name: str) -> None:
        for version in self._versions(period_id, name):
            self._damage_field(self.period_key(period_id, "p"), version)

    async def lose_part(self, period_id: str, name: str) -> None:
        for version in self._versions(period_id, name):
            assert self._command("HDEL", self.period_key(period_id, "p"), version) == 1

    async def damage_manifest(self, period_id: str) -> None:
        self._damage_field(self.period_key(period_id, "h"), "m")

    async def leave_stray(self) -> str:
        key = self.period_key("never given out", "j")
        self._command("XADD", key, "1-0", "e", "1", "f", "1", "b", b"\0\0\0\0body")
        return key

    async def stored(self, period_id: str) -> tuple[set[tuple[str, int]], list[int]]:
        names = self._names(period_id)
        versions = map(int, self._command("HKEYS", self.period_key(period_id, "p")))
        parts = {names.get(version, (f"version {version}", 0)) for version in versions}
        entries = self._command("XRANGE", self.period_key(period_id, "j"), "-", "+")
        in_stream = [int(entry_id.partition(b"-")[0]) for entry_id, _ in entries]
        return parts, sorted([*in_stream, *self._overlaid(period_id)])

    def _overlaid(self, period_id: str) -> dict[int, bytes]:
        """Members of the overlay by the last seq of their record."""
        members = self._command("ZRANGE", self.period_key(period_id, "o"), 0, -1)
        return {int(member[:20]): member for member in members}

    def _names(self, period_id: str) -> dict[int, tuple[str, int]]:
        """Version -> name and seq of the parts that the manifest names, and of those put since."""
        manifest = self._command("HGET", self.period_key(period_id, "h"), "m")
        entries = msgpack.unpackb(manifest[CRC_BYTES:]) if manifest else []
        names = {version: (name, put_at) for name, put_at, version in entries}
        staged = self._command("HGETALL", self.period_key(period_id, "s"))
        for place, version in zip(staged[::2], staged[1::2], strict=True):
            put_at, _, name = place.decode().partition(":")
            names[int(version)] = (name, int(put_at))
        return names

    def _versions(self, period_id: str, name: str) -> list[int]:
        versions = [number for number, part in self._names(period_id).items() if part[0] == name]
        assert versions, "nothing to hurt"
        return versions

    def _damage_field(self, key: str, field: str | int) -> None:
        self._command("HSET", key, field, _other_byte(self._command("HGET", key, field)))


def _other_byte(value: bytes) -> bytes:
    """The value with another first byte of its body, which follows the checksum."""
    body = value[CRC_BYTES:]
    return value[:CRC_BYTES] + (b"?" if body[:1] == b"#" else b"#") + body[1:]
