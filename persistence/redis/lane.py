"""Connections to Redis on which the outcome of every command is known or said to be unknown (law 3).

A client library that repeats what failed hides whether a command was carried out once, twice or not at all.
So commands run here, on plain connections of redis-py that repeat nothing.

A *lane* is one connection to one node with a queue. Whatever waits is sent in one write, and the replies
are read in order; while they are on their way the next group gathers: batching by nature, and commands of
one lane are carried out in the order of the calls. With `appendfsync always` Redis syncs once for all that
it read at a time, so a group costs one sync. With replicas to wait for, WAIT (or WAITAOF) ends the group on
the same connection, where it covers exactly the writes before it.

Outcomes. A reply is known. An error reply means that nothing was done. No connection: nothing was done. A
connection that was lost, or no reply in time, after the group was sent: unknown, for every command of it
that has no reply yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

from redis.asyncio import Sentinel
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)

from persistence.redis.scripts import SCRIPTS
from persistence.redis.url import RedisOptions
from persistence.store import StoreError, StoreLoading, StoreUnavailable

QUEUE_COMMANDS = 8192  # waiting or under way in a lane; beyond either limit: StoreUnavailable
QUEUE_BYTES = 128 << 20
GROUP_COMMANDS = 1024  # sent in one write
GROUP_BYTES = 8 << 20
# Errors after which the next group begins with a new connection, to wherever the keys are then.
ELSEWHERE = (
    MovedError,
    AskError,
    ClusterDownError,
    TryAgainError,
    NoScriptError,
    ReadOnlyError,
    BusyLoadingError,
)
# Other errors that mean "not now", by the code that they begin with.
REFUSALS = frozenset({"OOM", "MISCONF", "NOREPLICAS", "BUSY", "UNBLOCKED", "NOAUTH"})

Reply = Any
Address = tuple[str, int]


def code_of(reply: RedisError) -> str:
    """The code that an error reply begins with, "" where redis-py has a class for it and takes it off."""
    word = str(reply).partition(" ")[0]
    return word if word.isupper() else ""


def explained(error: Exception, where: str, *, unknown: bool) -> StoreError:
    """A store's error for one of redis-py's or the system's."""
    text = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        text = "no answer in time"
    if isinstance(error, BusyLoadingError) or isinstance(error.__cause__, BusyLoadingError):
        return StoreLoading(f"{where}: {text}", unknown=unknown)
    return StoreUnavailable(f"{where}: {text}", unknown=unknown)


def is_no_cluster(error: BaseException) -> bool:
    """Whether a node refused to tell its slots: redis-py makes a RedisClusterException of that, among others,
    which has no code.
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, RedisClusterException) and isinstance(found.__context__, ResponseError):
            return True
        found = found.__cause__
    return False


class _Command:
    __slots__ = ("done", "size_bytes", "words", "writes")

    def __init__(self, words: tuple[Any, ...], size_bytes: int, writes: bool) -> None:
        self.words = words
        self.size_bytes = size_bytes
        self.writes = writes
        self.done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()


class Lane:
    """See the module's docstring. `connect` makes a connection; `lost` hears of every group that failed."""

    def __init__(
        self,
        where: str,
        options: RedisOptions,
        connect: Callable[[], Awaitable[Connection]],
        lost: Callable[[Exception], None],
    ) -> None:
        self._where = where
        self._options = options
        self._connect = connect
        self._lost = lost
        self._queue: deque[_Command] = deque()
        self._commands = 0
        self._bytes = 0
        self._connection: Connection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, *words: Any, size_bytes: int = 0, writes: bool = False) -> Reply:
        """The reply to one command. StoreUnavailable; ResponseError for an error that only the caller knows.

        A caller that is cancelled leaves its command where it is.
        """
        if self._closed:
            raise StoreUnavailable(f"{self._where}: the store is not open")
        if self._commands and (self._commands >= QUEUE_COMMANDS or self._bytes + size_bytes > QUEUE_BYTES):
            raise StoreUnavailable(f"{self._where}: {self._commands} commands are waiting already")
        command = _Command(words, size_bytes, writes)
        self._queue.append(command)
        self._commands += 1
        self._bytes += size_bytes
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await command.done

    async def close(self) -> None:
        """Finish what waits, then disconnect."""
        self._closed = True
        if self._runner is not None:
            await asyncio.wait([self._runner])
        await self._disconnect()

    async def _run(self) -> None:
        while self._queue:
            group: list[_Command] = []
            size_bytes = 0
            while self._queue and len(group) < GROUP_COMMANDS and size_bytes < GROUP_BYTES:
                command = self._queue.popleft()
                group.append(command)
                size_bytes += command.size_bytes
            replies = await self._exchange(group)
            for command, reply in zip(group, replies, strict=True):
                self._commands -= 1
                self._bytes -= command.size_bytes
                if command.done.done():
                    continue
                if isinstance(reply, Exception):
                    command.done.set_exception(reply)
                    command.done.exception()  # a caller that went away leaves nobody to fetch it
                else:
                    command.done.set_result(reply)

    async def _exchange(self, group: list[_Command]) -> list[Reply]:
        """Replies, or an exception for each command."""
        replies: list[Reply] = []
        sent = False
        try:
            async with asyncio.timeout(self._options.timeout_s):
                connection = await self._ready()
            async with asyncio.timeout(self._options.timeout_s):
                words = [command.words for command in group]
                waits = self._wait_words() if any(command.writes for command in group) else ()
                packed = connection.pack_commands([*words, waits] if waits else words)
                sent = True
                await connection.send_packed_command(packed, check_health=False)
                for _ in group:
                    replies.append(await self._reply(connection))  # noqa: PERF401 - kept if one fails
                if waits:
                    replicated = await self._reply(connection)
                    replies = self._withheld(group, replies, replicated)
        except (RedisError, OSError, TimeoutError, StoreError) as error:
            await self._disconnect()
            self._lost(error)
            told = error if isinstance(error, StoreError) else None
            failed = [
                told or explained(error, self._where, unknown=sent and command.writes)
                for command in group[len(replies) :]
            ]
            return [*self._unreplicated(group, replies), *failed]
        return [self._judged(reply) for reply in replies]

    async def _reply(self, connection: Connection) -> Reply:
        try:
            return await connection.read_response(disable_decoding=True, disconnect_on_error=False)
        except (ResponseError, BusyLoadingError) as error:
            return error

    def _wait_words(self) -> tuple[Any, ...]:
        options = self._options
        wait_ms = max(int(options.timeout_s * 1000) - 100, 1) // 2  # before we stop waiting for the answer
        if options.wait_fsync:
            return ("WAITAOF", 1, options.wait_replicas, wait_ms)
        return ("WAIT", options.wait_replicas, wait_ms) if options.wait_replicas else ()

    def _withheld(self, group: list[_Command], replies: list[Reply], replicated: Reply) -> list[Reply]:
        """Replies, with those of writes replaced if too few replicas (or disks) have them yet."""
        counts = replicated if isinstance(replicated, list) else [replicated]
        wanted = (
            [1, self._options.wait_replicas] if self._options.wait_fsync else [self._options.wait_replicas]
        )
        if not isinstance(replicated, Exception) and all(
            have >= want for have, want in zip(counts, wanted, strict=True)
        ):
            return replies
        why = (
            replicated
            if isinstance(replicated, Exception)
            else f"only {counts} of {wanted} replicas or disks"
        )
        error = StoreUnavailable(f"{self._where}: {why} have the write", unknown=True)
        self._lost(error)  # after a failover the primary of yesterday goes on as one for a while
        asyncio.get_running_loop().call_soon(self._reconnect)
        return [
            error if command.writes and not isinstance(reply, Exception) else reply
            for command, reply in zip(group, replies, strict=True)
        ]

    def _unreplicated(self, group: list[_Command], replies: list[Reply]) -> list[Reply]:
        """Replies that came before the connection was lost: sound, unless replicas were to be waited for."""
        judged = [self._judged(reply) for reply in replies]
        if not self._wait_words():
            return judged
        error = StoreUnavailable(f"{self._where}: lost before the replicas answered", unknown=True)
        return [
            error if command.writes and not isinstance(reply, Exception) else reply
            for command, reply in zip(group, judged, strict=False)
        ]

    def _judged(self, reply: Reply) -> Reply:
        """Error replies that mean "not here" or "not now" as the store's own; nothing was done."""
        if not isinstance(reply, RedisError):
            return reply
        if isinstance(reply, ELSEWHERE):
            self._lost(reply)
            asyncio.get_running_loop().call_soon(self._reconnect)
        elif not isinstance(reply, OutOfMemoryError | NoPermissionError) and code_of(reply) not in REFUSALS:
            return reply
        prefix = "OOM " if isinstance(reply, OutOfMemoryError) else ""
        prefix = "READONLY " if isinstance(reply, ReadOnlyError) else prefix
        kind = StoreLoading if isinstance(reply, BusyLoadingError) else StoreUnavailable
        return kind(f"{self._where}: {prefix}{reply}")

    def _reconnect(self) -> None:
        """Let the next group begin with a new connection, to wherever the node is then."""
        connection, self._connection = self._connection, None
        if connection is not None:
            task = asyncio.ensure_future(connection.disconnect(nowait=True))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _ready(self) -> Connection:
        """The connection, if the other side has not closed it meanwhile; else a new one."""
        if self._connection is not None:
            with contextlib.suppress(RedisError, OSError):
                if not await self._connection.can_read():
                    return self._connection
            await self._disconnect()
        connection = await self._connect()
        self._connection = connection
        return connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)


class Nodes:
    """Which node serves a key, and connections to it, for each kind of URL."""

    def __init__(self, options: RedisOptions) -> None:
        self.options = options
        self._cluster: RedisCluster | None = None
        self._sentinel: Any = None
        self._stale = False
        self._finding = asyncio.Lock()

    @property
    def is_stale(self) -> bool:
        """Whether `find` has something to do."""
        return self._cluster is not None and self._stale

    def stale(self) -> None:
        """A node said that a key is elsewhere, or went away: look again at the next need."""
        self._stale = True

    def _login(self) -> dict[str, Any]:
        options = self.options
        settings: dict[str, Any] = {"username": options.user, "password": options.password}
        return {name: value for name, value in settings.items() if value is not None} | self._transport()

    def _transport(self) -> dict[str, Any]:
        options = self.options
        settings: dict[str, Any] = {
            "socket_connect_timeout": options.timeout_s,
            "socket_timeout": None,  # the lane's affair
            "protocol": 2,
        }
        if options.tls:
            settings |= {
                "ssl_ca_certs": options.ca,
                "ssl_certfile": options.cert,
                "ssl_keyfile": options.key,
                "ssl_cert_reqs": "required" if options.verify else "none",
                "ssl_check_hostname": options.verify,
            }
        return settings

    async def find(self) -> None:
        """Connect to the cluster, if it is one, and learn its slots."""
        if self.options.kind != "cluster":
            return
        async with self._finding:
            if self._cluster is not None and not self._stale:
                return
            cluster = RedisCluster(
                startup_nodes=[ClusterNode(host, port) for host, port in self.options.hosts],
                ssl=self.options.tls,
                **(self._login() | {"socket_timeout": self.options.timeout_s}),
            )
            try:
                await cluster.initialize()
            finally:
                old, self._cluster = self._cluster, cluster
                if old is not None:
                    await old.aclose()
            self._stale = False

    def node_of(self, key: bytes) -> Address | None:
        """The node that serves a key; None where there is only one."""
        if self._cluster is None:
            return None
        node = self._cluster.get_node_from_key(cast("str", key))  # it takes bytes as well
        return None if node is None else (str(node.host), int(node.port))

    def primaries(self) -> list[Address | None]:
        """Every node that keeps keys."""
        if self._cluster is None:
            return [None]
        return [(str(n.host), int(n.port)) for n in self._cluster.get_primaries()]

    async def _address(self, node: Address | None) -> Address:
        if node is not None:
            return node
        if self.options.kind != "sentinel":
            return self.options.hosts[0]
        if self._sentinel is None:
            login = {"username": self.options.sentinel_user, "password": self.options.sentinel_password}
            given = {name: value for name, value in login.items() if value is not None}
            transport = self._transport() | {
                "socket_timeout": self.options.timeout_s,
                "ssl": self.options.tls,
            }
            self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
                list(self.options.hosts), sentinel_kwargs=given | transport
            )
        host, port = await self._sentinel.discover_master(self.options.service)
        return str(host), int(port)

    async def connect(self, node: Address | None) -> Connection:
        """A new connection. RedisError, OSError, TimeoutError."""
        host, port = await self._address(node)
        kind = SSLConnection if self.options.tls else Connection
        connection = kind(
            host=host, port=port, db=self.options.db, retry=Retry(NoBackoff(), 0), **self._login()
        )
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except ssl.SSLError as error:
            await connection.disconnect(nowait=True)
            raise OSError(f"TLS: {error}") from error
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def load_scripts(self, connection: Connection) -> None:
        """Have a server know the scripts. RedisError, OSError; StoreUnavailable if it refuses."""
        words = [("SCRIPT", "LOAD", script.source) for script in SCRIPTS]
        try:
            await connection.send_packed_command(connection.pack_commands(words), check_health=False)
            for _ in SCRIPTS:
                await connection.read_response(disable_decoding=True)
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, ResponseError):
                why = str(error)[:100]
                raise StoreUnavailable(f"{self.options.safe_url} refuses SCRIPT LOAD: {why}") from error
            raise

    async def close(self) -> None:
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            await cluster.aclose()
        if self._sentinel is not None:
            for sentinel in self._sentinel.sentinels:
                await sentinel.aclose()
            self._sentinel = None
