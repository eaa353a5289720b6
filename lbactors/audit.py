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
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack
import structlog

from lbactors.model import ApiError
from lbactors.timeframe import format_instant
from persistence.store import Change, Store, StoreError

if TYPE_CHECKING:
    from lbactors.planned import Planned
    from lbactors.supervisor import Supervisor

AUDIT = "audit"
LAST = 10**17 - 1
PER_MS = 1000
STEP_BACK = 60_000 * PER_MS  # a clock that steps back by less than a minute does not reorder the log
CHUNK = 1000  # documents read at a time
TRIMMED_AT_ONCE = 500
TRIM_EVERY_S = 600.0
DAY_MS = 86_400_000
TEXT_LENGTH = 500  # of a value in the details
PLAYED = frozenset({"claim_reward"})  # commands that games send for players: nothing administrative

log = structlog.get_logger("audit")


class Who(NamedTuple):
    """Who acts: the key, and the request it came with."""

    key_id: str
    key_name: str
    request_id: str


NOBODY = Who("", "", "")  # the server itself


class Audited(NamedTuple):
    """What a command's handler says of itself, in place of what its name and arguments say.

    `details` may hold `player_id` and `reason`, which have fields of their own in a record.
    """

    act: str
    target: str
    details: dict[str, Any]


NOT_AN_ACT = Audited("", "", {})  # of a command that nobody gave: it has no record


class Wanted(NamedTuple):
    """Which records a reader asks for. `since_ms` inclusive, `until_ms` exclusive; None: any."""

    act: str | None = None
    target: str | None = None
    player_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


def doc_id(tenant_id: str, number: int, epoch: int) -> str:
    return f"{tenant_id}/{LAST - number:017d}-{epoch}"


class Audit:
    """The supervisor's pen. `record` numbers within one process; the epoch tells processes apart."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.s = supervisor
        self._last = 0

    def record(
        self, tenant_id: str, who: Who | None, act: str, target: str, details: dict[str, Any]
    ) -> Change:
        """One record, for the caller's commit. details: small and JSON-ready, see `Audited`."""
        at_ms = self.s.clock.now_ms()
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
        return Change(AUDIT, doc_id(tenant_id, number, self.s.epoch), bytes(msgpack.packb(body)))

    def of_command(
        self, name: str, tenant_id: str, args: dict[str, Any], planned: Planned, who: Who | None
    ) -> list[Change]:
        """The record of a command that is about to be committed; [] for one that changes nothing."""
        if not planned.changes and planned.act is None and planned.audited is None:
            return []
        if name in PLAYED:
            return []
        audited = planned.audited or described(name, args, planned.body)
        if audited is NOT_AN_ACT:
            return []
        return [self.record(tenant_id, who, *audited)]

    async def trim(self) -> int:
        """Delete a bounded number of records of every tenant that are too old; how many. ApiError."""
        before_ms = self.s.clock.now_ms() - self.s.settings.get("audit_retain_days", 400) * DAY_MS
        gone = 0
        for tenant_id in list(self.s.documents["tenants"]):
            after = f"{tenant_id}/{LAST - before_ms * PER_MS:017d}-"
            try:
                found = await self.s.store.scan(
                    AUDIT, prefix=f"{tenant_id}/", after=after, limit=TRIMMED_AT_ONCE
                )
            except StoreError as error:
                raise ApiError("storage_unavailable", str(error)) from error
            if found:
                await self.s.commit([Change(AUDIT, i, None) for i, _ in found])
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
        async for found_id, body in _scan(self.s.store, tenant_id, ""):
            if player_id.encode() not in body:
                continue
            new = bytes(msgpack.packb(anonymised(msgpack.unpackb(body), player_id, anonymous_id)))
            if new != body:
                changes.append(Change(AUDIT, found_id, new))
        return changes


def amended(record: Change, outcome: dict[str, Any] | None) -> Change:
    """A record that was written before its act, with what came of it; without a trace if nothing did."""
    if not outcome:
        return record._replace(body=None)
    *rest, details = msgpack.unpackb(record.body or b"")
    return record._replace(body=bytes(msgpack.packb([*rest, {**details, **outcome}])))


def _short(value: Any) -> Any:
    return value[:TEXT_LENGTH] if isinstance(value, str) else value


def anonymised(value: Any, player_id: str, anonymous_id: str) -> Any:
    """JSON-like data in which no text is the player's id, or has it as a word."""
    if isinstance(value, str):
        if player_id not in value:
            return value
        return re.sub(rf"(?<!\w){re.escape(player_id)}(?!\w)", lambda _: anonymous_id, value)
    if isinstance(value, list | tuple):
        return [anonymised(item, player_id, anonymous_id) for item in value]
    if isinstance(value, dict):
        return {
            anonymised(name, player_id, anonymous_id): anonymised(item, player_id, anonymous_id)
            for name, item in value.items()
        }
    return value


# What a command says of itself ----------------------------------------------------------------------------

NOUNS = {"patch": "update", "put": "update"}  # verbs of commands that are called otherwise in the log


def described(name: str, args: dict[str, Any], body: dict[str, Any]) -> Audited:
    """`patch_leaderboard` is `leaderboard.update`; its target is the id that arguments or answer name.

    The details are the names of the fields that were sent, never their values, which may be secrets.
    """
    verb, _, noun = name.partition("_")
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


# Reading --------------------------------------------------------------------------------------------------


async def _scan(store: Store, tenant_id: str, after: str, end: str = "") -> AsyncIterator[tuple[str, bytes]]:
    """A tenant's records, newest first, a chunk at a time; up to the id `end` if there is one."""
    while True:
        found = await store.scan(AUDIT, prefix=f"{tenant_id}/", after=after, limit=CHUNK)
        for found_id, body in found:
            if end and found_id >= end:
                return
            yield found_id, body
        if len(found) < CHUNK:
            return
        after = found[-1][0]


def record_json(body: bytes) -> dict[str, Any]:
    """A record as the API shows it."""
    number, at_ms, act, target, player_id, reason, who, details = msgpack.unpackb(body)
    key_id, key_name, request_id = who
    return {
        "audit_id": f"aud_{number:016d}",
        "at": format_instant(at_ms),
        "act": act,
        "target": target,
        "player_id": player_id,
        "reason": reason,
        "key_id": key_id or None,
        "key_name": key_name or None,
        "request_id": request_id or None,
        "details": details,
    }


async def search(
    store: Store, tenant_id: str, wanted: Wanted, place: int, limit: int
) -> tuple[list[dict[str, Any]], int, int | None]:
    """A page of a tenant's records, newest first: items, how many match in all, where the next page begins.

    place: 0, or what an earlier call said. ApiError storage_unavailable.
    """
    after = f"{tenant_id}/{LAST - wanted.until_ms * PER_MS:017d}." if wanted.until_ms is not None else ""
    end = f"{tenant_id}/{LAST - wanted.since_ms * PER_MS:017d}." if wanted.since_ms is not None else ""
    items: list[dict[str, Any]] = []
    total = 0
    last: int | None = None
    more = False
    try:
        async for _, body in _scan(store, tenant_id, after, end):
            number, _, act, target, player_id, *_ = msgpack.unpackb(body)
            if (
                (wanted.act is not None and act != wanted.act and not act.startswith(f"{wanted.act}."))
                or (wanted.target is not None and target != wanted.target)
                or (wanted.player_id is not None and player_id != wanted.player_id)
            ):
                continue
            total += 1
            if place and number >= place:
                continue
            if len(items) == limit:
                more = True
                continue
            items.append(record_json(body))
            last = number
    except StoreError as error:
        raise ApiError("storage_unavailable", str(error)) from error
    return items, total, last if more else None
