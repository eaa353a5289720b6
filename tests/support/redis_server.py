"""Private Redis servers for tests: real `redis-server` processes on free ports, to be killed and paused.

A `RedisServer` owns its folder (configuration, data, log) and one process; port and data stay over restarts.
`RedisCluster` and `RedisSentinel` are made of several, `TlsFiles` is a private certificate authority. Nothing
outlives `close`, nor this process: the kernel kills what a killed test run leaves behind. Ports are below the
range that outgoing connections take, so that none of those sits on a port while its server is down.

The commands that tests send themselves go through a plain socket, one connection for each: nothing of the
client library under test is between a test and what it sees.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from tests.support.free_ports import free_redis_port

READY_WITHIN_S = 30.0
LOOK_EVERY_S = 0.01
COMMAND_WITHIN_S = 10.0
TAIL_CHARACTERS = 2500
SLOTS = 16_384
MASTER_NAME = "board"  # of the one master that a RedisSentinel watches

Word = str | bytes | int


class RedisRefused(Exception):
    """An error that Redis answered."""


class RedisEnded(Exception):
    """Its process ended before it answered. No OSError: `until` would go on waiting."""


async def until(look: Callable[[], object], what: str, within_s: float = READY_WITHIN_S) -> Any:
    """The first true value that `look` gives, awaited if need be; Redis's errors count as not yet."""
    ends_at_s = time.monotonic() + within_s
    last: object = None
    while True:
        try:
            found = look()
            value = await found if isinstance(found, Awaitable) else found
            if value:
                return value
            last = value
        except (OSError, RedisRefused) as error:
            last = error
        assert time.monotonic() < ends_at_s, f"{what}: not within {within_s} s, last {last!r}"
        await asyncio.sleep(LOOK_EVERY_S)


class TlsFiles:
    """A certificate authority of its own, and what it signed for 127.0.0.1 and for a client; PEM files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = folder / "ca.pem"
        self.cert, self.key = folder / "server.pem", folder / "server.key"
        self.client_cert, self.client_key = folder / "client.pem", folder / "client.key"
        ca_key = folder / "ca.key"
        signed = ("-CA", str(self.ca), "-CAkey", str(ca_key))
        names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
        self._make(self.ca, ca_key, "test authority", "CA:TRUE")
        self._make(self.cert, self.key, "localhost", "CA:FALSE", "-addext", names, *signed)
        self._make(self.client_cert, self.client_key, "client", "CA:FALSE", *signed)

    def _make(self, cert: Path, key: Path, name: str, constraints: str, *more: str) -> None:
        config = cert.with_suffix(".cnf")
        config.write_text("[req]\ndistinguished_name = name\n[name]\n")
        command = ["openssl", "req", "-x509", "-config", str(config), "-days", "30", "-nodes"]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={name}"]
        command += ["-addext", f"basicConstraints=critical,{constraints}"]
        made = subprocess.run([*command, "-keyout", str(key), "-out", str(cert), *more], capture_output=True)
        assert made.returncode == 0, made.stderr.decode()


class RedisServer:
    """One server. `options` are lines of redis.conf, those after the defaults; `folder` is its own.

    With `tls` it speaks TLS only, and asks clients for a certificate if the options say so; with `password`
    it asks for that; with `replica_of` it is a replica of that server, and started when it has caught up.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        port: int = 0,
        password: str = "",
        tls: TlsFiles | None = None,
        replica_of: RedisServer | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port or free_redis_port()
        self.password = password
        self.tls = tls
        self.replica_of = replica_of
        self.log_path = folder / "redis.log"
        self.conf_path = folder / "redis.conf"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._port_is_given = port > 0
        self.conf_path.unlink(missing_ok=True)
        atexit.register(self.close)

    @property
    def url(self) -> str:
        """What a client is given: address, password, database 0."""
        scheme, query = ("rediss", f"?ca={quote(str(self.tls.ca))}") if self.tls else ("redis", "")
        user = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"{scheme}://{user}127.0.0.1:{self.port}/0{query}"

    @property
    def runs(self) -> bool:
        """Whether it was started and not ended since, paused or not."""
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def __repr__(self) -> str:
        return f"RedisServer(port={self.port}, folder={str(self.folder)!r})"

    def tail(self) -> str:
        """The end of the log."""
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return f"--- {self!r}\n{text[-TAIL_CHARACTERS:]}"

    # The process ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start on the data that are there; wait until it answers PING (a replica: has caught up)."""
        assert self._process is None, "it runs"
        while True:
            self._spawn()
            try:
                await until(self._answers, f"{self!r} starts")
                break
            except RedisEnded as error:
                # Someone may have taken the port since it was found free.
                taken = "Address already in use" in self.tail()
                assert taken and not self._port_is_given, f"{error}\n{self.tail()}"
                self.port = free_redis_port()
                self.conf_path.unlink()
        self._port_is_given = True
        if self.replica_of is not None:
            await until(self._has_caught_up, "the replica catches up")

    def _spawn(self) -> None:
        program = shutil.which("redis-server")
        assert program, "redis-server is not on the path: apt-get install redis-server"
        if not self.conf_path.exists():  # a Sentinel, and a server that one told something, write to theirs
            self.conf_path.write_text("\n".join(self._lines()) + "\n")
        mode = ["--sentinel"] if any(line.startswith("sentinel ") for line in self._options) else []
        setpriv = shutil.which("setpriv")
        die_with_us = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
        self.log_path.write_bytes(b"")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*die_with_us, program, str(self.conf_path), *mode],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                restore_signals=False,  # a file at its size limit is then a full disk, and not the end
            )

    def _lines(self) -> list[str]:
        listen = [f"port {self.port}"]
        if self.tls:
            listen = ["port 0", f"tls-port {self.port}", f"tls-ca-cert-file {self.tls.ca}"]
            listen += [
                f"tls-cert-file {self.tls.cert}",
                f"tls-key-file {self.tls.key}",
                "tls-auth-clients no",
            ]
        lines = ["bind 127.0.0.1", *listen, f"dir {self.folder}"]
        if not any(line.startswith("sentinel ") for line in self._options):
            lines += ["appendonly yes", "appendfsync always", 'save ""', "repl-diskless-sync-delay 0"]
        if self.password:
            lines += [f"requirepass {self.password}", f"masterauth {self.password}"]
        if self.replica_of is not None:
            lines.append(f"replicaof 127.0.0.1 {self.replica_of.port}")
        return [*lines, *self._options]

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            code, self._process = self._process.returncode, None
            raise RedisEnded(f"{self!r} ended with {code}")
        # Somebody else's server may listen on the port; then ours is about to end.
        is_up = self.command("PING") == b"PONG"
        return is_up and int(self.info("server")["process_id"]) == self._process.pid

    def _has_caught_up(self) -> bool:
        """Whether a message went through and its receipt came back; that a link is up says less."""
        assert self.replica_of is not None
        replicas = int(self.replica_of.info("replication")["connected_slaves"])
        receipts = self.replica_of.commands(("PUBLISH", "nobody", "listens"), ("WAIT", replicas, 100))
        is_up = self.info("replication")["master_link_status"] == "up"
        return is_up and replicas > 0 and bool(receipts == replicas)  # none yet is no receipt

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGTERM, and wait: it says goodbye and keeps what its settings say."""
        assert self._process is not None, "not started"
        self._process.terminate()
        self._process.wait(READY_WITHIN_S)
        self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections stay, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End the process, whatever its state. Idempotent."""
        self.kill()
        atexit.unregister(self.close)

    # Commands -------------------------------------------------------------------------------------------

    def command(self, *words: Word, db: int = 0) -> Any:
        """Redis's answer to one command: bytes, int, None, or a list of those. RedisRefused."""
        return self.commands(words, db=db)

    def commands(self, *lines: Sequence[Word], db: int = 0) -> Any:
        """Send several commands on one connection; the answer to the last. RedisRefused."""
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(
                socket.create_connection(("127.0.0.1", self.port), COMMAND_WITHIN_S)
            )
            if self.tls:
                context = ssl.create_default_context(cafile=str(self.tls.ca))
                context.load_cert_chain(self.tls.client_cert, self.tls.client_key)
                wrapped = context.wrap_socket(connection, server_hostname="127.0.0.1")
                connection = stack.enter_context(wrapped)
            stream = stack.enter_context(connection.makefile("rb"))
            first: list[tuple[Word, ...]] = [("AUTH", self.password)] if self.password else []
            first += [("SELECT", db)] if db else []
            for line in [*first, *lines]:
                connection.sendall(_encoded(line))
                reply = _reply(stream)
        return reply

    def cli(self, *words: Word) -> str:
        """The answer as text: items of a list on lines of their own, nothing for nil. RedisRefused."""
        return _text(self.command(*words))

    def info(self, section: str) -> dict[str, str]:
        """One section of INFO."""
        lines = [line.partition(":") for line in self.cli("INFO", section).split("\r\n")]
        return {name: value for name, colon, value in lines if colon}


def _encoded(words: Sequence[Word]) -> bytes:
    items = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(items) + b"".join(b"$%d\r\n%s\r\n" % (len(item), item) for item in items)


def _reply(stream: BinaryIO) -> Any:
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("Redis closed the connection")
    kind, rest = line[:1], line[1:-2]
    if kind == b"-":
        raise RedisRefused(rest.decode(errors="replace"))
    if kind == b"+":
        return rest
    count = int(rest)
    if kind == b":":
        return count
    if count < 0:
        return None
    return stream.read(count + 2)[:-2] if kind == b"$" else [_reply(stream) for _ in range(count)]


def _text(reply: Any) -> str:
    if isinstance(reply, list):
        return "\n".join(map(_text, reply))
    if isinstance(reply, bytes):
        return reply.decode(errors="replace")
    return "" if reply is None else str(reply)


class RedisCluster:
    """Masters of a Redis Cluster that share the slots evenly. `options` are those of each node."""

    def __init__(self, folder: Path, nodes: int = 3, *options: str) -> None:
        cluster = ("cluster-enabled yes", "cluster-node-timeout 3000", *options)
        self.nodes = [RedisServer(folder / f"node{number}", *cluster) for number in range(nodes)]
        self._is_made = False

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes) + "/"

    async def start(self) -> None:
        """Start every node that does not run, and wait until all of them see the whole cluster."""
        for node in self.nodes:
            if not node.runs:
                await node.start()
        if not self._is_made:
            count = len(self.nodes)
            for number, node in enumerate(self.nodes):
                begin, end = SLOTS * number // count, SLOTS * (number + 1) // count - 1
                node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                node.command("CLUSTER", "ADDSLOTSRANGE", begin, end)
                for other in self.nodes[:number]:
                    node.command("CLUSTER", "MEET", "127.0.0.1", other.port)
            self._is_made = True
        await until(lambda: all(map(self._is_whole, self.nodes)), "the cluster's nodes see each other")

    def _is_whole(self, node: RedisServer) -> bool:
        lines = node.cli("CLUSTER", "INFO").split()
        return {"cluster_state:ok", f"cluster_known_nodes:{len(self.nodes)}"} <= set(lines)

    def node_of(self, key: str | bytes) -> RedisServer:
        """The node that has a key's slot now."""
        slot = self.nodes[0].command("CLUSTER", "KEYSLOT", key)
        for begin, end, (_, port, *_), *_ in self.nodes[0].command("CLUSTER", "SLOTS"):
            if begin <= slot <= end:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"no node has slot {slot}")

    def command(self, *words: Word) -> Any:
        """A command at the node of its first key."""
        return self.node_of(words[1] if isinstance(words[1], bytes) else str(words[1])).command(*words)

    def tail(self) -> str:
        return "\n".join(node.tail() for node in self.nodes)

    def close(self) -> None:
        for node in self.nodes:
            node.close()


class RedisSentinel:
    """A master, its replica, and a Sentinel that decides alone and soon. `options`: of the two servers."""

    def __init__(self, folder: Path, *options: str, down_after_ms: int = 2000) -> None:
        self.master = RedisServer(folder / "one", *options)
        self.replica = RedisServer(folder / "two", *options, replica_of=self.master)
        self._folder = folder
        self._down_after_ms = down_after_ms
        self.sentinel: RedisServer | None = None

    @property
    def url(self) -> str:
        assert self.sentinel is not None, "not started"
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{MASTER_NAME}/0"

    async def start(self) -> None:
        """Start all three, and wait until the Sentinel knows the replica as fit to take over."""
        await self.master.start()
        await self.replica.start()
        self.sentinel = RedisServer(
            self._folder / "sentinel",
            f"sentinel monitor {MASTER_NAME} 127.0.0.1 {self.master.port} 1",
            f"sentinel down-after-milliseconds {MASTER_NAME} {self._down_after_ms}",
            f"sentinel failover-timeout {MASTER_NAME} 3000",
        )
        await self.sentinel.start()
        await until(self._is_ready, "the Sentinel knows the replica")

    def _is_ready(self) -> bool:
        assert self.sentinel is not None
        for replica in self.sentinel.command("SENTINEL", "REPLICAS", MASTER_NAME):
            fields = dict(zip(replica[::2], replica[1::2], strict=True))
            if fields[b"flags"] == b"slave" and fields[b"master-link-status"] == b"ok":
                return True
        return False

    def master_port(self) -> int:
        """The port of the master that the Sentinel tells clients."""
        assert self.sentinel is not None
        _, port = self.sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME)
        return int(port)

    def tail(self) -> str:
        return "\n".join(server.tail() for server in (self.master, self.replica, self.sentinel) if server)

    def close(self) -> None:
        for server in (self.sentinel, self.replica, self.master):
            if server is not None:
                server.close()


MakeRedis = Callable[..., RedisServer]  # the fixture `make_redis`: options, then settings of `RedisServer`
