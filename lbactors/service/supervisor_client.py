"""A gateway's calls of the supervisor: commands, and how the server is.

A supervisor that died has a successor within seconds, so most calls wait for it for a moment. Nothing is sent
while it is known to be away.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, NamedTuple

import msgpack

from lbactors.core.errors import ApiError
from lbactors.core.packing import pack
from lbactors.documents.audit import Who
from lbactors.process_memory import resident_bytes
from lbactors.service.catalogue import Catalogue
from lbactors.wire.actors import ActorGone, Caller
from lbactors.wire.commands import Command, CommandCall, CommandReply, ErasePlayer, Idempotency
from persistence.store import Store, trouble_of

COMMAND_TIMEOUT_S = 60.0
ERASURE_TIMEOUT_S = 900.0  # some 20 ms for each leaderboard and window
STATUS_TIMEOUT_S = 5.0
READY_TIMEOUT_S = (
    1.0  # whoever asks for readiness wants an answer; the supervisor makes its own once a second
)
AGAIN_S = 0.1
BACK_WITHIN_S = 5.0  # what needs the supervisor waits so long for one that died; the next one takes 1 to 4 s


class AdminAnswer(NamedTuple):
    """HTTP status and the JSON-ready body of an administrative command."""

    status: int
    body: dict[str, Any]


class SupervisorClient:
    """One for each gateway process. store: asked for its health while the supervisor is away."""

    def __init__(self, supervisor: Caller, catalogue: Catalogue, store: Store) -> None:
        self._supervisor = supervisor
        self._catalogue = catalogue
        self._store = store
        self._last_status: dict[str, Any] = {}

    async def command(
        self,
        command: Command,
        tenant_id: str,
        idempotency: Idempotency | None = None,
        who: Who | None = None,
    ) -> AdminAnswer:
        """Carry out a command through the supervisor; `who`: for the audit log.

        The catalogue of this gateway shows its effect on return. Nothing is sent while the supervisor is
        known to be away. What it may have taken before its death is sent again to its successor if it has an
        Idempotency-Key, else not. ApiError.
        """
        if not await self._catalogue.supervisor_back(BACK_WITHIN_S):
            why = self._catalogue.supervisor_away
            raise ApiError("storage_unavailable", f"nothing was changed, the supervisor is away: {why}")
        payload = pack(CommandCall(command, tenant_id, idempotency, who).to_wire())
        timeout_s = ERASURE_TIMEOUT_S if isinstance(command, ErasePlayer) else COMMAND_TIMEOUT_S
        try:
            again = idempotency is not None
            packed = await self._ask("command", payload, timeout_s=timeout_s, again=again)
        except (ActorGone, TimeoutError) as error:
            raise ApiError("storage_unavailable", "the supervisor is away; the outcome is unknown") from error
        reply = CommandReply.from_wire(msgpack.unpackb(packed))
        await self._catalogue.wait_for(reply.shown_by)
        return AdminAnswer(reply.status, reply.body)

    async def _ask(self, method: str, *payload: bytes, timeout_s: float, again: bool) -> bytes:
        """Call the supervisor; again: once more and once more while it is away. ActorGone, TimeoutError."""
        deadline_s = time.monotonic() + BACK_WITHIN_S
        while True:
            try:
                return await self._supervisor.call(method, *payload, timeout_s=timeout_s)
            except (ActorGone, TimeoutError):
                if not again or time.monotonic() >= deadline_s:
                    raise
            await asyncio.sleep(AGAIN_S)

    async def ready(self, *, now: bool) -> dict[str, Any]:
        """`ready` with the reasons: storage, supervisor, actors, periods serving and loading. now: with every
        actor asked; else up to two seconds old, at a cost that does not grow with those who ask.

        While the supervisor is away scores and reads go on, so the last known state counts.
        """
        try:
            if now:
                status = await self._status(b"now", again=False)
            else:
                status = await self._status(b"brief", again=False, timeout_s=READY_TIMEOUT_S)
        except ApiError:
            status = {**self._last_status, "supervisor": "away"}
            status.setdefault("ready", False)
            trouble = await trouble_of(self._store)
            if trouble:
                status |= {"ready": False, "storage": trouble}
        actors = status.get("actors", [])
        return {
            "ready": status["ready"],
            "storage": status.get("storage", "unknown"),
            "supervisor": "away" if status.get("supervisor") == "away" else "ok",
            "actors": len(actors),
            "periods": status.get("periods", {"serving": 0, "loading": 0, "asleep": 0}),
        }

    async def projections(self) -> dict[str, Any] | None:
        """Which projections are behind, as in `status`, at the cost of `ready`; None while the supervisor is
        away.
        """
        try:
            status = await self._status(b"brief", again=False, timeout_s=READY_TIMEOUT_S)
        except ApiError:
            return None
        found: dict[str, Any] = status["projections"]
        return found

    async def status(self) -> dict[str, Any]:
        """For operators: actors with pid, memory, periods hosted, load; supervisor; store; this gateway. A
        supervisor that is away is waited for. ApiError.
        """
        return await self._status(again=True)

    async def _status(
        self, *wanted: bytes, again: bool, timeout_s: float = STATUS_TIMEOUT_S
    ) -> dict[str, Any]:
        try:
            reply = await self._ask("status", *wanted, timeout_s=timeout_s, again=again)
        except (ActorGone, TimeoutError) as error:
            why = str(error) or "no answer in time"
            raise ApiError("storage_unavailable", f"the supervisor is away: {why}") from error
        gateway = {"pid": os.getpid(), "resident_bytes": resident_bytes()}
        self._last_status = {**msgpack.unpackb(reply), "gateway": gateway}
        return self._last_status
