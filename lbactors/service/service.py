"""The gateway's side of the service: what the HTTP routes call, and nothing of HTTP.

Scores go out in `lbactors.service.submitter`, commands in `lbactors.service.supervisor_client`; what is read
of rankings and periods is here. Every method raises `ApiError` for whatever the caller is to be told. Times
are ms since the epoch. Limits of requests (lengths, numbers of items) are checked by the routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import msgpack
import structlog

from lbactors.clock import Clock
from lbactors.core.errors import PERIODS_NAMED, ApiError
from lbactors.core.ids import in_chain
from lbactors.core.lifecycle import record_after, state_of
from lbactors.core.model import Board, Outcome, PeriodRecord, PeriodView, Reading, Row, Submission
from lbactors.core.rank_keys import Standing
from lbactors.core.schedule import has_next_period
from lbactors.core.shown_ranks import shown_outcome, shown_rank, shown_row
from lbactors.documents import audit
from lbactors.documents.entities import view_of_record
from lbactors.documents.hidden_players import hidden_of
from lbactors.documents.labels import profile_labels
from lbactors.documents.profiles import Found, Wanted, profile_of, search_profiles
from lbactors.documents.reviews import Review, read_reviews
from lbactors.documents.storage_errors import storage_errors
from lbactors.service.catalogue import Catalogue
from lbactors.service.logs import Logs
from lbactors.service.profiles import Profiles
from lbactors.service.reward_reader import RewardReader
from lbactors.service.router import Router
from lbactors.service.submitter import Submitter
from lbactors.service.supervisor_client import AdminAnswer as AdminAnswer
from lbactors.service.supervisor_client import SupervisorClient
from lbactors.service.webhook_reader import WebhookReader
from lbactors.settings import ServerSettings
from lbactors.wire.actors import Actor, ActorFinder
from lbactors.wire.commands import Command, EntryCommand
from lbactors.wire.commands import Idempotency as Idempotency
from lbactors.wire.reads import Around, Distribution, Entry, Lookup, Page, Query, RankAt, Stats
from lbactors.wire.requests import EntryChange
from persistence.store import Store

log = structlog.get_logger("service")


class ChangedEntry(NamedTuple):
    """An entry of a window's current period before and after a moderator's act; None: there is none."""

    window: str
    period_key: str
    before: Row | None
    after: Row | None


class Service:
    """One for each gateway process; `start` before use, `close` at the end."""

    def __init__(
        self, cluster: ActorFinder, supervisor: Actor, store: Store, settings: ServerSettings
    ) -> None:
        self._store = store
        self._clock = Clock(str(settings.clock_file) if settings.clock_file else None)
        self._profiles = Profiles(store)
        self.rewards = RewardReader(store, self.now_ms)
        self.webhooks = WebhookReader(store)
        self.catalogue = Catalogue(
            supervisor, self._profiles.changed, lambda name, made: self._router.moved(name, made)
        )
        self._router = Router(cluster, supervisor, self.catalogue, settings, self.now_ms)
        self._submitter = Submitter(self._router, self._profiles)
        self._supervisor = SupervisorClient(supervisor, self.catalogue, store)
        self.logs = Logs(
            self._router,
            self.catalogue,
            self._supervisor,
            self._profiles,
            lambda: int(settings.behind_wait_seconds * 1000),
        )

    async def start(self, within_s: float = 30.0, waits: Callable[[str], None] = lambda why: None) -> None:
        """Know the catalogue and follow it, see `Catalogue.start`. ActorGone."""
        await self.catalogue.start(within_s, waits)

    async def close(self) -> None:
        await self.catalogue.close()
        self._router.close()

    def now_ms(self) -> int:
        return self._clock.now_ms()

    # Administration -------------------------------------------------------------------------------------

    async def admin(
        self,
        command: Command,
        tenant_id: str,
        idempotency: Idempotency | None = None,
        who: audit.Who | None = None,
    ) -> AdminAnswer:
        """Carry out a command through the supervisor, see `SupervisorClient.command`."""
        return await self._supervisor.command(command, tenant_id, idempotency, who)

    async def audit_log(
        self, tenant_id: str, wanted: audit.Wanted, place: int, limit: int
    ) -> tuple[list[dict[str, Any]], int, int | None]:
        """A page of a tenant's audit log (`lbactors.documents.audit.search`)."""
        return await audit.search(self._store, tenant_id, wanted, place, limit)

    # Scores ---------------------------------------------------------------------------------------------

    async def submit(
        self, board: Board, submissions: list[Submission], at_ms: int, results: str, tag: int = 0
    ) -> list[list[Outcome] | ApiError]:
        """Journal and apply submissions, see `Submitter.submit`. Ranks are those that are shown."""
        found = await self._submitter.submit(board, submissions, at_ms, results, tag)
        top_only = board.definition.ranking.top_only
        if top_only is None or results == "none":
            return found
        return [
            one if isinstance(one, ApiError) else [shown_outcome(outcome, top_only) for outcome in one]
            for one in found
        ]

    async def change_entry(
        self,
        command: EntryCommand,
        tenant_id: str,
        who: audit.Who,
        idempotency: Idempotency | None = None,
    ) -> list[ChangedEntry]:
        """Remove, edit or restore a player's entry in the current periods
        (`lbactors.supervisor.commands.entry_edits`).
        """
        answer = await self.admin(command, tenant_id, idempotency, who)
        board = self.catalogue.board(tenant_id, command.leaderboard_id)
        top_only = None if board is None else board.definition.ranking.top_only

        def shown(row: Row | None) -> Row | None:
            return None if row is None else shown_row(row, top_only)

        found = ((window, EntryChange.from_wire(wire)) for window, *wire in answer.body["changed"])
        return [ChangedEntry(w, key, shown(before), shown(after)) for w, (key, before, after) in found]

    async def hidden_players(self, tenant_id: str) -> list[dict[str, Any]]:
        """The players of a tenant that are hidden now, by id (JSON-ready)."""
        return await hidden_of(self._store, tenant_id, self.now_ms())

    # Reads: `period` is current | previous | a key; `window` a name of model.WINDOWS; `zone` tells whose
    # current period is meant, where periods are player-local (empty: UTC) -----------------------------------

    async def zone_of(self, board: Board, player_id: str) -> str:
        """The zone of a player, where the board's periods are player-local; else empty. ApiError
        storage_unavailable: nobody can tell.
        """
        if not board.definition.timeframe.is_player_local:
            return ""
        return (await self._profiles.zones(board.tenant_id, [player_id]))[0]

    async def _read(self, board: Board, window: str, period: str, query: Query, zone: str = "") -> Reading:
        chain_id = board.chain_id(window)
        lacks = self.catalogue.home(board.board_uid) is None
        # A window that was taken away can be read as long as its periods are kept.
        if lacks or (window not in board.windows and not await self._records(chain_id)):
            has = ", ".join(board.windows)
            raise ApiError(
                "period_not_found",
                f"leaderboard '{board.leaderboard_id}' has no window '{window}'; its windows: {has}",
            )
        return await self._router.read(chain_id, period, query, board.definition.ranking.top_only, zone)

    async def page(
        self,
        board: Board,
        window: str,
        period: str,
        offset: int,
        limit: int,
        score_min: float | None = None,
        score_max: float | None = None,
        zone: str = "",
    ) -> Reading:
        """Rows from `offset` on; inside a score range `offset` counts from the best entry in it."""
        return await self._read(board, window, period, Page(offset, limit, score_min, score_max), zone)

    async def page_from(
        self,
        board: Board,
        window: str,
        period: str,
        standing: Standing | None,
        backward: bool,
        limit: int,
        score_min: float | None = None,
        score_max: float | None = None,
    ) -> Reading:
        """Rows that follow a standing, or with `backward` those that precede it; None: the first, or the
        last. Nobody needs to have it any more.
        """
        asked = Page(0, limit, score_min, score_max, standing, backward)
        return await self._read(board, window, period, asked)

    async def entry(self, board: Board, window: str, period: str, player_id: str, zone: str = "") -> Reading:
        """One row; ApiError entry_not_found."""
        return await self._read(board, window, period, Entry(player_id), zone)

    async def around(
        self,
        board: Board,
        window: str,
        period: str,
        player_id: str,
        limit: int,
        fill: bool,
        zone: str = "",
    ) -> Reading:
        """The player and its neighbours; one who is not ranked has none. ApiError entry_not_found."""
        return await self._read(board, window, period, Around(player_id, limit, fill), zone)

    async def lookup(
        self, board: Board, window: str, period: str, player_ids: list[str], zone: str = ""
    ) -> Reading:
        """Rows in rank order, unranked ones last; `missing` lists the others."""
        return await self._read(board, window, period, Lookup(player_ids), zone)

    async def rank_at(
        self, board: Board, window: str, period: str, score: float, subscore: float, zone: str = ""
    ) -> tuple[int | None, Reading]:
        """The rank that a new player with this score would take; None where it would not be ranked, or its
        rank not be shown.
        """
        reading = await self._read(board, window, period, RankAt(score, subscore), zone)
        return shown_rank(reading.matched, board.definition.ranking.top_only), reading

    async def distribution(
        self, board: Board, window: str, period: str, buckets: int, zone: str = ""
    ) -> tuple[dict[str, Any], Reading]:
        """How scores are spread (`Ranking.distribution`), and of what period."""
        reading = await self._read(board, window, period, Distribution(buckets), zone)
        return reading.spread or {}, reading

    async def player_entries(
        self,
        boards: Sequence[Board],
        player_id: str,
        window: str | None,
        period: str,
        viewers: Collection[str] = (),
    ) -> list[tuple[Board, Reading]]:
        """The player's entry in each window of these boards, in their order; one-row readings. Of boards with
        player-local periods, `current` is that of the player's own zone.

        viewers: boards whose `audience.view` lacks one of these players are left out.
        """

        async def one(board: Board, window: str) -> tuple[Board, Reading] | None:
            try:
                zone = await self.zone_of(board, player_id)
                return board, await self.entry(board, window, period, player_id, zone)
            except ApiError as error:
                if error.code in ("entry_not_found", "period_not_found"):
                    return None
                raise

        for viewer in viewers:
            boards = [board for board in boards if await self.may_view(board, viewer)]
        wanted = [one(board, w) for board in boards for w in board.windows if window is None or w == window]
        return [r for r in await asyncio.gather(*wanted) if r is not None]

    # Periods --------------------------------------------------------------------------------------------

    async def _records(self, chain_id: str) -> list[PeriodRecord]:
        with storage_errors():
            found = await self._store.scan("periods", prefix=in_chain(chain_id, ""))
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
        later = record_after(records, record)
        next_ms = None
        if later is not None:
            next_ms = later.starts_at_ms
        elif has_next_period(timeframe, window, [record]):
            next_ms = record.next_starts_at_ms
        grace_ms = timeframe.late_grace_seconds * 1000
        return view_of_record(record, window, self.now_ms(), grace_ms, next_ms)

    async def periods(
        self,
        board: Board,
        window: str,
        state: str | None,
        offset: int,
        limit: int,
        before: int | None = None,
    ) -> tuple[list[PeriodView], int]:
        """A chain's periods, newest first, and how many there are in all (after the filter by state).
        before: only those with a lower serial.
        """
        records = await self._records(board.chain_id(window))
        now_ms, grace_ms = self.now_ms(), board.definition.timeframe.late_grace_seconds * 1000

        async def shown_as(record: PeriodRecord) -> str:
            found = state_of(record, now_ms, grace_ms)
            if found == "closed" and not record.sealed:  # only its actor knows whether it is final
                return (await self._view(board, window, record, records)).state
            return found

        chosen = [r for r in reversed(records) if state is None or await shown_as(r) == state]
        older = chosen if before is None else [r for r in chosen if r.serial < before]
        shown = older[offset : offset + limit]
        views = await asyncio.gather(*(self._view(board, window, r, records) for r in shown))
        return list(views), len(chosen)

    async def period(self, board: Board, window: str | None, period: str, zone: str = "") -> PeriodView:
        """One period; by its key alone (`window` None) in whichever window has it. period_not_found."""
        if period in ("current", "previous"):
            return (await self._read(board, window or "main", period, Stats(), zone)).period
        for name in (window,) if window is not None else board.windows:
            records = await self._records(board.chain_id(name))
            record = next((r for r in records if r.key == period), None)
            if record is not None:
                return await self._view(board, name, record, records)
        where = "" if window is None else f" in window '{window}'"
        raise ApiError("period_not_found", f"no period '{period}'{where}; {PERIODS_NAMED}")

    async def held(self, board: Board) -> list[Review]:
        """Submissions of the board that wait for review, oldest first."""
        with storage_errors():
            return await read_reviews(self._store, board)

    async def profile(self, tenant_id: str, player_id: str) -> dict[str, Any] | None:
        """A player's profile as it is now (JSON-ready, as `PUT /v1/players/{id}` answers); None: there is
        none. ApiError storage_unavailable.
        """
        return await profile_of(self._store, tenant_id, player_id, self.now_ms())

    async def players(self, tenant_id: str, wanted: Wanted, after: str, offset: int, limit: int) -> Found:
        """Profiles of a tenant, see `search_profiles`. ApiError storage_unavailable."""
        return await search_profiles(self._store, tenant_id, wanted, after, offset, limit, self.now_ms())

    async def may_view(self, board: Board, player_id: str) -> bool:
        """Whether a board's `audience.view` has a player. ApiError storage_unavailable: nobody can tell."""
        viewers = board.definition.audience.view
        if viewers.is_everyone or player_id in viewers.players:
            return True
        if not viewers.labels:
            return False
        return viewers.has(player_id, profile_labels(await self._profiles.get(board.tenant_id, player_id)))

    async def names(self, tenant_id: str, player_ids: list[str]) -> list[str | None]:
        """Display names of players, in their order; those known, while the store is away. Raises nothing."""
        profiles = await self._profiles.get_known(tenant_id, player_ids)
        return [profiles[p]["display_name"] if p in profiles else None for p in player_ids]

    # Operations -----------------------------------------------------------------------------------------

    async def ready(self, *, now: bool = False) -> dict[str, Any]:
        """See `SupervisorClient.ready`."""
        return await self._supervisor.ready(now=now)

    async def projections(self) -> dict[str, Any] | None:
        """See `SupervisorClient.projections`."""
        return await self._supervisor.projections()

    async def status(self) -> dict[str, Any]:
        """See `SupervisorClient.status`."""
        return await self._supervisor.status()
