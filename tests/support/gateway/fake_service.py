"""An in-memory stand-in for `lbactors.service.service.Service`: what the gateway's tests need of it, and
naively.

It sorts on every read and knows one open period a window. Administrative bodies are judged by the very models
that the supervisor uses, so that documents and errors have their real shapes.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any

from pydantic import BaseModel

from lbactors.core.definition import SCOPES, Definition
from lbactors.core.errors import ApiError, invalid
from lbactors.core.instants import format_instant
from lbactors.core.model import Board, Key, Outcome, PeriodView, Reading, Row, Submission, Tenant
from lbactors.core.packing import pack
from lbactors.core.rank_keys import Standing
from lbactors.documents.audit import Wanted, Who
from lbactors.documents.entities import (
    KeyBody,
    KeyPatch,
    PeriodBody,
    ProfileBody,
    TenantBody,
    TenantPatch,
    board_json,
    key_json,
    period_json,
    tenant_json,
)
from lbactors.documents.entry_edits import EditBody, RestoreBody
from lbactors.documents.hidden_players import SHOWN, Hidden, HideBody, UnhideBody, hidden_json
from lbactors.documents.labels import profile_labels
from lbactors.documents.profiles import Found, merged_profile, profile_json, zone_of_profile
from lbactors.documents.profiles import Wanted as WantedPlayers
from lbactors.documents.reviews import Review, read_reviews
from lbactors.service.service import AdminAnswer, ChangedEntry, Idempotency
from lbactors.supervisor.command_plan import parse
from lbactors.supervisor.commands.leaderboards import merged
from lbactors.wire.chain_spec import HostedDigest
from lbactors.wire.commands import Command, EditEntry, EntryCommand, RemoveEntry, RestoreEntry
from lbactors.wire.ping import NOT_RUNNING, ChainPing, FollowPing, PeriodPing, Ping, leaderboards_shown
from tests.support.gateway.fake_logs import FakeLogs
from tests.support.gateway.fake_rewards import FakeRewards
from tests.support.gateway.fake_webhooks import FakeWebhooks
from tests.support.supervisor.held_memory import HeldMemory

NOW_MS = 1_795_003_200_000  # 2026-11-18T12:00:00Z
ROOT_KEY = "lb_root"
PERIOD_KEY = "2026-W47"


class FakeCatalogue:
    """In dictionaries. `synced` counts the calls of `sync`; the keys in `arriving` come with the next."""

    def __init__(self) -> None:
        self.all_tenants: dict[str, Tenant] = {}
        self.all_keys: dict[str, Key] = {}
        self.all_boards: dict[tuple[str, str], Board] = {}
        self.arriving: list[Key] = []
        self.synced = 0

    def tenant(self, tenant_id: str) -> Tenant | None:
        return self.all_tenants.get(tenant_id)

    def tenants(self) -> list[Tenant]:
        return [self.all_tenants[name] for name in sorted(self.all_tenants)]

    def key_by_hash(self, key_hash: str) -> Key | None:
        return next((key for key in self.all_keys.values() if key.key_hash == key_hash), None)

    def keys(self, tenant_id: str | None) -> list[Key]:
        found = [key for key in self.all_keys.values() if key.status != "deleted"]
        return [key for key in found if tenant_id in (None, key.tenant_id)]

    def board(self, tenant_id: str, leaderboard_id: str) -> Board | None:
        return self.all_boards.get((tenant_id, leaderboard_id))

    def boards(self, tenant_id: str) -> list[Board]:
        return [board for (owner, _), board in sorted(self.all_boards.items()) if owner == tenant_id]

    async def sync(self) -> None:
        self.synced += 1
        for key in self.arriving:
            self.all_keys[key.key_id] = key
        self.arriving.clear()


class FakeService:
    """`rows`: (tenant, leaderboard) -> player -> Row without a rank. `fail`, once set, is raised by calls.
    `at_ms`: what time it is; it stands still.
    """

    def __init__(self) -> None:
        self.catalogue = FakeCatalogue()
        self.catalogue.all_tenants["default"] = Tenant("default", "default", "active", None, NOW_MS)
        self.rows: dict[tuple[str, str], dict[str, Row]] = {}
        self.seq = 0
        self.seqs: dict[str, int] = {}  # of each player's standing
        self.seen: set[tuple[str, str, str]] = set()
        self.profile_of: dict[tuple[str, str], dict[str, Any]] = {}
        self.submitted: list[list[Submission]] = []
        self.fail: ApiError | Exception | None = None
        self.idempotencies: list[Idempotency | None] = []
        self.acted_as: list[Who | None] = []
        self.audit_records: list[dict[str, Any]] = []
        self.held_memory = HeldMemory(NOW_MS)
        self.hidden: dict[tuple[str, str], dict[str, Any]] = {}
        self.removed: dict[str, Row] = {}
        self.answers: dict[str, tuple[str, AdminAnswer]] = {}
        self.readiness: dict[str, Any] = {
            "ready": True,
            "storage": "ok",
            "supervisor": "ok",
            "actors": 1,
            "periods": {"serving": 1, "loading": 0, "asleep": 0},
        }
        self.reads = 0
        self.at_ms = NOW_MS
        self.readiness_made = 0
        self.behind: dict[str, Any] | None = {"behind": 0, "leaderboards": []}
        self.logs_shown: list[dict[str, Any]] = []
        self.rewards = FakeRewards(NOW_MS)
        self.webhooks = FakeWebhooks(NOW_MS)
        self.logs = FakeLogs(self.now_ms)
        self.add_key(ROOT_KEY, *SCOPES)

    def now_ms(self) -> int:
        return self.at_ms

    def add_key(self, text: str, *scopes: str, tenant_id: str = "default", **fields: Any) -> Key:
        """Makes the key known at once, and its tenant with it."""
        self.catalogue.all_tenants.setdefault(tenant_id, Tenant(tenant_id, tenant_id, "active", None, NOW_MS))
        key = Key(
            f"k_{text}",
            tenant_id,
            text,
            frozenset(scopes),
            sha256(text.encode()).hexdigest(),
            "active",
            None,
            None,
            NOW_MS,
        )._replace(**fields)
        self.catalogue.all_keys[key.key_id] = key
        return key

    def add_board(self, leaderboard_id: str, tenant_id: str = "default", **definition: Any) -> Board:
        """Makes a leaderboard known at once."""
        parsed = Definition.model_validate({"leaderboard_id": leaderboard_id, **definition})
        board = Board(tenant_id, secrets.token_hex(4), parsed, 1, NOW_MS, NOW_MS)
        self.catalogue.all_boards[tenant_id, leaderboard_id] = self.held_memory.add(board)
        return board

    def add_scores(self, board: Board, scores: dict[str, float]) -> None:
        rows = self._rows(board)
        for player_id, score in scores.items():
            self.seq += 1
            rows[player_id] = Row(None, player_id, score, 0, None, 1, NOW_MS, NOW_MS, "new")
            self.seqs[player_id] = self.seq

    def _rows(self, board: Board) -> dict[str, Row]:
        return self.rows.setdefault((board.tenant_id, board.leaderboard_id), {})

    def _ranked(self, board: Board) -> list[Row]:
        rows = sorted(self._rows(board).values(), key=lambda row: self._order(board, self._standing(row)))
        return [row._replace(rank=rank) for rank, row in enumerate(rows, start=1)]

    def _standing(self, row: Row) -> Standing:
        return row.score, row.subscore, self.seqs.get(row.player_id, 0)

    @staticmethod
    def _order(board: Board, standing: Standing) -> Standing:
        score, subscore, seq = standing
        sign = -1 if board.definition.ranking.order == "desc" else 1
        return sign * score, sign * subscore, seq

    def _failing(self) -> None:
        if self.fail is not None:
            raise self.fail

    # Administration ---------------------------------------------------------------------------------------

    async def admin(
        self,
        command: Command,
        tenant_id: str,
        idempotency: Idempotency | None = None,
        who: Who | None = None,
    ) -> AdminAnswer:
        self._failing()
        args = command.args()
        self.idempotencies.append(idempotency)
        self.acted_as.append(who)
        pack(args)  # what the supervisor gets must be data
        if idempotency is not None and idempotency.key in self.answers:
            digest, answer = self.answers[idempotency.key]
            if digest != idempotency.digest:
                raise ApiError("idempotency_conflict", "another request before")
            return answer
        if hasattr(self.held_memory.commands, command.name):
            planned = await self.held_memory.run(command.name, tenant_id, **args)
            return AdminAnswer(planned.status, planned.body)
        answer = getattr(self, f"_{command.name}")(tenant_id, **args)
        if idempotency is not None:
            self.answers[idempotency.key] = idempotency.digest, answer
        return answer

    def _board_of(self, tenant_id: str, leaderboard_id: str) -> Board:
        board = self.catalogue.board(tenant_id, leaderboard_id)
        assert board is not None, "the gateway checks before it asks"
        return board

    def _create_leaderboard(self, tenant_id: str, definition: Any) -> AdminAnswer:
        parsed = parse(Definition, definition)
        if self.catalogue.board(tenant_id, parsed.leaderboard_id):
            raise ApiError("leaderboard_exists", "exists")
        board = Board(tenant_id, secrets.token_hex(4), parsed, 1, NOW_MS, NOW_MS)
        self.catalogue.all_boards[tenant_id, parsed.leaderboard_id] = board
        return AdminAnswer(201, board_json(board))

    def _patch_leaderboard(
        self, tenant_id: str, leaderboard_id: str, patch: Any, if_match: int | None
    ) -> AdminAnswer:
        board = self._board_of(tenant_id, leaderboard_id)
        if if_match not in (None, board.version):
            raise ApiError("version_mismatch", f"version is {board.version}")
        return self._redefine(board, merged(board.definition, patch))

    def _redefine(self, board: Board, definition: Definition) -> AdminAnswer:
        board = board._replace(definition=definition, version=board.version + 1)
        self.catalogue.all_boards[board.tenant_id, board.leaderboard_id] = board
        return AdminAnswer(200, board_json(board))

    def _archive_leaderboard(self, tenant_id: str, leaderboard_id: str) -> AdminAnswer:
        board = self._board_of(tenant_id, leaderboard_id)
        return self._redefine(board, board.definition.model_copy(update={"status": "archived"}))

    def _purge_leaderboard(self, tenant_id: str, leaderboard_id: str) -> AdminAnswer:
        board = self._board_of(tenant_id, leaderboard_id)
        self.rows.pop((tenant_id, leaderboard_id), None)
        del self.catalogue.all_boards[tenant_id, leaderboard_id]
        return AdminAnswer(200, board_json(board))

    def _create_period(self, tenant_id: str, leaderboard_id: str, period: Any) -> AdminAnswer:
        parsed = parse(PeriodBody, period)
        board = self._board_of(tenant_id, leaderboard_id)
        starts_at = NOW_MS if parsed.starts_at is None else parsed.starts_at
        key = parsed.period_key or format_instant(starts_at)
        view = self._view(board, "main")._replace(key=key, starts_at_ms=starts_at)
        return AdminAnswer(201, period_json(view))

    def _close_period(self, tenant_id: str, leaderboard_id: str, window: str) -> AdminAnswer:
        board = self._board_of(tenant_id, leaderboard_id)
        return AdminAnswer(200, {"closed": period_json(self._checked_view(board, window)), "current": None})

    def _rebuild_period(
        self, tenant_id: str, leaderboard_id: str, window: str, period_key: str, keep_rewards: bool
    ) -> AdminAnswer:
        view = self._checked_view(self._board_of(tenant_id, leaderboard_id), window, period_key)
        if not keep_rewards and leaderboard_id == "rewarded":
            raise ApiError("rewards_granted", "rewards were granted")
        return AdminAnswer(200, period_json(view))

    def _create_tenant(self, tenant_id: str, tenant: Any) -> AdminAnswer:
        body = parse(TenantBody, tenant)
        if body.tenant_id in self.catalogue.all_tenants:
            raise ApiError("tenant_exists", "exists")
        made = Tenant(body.tenant_id, body.name or body.tenant_id, "active", body.hmac_secret, NOW_MS)
        self.catalogue.all_tenants[made.tenant_id] = made
        return AdminAnswer(201, tenant_json(made))

    def _patch_tenant(self, _: str, tenant_id: str, patch: Any) -> AdminAnswer:
        fields = changes(TenantPatch, patch, "name", "status")
        new = self.catalogue.all_tenants[tenant_id]._replace(**fields)
        self.catalogue.all_tenants[tenant_id] = new
        return AdminAnswer(200, tenant_json(new))

    def _delete_tenant(self, _: str, tenant_id: str) -> AdminAnswer:
        return AdminAnswer(200, tenant_json(self.catalogue.all_tenants.pop(tenant_id)))

    def _create_key(self, tenant_id: str, key: Any) -> AdminAnswer:
        body = parse(KeyBody, key)
        text = f"lb_{secrets.token_hex(8)}"
        made = self.add_key(
            text,
            *body.scopes,
            tenant_id=body.tenant_id or tenant_id,
            name=body.name,
            player_id=body.player_id,
            expires_at_ms=body.expires_at,
        )
        return AdminAnswer(201, {**key_json(made), "key": text})

    def _change_key(self, key_id: str, **fields: Any) -> AdminAnswer:
        new = self.catalogue.all_keys[key_id]._replace(**fields)
        self.catalogue.all_keys[key_id] = new
        return AdminAnswer(200, key_json(new))

    def _patch_key(self, _: str, key_id: str, patch: Any) -> AdminAnswer:
        return self._change_key(key_id, **changes(KeyPatch, patch, "name", "status"))

    def _delete_key(self, _: str, key_id: str) -> AdminAnswer:
        return self._change_key(key_id, status="deleted")

    def _hide_player(self, tenant_id: str, player_id: str, hide: Any) -> AdminAnswer:
        body = parse(HideBody, hide)
        shown = hidden_json(player_id, Hidden(NOW_MS, body.until, body.reason, None))
        self.hidden[tenant_id, player_id] = shown
        return AdminAnswer(200, shown)

    def _unhide_player(self, tenant_id: str, player_id: str, unhide: Any) -> AdminAnswer:
        parse(UnhideBody, unhide)
        self.hidden.pop((tenant_id, player_id), None)
        return AdminAnswer(200, {**hidden_json(player_id, SHOWN), "hidden": False, "until": None})

    def _import_entries(
        self,
        tenant_id: str,
        leaderboard_id: str,
        window: str,
        period_key: str | None,
        entries: list[Any],
        replace: bool,
    ) -> AdminAnswer:
        assert (window, period_key) == ("main", None)
        rows = self._rows(self._board_of(tenant_id, leaderboard_id))
        refused = [] if replace else [(i, "entry_exists") for i, e in enumerate(entries) if e[0] in rows]
        taken = [e for i, e in enumerate(entries) if replace or e[0] not in rows]
        rows.update({e[0]: Row(None, *e, "new") for e in taken})
        counts = {"imported": len(taken), "unchanged": 0, "dropped": 0, "refused": refused}
        return AdminAnswer(200, {"period_key": PERIOD_KEY, **counts})

    def _put_player(
        self, tenant_id: str, player_id: str, profile: Any, by_player: bool, if_match: list[str] | None
    ) -> AdminAnswer:
        known = self.profile_of.get((tenant_id, player_id))
        if if_match is not None and (known is None or not {"*", known["version"]} & set(if_match)):
            raise ApiError("version_mismatch", "another profile")
        body = parse(ProfileBody, profile)
        stored = {"player_id": player_id, **body.model_dump(), "updated_at": format_instant(NOW_MS)}
        shown = profile_json(stored, SHOWN._replace(at_ms=NOW_MS, until_ms=body.hidden_until or 0), NOW_MS)
        self.profile_of[tenant_id, player_id] = shown
        return AdminAnswer(200, shown)

    def _patch_player(self, tenant_id: str, player_id: str, patch: Any, **more: Any) -> AdminAnswer:
        merged = merged_profile(self.profile_of.get((tenant_id, player_id), {}), patch)
        return self._put_player(tenant_id, player_id, merged, **more)

    def _erase_player(self, tenant_id: str, player_id: str) -> AdminAnswer:
        if self.profile_of.pop((tenant_id, player_id), None) is None:
            raise ApiError("player_not_found", "no such player")
        return AdminAnswer(200, {"player_id": player_id, "erased_entries": 0})

    async def audit_log(
        self, tenant_id: str, wanted: Wanted, place: int, limit: int
    ) -> tuple[list[dict[str, Any]], int, int | None]:
        self._failing()
        found = [r for r in self.audit_records if wanted.act in (None, r["act"])]
        return found[place : place + limit], len(found), place + limit if place + limit < len(found) else None

    def _claim_reward(
        self, tenant_id: str, leaderboard_id: str, window: str, serial: int, player_id: str, claim: Any
    ) -> AdminAnswer:
        assert window == "main"
        board = self._board_of(tenant_id, leaderboard_id)
        return AdminAnswer(200, self.rewards.claim(board, serial, player_id, claim))

    def _create_webhook(self, tenant_id: str, webhook: Any) -> AdminAnswer:
        return AdminAnswer(201, self.webhooks.create(tenant_id, webhook))

    def _patch_webhook(self, tenant_id: str, webhook_id: str, patch: Any) -> AdminAnswer:
        return AdminAnswer(200, self.webhooks.patch(tenant_id, webhook_id, patch))

    def _delete_webhook(self, tenant_id: str, webhook_id: str) -> AdminAnswer:
        return AdminAnswer(200, self.webhooks.delete(tenant_id, webhook_id))

    def _rotate_webhook_secret(self, tenant_id: str, webhook_id: str, rotation: Any) -> AdminAnswer:
        assert set(rotation) <= {"previous_valid_seconds"}
        return AdminAnswer(200, {**self.webhooks.patch(tenant_id, webhook_id, {}), "secret": "whsec_bmV3"})

    def _test_webhook(self, tenant_id: str, webhook_id: str) -> AdminAnswer:
        return AdminAnswer(202, self.webhooks.pending(tenant_id, webhook_id, "dlv_test"))

    def _replay_delivery(self, tenant_id: str, webhook_id: str, delivery_id: str) -> AdminAnswer:
        return AdminAnswer(202, self.webhooks.pending(tenant_id, webhook_id, delivery_id))

    def _replay_deliveries(self, tenant_id: str, webhook_id: str, replay: Any) -> AdminAnswer:
        assert replay == {"state": "failed"}
        return AdminAnswer(202, {"replayed": 3, "remaining": 0})

    # Scores -----------------------------------------------------------------------------------------------

    async def submit(
        self, board: Board, submissions: list[Submission], at_ms: int, results: str, tag: int = 0
    ) -> list[list[Outcome] | ApiError]:
        self._failing()
        self.submitted.append(submissions)
        rows = self._rows(board)
        answers: list[list[Outcome] | ApiError] = []
        for submission in submissions:
            mark = (board.tenant_id, board.leaderboard_id, submission.submission_id or "")
            duplicate = submission.submission_id is not None and mark in self.seen
            self.seen.add(mark)
            old = rows.get(submission.player_id)
            self.seq += 1
            score = submission.score if submission.score is not None else 1
            if not duplicate:
                rows[submission.player_id] = Row(
                    None,
                    submission.player_id,
                    score,
                    submission.subscore,
                    submission.metadata,
                    1 if old is None else old.submissions + 1,
                    NOW_MS,
                    at_ms,
                    "new",
                )
            rank = None if results == "none" else 1 + sum(row.score > score for row in rows.values())
            outcome = Outcome(
                "main",
                PERIOD_KEY,
                submission.player_id,
                not duplicate,
                score,
                submission.subscore,
                None if old is None else old.score,
                rank,
                None,
                self.seq,
                duplicate,
            )
            answers.append([outcome._replace(window=window) for window in board.windows])
        return [[] if isinstance(a, list) else a for a in answers] if results == "none" else answers

    async def change_entry(
        self,
        command: EntryCommand,
        tenant_id: str,
        who: Who,
        idempotency: Idempotency | None = None,
    ) -> list[ChangedEntry]:
        self._failing()
        self.acted_as.append(who)
        board, player_id = self._board_of(tenant_id, command.leaderboard_id), command.player_id
        rows = self._rows(board)
        if isinstance(command, RestoreEntry):
            parse(RestoreBody, command.restore)
            if player_id in rows:
                raise ApiError("entry_exists", "an entry")
            if player_id not in self.removed:
                raise ApiError("entry_not_found", "nothing removed")
            rows[player_id] = self.removed.pop(player_id)
            return [ChangedEntry("main", PERIOD_KEY, None, rows[player_id])]
        row = rows.pop(player_id, None)
        if row is None:
            raise ApiError("entry_not_found", "no entry")
        if isinstance(command, RemoveEntry):
            self.removed[player_id] = row
            return [ChangedEntry("main", PERIOD_KEY, row._replace(rank=1), None)]
        assert isinstance(command, EditEntry)
        rows[player_id] = row._replace(score=parse(EditBody, command.edit).score)
        return [ChangedEntry("main", PERIOD_KEY, row, rows[player_id])]

    async def hidden_players(self, tenant_id: str) -> list[dict[str, Any]]:
        self._failing()
        return [self.hidden[pair] for pair in sorted(self.hidden) if pair[0] == tenant_id]

    # Reads ------------------------------------------------------------------------------------------------

    def _view(self, board: Board, window: str) -> PeriodView:
        count = len(self._rows(board))
        return PeriodView(1, PERIOD_KEY, window, "active", NOW_MS - 1000, None, None, count, count)

    def _checked_view(self, board: Board, window: str, period: str = "current") -> PeriodView:
        if window not in board.windows or period not in ("current", PERIOD_KEY):
            raise ApiError("period_not_found", "no such period")
        return self._view(board, window)

    def _reading(self, board: Board, window: str, period: str, rows: list[Row], offset: int) -> Reading:
        self._failing()
        self.reads += 1
        view = self._checked_view(board, window, period)
        edges = tuple(self._standing(row) for row in rows[:1] + rows[-1:])
        return Reading(view, len(self._rows(board)), self.seq, rows, offset, edges=edges)

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
        rows = self._in_range(board, score_min, score_max)
        reading = self._reading(board, window, period, rows[offset : offset + limit], offset)
        return reading if score_min is score_max is None else reading._replace(matched=len(rows))

    def _in_range(self, board: Board, score_min: float | None, score_max: float | None) -> list[Row]:
        return [
            row
            for row in self._ranked(board)
            if (score_min is None or row.score >= score_min) and (score_max is None or row.score <= score_max)
        ]

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
        rows = self._in_range(board, score_min, score_max)
        places = [self._order(board, self._standing(row)) for row in rows]
        mark = None if standing is None else self._order(board, standing)
        if backward:
            last = len(rows) if mark is None else sum(place < mark for place in places)
            first = max(last - limit, 0)
        else:
            first = 0 if mark is None else sum(place <= mark for place in places)
            last = min(first + limit, len(rows))
        return await self.page(board, window, period, first, last - first, score_min, score_max)

    def _index(self, board: Board, player_id: str) -> tuple[list[Row], int]:
        rows = self._ranked(board)
        for index, row in enumerate(rows):
            if row.player_id == player_id:
                return rows, index
        raise ApiError("entry_not_found", "no entry")

    async def entry(self, board: Board, window: str, period: str, player_id: str, zone: str = "") -> Reading:
        rows, index = self._index(board, player_id)
        return self._reading(board, window, period, [rows[index]], index)

    async def around(
        self, board: Board, window: str, period: str, player_id: str, limit: int, fill: bool, zone: str = ""
    ) -> Reading:
        rows, index = self._index(board, player_id)
        start = max(index - (limit - 1) // 2, 0)
        return self._reading(board, window, period, rows[start : start + limit], start)

    async def lookup(
        self, board: Board, window: str, period: str, player_ids: list[str], zone: str = ""
    ) -> Reading:
        rows = [row for row in self._ranked(board) if row.player_id in player_ids]
        found = {row.player_id for row in rows}
        missing = tuple(player_id for player_id in player_ids if player_id not in found)
        return self._reading(board, window, period, rows, 0)._replace(missing=missing)

    async def rank_at(
        self, board: Board, window: str, period: str, score: float, subscore: float, zone: str = ""
    ) -> tuple[int | None, Reading]:
        rank = 1 + sum((row.score, row.subscore) >= (score, subscore) for row in self._ranked(board))
        return rank, self._reading(board, window, period, [], 0)

    async def distribution(
        self, board: Board, window: str, period: str, buckets: int, zone: str = ""
    ) -> tuple[dict[str, Any], Reading]:
        quantiles = {"p50": None, "p90": None, "p99": None}
        nothing = {"total": 0, "min": None, "max": None, "mean": None, "quantiles": quantiles, "buckets": []}
        return nothing, self._reading(board, window, period, [], 0)

    async def player_entries(
        self,
        boards: Sequence[Board],
        player_id: str,
        window: str | None,
        period: str,
        viewers: Collection[str] = (),
    ) -> list[tuple[Board, Reading]]:
        return [
            (board, await self.entry(board, name, "current", player_id))
            for board in boards
            for name in board.windows
            if player_id in self._rows(board) and window in (None, name)
            if all([await self.may_view(board, viewer) for viewer in viewers])
        ]

    async def may_view(self, board: Board, player_id: str) -> bool:
        profile = self.profile_of.get((board.tenant_id, player_id))
        return board.definition.audience.view.has(player_id, profile_labels(profile))

    async def players(
        self, tenant_id: str, wanted: WantedPlayers, after: str, offset: int, limit: int
    ) -> Found:
        """By a part of the id alone."""
        known = sorted(p for t, p in self.profile_of if t == tenant_id and (wanted.search or "") in p)
        following = [p for p in known if p > after][offset:]
        items = [self.profile_of[tenant_id, p] for p in following[:limit]]
        return Found(items, len(known), len(following) > limit)

    async def periods(
        self,
        board: Board,
        window: str,
        state: str | None,
        offset: int,
        limit: int,
        before: int | None = None,
    ) -> tuple[list[PeriodView], int]:
        views = [self._view(board, window)] if window in board.windows and state in (None, "active") else []
        older = [view for view in views if before is None or view.serial < before]
        return older[offset : offset + limit], len(views)

    async def zone_of(self, board: Board, player_id: str) -> str:
        profile = self.profile_of.get((board.tenant_id, player_id))
        return zone_of_profile(profile) if board.definition.timeframe.is_player_local else ""

    async def period(self, board: Board, window: str | None, period: str, zone: str = "") -> PeriodView:
        return self._checked_view(board, window or "main", period)

    async def names(self, tenant_id: str, player_ids: list[str]) -> list[str | None]:
        profiles = [self.profile_of.get((tenant_id, player_id)) for player_id in player_ids]
        return [None if profile is None else profile["display_name"] for profile in profiles]

    async def held(self, board: Board) -> list[Review]:
        return await read_reviews(self.held_memory, board)  # type: ignore[arg-type]

    async def profile(self, tenant_id: str, player_id: str) -> dict[str, Any] | None:
        return self.profile_of.get((tenant_id, player_id))

    async def ready(self) -> dict[str, Any]:
        self.readiness_made += 1
        return self.readiness

    async def projections(self) -> dict[str, Any] | None:
        return self.behind

    async def status(self) -> dict[str, Any]:
        """A period actor without load, and one that does not run."""
        follow = FollowPing("live", 3, 3, 0)
        chains = {
            board.chain_id(window): ChainPing(
                1,
                [PeriodPing(PERIOD_KEY, "serving", 1, 0, 0, 1, 0)],
                follow=follow if board.definition.scoring.is_projection else None,
            )
            for board in self.catalogue.all_boards.values()
            for window in board.windows
        }
        ping = Ping("period-1", "i", 7, 2**26, NOW_MS / 1000, 0, 0, HostedDigest(0, 0), chains, [])
        rest = {"reserved": False, "load_per_second": 0}
        boards = leaderboards_shown(chains)
        process = {"pid": 5, "resident_bytes": 2**26}
        counts = ("webhooks", "pending", "receivers_down", "attempts", "delivered", "failed")
        at = format_instant(NOW_MS)
        return {
            **self.readiness,
            "at": at,
            "gateway": process,
            "supervisor": {**process, "epoch": 1, "started_at": at, "trouble": ""},
            "leaderboards": len(self.catalogue.all_boards),
            "events": dict.fromkeys(counts, 0),
            "projections": self.behind or {"behind": 0, "leaderboards": []},
            "actors": [
                {
                    "name": "period-1",
                    "dormant": False,
                    **ping.shown(),
                    **rest,
                    "leaderboards": boards,
                    "logs": self.logs_shown,
                },
                {"name": "period-2", "dormant": True, **NOT_RUNNING, **rest, "leaderboards": [], "logs": []},
            ],
        }


def changes(model: type[BaseModel], patch: Any, *never_null: str) -> dict[str, Any]:
    """The fields that a patch sets."""
    fields: dict[str, Any] = parse(model, patch).model_dump(exclude_unset=True)
    for name in never_null:
        if name in fields and fields[name] is None:
            raise invalid("must not be null", "body", name)
    return fields
