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

from typing import Any

from lbactors.core.errors import ApiError
from lbactors.core.ids import in_tenant
from lbactors.documents.audit import NOT_AN_ACT, Audited
from lbactors.documents.reviews import (
    APPROVED,
    APPROVING,
    COLLECTION,
    HELD,
    REJECTED,
    Review,
    decided_id,
    open_id,
    place_of,
    put_review,
    review_json,
    unpack_review,
)
from lbactors.supervisor.command_plan import CommandContext, CommandPlan
from lbactors.supervisor.reviews import Reviews
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.commands import BeginApproval, FinishApproval, HoldSubmissions, RejectSubmission
from persistence.store import Change

REMEMBERED_MS = 24 * 3600 * 1000  # decided ones, as submission ids are
FORGET_AT_ONCE = 200  # decided ones looked at for their age with each decision
UNDER_WAY_MS = 60_000  # an attempt to approve is over after this long, whatever became of it


def _act(verb: str, leaderboard_id: str, held: Review, **more: Any) -> Audited:
    """What the audit log says of a decision."""
    details = {"leaderboard_id": leaderboard_id, "player_id": held.player_id, "score": held.score, **more}
    return Audited(f"held_submission.{verb}", held.held_id, details)


class ReviewCommands:
    """The supervisor's commands on held submissions; see `lbactors.supervisor.commands.runner`, which runs
    one at a time.
    """

    def __init__(self, state: SupervisorState, reviews: Reviews) -> None:
        self.state = state
        self.reviews = reviews
        self._swept: dict[str, str] = {}  # place -> the decided document up to which ages were looked at

    async def hold(self, context: CommandContext, command: HoldSubmissions) -> CommandPlan:
        """Hold submissions: [tenant_id, leaderboard_id, uid, fields of `Review`] each, of any leaderboards.

        The body has a verdict for each: [state, held_id, note] of it or of the one that has the same id, or
        ["full"], or ["gone"] where there is no such leaderboard any more.
        """
        wanted = []
        for tenant_id, leaderboard_id, uid, fields in command.items:
            board = self.state.boards.get(in_tenant(tenant_id, leaderboard_id))
            place = f"{board.board_uid}/" if board is not None and board.uid == uid else ""
            wanted.append((place, Review(*fields)))
        known = await self._known([(place, held.held_id) for place, held in wanted if place])
        verdicts: list[list[Any]] = []
        changes = []
        for place, held in wanted:
            if not place:
                verdicts.append(["gone"])
                continue
            first = known.get((place, held.held_id))
            if first is None:
                count = await self.reviews.count(place)
                if count >= self.state.settings.held_limit:
                    verdicts.append(["full"])
                    continue
                first = held._replace(changed_at_ms=self.state.clock.now_ms())
                known[place, held.held_id] = first
                self.reviews.add(place, 1)
                changes.append(put_review(open_id(place, held.held_id), first))
            verdicts.append([first.state, first.held_id, first.note])
        return CommandPlan(200, {"verdicts": verdicts}, changes, audited=NOT_AN_ACT)

    async def _known(self, wanted: list[tuple[str, str]]) -> dict[tuple[str, str], Review]:
        """Those that are held or remembered, by place and held_id."""
        doc_ids = [make(*which) for which in wanted for make in (open_id, decided_id)]
        bodies = await self.state.store.get(COLLECTION, doc_ids) if doc_ids else []
        found: dict[tuple[str, str], Review] = {}
        for index, which in enumerate(wanted):
            is_open, decided = bodies[2 * index : 2 * index + 2]
            if is_open is not None:
                found[which] = unpack_review(is_open)
            elif decided is not None and not self._expired(unpack_review(decided)):
                found[which] = unpack_review(decided)
        return found

    def _expired(self, held: Review) -> bool:
        return held.changed_at_ms <= self.state.clock.now_ms() - REMEMBERED_MS

    async def begin_approval(self, context: CommandContext, command: BeginApproval) -> CommandPlan:
        """Approving begins: the body has `held`, the fields of the submission to be sent, or of the one that
        was approved before.
        """
        place, held = await self._find(context.tenant_id, command.leaderboard_id, command.held_id)
        if held.state == REJECTED:
            raise ApiError("held_submission_decided", f"submission '{command.held_id}' was rejected")
        if held.state == APPROVED:
            return CommandPlan(200, {"held": list(held)}, [])
        held = held._replace(
            state=APPROVING, attempts=held.attempts + 1, changed_at_ms=self.state.clock.now_ms()
        )
        changes = [put_review(open_id(place, command.held_id), held)]
        return CommandPlan(200, {"held": list(held)}, changes, audited=NOT_AN_ACT)

    async def finish_approval(self, context: CommandContext, command: FinishApproval) -> CommandPlan:
        """What became of an attempt: the outcome as the API shows it; None if nothing was applied."""
        place, held = await self._find(context.tenant_id, command.leaderboard_id, command.held_id)
        if command.outcome is not None and held.state != APPROVED:
            planned = await self._decide(place, held._replace(outcome=command.outcome), APPROVED)
            return planned._replace(audited=_act("approve", command.leaderboard_id, held))
        if held.state != APPROVING:
            return CommandPlan(200, {"held": list(held)}, [])
        held = held._replace(attempts=held.attempts - 1)
        if not held.attempts:  # else another attempt may have had success
            held = held._replace(state=HELD)
        changes = [put_review(open_id(place, command.held_id), held)]
        return CommandPlan(200, {"held": list(held)}, changes, audited=NOT_AN_ACT)

    async def reject_held(self, context: CommandContext, command: RejectSubmission) -> CommandPlan:
        """Rejecting: it is never applied, and its repeats are refused."""
        place, held = await self._find(context.tenant_id, command.leaderboard_id, command.held_id)
        if held.state == REJECTED:
            return CommandPlan(200, review_json(held, command.leaderboard_id), [])
        if held.state == APPROVED:
            raise ApiError("held_submission_decided", f"submission '{command.held_id}' was approved")
        if held.state == APPROVING and held.changed_at_ms > self.state.clock.now_ms() - UNDER_WAY_MS:
            raise ApiError("held_submission_decided", f"submission '{command.held_id}' is being approved")
        planned = await self._decide(place, held._replace(note=command.note), REJECTED)
        body = review_json(Review(*planned.body["held"]), command.leaderboard_id)
        return planned._replace(
            body=body, audited=_act("reject", command.leaderboard_id, held, reason=command.note)
        )

    async def _decide(self, place: str, held: Review, state: str) -> CommandPlan:
        was_open = held.state in (HELD, APPROVING)
        held = held._replace(state=state, attempts=0, changed_at_ms=self.state.clock.now_ms())
        doc_id = decided_id(place, held.held_id)  # an old decision on the same id is replaced
        changes = [change for change in await self._forgotten(place) if change.doc_id != doc_id]
        changes.append(put_review(doc_id, held))
        if was_open:
            changes.append(Change(COLLECTION, open_id(place, held.held_id), None))
            self.reviews.add(place, -1)
        return CommandPlan(200, {"held": list(held)}, changes)

    async def _forgotten(self, place: str) -> list[Change]:
        """Decided ones of the leaderboard that are old: a part of them is looked at each time."""
        prefix = f"{place}d/"
        after = self._swept.get(place, "")
        rows = await self.state.store.scan(COLLECTION, prefix=prefix, after=after, limit=FORGET_AT_ONCE)
        if len(rows) < FORGET_AT_ONCE:
            self._swept.pop(place, None)  # from the beginning, next time
        else:
            self._swept[place] = rows[-1][0]
        return [
            Change(COLLECTION, doc_id, None) for doc_id, body in rows if self._expired(unpack_review(body))
        ]

    async def _find(self, tenant_id: str, leaderboard_id: str, held_id: str) -> tuple[str, Review]:
        place = place_of(self.state.board(tenant_id, leaderboard_id))
        held = (await self._known([(place, held_id)])).get((place, held_id))
        if held is None:
            raise ApiError("held_submission_not_found", f"no held submission '{held_id[:128]}'")
        return place, held
