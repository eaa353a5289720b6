"""The way from a gateway to the actor that has a leaderboard, whatever it does meanwhile.

Reads and writes go to its home (`lbactors.service.catalogue`) through batching channels over `RpcClient`s.
One that sleeps is woken, a dormant one gets a home, one that moves or is about to be hosted is waited for: in
all these cases nothing was taken, so what was asked is sent again, for a few seconds at most. Every method
raises `ApiError` for whatever the caller is to be told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import msgpack
import structlog

from lbactors.core.errors import ApiError
from lbactors.core.ids import board_of_chain
from lbactors.core.model import Reading
from lbactors.core.packing import pack
from lbactors.core.shown_ranks import shown_reading
from lbactors.service.catalogue import Catalogue
from lbactors.settings import ServerSettings
from lbactors.wire.actors import Actor, ActorFinder, ActorGone
from lbactors.wire.batching import Channel
from lbactors.wire.catalogue_feed import CatalogueVersion
from lbactors.wire.logs import AppendedWire, FollowedWire, FollowOp, LogOp, LogRead
from lbactors.wire.reads import Lookup, Query, ReadAnswer, ReadOp
from lbactors.wire.replies import ASLEEP, NOT_HERE, Reply
from lbactors.wire.rpc import LOST, RpcClient, VersionRefused
from lbactors.wire.single_flight import SingleFlight
from lbactors.wire.writes import WriteCall, WriteOp

READS_WAITING = 20_000
READS_AT_ONCE = 512
LOAD_TIMEOUT_S = 60.0
ENDPOINT_TIMEOUT_S = 10.0
PLACE_TIMEOUT_S = 15.0
COLD = object()  # in place of a reading: the period must be loaded first
ELSEWHERE = object()  # in place of a reading: the chain is not, or no longer, in this actor
FOUND_WITHIN_S = 5.0  # a chain that moves, or is woken again and again, is waited for so long
MOVED_LOOK_S = 0.05  # between two looks at an actor that should have a chain and does not yet
WRITES = frozenset(("write", "append"))
REPORT_PAUSE_S = 0.1  # at most one report of an actor in this time

log = structlog.get_logger("service")


def lost_write(error: Exception) -> ApiError:
    """A write whose call did not come back: nobody knows whether it was journaled."""
    if isinstance(error, VersionRefused):
        return lost_read(error)
    return ApiError("storage_unavailable", "the period actor went away; send the same submission_id again")


def lost_read(error: Exception) -> ApiError:
    """What nothing was done for."""
    if isinstance(error, VersionRefused):
        return ApiError("period_loading", str(error))
    return ApiError("period_loading", "the period actor went away and is being started again")


def _read_call(ops: list[ReadOp]) -> list[Sequence[Any]]:
    return [op.to_wire() for op in ops]


class Router:
    """One for each gateway process."""

    def __init__(
        self,
        cluster: ActorFinder,
        supervisor: Actor,
        catalogue: Catalogue,
        settings: ServerSettings,
        now_ms: Callable[[], int],
    ) -> None:
        self._cluster = cluster
        self._supervisor = supervisor
        self._catalogue = catalogue
        self._settings = settings
        self._now_ms = now_ms
        self._channels: dict[tuple[str, str], Channel] = {}  # by actor and method
        self._clients: dict[str, RpcClient] = {}
        self._placing: SingleFlight[None] = SingleFlight()  # by actor
        self._waking: SingleFlight[bool] = SingleFlight()  # by leaderboard
        self._reports: dict[str, asyncio.Task[None]] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _client(self, name: str) -> RpcClient:
        """The direct connection to an actor."""
        client = self._clients.get(name)
        if client is None:

            async def endpoint() -> bytes:
                actor = await self._cluster.find(name)
                if actor is None:
                    raise ActorGone(f"{name} is being started")
                return await actor.call("endpoint", timeout_s=ENDPOINT_TIMEOUT_S)

            client = self._clients[name] = RpcClient(endpoint)
        return client

    def moved(self, name: str, incarnation: str) -> None:
        """An actor is another process now."""
        if name in self._clients:
            self._clients[name].moved(incarnation)

    def _channel(self, name: str, method: str) -> Channel:
        channel = self._channels.get((name, method))
        if channel is None:
            settings = self._settings
            writes = method in WRITES
            lost = lost_write if writes else lost_read
            if writes:
                limit, batch = settings.queue_limit, settings.write_batch_items
            else:
                limit, batch = READS_WAITING, READS_AT_ONCE

            def failed(error: Exception) -> Exception:
                if isinstance(error, LOST):
                    self._report(name, error)
                    return lost(error)
                # A bug. A write may have been journaled before it, so its outcome is unknown.
                return lost(error) if writes else RuntimeError(repr(error))

            request: Callable[[list[Any]], Any] = list
            if method in ("write", "read"):
                request = self._write_call if writes else _read_call
            made = Channel(self._client(name), method, failed, limit, batch, request)
            channel = self._channels[name, method] = made
        return channel

    def _write_call(self, ops: list[WriteOp]) -> Sequence[Any]:
        """It says when it was sent, so the actor can tell how long ago something arrived, whatever the clocks
        say.
        """
        return WriteCall(self._now_ms(), ops).to_wire()

    def _report(self, name: str, error: Exception | None) -> None:
        """Tell the supervisor that an actor is away or lacks a chain."""
        if isinstance(error, VersionRefused):
            return  # it is there
        if error is not None:
            log.warning("period actor away", actor=name, error=str(error))
        if name not in self._reports:
            self._reports[name] = asyncio.create_task(self._send_report(name))

    async def _send_report(self, name: str) -> None:
        try:
            await self._supervisor.call("report", name.encode(), timeout_s=5)
        except (ActorGone, TimeoutError):
            log.debug("supervisor away")
        except Exception:
            log.exception("report failed", actor=name)
        try:
            await asyncio.sleep(REPORT_PAUSE_S)
        finally:
            del self._reports[name]

    def _value(self, reply: Reply, name: str) -> Any:
        """What a reply says, of whatever kind: `Reply.result`, and a bug of the actor is one here."""
        if reply.status == NOT_HERE:
            self._report(name, None)
        error = reply.error
        if error is not None and error.code == "internal_error":
            raise RuntimeError(error.message)
        return reply.result()

    async def write(self, op: WriteOp, weight: int) -> Any:
        """What a leaderboard's home answers to an operation. ApiError."""
        return await self._send("write", op, weight)

    async def append(self, op: LogOp) -> AppendedWire:
        """What a log's home answers to an operation. ApiError."""
        return AppendedWire(*await self._send("append", op, len(op.rows)))

    async def read_log(self, asked: LogRead) -> Any:
        """What a log's home answers to a read. ApiError."""
        return await self._send("read_log", asked, 1)

    async def follow(self, op: FollowOp) -> FollowedWire:
        """Have a leaderboard read on in its log. ApiError."""
        return FollowedWire(*await self._send("follow", op, 0))

    async def _send(self, method: str, op: WriteOp | LogOp | LogRead | FollowOp, weight: int) -> Any:
        """Send an operation to its leaderboard's home. One that sleeps is woken, one that moves is waited
        for: nothing was taken then, so the operation is sent again. ApiError.
        """
        deadline_s = time.monotonic() + FOUND_WITHIN_S
        while True:
            name = await self._live_home(op.board_id)
            if name is None:
                raise ApiError("period_not_open", "the leaderboard has no period yet")
            if method == "follow":
                reply = await self._alone(name, method, op)
            else:
                reply = await self._channel(name, method).send(op, weight)
            if reply.status not in (NOT_HERE, ASLEEP) or time.monotonic() >= deadline_s:
                return self._value(reply, name)
            if reply.status == ASLEEP:
                await self._wake(op.board_id, name)
            else:
                await self._look_again(op.board_id, name)

    async def _alone(self, name: str, method: str, op: Any) -> Reply:
        """A call of its own for an operation that may take long: others need not wait for it. ApiError."""
        try:
            packed = await self._client(name).call(method, pack([op]))
        except LOST as error:
            self._report(name, error)
            raise lost_read(error) from error
        try:
            (reply,) = msgpack.unpackb(packed)
            return Reply.from_wire(reply)
        except ValueError as error:  # a bug, or a newer actor: as a channel has it
            raise RuntimeError(repr(error)) from error

    async def _live_home(self, board_id: str) -> str | None:
        """The actor that has a leaderboard. One that does not run, since nobody used it for long, makes the
        supervisor give it another. ApiError period_loading.
        """
        deadline_s = time.monotonic() + FOUND_WITHIN_S
        name = self._catalogue.home(board_id)
        while name is not None and name in self._catalogue.dormant:
            await self._placing.of(name, partial(self._place, name))
            dormant, name = name, self._catalogue.home(board_id)
            if name == dormant or time.monotonic() >= deadline_s:  # else that one ended meanwhile, too
                raise ApiError("period_loading", "the period has no home yet")
        return name

    async def _place(self, name: str) -> None:
        """Have the supervisor give dormant chains a home. ApiError period_loading."""
        await self._catalogue.supervisor_back(FOUND_WITHIN_S)
        try:
            reply = await self._supervisor.call("rouse", name.encode(), timeout_s=PLACE_TIMEOUT_S)
        except (ActorGone, TimeoutError) as error:
            raise ApiError("period_loading", f"the supervisor is away: {error}") from error
        except Exception as error:  # whatever keeps it from that, whoever asked can ask again
            log.exception("dormant chains get no home", home=name)
            raise ApiError("period_loading", "the period has no home yet") from error
        await self._catalogue.wait_for(CatalogueVersion(*msgpack.unpackb(reply)))

    async def _wake(self, board_id: str, name: str) -> None:
        """Have a leaderboard's open periods loaded; callers at the same time share one call. ApiError."""

        async def ask() -> bool:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                packed = await self._client(name).call("wake", pack(board_id))
            reply = Reply.from_wire(msgpack.unpackb(packed))
            return reply.status == NOT_HERE or bool(self._value(reply, name))

        try:
            awake = await self._waking.of(board_id, ask)
        except LOST as error:
            self._report(name, error)
            raise lost_read(error) from error  # nothing was taken
        if not awake:
            raise ApiError("period_loading", "the period is being loaded")

    async def _look_again(self, board_id: str, name: str) -> None:
        """Wait a moment for what was not where it should be: for its new home, or to be hosted."""
        self._report(name, None)
        await self._catalogue.home_changed(board_id, name, MOVED_LOOK_S)

    async def read(
        self, chain_id: str, ref: str, query: Query, top_only: int | None = None, zone: str = ""
    ) -> Reading:
        """A read's answer, which must not be changed: equal reads that wait share it. top_only: see
        `lbactors.core.shown_ranks`. zone: see `ReadOp`. ApiError.
        """
        board_id = board_of_chain(chain_id)
        name = await self._live_home(board_id)
        op = ReadOp.of(chain_id, ref, query, zone)
        key = object() if isinstance(query, Lookup) else (op, top_only)

        def convert(reply: Reply) -> Any:
            if reply.status == NOT_HERE:
                return ELSEWHERE
            value = self._value(reply, name or "")
            return COLD if value is None else shown_reading(ReadAnswer.from_wire(value), top_only)

        deadline_s = time.monotonic() + FOUND_WITHIN_S
        while name is not None:
            found = await self._channel(name, "read").send_shared(key, op, convert)
            if found is COLD:
                reply = await self._load(name, op)
                if reply.status != NOT_HERE:
                    return shown_reading(ReadAnswer.from_wire(self._value(reply, name)), top_only)
            elif found is not ELSEWHERE:
                return cast("Reading", found)
            if time.monotonic() >= deadline_s:
                break
            await self._look_again(board_id, name)
            name = await self._live_home(board_id)
        raise ApiError("period_loading", "the period is being loaded")

    async def _load(self, name: str, op: ReadOp) -> Reply:
        """A read of a period that is not in memory, by a call of its own: others need not wait for it."""
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                packed = await self._client(name).call("load", pack(op.to_wire()))
        except LOST as error:
            raise lost_read(error) from error
        return Reply.from_wire(msgpack.unpackb(packed))
