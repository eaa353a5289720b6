"""Commands on leaderboards and their periods: what the supervisor does when one is made, changed or reset.

A handler plans: it changes the supervisor's own memory and says which documents must be durable before it
acts (`CommandPlan`). If they cannot be made durable, the supervisor forgets its memory and reads the store
again.
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import msgpack

from lbactors.core import lifecycle, schedule
from lbactors.core.definition import Definition, Rules
from lbactors.core.errors import ApiError, invalid
from lbactors.core.ids import in_chain, in_tenant
from lbactors.core.instants import format_instant
from lbactors.core.model import Board, FillTerms, PeriodRecord
from lbactors.core.projection import rebuilds
from lbactors.core.timeframe import SHORT_FORMS, Span, Timeframe, last_span, span_at, span_from
from lbactors.documents.audit import NOT_AN_ACT
from lbactors.documents.entities import (
    METADATA_BYTES,
    PeriodBody,
    board_json,
    pack_board,
    period_json,
    view_of_record,
)
from lbactors.supervisor.chain_state import ChainState, chains_of
from lbactors.supervisor.command_plan import CommandContext, CommandPlan, parse
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.labels import Labels
from lbactors.supervisor.lifecycle import Lifecycle
from lbactors.supervisor.logs import Logs
from lbactors.supervisor.purging import Purging
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.commands import (
    ArchiveLeaderboard,
    ClosePeriod,
    CreateLeaderboard,
    CreatePeriod,
    PatchLeaderboard,
    PurgeLeaderboard,
)
from lbactors.wire.reads import Stats
from persistence.store import Change

PAUSES_KEPT = 100  # of a projection; rows of older ones would count in a rebuild


class Reopened(NamedTuple):
    """A period that goes on after its end: its record before and after, and what else is to be durable."""

    before: PeriodRecord
    record: PeriodRecord
    changes: list[Change]


class LeaderboardCommands:
    """Handlers by the command's class; see `CommandRunner`."""

    def __init__(
        self,
        state: SupervisorState,
        hosting: Hosting,
        lifecycle: Lifecycle,
        purging: Purging,
        labels: Labels,
        logs: Logs,
    ) -> None:
        self.state = state
        self.hosting = hosting
        self.labels = labels
        self.logs = logs
        self.lifecycle = lifecycle
        self.purging = purging

    # Leaderboards ---------------------------------------------------------------------------------------

    async def create_leaderboard(self, context: CommandContext, command: CreateLeaderboard) -> CommandPlan:
        self.state.tenant(context.tenant_id)
        parsed = parse(Definition, command.definition)
        doc_id = in_tenant(context.tenant_id, parsed.leaderboard_id)
        if doc_id in self.state.boards:
            raise ApiError("leaderboard_exists", f"leaderboard '{parsed.leaderboard_id}' exists already")
        check_metadata(parsed)
        await self.labels.learn(context.tenant_id, parsed.audience.rank.labels)
        now_ms = self.state.clock.now_ms()
        fill = fill_terms(FillTerms(), parsed, now_ms)
        board = Board(context.tenant_id, secrets.token_hex(4), parsed, 1, now_ms, now_ms, fill)
        changes, log_chains = self.logs.ensure_of(board)
        changes.append(Change("leaderboards", doc_id, pack_board(board)))
        chains = [self.state.new_chain(board, window) for window in board.windows]
        for chain in chains:
            changes.extend(self._open(chain))
        changes += self.hosting.settle(chains)
        self.state.boards[doc_id] = board

        async def act() -> None:
            await self.hosting.host([*log_chains, *chains], wait=True)
            for chain in (*log_chains, *chains):
                self.state.schedule(chain, 0)

        return CommandPlan(201, board_json(board), changes, act)

    def _open(self, chain: ChainState) -> list[Change]:
        """The first periods of a chain."""
        plan = chain.plan(self.state.clock.now_ms())
        if plan.add:
            self.state.take_records(chain, plan.add)
        return [self.state.record_change(chain, r) for r in plan.add]

    async def patch_leaderboard(self, context: CommandContext, command: PatchLeaderboard) -> CommandPlan:
        board = self.state.board(context.tenant_id, command.leaderboard_id)
        if command.if_match is not None and command.if_match != board.version:
            raise ApiError("version_mismatch", f"the leaderboard's version is {board.version}")
        new = merged(board.definition, command.patch)
        check_metadata(new)
        return await self._redefine(board, new)

    async def archive_leaderboard(self, context: CommandContext, command: ArchiveLeaderboard) -> CommandPlan:
        board = self.state.board(context.tenant_id, command.leaderboard_id)
        return await self._redefine(board, board.definition.model_copy(update={"status": "archived"}))

    async def _redefine(self, old: Board, definition: Definition) -> CommandPlan:
        """Give a leaderboard a new definition: bounds, windows and rules of its periods follow at once."""
        doc_id = in_tenant(old.tenant_id, old.leaderboard_id)
        chains = chains_of(self.state.chains, old.board_uid)
        if definition == old.definition:

            async def tell() -> None:
                """A repeat: whoever changed it may have died before the actor heard of it."""
                await self.hosting.host([c for c in chains if not self.hosting.is_hosted(c)], wait=True)

            return CommandPlan(200, board_json(old), [], tell, audited=NOT_AN_ACT)
        if Rules.of(definition).reorders(Rules.of(old.definition)) and await self._has_entries(chains):
            raise _reorders()
        await self.labels.learn(old.tenant_id, definition.audience.rank.labels)
        for chain in chains:
            await chain.lock.acquire()
        try:
            for chain in chains:
                await self.lifecycle.catch_up(chain)
            now_ms = await self.hosting.hold(chains)
            fill = fill_terms(old.fill, definition, now_ms, before=old.definition)
            board = old._replace(
                definition=definition, version=old.version + 1, updated_at_ms=now_ms, fill=fill
            )
            reopened = {
                chain.chain_id: await self._reopened(chain, board, now_ms)
                for chain in chains
                if chain.window in old.windows
            }
            changes, log_chains = self.logs.ensure_of(board)
            changes.append(Change("leaderboards", doc_id, pack_board(board)))
            for chain in chains:
                changes.extend(self._rebound(chain, board, now_ms, reopened.get(chain.chain_id)))
            for window in board.windows:
                chain_of = self.state.chains.get(board.chain_id(window))
                if chain_of is None:
                    chain_of = self.state.new_chain(board, window)
                    chains.append(chain_of)
                    await chain_of.lock.acquire()
                changes.extend(self._open(chain_of))
            changes += self.hosting.settle(chains)
            self.state.boards[doc_id] = board
        finally:
            for chain in chains:
                chain.lock.release()

        async def act() -> None:
            await self.hosting.host([*log_chains, *chains], wait=True)
            for chain in (*log_chains, *chains):
                self.state.schedule(chain, 0)

        return CommandPlan(200, board_json(board), changes, act)

    async def _reopened(self, chain: ChainState, board: Board, now_ms: int) -> Reopened | None:
        """The period of a chain that is over and goes on under a new definition, sealed or not; None if there
        is none. Changes nothing here. ApiError if its entries stand by other rules, StoreError.
        """
        after = board.definition.timeframe
        record = lifecycle.last_of([r for r in chain.records if (r.starts_at_ms or 0) <= now_ms])
        if record is None or record.ends_at_ms is None or now_ms < record.ends_at_ms:
            return None
        if chain.window not in board.windows or _same_schedule(chain.board, board, chain.window):
            return None
        span = schedule.extended_span(after, chain.window, record, now_ms)
        if span is None:
            return None
        rules = lifecycle.rules_of(record, Rules.of(chain.board.definition))
        if record.submissions and Rules.of(board.definition).reorders(rules):
            raise _reorders()
        earlier = [r for r in chain.records if r.order < record.order]
        before = lifecycle.last_of(earlier)
        begins_ms = None if before is None else before.ends_at_ms
        if after.is_player_local:
            begins_ms = record.starts_at_ms  # periods overlap
        keys = [*chain.past.keys(), *(r.key for r in earlier)]
        bounds = schedule.new_record(after, span, record.serial, now_ms, keys, begins_ms)
        changes = await self.lifecycle.granting.reopen(chain, record)
        return Reopened(record, lifecycle.reopened(record, bounds, now_ms), changes)

    def _rebound(
        self, chain: ChainState, board: Board, now_ms: int, reopened: Reopened | None
    ) -> list[Change]:
        """Put a chain under a new definition; the documents that change."""
        old_board, chain.board = chain.board, board
        chain.version += 1
        if reopened is not None:
            changes = self._rewrite(chain, chain.records, reopened.record, now_ms)
            if reopened.before.last_seq:
                chain.saw(reopened.before.serial, reopened.before.last_seq)
            changes += self._keep_terms(chain, old_board.definition, now_ms)  # of those before it
            changes += self.lifecycle.reopened(chain, reopened.record, now_ms)
            return [*changes, *reopened.changes]
        kept = self._keep_terms(chain, old_board.definition, now_ms)
        open_records = [r for r in chain.records if not r.sealed]
        current = _current(open_records, now_ms)
        if current is None or (current.ends_at_ms is not None and current.ends_at_ms <= now_ms):
            return kept  # what is over stays as it was
        if chain.window not in board.windows:
            others = [
                lifecycle.closed_by_force(r, now_ms) for r in _overlapping(open_records, current, now_ms)
            ]
            closed = lifecycle.closed_by_force(current, now_ms)
            return [*kept, *self._rewrite(chain, open_records, closed, now_ms), *self._take(chain, others)]
        before, after = old_board.definition.timeframe, board.definition.timeframe
        if _same_schedule(old_board, board, chain.window):
            if after.is_player_local or not current.is_local:
                return kept
            # A manual one now, and it goes on as the period of UTC that it is.
            others = [lifecycle.ended(r, now_ms) for r in _overlapping(open_records, current, now_ms)]
            plain = lifecycle.ended(current, max(current.local_ends_at_ms or now_ms, now_ms))
            return [*kept, *self._rewrite(chain, open_records, plain, now_ms), *self._take(chain, others)]
        span = span_from(after, chain.window, now_ms) or last_span(after, chain.window)
        if span is None:
            return kept
        # Player-local periods beside the current one: those that the new schedule does not have end now.
        overlapping = _overlapping(open_records, current, now_ms)
        stay = [r for r in overlapping if _has_same_digits(after, chain.window, r)]
        ended = [lifecycle.ended(r, now_ms) for r in overlapping if r not in stay]
        is_same_kind = before.is_player_local == after.is_player_local or span[1:] == (None, None)
        if is_same_kind and span == span_at(before, chain.window, now_ms):
            if after.is_player_local:  # what is ahead may have changed
                kept += self._rewrite(chain, open_records, current, now_ms)
            return [*kept, *self._take(chain, ended)]
        # Of all that stay: the period before may be in its grace, or wait for its seal.
        keys = [r.key for r in chain.records if r.sealed or r.serial < current.serial or r in overlapping]
        keys += chain.past.keys()
        begins_ms = current.starts_at_ms if after.is_player_local and not current.is_local else None
        renewed = schedule.new_record(after, span, current.serial, now_ms, keys, begins_ms)
        if after.is_player_local and span.starts_at_ms not in (
            after.starts_at,
            *(r.local_ends_at_ms for r in stay),
        ):
            # Nobody's date is before the first: whoever has not reached it goes on in the current period.
            renewed = renewed._replace(local_starts_at_ms=None)
        renewed = renewed._replace(
            opened_at_ms=current.opened_at_ms,
            stage=lifecycle.stage_under(renewed, current.stage, now_ms),
            reopened=current.reopened,
        )
        return [*kept, *self._rewrite(chain, open_records, renewed, now_ms), *self._take(chain, ended)]

    def _take(self, chain: ChainState, records: list[PeriodRecord]) -> list[Change]:
        """Put records of a chain in the place of those of their serials."""
        if records:
            self.state.take_records(chain, records)
        return [self.state.record_change(chain, r) for r in records]

    def _keep_terms(self, chain: ChainState, before: Definition, now_ms: int) -> list[Change]:
        """Have periods that are closed, and not sealed yet, sealed by the definition that was."""
        last = lifecycle.last_of(chain.records)
        records = [r for r in chain.records if not r.sealed or r is last]
        kept = [lifecycle.kept_terms(r, before, chain.board.definition, now_ms) for r in records]
        changed = [new for new, old in zip(kept, records, strict=True) if new is not old]
        if changed:
            self.state.take_records(chain, changed)
        return [self.state.record_change(chain, r) for r in changed]

    def _rewrite(
        self, chain: ChainState, records: list[PeriodRecord], current: PeriodRecord, now_ms: int
    ) -> list[Change]:
        """Replace the current record; periods that were opened ahead go (they hold nothing yet)."""
        ahead = [r for r in records if r.serial > current.serial and (r.starts_at_ms or 0) > now_ms]
        gone = {r.serial: r for r in records if r.serial == current.serial or r in ahead}
        changes = [Change("periods", in_chain(chain.chain_id, r.key), None) for r in gone.values()]
        chain.records = [r for r in chain.records if r.serial not in gone]
        self.state.take_records(chain, [current])
        changes = [c for c in changes if c.doc_id != in_chain(chain.chain_id, current.key)]
        return [*changes, self.state.record_change(chain, current)]

    async def _has_entries(self, chains: list[ChainState]) -> bool:
        for chain in chains:
            for record in chain.records:
                if record.sealed:
                    continue
                reading = await self.hosting.read(chain, record.key, Stats())
                if reading.period.entries or reading.total:
                    return True
        return False

    async def purge_leaderboard(self, context: CommandContext, command: PurgeLeaderboard) -> CommandPlan:
        board = self.state.board(context.tenant_id, command.leaderboard_id)
        changes = await self.purging.plan([board])
        return CommandPlan(200, board_json(board), changes, self.purging.begin)

    # Periods --------------------------------------------------------------------------------------------

    async def create_period(self, context: CommandContext, command: CreatePeriod) -> CommandPlan:
        board = self.state.board(context.tenant_id, command.leaderboard_id)
        body = parse(PeriodBody, command.period)
        if board.definition.timeframe.type != "manual":
            raise invalid("only leaderboards with timeframe 'manual' take periods", "body")
        now_ms = self.state.clock.now_ms()
        starts_at = now_ms if body.starts_at is None else body.starts_at
        if body.ends_at is not None and body.ends_at <= starts_at:
            raise invalid("must be after starts_at", "body", "ends_at")
        chain = self.state.chains[board.chain_id("main")]
        async with chain.lock:
            for other in (*chain.past, *chain.records):
                begins = other.starts_at_ms if other.starts_at_ms is not None else 0
                if (other.ends_at_ms is None or starts_at < other.ends_at_ms) and (
                    body.ends_at is None or begins < body.ends_at
                ):
                    raise ApiError("period_exists", f"period '{other.key}' covers some of that time")
            keys = chain.keys
            if body.period_key in keys:
                raise ApiError("period_exists", f"period '{body.period_key}' exists already")
            if chain.records and starts_at < (chain.records[-1].ends_at_ms or 0):
                raise invalid("must not be before the end of the last period", "body", "starts_at")
            key = body.period_key or format_instant(starts_at).replace(".000Z", "Z")
            span = Span(key, starts_at, body.ends_at)
            timeframe = board.definition.timeframe
            record = schedule.new_record(timeframe, span, chain.next_serial, now_ms, keys, None)
            self.state.take_records(chain, [record])
            changes = [self.state.record_change(chain, record)]
            chains = chains_of(self.state.chains, board.board_uid)
            changes += self.hosting.settle(chains)

        async def act() -> None:
            await self.hosting.host(chains, wait=True)
            self.state.schedule(chain, 0)

        return CommandPlan(201, self._record_json(chain, record), changes, act)

    async def close_period(self, context: CommandContext, command: ClosePeriod) -> CommandPlan:
        """End the current period now and begin the next one (a forced reset). Of player-local ones it is that
        of UTC, and begins anew for the rest of its digits; those of the dates before and after stay.
        """
        board = self.state.board(context.tenant_id, command.leaderboard_id)
        chain = self.state.chains.get(board.chain_id(command.window))
        if chain is None or command.window not in board.windows:
            raise ApiError("period_not_found", f"no window '{command.window}'")
        timeframe = board.definition.timeframe
        async with chain.lock:
            now_ms = await self.hosting.hold([chain])
            open_records = [r for r in chain.records if not r.sealed]
            current = _current(open_records, now_ms)
            if current is None:
                code = "period_closed" if chain.records else "period_not_open"
                raise ApiError(code, f"window '{command.window}' has no open period")
            if current.is_ahead(now_ms) or now_ms == current.starts_at_ms:
                raise ApiError("period_not_open", f"period '{current.key}' has not begun")
            if current.ends_at_ms is not None and now_ms >= current.ends_at_ms:
                raise ApiError("period_closed", f"period '{current.key}' is over")
            closed = lifecycle.closed_by_force(current, now_ms)
            changes = self._rewrite(chain, open_records, closed, now_ms)
            following: PeriodRecord | None = None
            span = None
            if chain.wanted and current.is_local:
                span = schedule.span_for(timeframe, command.window, current)
            elif chain.wanted:
                span = span_at(timeframe, command.window, now_ms)
            if span is not None:
                following = schedule.new_record(
                    timeframe, span, chain.next_serial, now_ms, chain.keys, now_ms
                )
                self.state.take_records(chain, [following])
                changes.append(self.state.record_change(chain, following))

        async def act() -> dict[str, Any]:
            await self.hosting.host([chain], wait=True)
            try:
                async with chain.lock:
                    record = chain.record(closed.serial)  # it may have been opened meanwhile
                    await self.lifecycle.carry_out(chain, lifecycle.steps_by_force(record, now_ms))
            except ApiError as error:
                if chain.log_chain_id is None or error.code != "period_loading":
                    raise
                # It ends now, and is sealed when it has read its log: nobody is to end another one for that.
            finally:
                self.state.schedule(chain, 0)
            sealed = next((r for r in chain.records if r.serial == closed.serial), closed)
            return answer(sealed)

        def answer(record: PeriodRecord) -> dict[str, Any]:
            current = None if following is None else self._record_json(chain, following)
            return {"closed": self._record_json(chain, record), "current": current}

        return CommandPlan(200, answer(closed), changes, act)

    def _record_json(self, chain: ChainState, record: PeriodRecord) -> dict[str, Any]:
        next_ms, now_ms = chain.next_starts_ms(record), self.state.clock.now_ms()
        return period_json(view_of_record(record, chain.window, now_ms, chain.grace_ms, next_ms))


def fill_terms(
    terms: FillTerms, definition: Definition, now_ms: int, before: Definition | None = None
) -> FillTerms:
    """The terms of a projection under a new definition: it pauses while it is not active, and what changes
    its rows calls for a rebuild of the open periods.
    """
    if not definition.scoring.is_projection:
        return terms
    generation, pauses = terms
    is_paused = bool(pauses) and pauses[-1][1] is None
    if definition.status != "active" and not is_paused:
        pauses = (*pauses, (now_ms, None))
    elif definition.status == "active" and is_paused:
        pauses = (*pauses[:-1], (pauses[-1][0], now_ms))
    if before is not None and rebuilds(before, definition):
        generation += 1
    return FillTerms(generation, pauses[-PAUSES_KEPT:])


def _same_schedule(before: Board, after: Board, window: str) -> bool:
    """Whether a new definition leaves the bounds of a window's periods alone. A leaderboard that was archived
    is looked at anew: older releases let its periods run out whatever became of its timeframe.
    """
    old, new = before.definition, after.definition
    if new.timeframe.type == "manual" and window == "main":
        return True
    return old.timeframe == new.timeframe and not (old.status == "archived" != new.status)


def _reorders() -> ApiError:
    return invalid("order, aggregation and tie rules cannot change while a period holds entries", "body")


def _current(open_records: list[PeriodRecord], now_ms: int) -> PeriodRecord | None:
    """The open record that contains an instant; else the next one; else the last."""
    for record in reversed(open_records):
        if record.contains(now_ms):
            return record
    later = [r for r in open_records if r.is_ahead(now_ms)]
    return min(later, key=lambda r: r.order) if later else lifecycle.last_of(open_records)


def _overlapping(records: list[PeriodRecord], current: PeriodRecord, now_ms: int) -> list[PeriodRecord]:
    """Player-local periods that others are in at the same time as the current one."""
    return [
        r
        for r in records
        if r.is_local and r.serial != current.serial and lifecycle.state_of(r, now_ms, 0) == "active"
    ]


def _has_same_digits(timeframe: Timeframe, window: str, record: PeriodRecord) -> bool:
    """Whether a player-local period lies in a schedule as it is."""
    if not timeframe.is_player_local:
        return False
    span = schedule.span_for(timeframe, window, record)
    return span is not None and span[1:] == (record.local_starts_at_ms, record.local_ends_at_ms)


def merged(definition: Definition, patch: Any) -> Definition:
    """A definition with a patch laid over it: objects field by field, everything else replaced."""
    if not isinstance(patch, dict):
        raise invalid("must be an object", "body")
    if patch.get("leaderboard_id", definition.leaderboard_id) != definition.leaderboard_id:
        raise invalid("cannot change", "body", "leaderboard_id")
    scoring = patch.get("scoring")
    source = definition.scoring.source
    if isinstance(scoring, dict) and scoring.get("source", source) != source:
        raise invalid("cannot change", "body", "scoring", "source")
    base = definition.model_dump(mode="json")
    new = {**base, **patch}
    for part in ("timeframe", "scoring", "ranking", "audience"):
        change = patch.get(part)
        if part == "timeframe" and change in SHORT_FORMS:
            change = {"type": change}
        if isinstance(change, dict):
            new[part] = {**base[part], **change}
            if part == "audience":
                for name in ("rank", "view"):
                    if isinstance(change.get(name), dict):
                        new[part][name] = {**base[part][name], **change[name]}
            if part == "timeframe" and change.get("type", base[part]["type"]) != base[part]["type"]:
                for field in ("cron", "every_seconds"):  # they belong to the type that goes
                    if field not in change:
                        new[part][field] = None
    return parse(Definition, {**new, **_merged_presentation(base, patch)})


def _merged_presentation(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Of the fields of `lbactors.core.presentation`. They may be empty, so null empties them. Translations
    are merged language by language, and null takes one away.
    """
    found: dict[str, Any] = {
        part: {}
        for part in ("display", "widget", "translations", "external")
        if patch.get(part, part) is None
    }
    for part in ("display", "widget"):
        if isinstance(patch.get(part), dict):
            found[part] = {**base[part], **patch[part]}
    changes = patch.get("translations")
    if isinstance(changes, dict):
        languages = dict(base["translations"])
        for tag, change in changes.items():
            if change is None:
                languages.pop(tag, None)
            else:
                whole = not isinstance(change, dict)
                languages[tag] = change if whole else {**languages.get(tag, {}), **change}
        found["translations"] = languages
    return found


def check_metadata(definition: Definition) -> None:
    """A 422 if the definition's metadata is too large."""
    if len(msgpack.packb(definition.metadata)) > METADATA_BYTES:
        raise invalid(f"must not exceed {METADATA_BYTES} bytes", "body", "metadata")
