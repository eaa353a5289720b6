"""The audit log: what was done by whom, when and why, one document for each administrative act.

A record is written in the same commit as what it tells of, so neither is there without the other. It names
the fields that changed and what is small; secrets, keys and whole definitions are never in it.

The newest come first in a listing, and a store scans upwards only: so a document's id is
`<tenant>/<99999999999999999 - number>-<epoch>`, where `number` is the instant in ms times 1000 and counts up
within a millisecond. The `audit_id` that readers see is made of the number itself, and sorts by time.

It owns the collection `audit`. What is older than the setting `audit_retain_days` goes, a bounded number at a
time (`trim`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgpack
import structlog

from lbactors.core.errors import ApiError
from lbactors.core.packing import pack
from lbactors.documents.audit import (
    AUDIT,
    LAST,
    NOBODY,
    NOT_AN_ACT,
    PER_MS,
    Audited,
    Who,
    anonymised,
    doc_id,
    scan_records,
)
from lbactors.documents.storage_errors import storage_errors
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.commands import ClaimReward, Command
from persistence.store import Change

if TYPE_CHECKING:
    from lbactors.supervisor.command_plan import CommandPlan

STEP_BACK = 60_000 * PER_MS  # a clock that steps back by less than a minute does not reorder the log
TRIMMED_AT_ONCE = 500
TRIM_EVERY_S = 600.0
DAY_MS = 86_400_000
TEXT_LENGTH = 500  # of a value in the details
PLAYED = (ClaimReward,)  # commands that games send for players: nothing administrative

log = structlog.get_logger("audit")


class Audit:
    """The supervisor's pen. `record` numbers within one process; the epoch tells processes apart."""

    def __init__(self, state: SupervisorState) -> None:
        self.state = state
        self._last = 0

    def record(
        self, tenant_id: str, who: Who | None, act: str, target: str, details: dict[str, Any]
    ) -> Change:
        """One record, for the caller's commit. details: small and JSON-ready, see `Audited`."""
        at_ms = self.state.clock.now_ms()
        number = at_ms * PER_MS
        if number <= self._last < number + STEP_BACK:
            number = self._last + 1
        self._last = number
        rest = {name: _short(value) for name, value in details.items() if name not in ("player_id", "reason")}
        who = who or NOBODY
        body = [
            number,
            at_ms,
            act,
            target,
            details.get("player_id"),
            details.get("reason"),
            list(who),
            rest,
        ]
        return Change(AUDIT, doc_id(tenant_id, number, self.state.epoch), pack(body))

    def of_command(
        self, command: Command, tenant_id: str, planned: CommandPlan, who: Who | None
    ) -> list[Change]:
        """The record of a command that is about to be committed; [] for one that changes nothing."""
        if not planned.changes and planned.act is None and planned.audited is None:
            return []
        if isinstance(command, PLAYED):
            return []
        audited = planned.audited or described(command, planned.body)
        if audited is NOT_AN_ACT:
            return []
        return [self.record(tenant_id, who, *audited)]

    async def trim(self) -> int:
        """Delete a bounded number of records of every tenant that are too old; how many. ApiError."""
        before_ms = self.state.clock.now_ms() - self.state.settings.audit_retain_days * DAY_MS
        gone = 0
        for tenant_id in list(self.state.documents["tenants"]):
            after = f"{tenant_id}/{LAST - before_ms * PER_MS:017d}-"
            with storage_errors():
                found = await self.state.store.scan(
                    AUDIT, prefix=f"{tenant_id}/", after=after, limit=TRIMMED_AT_ONCE
                )
            if found:
                await self.state.commit([Change(AUDIT, i, None) for i, _ in found])
            gone += len(found)
        return gone

    async def trim_on(self) -> None:
        """Trim now and again, for as long as the supervisor runs."""
        while True:
            try:
                while await self.trim():
                    pass
            except ApiError as error:
                log.warning("the audit log could not be trimmed", error=str(error))
            await asyncio.sleep(TRIM_EVERY_S)

    async def erase(self, tenant_id: str, player_id: str, anonymous_id: str) -> list[Change]:
        """Records with a player's id taken out of them, for the caller's commit. StoreError."""
        changes = []
        async for found_id, body in scan_records(self.state.store, tenant_id, ""):
            if player_id.encode() not in body:
                continue
            new = pack(anonymised(msgpack.unpackb(body), player_id, anonymous_id))
            if new != body:
                changes.append(Change(AUDIT, found_id, new))
        return changes


def amended(record: Change, outcome: dict[str, Any] | None) -> Change:
    """A record that was written before its act, with what came of it; without a trace if nothing did."""
    if not outcome:
        return record._replace(body=None)
    *rest, details = msgpack.unpackb(record.body or b"")
    return record._replace(body=pack([*rest, {**details, **outcome}]))


def _short(value: Any) -> Any:
    return value[:TEXT_LENGTH] if isinstance(value, str) else value


# What a command says of itself ----------------------------------------------------------------------------

NOUNS = {"patch": "update", "put": "update"}  # verbs of commands that are called otherwise in the log


def described(command: Command, body: dict[str, Any]) -> Audited:
    """`patch_leaderboard` is `leaderboard.update`; its target is the id that arguments or answer name.

    The details are the names of the fields that were sent, never their values, which may be secrets.
    """
    args = command.args()
    verb, _, noun = command.name.partition("_")
    act = f"{noun}.{NOUNS.get(verb, verb)}"
    own = f"{noun}_id"
    target = args.get(own) or body.get(own) or ""
    details: dict[str, Any] = {}
    sent = [value for field, value in args.items() if isinstance(value, dict)]
    if sent:
        details["fields"] = sorted({str(field) for fields in sent for field in fields})
    if not target:
        target = next((v for f, v in args.items() if f.endswith("_id") and isinstance(v, str)), "")
    if noun == "period":
        shown = body.get("closed", body)
        details["period_key"] = shown.get("period_key")
        details["window"] = shown.get("window")
    if isinstance(args.get("player_id"), str):
        details["player_id"] = args["player_id"]
    return Audited(act, target, details)
