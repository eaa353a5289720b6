"""The gateway's side of the service: what the HTTP routes call, and nothing of HTTP.

It finds the period actor of a chain, sends operations through batching channels, and turns replies into the
model's tuples. Every method raises `ApiError` for whatever the caller is to be told. Times are ms since the
epoch. Limits of requests (lengths, numbers of items) are checked by the routes.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, NamedTuple

import msgpack
import structlog

from lbactors.clock import Clock
from lbactors.cluster import ActorRef, Cluster
from lbactors.core.errors import ApiError, detail
from lbactors.core.model import Board, Outcome, PeriodRecord, PeriodView, Reading, Row, Submission
from lbactors.core.packing import pack
from lbactors.core.period import FULL, NO_RANK, RANK
from lbactors.core.schedule import goes_on_after
from lbactors.core.timeframe import span_at
from lbactors.documents import audit
from lbactors.documents.entities import view_of_record
from lbactors.documents.hidden_players import hidden_of
from lbactors.documents.reviews import Review, read_reviews
from lbactors.service.catalogue import Catalogue
from lbactors.service.profiles import Profiles
from lbactors.service.reward_reader import RewardReader
from lbactors.service.router import Router
from lbactors.service.webhook_reader import WebhookReader
from lbactors.settings import ServerSettings
from lbactors.wire.actors import ActorGone
from lbactors.wire.commands import CommandCall, CommandReply
from lbactors.wire.commands import Idempotency as Idempotency
from lbactors.wire.reads import Around, Distribution, Entry, Lookup, Page, Query, RankAt, Stats
from lbactors.wire.requests import EntryChange
from lbactors.wire.writes import KNOWN, SUBMIT, Submitted, WriteOp
from persistence.store import Store, StoreError, trouble_of

WANT = {"none": NO_RANK, "ranks": RANK, "full": FULL}
COMMAND_TIMEOUT_S = 60.0
ERASURE_TIMEOUT_S = 900.0  # some 20 ms for each leaderboard and window
STATUS_TIMEOUT_S = 5.0
AGAIN_S = 0.1
BACK_WITHIN_S = 5.0  # what needs the supervisor waits so long for one that died; the next one takes 1 to 4 s
CLOCKS_DIFFER_MS = 2000  # so close to a bound, the period actor's clock decides

log = structlog.get_logger("service")


class AdminAnswer(NamedTuple):
    """HTTP status and the JSON-ready body of an administrative command."""

    status: int
    body: dict[str, Any]


class ChangedEntry(NamedTuple):
    """An entry of a window's current period before and after a moderator's act; None: there is none."""

    window: str
    period_key: str
    before: Row | None
    after: Row | None


def _refusals(reply: Submitted | ApiError, count: int) -> dict[int, ApiError]:
    """Which submissions a window refused, by index: all of them, or some."""
    return dict.fromkeys(range(count), reply) if isinstance(reply, ApiError) else reply.refusals()


def _verdict(refused: dict[str, ApiError], windows: int) -> ApiError:
    """The answer to a submission that some windows refused, in their order: its details name them.

    An unknown outcome outweighs every refusal; and where one window was away and another took the score,
    nobody may be told that nothing was taken.
    """
    errors = list(refused.values())
    first = next((e for e in errors if e.code == "storage_unavailable"), errors[0])
    if windows == 1:
        return first
    details = [detail(f"{e.code}: {e.message}", "windows", window) for window, e in refused.items()]
    message = first.message
    if len(errors) < windows:
        message = f"window {', '.join(map(repr, refused))} did not take it, the others did: {message}"
        if any(error.status in (429, 503) for error in errors):
            if first.code != "storage_unavailable":
                message += "; send the same submission_id again"
            return ApiError("storage_unavailable", message, details)
    return ApiError(first.code, message, [*first.details, *details], first.retry_after_s)


class Service:
    """One for each gateway process; `start` before use, `close` at the end."""

    def __init__(
        self, cluster: Cluster, supervisor: ActorRef, store: Store, settings: ServerSettings
    ) -> None:
        self._cluster = cluster
        self._supervisor = supervisor
        self._store = store
        self._settings = settings
        self._clock = Clock(str(settings.clock_file) if settings.clock_file else None)
        self._profiles = Profiles(store)
        self.rewards = RewardReader(store, self.now_ms)
        self.webhooks = WebhookReader(store)
        self.catalogue = Catalogue(
            supervisor, self._profiles.changed, lambda name, made: self.reach.moved(name, made)
        )
        self.reach = Router(cluster, supervisor, self.catalogue, settings, self.now_ms)
        self._last_status: dict[str, Any] = {}

    async def start(self) -> None:
        await self.catalogue.start()

    async def close(self) -> None:
        await self.catalogue.close()
        self.reach.close()

    def now_ms(self) -> int:
        return self._clock.now_ms()

    # Administration -------------------------------------------------------------------------------------

    async def admin(
        self,
        command: str,
        tenant_id: str,
        args: dict[str, Any],
        idempotency: Idempotency | None = None,
        who: audit.Who | None = None,
    ) -> AdminAnswer:
        """Carry out a command (`lbactors.supervisor.commands.runner`) through the supervisor; `who`: for the
        audit log.

        The catalogue of this gateway shows its effect on return. Nothing is sent while the supervisor is
        known to be away. What it may have taken before its death is sent again to its successor if it has an
        Idempotency-Key, else not. ApiError.
        """
        if not await self.catalogue.supervisor_back(BACK_WITHIN_S):
            why = self.catalogue.supervisor_away
            raise ApiError("storage_unavailable", f"nothing was changed, the supervisor is away: {why}")
        payload = pack(CommandCall(command, tenant_id, args, idempotency, who))
        timeout_s = ERASURE_TIMEOUT_S if command == "erase_player" else COMMAND_TIMEOUT_S
        try:
            again = idempotency is not None
            packed = await self._ask("command", payload, timeout_s=timeout_s, again=again)
        except (ActorGone, TimeoutError) as error:
            raise ApiError("storage_unavailable", "the supervisor is away; the outcome is unknown") from error
        reply = CommandReply.from_wire(msgpack.unpackb(packed))
        await self.catalogue.reach(reply.shown_by)
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

    async def audit_log(
        self, tenant_id: str, wanted: audit.Wanted, place: int, limit: int
    ) -> tuple[list[dict[str, Any]], int, int | None]:
        """A page of a tenant's audit log (`lbactors.documents.audit.search`)."""
        return await audit.search(self._store, tenant_id, wanted, place, limit)

    def _home(self, board: Board, window: str) -> tuple[str, str]:
        """Chain id and actor name of a window. ApiError period_not_found."""
        chain_id = board.chain_id(window)
        name = self.catalogue.home(chain_id)
        if name is None:
            raise ApiError(
                "period_not_found", f"leaderboard '{board.leaderboard_id}' has no period in window '{window}'"
            )
        return chain_id, name

    # Scores ---------------------------------------------------------------------------------------------

    async def submit(
        self, board: Board, submissions: list[Submission], at_ms: int, results: str
    ) -> list[list[Outcome] | ApiError]:
        """Journal and apply submissions that arrived at `at_ms`, in order, in every window of the board.

        results: none | ranks | full (ranks are computed only as far as asked for). One item for each
        submission: its outcomes, main window first, or why it was refused. With `none` the lists are empty.
        """
        refused = self._refused(board, submissions, at_ms)
        await self._take_repeats_out(board, submissions, refused)
        if not refused:
            return await self._submit_all(board, submissions, at_ms, WANT[results])
        taken = [s for i, s in enumerate(submissions) if i not in refused]
        rest = iter(await self._submit_all(board, taken, at_ms, WANT[results]) if taken else [])
        return [refused[i] if i in refused else next(rest) for i in range(len(submissions))]

    async def _take_repeats_out(
        self, board: Board, submissions: list[Submission], refused: dict[int, ApiError]
    ) -> None:
        """Some of those that come too late were taken in time: their answers were lost, and they are sent
        again. They are recognised by their ids, in whatever window, and are not refused; where that cannot
        be found out now, they alone are told so.
        """
        late = [i for i, e in refused.items() if e.code == "period_closed" and submissions[i].submission_id]
        if not late:
            return
        ids = [submissions[i].submission_id for i in late]
        found: set[str | None] = set()
        try:
            for window in board.windows:
                op = WriteOp(board.chain_id(window), KNOWN, 0, NO_RANK, ids)
                found.update(await self.reach.write(op, len(ids)))
        except ApiError as error:
            refused.update(dict.fromkeys(late, error))
        for index in late:
            if submissions[index].submission_id in found:
                del refused[index]

    async def _submit_all(
        self, board: Board, submissions: list[Submission], at_ms: int, want: int
    ) -> list[list[Outcome] | ApiError]:
        windows = board.windows
        replies = await asyncio.gather(
            *(self._submit(board, window, submissions, at_ms, want) for window in windows)
        )
        taken = [reply for reply in replies if not isinstance(reply, ApiError)]
        if len(taken) == len(windows) and all(reply.says_nothing for reply in taken):
            nothing: list[Outcome] = []
            return [nothing for _ in submissions]
        refusals = [_refusals(reply, len(submissions)) for reply in replies]
        answers: list[list[Outcome] | ApiError] = []
        for index, submission in enumerate(submissions):
            missed = {w: found[index] for w, found in zip(windows, refusals, strict=True) if index in found}
            if missed:
                answers.append(_verdict(missed, len(windows)))
            elif want == NO_RANK:
                answers.append([])
            else:
                named = zip(windows, taken, strict=True)
                answers.append([reply.outcome(index, w, submission.player_id) for w, reply in named])
        return answers

    @staticmethod
    def _refused(board: Board, submissions: list[Submission], at_ms: int) -> dict[int, ApiError]:
        """Submissions whose `occurred_at` lies in a closed or a future period of any window, by index.

        Looked at before anything is sent, so that no window takes what another refuses.
        """
        refused: dict[int, ApiError] = {}
        timeframe = board.definition.timeframe
        grace_ms = timeframe.late_grace_seconds * 1000
        for index, submission in enumerate(submissions):
            occurred_at_ms = submission.occurred_at_ms
            if occurred_at_ms is None:
                continue
            for window in board.windows:
                span = span_at(timeframe, window, occurred_at_ms)
                if span is None:
                    continue  # outside the schedule or by hand: the period actor knows
                ends_ms = span.ends_at_ms
                if ends_ms is not None and at_ms >= ends_ms + grace_ms + CLOCKS_DIFFER_MS:
                    if timeframe.late_submissions == "arrival":
                        continue
                    message = f"occurred_at lies in a closed period of window '{window}'"
                    refused[index] = ApiError("period_closed", message)
                elif span.starts_at_ms is not None and at_ms < span.starts_at_ms - CLOCKS_DIFFER_MS:
                    message = f"occurred_at lies in a future period of window '{window}'"
                    refused[index] = ApiError("period_not_open", message)
        return refused

    async def _submit(
        self, board: Board, window: str, submissions: list[Submission], at_ms: int, want: int
    ) -> Submitted | ApiError:
        try:
            op = WriteOp(board.chain_id(window), SUBMIT, at_ms, want, submissions)
            return Submitted(await self.reach.write(op, len(submissions)), want)
        except ApiError as error:
            return error

    async def change_entry(
        self,
        command: str,
        board: Board,
        args: dict[str, Any],
        who: audit.Who,
        idempotency: Idempotency | None = None,
    ) -> list[ChangedEntry]:
        """Remove, edit or restore a player's entry in the current periods
        (`lbactors.supervisor.commands.entry_edits`).
        """
        args = {"leaderboard_id": board.leaderboard_id, **args}
        answer = await self.admin(command, board.tenant_id, args, idempotency, who)
        found = ((window, EntryChange.from_wire(wire)) for window, *wire in answer.body["changed"])
        return [ChangedEntry(window, *change) for window, change in found]

    async def hidden_players(self, tenant_id: str) -> list[dict[str, Any]]:
        """The players of a tenant that are hidden now, by id (JSON-ready)."""
        return await hidden_of(self._store, tenant_id, self.now_ms())

    # Reads: `period` is current | previous | a key; `window` a name of model.WINDOWS -----------------------

    async def _read(self, board: Board, window: str, period: str, query: Query) -> Reading:
        self._home(board, window)
        return await self.reach.read(board.chain_id(window), period, query)

    async def page(
        self,
        board: Board,
        window: str,
        period: str,
        offset: int,
        limit: int,
        score_min: float | None = None,
        score_max: float | None = None,
    ) -> Reading:
        """Rows from `offset` on; inside a score range `offset` counts from the best entry in it."""
        return await self._read(board, window, period, Page(offset, limit, score_min, score_max))

    async def entry(self, board: Board, window: str, period: str, player_id: str) -> Reading:
        """One row; ApiError entry_not_found."""
        return await self._read(board, window, period, Entry(player_id))

    async def around(
        self, board: Board, window: str, period: str, player_id: str, limit: int, fill: bool
    ) -> Reading:
        """The player and its neighbours; ApiError entry_not_found."""
        return await self._read(board, window, period, Around(player_id, limit, fill))

    async def lookup(self, board: Board, window: str, period: str, player_ids: list[str]) -> Reading:
        """Rows in rank order, unranked ones last; `missing` lists the others."""
        return await self._read(board, window, period, Lookup(player_ids))

    async def rank_at(
        self, board: Board, window: str, period: str, score: float, subscore: float
    ) -> tuple[int | None, Reading]:
        """The rank that a new player with this score would take; None below the board's min_score."""
        reading = await self._read(board, window, period, RankAt(score, subscore))
        return reading.matched, reading

    async def distribution(
        self, board: Board, window: str, period: str, buckets: int
    ) -> tuple[dict[str, Any], Reading]:
        """How scores are spread (`Ranking.distribution`), and of what period."""
        reading = await self._read(board, window, period, Distribution(buckets))
        return reading.spread or {}, reading

    async def player_entries(
        self, tenant_id: str, player_id: str, window: str | None, period: str
    ) -> list[tuple[Board, Reading]]:
        """The player's entry in every board and window of the tenant; one-row readings, boards by id."""

        async def one(board: Board, window: str) -> tuple[Board, Reading] | None:
            try:
                return board, await self.entry(board, window, period, player_id)
            except ApiError as error:
                if error.code in ("entry_not_found", "period_not_found"):
                    return None
                raise

        wanted = [
            one(board, w)
            for board in self.catalogue.boards(tenant_id)
            for w in board.windows
            if window is None or w == window
        ]
        return [r for r in await asyncio.gather(*wanted) if r is not None]

    # Periods --------------------------------------------------------------------------------------------

    async def _records(self, chain_id: str) -> list[PeriodRecord]:
        try:
            found = await self._store.scan("periods", prefix=f"{chain_id}/")
        except StoreError as error:
            raise ApiError("storage_unavailable", str(error)) from error
        return sorted((PeriodRecord(*msgpack.unpackb(b)) for _, b in found), key=lambda r: r.serial)

    async def _view(
        self, board: Board, window: str, record: PeriodRecord, records: list[PeriodRecord]
    ) -> PeriodView:
        """A record as readers see it; counts of open periods come from their actor, if it is there."""
        if not record.sealed:
            try:
                return (await self._read(board, window, record.key, Stats())).period
            except ApiError:
                log.debug("no counts", key=record.key)
        timeframe = board.definition.timeframe
        later = [r for r in records if r.serial > record.serial]
        next_ms = None
        if later:
            next_ms = later[0].starts_at_ms
        elif goes_on_after(timeframe, window, [record]):
            next_ms = record.ends_at_ms
        grace_ms = timeframe.late_grace_seconds * 1000
        return view_of_record(record, window, self.now_ms(), grace_ms, next_ms)

    async def periods(
        self, board: Board, window: str, state: str | None, offset: int, limit: int
    ) -> tuple[list[PeriodView], int]:
        """A chain's periods, newest first, and how many there are in all (after the filter by state)."""
        records = await self._records(board.chain_id(window))
        now_ms, grace_ms = self.now_ms(), board.definition.timeframe.late_grace_seconds * 1000
        chosen = [r for r in reversed(records) if state is None or r.state(now_ms, grace_ms) == state]
        shown = chosen[offset : offset + limit]
        views = await asyncio.gather(*(self._view(board, window, r, records) for r in shown))
        return list(views), len(chosen)

    async def period(self, board: Board, window: str | None, period: str) -> PeriodView:
        """One period; by its key alone (`window` None) in whichever window has it. period_not_found."""
        if period in ("current", "previous"):
            return (await self._read(board, window or "main", period, Stats())).period
        for name in (window,) if window is not None else board.windows:
            records = await self._records(board.chain_id(name))
            record = next((r for r in records if r.key == period), None)
            if record is not None:
                return await self._view(board, name, record, records)
        where = "" if window is None else f" in window '{window}'"
        raise ApiError("period_not_found", f"no period '{period}'{where}")

    async def held(self, board: Board) -> list[Review]:
        """Submissions of the board that wait for review, oldest first."""
        try:
            return await read_reviews(self._store, board)
        except StoreError as error:
            raise ApiError("storage_unavailable", str(error)) from error

    async def profiles(self, tenant_id: str, player_ids: list[str]) -> dict[str, dict[str, Any]]:
        """Profiles of those players that have one (JSON-ready, as `PUT /v1/players/{id}` answers)."""
        return await self._profiles.get(tenant_id, player_ids)

    async def names(self, tenant_id: str, player_ids: list[str]) -> list[str | None]:
        """Display names of players, in their order; those known, while the store is away. Raises nothing."""
        profiles = await self._profiles.get_known(tenant_id, player_ids)
        return [profiles[p]["display_name"] if p in profiles else None for p in player_ids]

    # Operations -----------------------------------------------------------------------------------------

    async def ready(self) -> dict[str, Any]:
        """`ready` with the reasons: storage, supervisor, actors, periods serving and loading.

        While the supervisor is away scores and reads go on, so the last known state counts.
        """
        try:
            status = await self.status(brief=True)
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

    async def status(self, *, brief: bool = False) -> dict[str, Any]:
        """For operators: actors with pid, memory, periods hosted, load; supervisor; store; this gateway.

        `brief`: what readiness needs, and what is so now; else a supervisor that is away is waited for.
        """
        try:
            arguments = (b"brief",) if brief else ()
            reply = await self._ask("status", *arguments, timeout_s=STATUS_TIMEOUT_S, again=not brief)
        except (ActorGone, TimeoutError) as error:
            raise ApiError("storage_unavailable", f"the supervisor is away: {error}") from error
        self._last_status = {**msgpack.unpackb(reply), "gateway": {"pid": os.getpid()}}
        return self._last_status
