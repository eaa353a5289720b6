"""Submissions held for review: how they are kept, and how they are decided.

Idea: a submission that a plugin holds is a document, `held/<board>/h/<held_id>`, and no part of any period.
To approve it is to submit it like any other, under its own submission id; so however often that is tried,
after whatever crash, the period takes it once. The supervisor keeps the record of that:

    held ──begin──▶ approving ──finish: applied──▶ approved
      │ ▲               └───────finish: refused──▶ held
      │ └── nothing of it is applied
      └────────reject─────────────────────────────▶ rejected

`approving` is durable before the submission is sent (by a gateway, which knows the way to periods). As long
as an attempt's outcome is not known it stays so: another attempt may be made, a rejection is refused for a
while.

Decided ones move to `…/d/<held_id>` and are remembered for a day: a submission that comes again is then told
what was decided, as it would be told that it is a duplicate. A held_id follows from the submission id, which
is what makes a repeat find the first one. Of each leaderboard at most `held_limit` are held.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgpack
import orjson

from lbactors.audit import NOT_AN_ACT, Audited
from lbactors.model import ApiError, Board, Submission
from lbactors.planned import Planned
from lbactors.timeframe import format_instant
from persistence.store import Change, Store

if TYPE_CHECKING:
    from lbactors.clock import Clock

COLLECTION = "held"
REMEMBERED_MS = 24 * 3600 * 1000  # decided ones, as submission ids are
FORGET_AT_ONCE = 200  # decided ones looked at for their age with each decision
UNDER_WAY_MS = 60_000  # an attempt to approve is over after this long, whatever became of it
HELD, APPROVING, APPROVED, REJECTED = "held", "approving", "approved", "rejected"

Outcome = dict[str, Any]


class Held(NamedTuple):
    """A held submission. Times in ms; `metadata` is JSON text; the plugin says the `reason`, the reviewer a
    `note`.

    `attempts`: approvals begun whose outcome is not known; `outcome`: of the approval, as clients see it.
    """

    held_id: str
    player_id: str
    score: int | float | None
    subscore: int | float
    metadata: str | None
    submission_id: str
    occurred_at_ms: int | None
    aggregation: str | None
    arrived_at_ms: int
    plugin: str
    reason: str
    key_id: str
    state: str = HELD
    attempts: int = 0
    changed_at_ms: int = 0
    note: str | None = None
    outcome: Outcome | None = None

    def submission(self) -> Submission:
        """What is sent to the periods: as it came, for the time at which it came."""
        metadata = None if self.metadata is None else self.metadata.encode()
        at_ms = self.arrived_at_ms if self.occurred_at_ms is None else self.occurred_at_ms
        return Submission(
            self.player_id, self.score, self.subscore, metadata, self.submission_id, at_ms, self.aggregation
        )


def held_of(
    board: Board, submission: Submission, arrived_at_ms: int, plugin: str, reason: str, key_id: str
) -> Held:
    """A submission as it is to be held. Its held_id follows from its submission id, if it has one."""
    if submission.submission_id is None:
        held_id = f"h_{secrets.token_hex(12)}"
    else:
        name = f"{place_of(board)}{submission.submission_id}"
        held_id = f"h_{hashlib.sha256(name.encode()).hexdigest()[:24]}"
    metadata = None if submission.metadata is None else submission.metadata.decode()
    return Held(
        held_id,
        submission.player_id,
        submission.score,
        submission.subscore,
        metadata,
        submission.submission_id or f"held:{held_id}",
        submission.occurred_at_ms,
        submission.aggregation,
        arrived_at_ms,
        plugin,
        reason,
        key_id,
    )


def held_json(held: Held, leaderboard_id: str) -> dict[str, Any]:
    """As reviewers see it."""
    occurred_at_ms = held.occurred_at_ms
    return {
        "held_id": held.held_id,
        "leaderboard_id": leaderboard_id,
        "state": held.state,
        "player_id": held.player_id,
        "score": held.score,
        "subscore": held.subscore,
        "metadata": None if held.metadata is None else orjson.loads(held.metadata),
        "submission_id": held.submission_id,
        "occurred_at": None if occurred_at_ms is None else format_instant(occurred_at_ms),
        "aggregation": held.aggregation,
        "arrived_at": format_instant(held.arrived_at_ms),
        "plugin": held.plugin,
        "reason": held.reason,
        "key_id": held.key_id,
        "note": held.note,
    }


def place_of(board: Board) -> str:
    """What the ids of a leaderboard's documents begin with."""
    return f"{board.tenant_id}/{board.leaderboard_id}~{board.uid}/"


def _open_id(place: str, held_id: str) -> str:
    return f"{place}h/{held_id}"


def _decided_id(place: str, held_id: str) -> str:
    return f"{place}d/{held_id}"


def document_id(place: str, held: Held) -> str:
    """Under which id a held submission is kept."""
    make = _open_id if held.state in (HELD, APPROVING) else _decided_id
    return make(place, held.held_id)


def _read(body: bytes) -> Held:
    return Held(*msgpack.unpackb(body))


def _put(doc_id: str, held: Held) -> Change:
    return Change(COLLECTION, doc_id, bytes(msgpack.packb(list(held))))


def _act(verb: str, leaderboard_id: str, held: Held, **more: Any) -> Audited:
    """What the audit log says of a decision."""
    details = {"leaderboard_id": leaderboard_id, "player_id": held.player_id, "score": held.score, **more}
    return Audited(f"held_submission.{verb}", held.held_id, details)


async def read_held(store: Store, board: Board) -> list[Held]:
    """Those of a leaderboard that wait to be decided, oldest first. StoreError."""
    rows = await store.scan(COLLECTION, prefix=f"{place_of(board)}h/")
    return sorted((_read(body) for _, body in rows), key=lambda held: (held.arrived_at_ms, held.held_id))


class HeldSupervisor(Protocol):
    """What is needed of the supervisor. `held_counts`: held submissions by place, as far as they were
    counted; emptied whenever memory may not be what the store says.
    """

    settings: dict[str, Any]
    boards: dict[str, Board]
    held_counts: dict[str, int]

    @property
    def store(self) -> Store: ...

    @property
    def clock(self) -> Clock: ...


async def erase_held(supervisor: HeldSupervisor, tenant_id: str, player_id: str) -> list[Change]:
    """What takes a player's submissions out, held and decided ones, in every leaderboard of a tenant."""
    rows = await supervisor.store.scan(COLLECTION, prefix=f"{tenant_id}/")
    supervisor.held_counts.clear()
    return [Change(COLLECTION, doc_id, None) for doc_id, body in rows if _read(body).player_id == player_id]


async def purge_held(supervisor: HeldSupervisor, board: Board) -> list[Change]:
    """What takes everything of a leaderboard out."""
    place = place_of(board)
    supervisor.held_counts.pop(place, None)
    rows = await supervisor.store.scan(COLLECTION, prefix=place)
    return [Change(COLLECTION, doc_id, None) for doc_id, _ in rows]


class HeldCommands:
    """The supervisor's commands on held submissions; see `lbactors.commands`, which runs one at a time."""

    def __init__(self, supervisor: HeldSupervisor) -> None:
        self.s = supervisor
        self._swept: dict[str, str] = {}  # place -> the decided document up to which ages were looked at

    async def hold(self, _tenant: str, _: str | None, items: list[Any]) -> Planned:
        """Hold submissions: [tenant_id, leaderboard_id, uid, fields of `Held`] each, of any leaderboards.

        The body has a verdict for each: [state, held_id, note] of it or of the one that has the same id, or
        ["full"], or ["gone"] where there is no such leaderboard any more.
        """
        wanted = []
        for tenant_id, leaderboard_id, uid, fields in items:
            board = self.s.boards.get(f"{tenant_id}/{leaderboard_id}")
            there = board is not None and board.uid == uid
            wanted.append((f"{tenant_id}/{leaderboard_id}~{uid}/" if there else "", Held(*fields)))
        known = await self._known([(place, held.held_id) for place, held in wanted if place])
        verdicts: list[list[Any]] = []
        changes = []
        for place, held in wanted:
            if not place:
                verdicts.append(["gone"])
                continue
            first = known.get((place, held.held_id))
            if first is None:
                count = await self._count(place)
                if count >= self.s.settings["held_limit"]:
                    verdicts.append(["full"])
                    continue
                first = held._replace(changed_at_ms=self.s.clock.now_ms())
                known[place, held.held_id] = first
                self.s.held_counts[place] = count + 1
                changes.append(_put(_open_id(place, held.held_id), first))
            verdicts.append([first.state, first.held_id, first.note])
        return Planned(200, {"verdicts": verdicts}, changes, audited=NOT_AN_ACT)

    async def _known(self, wanted: list[tuple[str, str]]) -> dict[tuple[str, str], Held]:
        """Those that are held or remembered, by place and held_id."""
        doc_ids = [make(*which) for which in wanted for make in (_open_id, _decided_id)]
        bodies = await self.s.store.get(COLLECTION, doc_ids) if doc_ids else []
        found: dict[tuple[str, str], Held] = {}
        for index, which in enumerate(wanted):
            is_open, decided = bodies[2 * index : 2 * index + 2]
            if is_open is not None:
                found[which] = _read(is_open)
            elif decided is not None and not self._expired(_read(decided)):
                found[which] = _read(decided)
        return found

    def _expired(self, held: Held) -> bool:
        return held.changed_at_ms <= self.s.clock.now_ms() - REMEMBERED_MS

    async def _count(self, place: str) -> int:
        count = self.s.held_counts.get(place)
        if count is None:
            count = len(await self.s.store.scan(COLLECTION, prefix=f"{place}h/"))
            self.s.held_counts[place] = count
        return count

    async def begin_approval(
        self, tenant_id: str, _: str | None, leaderboard_id: str, held_id: str
    ) -> Planned:
        """Approving begins: the body has `held`, the fields of the submission to be sent, or of the one that
        was approved before.
        """
        place, held = await self._find(tenant_id, leaderboard_id, held_id)
        if held.state == REJECTED:
            raise ApiError("held_submission_decided", f"submission '{held_id}' was rejected")
        if held.state == APPROVED:
            return Planned(200, {"held": list(held)}, [])
        held = held._replace(state=APPROVING, attempts=held.attempts + 1, changed_at_ms=self.s.clock.now_ms())
        changes = [_put(_open_id(place, held_id), held)]
        return Planned(200, {"held": list(held)}, changes, audited=NOT_AN_ACT)

    async def finish_approval(
        self, tenant_id: str, _: str | None, leaderboard_id: str, held_id: str, outcome: Outcome | None
    ) -> Planned:
        """What became of an attempt: the outcome as the API shows it; None if nothing was applied."""
        place, held = await self._find(tenant_id, leaderboard_id, held_id)
        if outcome is not None and held.state != APPROVED:
            planned = await self._decide(place, held._replace(outcome=outcome), APPROVED)
            return planned._replace(audited=_act("approve", leaderboard_id, held))
        if held.state != APPROVING:
            return Planned(200, {"held": list(held)}, [])
        held = held._replace(attempts=held.attempts - 1)
        if not held.attempts:  # else another attempt may have had success
            held = held._replace(state=HELD)
        changes = [_put(_open_id(place, held_id), held)]
        return Planned(200, {"held": list(held)}, changes, audited=NOT_AN_ACT)

    async def reject_held(
        self, tenant_id: str, _: str | None, leaderboard_id: str, held_id: str, note: str | None
    ) -> Planned:
        """Rejecting: it is never applied, and its repeats are refused."""
        place, held = await self._find(tenant_id, leaderboard_id, held_id)
        if held.state == REJECTED:
            return Planned(200, held_json(held, leaderboard_id), [])
        if held.state == APPROVED:
            raise ApiError("held_submission_decided", f"submission '{held_id}' was approved")
        if held.state == APPROVING and held.changed_at_ms > self.s.clock.now_ms() - UNDER_WAY_MS:
            raise ApiError("held_submission_decided", f"submission '{held_id}' is being approved")
        planned = await self._decide(place, held._replace(note=note), REJECTED)
        body = held_json(Held(*planned.body["held"]), leaderboard_id)
        return planned._replace(body=body, audited=_act("reject", leaderboard_id, held, reason=note))

    async def _decide(self, place: str, held: Held, state: str) -> Planned:
        was_open = held.state in (HELD, APPROVING)
        held = held._replace(state=state, attempts=0, changed_at_ms=self.s.clock.now_ms())
        doc_id = _decided_id(place, held.held_id)  # an old decision on the same id is replaced
        changes = [change for change in await self._forgotten(place) if change.doc_id != doc_id]
        changes.append(_put(doc_id, held))
        if was_open:
            changes.append(Change(COLLECTION, _open_id(place, held.held_id), None))
            if place in self.s.held_counts:
                self.s.held_counts[place] -= 1
        return Planned(200, {"held": list(held)}, changes)

    async def _forgotten(self, place: str) -> list[Change]:
        """Decided ones of the leaderboard that are old: a part of them is looked at each time."""
        prefix = f"{place}d/"
        after = self._swept.get(place, "")
        rows = await self.s.store.scan(COLLECTION, prefix=prefix, after=after, limit=FORGET_AT_ONCE)
        if len(rows) < FORGET_AT_ONCE:
            self._swept.pop(place, None)  # from the beginning, next time
        else:
            self._swept[place] = rows[-1][0]
        return [Change(COLLECTION, doc_id, None) for doc_id, body in rows if self._expired(_read(body))]

    async def _find(self, tenant_id: str, leaderboard_id: str, held_id: str) -> tuple[str, Held]:
        board = self.s.boards.get(f"{tenant_id}/{leaderboard_id}")
        if board is None:
            raise ApiError("leaderboard_not_found", f"no leaderboard '{leaderboard_id}'")
        place = place_of(board)
        held = (await self._known([(place, held_id)])).get((place, held_id))
        if held is None:
            raise ApiError("held_submission_not_found", f"no held submission '{held_id[:128]}'")
        return place, held
