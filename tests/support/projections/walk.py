"""A random walk over HTTP through all that concerns metrics, events and the leaderboards computed from them,
compared with brute force again and again (`brute_force`).

The clock stands still while something is sent, so it is known when it was acknowledged. It never stops where
a period is over and need not be closed yet, but for rows that come there: what is changed then could meet the
period or not.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tests.support.api.client import Reply
from tests.support.projections import rules as r
from tests.support.projections.brute_force import (
    Act,
    Counted,
    Metric,
    Refused,
    Shown,
    Span,
    Terms,
    before,
    counts,
    page,
    standings,
)
from tests.support.projections.http_server import Clocked

SECOND_MS, HOUR_MS, DAY_MS = 1000, 3_600_000, 86_400_000
PLAYERS = [f"p{number}" for number in range(9)]
METRICS = ("coins", "gems")
AMOUNTS = (0, 1, 1, 2, 3, 5, 8, 0.25, 2.5)
AGGREGATIONS = ("best", "latest", "sum", "min", "max", "count")
FURTHER = ("all_time", "hourly", "daily")
SEALED_MS = 22_000  # after the grace, at the latest
GRACES_S = (0, 5, 60)
UNSETTLED_MS = max(GRACES_S) * SECOND_MS + SEALED_MS  # after a boundary: what is over need not be closed
WITHIN_S = 30.0
MOST_BOARDS = 8


def told(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    instant = datetime.fromtimestamp(at_ms / 1000, UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ms(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)


def further(timeframe: str) -> list[str]:
    """The windows that a leaderboard may have beside its main one."""
    main = "all_time" if timeframe == "permanent" else timeframe
    return [window for window in FURTHER if window != main]


@dataclass
class Board:
    """A leaderboard as it must be. `grace_s` and so on: of the definition as it is now."""

    id: str
    terms: Terms
    timeframe: str
    windows: list[str]
    grace_s: int
    from_ms: int
    pauses: list[tuple[int, int | None]] = field(default_factory=list)
    acts: dict[tuple[str, str], list[Act]] = field(default_factory=dict)  # by window and period
    graces_ms: dict[tuple[str, str], int] = field(default_factory=dict)  # of those that are closed
    frozen: dict[tuple[str, str], list[Shown]] = field(default_factory=dict)  # closed ones
    gone: set[str] = field(default_factory=set)  # windows that were taken away at any time
    is_behind: bool = False

    @property
    def path(self) -> str:
        return f"/v1/leaderboards/{self.id}"

    @property
    def all_windows(self) -> list[str]:
        return ["main", *self.windows]

    @property
    def is_paused(self) -> bool:
        return bool(self.pauses) and self.pauses[-1][1] is None


class Walk:
    """See the module's docstring."""

    def __init__(self, clocked: Clocked, seed: str) -> None:
        self.clocked, self.api = clocked, clocked.api
        self.dice = random.Random(seed)
        self.boards: dict[str, Board] = {}
        self.metrics = {name: Metric() for name in METRICS}
        self.events: list[Counted] = []
        self.event_ids: dict[str, str] = {}
        self.profiles: dict[str, dict[str, Any]] = {}
        self.place = 0
        self.counts: Counter[str] = Counter()
        self.history: list[str] = []
        self._ids = 0

    # The walk -------------------------------------------------------------------------------------------

    def run(self, steps: int) -> None:
        for _ in range(4):
            self.make()
        for step in range(steps):
            self.step()
            if step % 4 == 3:
                self.compare()
        self.compare()
        self.compare_balances()

    def step(self) -> None:
        kinds = {
            self.send_rows: 8,
            self.send_events: 8,
            self.settle_one: 4,
            self.put_profile: 3,
            self.move_a_bit: 4,
            self.cross: 3,
            self.make: 1,
            self.patch: 4,
            self.patch_windows: 1,
            self.patch_timeframe: 1,
            self.toggle: 2,
            self.purge: 1,
            self.rebuild: 4,
            self.force_close: 1,
            self.moderate: 8,
            self.crash: 1,
        }
        work = self.dice.choices(list(kinds), list(kinds.values()))[0]
        self.clocked.move_to(self.clocked.now_ms() + 1)  # what comes next comes later than what was
        work()
        self.counts[work.__name__] += 1

    def note(self, what: str) -> None:
        self.history.append(f"{told(self.clocked.now_ms())} #{self.place} {what}")

    def _next(self) -> int:
        self.place += 1
        return self.place

    # Time -----------------------------------------------------------------------------------------------

    def move_a_bit(self) -> None:
        now_ms = self.clocked.now_ms()
        left_ms = HOUR_MS - now_ms % HOUR_MS - 1
        if left_ms > 0:
            self.clocked.move_to(now_ms + min(self.dice.choice((1, 900, 70_000, 600_000)), left_ms))
        self.clocked.settle()

    def cross(self) -> None:
        """Over the next full hour (or into a later one), with stops around it at which rows come."""
        now_ms = self.clocked.now_ms()
        hours = self.dice.choice((1, 1, 1, 1, 2, 9))
        boundary_ms = now_ms - now_ms % HOUR_MS + hours * HOUR_MS
        stops = [boundary_ms - 1, boundary_ms, boundary_ms + 1]
        stops += [boundary_ms + s * SECOND_MS + d for s in GRACES_S[1:] for d in (-1, 0)]
        for stop_ms in sorted(self.dice.sample(stops, self.dice.randrange(4))):
            if self.dice.random() < 0.5:
                self.clocked.settle()
            self.clocked.move_to(max(stop_ms, self.clocked.now_ms()))
            if self.dice.random() < 0.5:
                self.clocked.settle()
            self.send_rows()
            self.send_events()
        self.clocked.move_to(boundary_ms + UNSETTLED_MS)
        self.note("crossed")
        self.clocked.settle()

    def _occurred(self) -> int | None:
        now_ms = self.clocked.now_ms()
        if self.dice.random() < 0.6:
            return None
        ago = (0, 1, 500, 4000, 59_000, 61_000, HOUR_MS, 3 * HOUR_MS, 26 * HOUR_MS, -3000)
        return now_ms - self.dice.choice(ago)

    # What is sent ---------------------------------------------------------------------------------------

    def _metric_item(self) -> dict[str, Any]:
        dice = self.dice
        item: dict[str, Any] = {
            "player_id": dice.choice(PLAYERS),
            "kind": dice.choices(("award", "deduct", "set"), (7, 3, 1))[0],
            "score": dice.choice(AMOUNTS),
        }
        if item["kind"] == "deduct":
            item["score"] = dice.choice((1, 2, 4, 0.25))
        if dice.random() < 0.2:
            item["state"] = "pending"
        if dice.random() < 0.4:
            item["subscore"] = dice.choice((-1, 0, 1))
        if dice.random() < 0.7:
            item["metadata"] = {"source": dice.choice(r.SOURCES), "level": dice.choice(r.LEVELS)}
        return item

    def _new_id(self) -> str:
        self._ids += 1
        return f"id-{self._ids}"

    def send_rows(self) -> None:
        name = self.dice.choice(METRICS)
        metric, now_ms = self.metrics[name], self.clocked.now_ms()
        items, expected = [], {}
        for index in range(self.dice.choice((1, 3, 12, 30))):
            item, occurred_ms = self._metric_item(), self._occurred()
            if self.dice.random() < 0.3 or item.get("state") == "pending":
                again = list(metric.ids)[-40:]
                is_repeat = bool(again) and self.dice.random() < 0.3
                item["submission_id"] = self.dice.choice(again) if is_repeat else self._new_id()
            if occurred_ms is not None:
                item["occurred_at"] = told(occurred_ms)
            items.append(item)
            profile = self.profiles.get(item["player_id"], {})
            try:
                new = metric.write(item, self._next(), now_ms, occurred_ms, profile)
                account = metric.account(item["player_id"])
                expected[index] = (new, account.balance, account.earned)
                if new and item.get("state") == "pending":
                    item["_waits"] = occurred_ms
            except Refused as refused:
                expected[index] = str(refused)
        sent = [{k: v for k, v in item.items() if k != "_waits"} for item in items]
        self.note(f"{name} {sent}")
        answer = self.api.ok("POST", f"/v1/metrics/{name}", sent, params={"results": "full"})
        errors = {e["index"]: e["code"] for e in answer["errors"]}
        results = {result["index"]: result for result in answer["results"]}
        for index, item in enumerate(items):
            wanted = expected[index]
            if isinstance(wanted, str):
                assert errors.get(index) == wanted, (item, errors.get(index), results.get(index), wanted)
                continue
            assert index not in errors, (item, errors[index], wanted)
            got = results[index]
            is_new, balance, earned = wanted
            assert got["duplicate"] is not is_new, (item, got)
            if is_new:
                assert (got["balance"], got["earned"]) == (balance, earned), (item, got, wanted)
            if is_new and item.get("state") == "pending":
                metric.wait(got["transaction_id"], sent[index], now_ms, item["_waits"])
        self._are_behind(answer["behind"])
        self.counts["rows"] += len(items)

    def settle_one(self) -> None:
        name = self.dice.choice(METRICS)
        metric = self.metrics[name]
        if not metric.pending:
            return
        transaction_id = self.dice.choice(list(metric.pending))
        complete = self.dice.random() < 0.7
        path = f"/v1/metrics/{name}/transactions/{transaction_id}/{'complete' if complete else 'reject'}"
        player_id = metric.pending[transaction_id].player_id
        profile = self.profiles.get(player_id, {})
        self.note(f"{name} {transaction_id} {complete}")
        try:
            metric.settle(transaction_id, complete, self._next(), self.clocked.now_ms(), profile)
        except Refused as refused:
            self.api.fails(409, str(refused), "POST", path)
            return
        answer = self.api.ok("POST", path)
        account = metric.account(player_id)
        assert (answer["balance"], answer["earned"]) == (account.balance, account.earned), answer
        self._are_behind(answer["behind"])
        self.api.fails(409, "transaction_settled", "POST", path)

    def _event_item(self) -> dict[str, Any]:
        dice = self.dice
        kind = dice.choices(("match", "login", "gift", "chat"), (6, 3, 2, 1))[0]
        attrs: dict[str, Any] = {}
        if kind == "match":
            attrs = {"kills": dice.choice(r.KILLS), "deaths": dice.choice(r.DEATHS)}
            attrs["won"] = dice.choice((0, 1))
            attrs["mode"] = dice.choice(r.MODES)
        elif kind == "gift":
            attrs = {"value": dice.choice((1, 2.5, 0))}
        item: dict[str, Any] = {"event_type": kind, "player_id": dice.choice(PLAYERS), "attrs": attrs}
        if dice.random() < 0.6:
            item["actor"] = {"metadata": {"device": dice.choice(r.DEVICES)}}
        return item

    def send_events(self) -> None:
        now_ms = self.clocked.now_ms()
        items: list[dict[str, Any]] = []
        errors: dict[int, str] = {}
        taken: dict[int, Counted | None] = {}
        for index in range(self.dice.choice((1, 2, 6, 20))):
            item, occurred_ms = self._event_item(), self._occurred()
            again = list(self.event_ids)[-30:]
            is_repeat = bool(again) and self.dice.random() < 0.08
            item["event_id"] = self.dice.choice(again) if is_repeat else self._new_id()
            if occurred_ms is not None:
                item["occurred_at"] = told(occurred_ms)
            items.append(item)
            player_id = item["player_id"]
            if item["event_id"] in self.event_ids:
                if self.event_ids[item["event_id"]] != player_id:
                    errors[index] = "idempotency_conflict"
                else:
                    taken[index] = None
                continue
            self.event_ids[item["event_id"]] = player_id
            subject = {
                "attrs": item["attrs"],
                "actor": item.get("actor"),
                "player": self.profiles.get(player_id, {}),
            }
            row = Counted(
                self._next(), now_ms, before(occurred_ms, now_ms), player_id, subject, item["event_type"]
            )
            self.events.append(row)
            taken[index] = row
        self.note(f"events {items}")
        answer = self.api.ok("POST", "/v1/events", {"events": items}, params={"results": "full"})
        assert {e["index"]: e["code"] for e in answer["errors"]} == errors
        assert answer["duplicates"] == sum(row is None for row in taken.values()), answer
        self._are_behind(answer["behind"])
        assert [result["index"] for result in answer["results"]] == sorted(taken)
        if not answer["behind"]:
            for result in answer["results"]:
                row = taken[result["index"]]
                if row is not None:
                    self._compare_matches(row, result["matched"])
        self.counts["events"] += len(items)

    def _compare_matches(self, row: Counted, matched: list[dict[str, Any]]) -> None:
        """What each leaderboard made of an event, and where it has the player now."""
        got = {one["leaderboard_id"]: one for one in matched}
        for board in self.boards.values():
            points = board.terms.score_of(row) if board.terms.source == "events" else None
            if board.id not in got:
                continue
            assert points is not None, (self._about(board), row, got[board.id])
            assert got[board.id]["points"] == points, (self._about(board), row, got[board.id], points)
            for window in got.pop(board.id)["windows"]:
                self._compare_window(board, window, row)
            self.counts["matches"] += 1
        assert not got, got

    def _compare_window(self, board: Board, told_of: dict[str, Any], row: Counted) -> None:
        window = told_of["window"]
        periods = self._periods(board, window)
        found = [p for p in periods if self._rows(board, window, p, periods, [row])]
        assert found, (self._about(board), row, told_of)
        shown = {s.player_id: s for s in self._expected(board, window, found[-1], periods)}
        entry = shown.get(row.player_id)
        if entry is None:
            assert told_of["rank"] is None, (self._about(board), row, told_of)
            return
        assert (told_of["score"], told_of["rank"]) == (entry.score, entry.rank), (
            self._about(board),
            row,
            told_of,
            entry,
        )

    def put_profile(self) -> None:
        dice, player_id = self.dice, self.dice.choice(PLAYERS)
        attributes: dict[str, Any] = {"level": dice.choice(r.LEVELS)}
        if dice.random() < 0.5:
            attributes["region"] = {"name": dice.choice(("deep south", "north"))}
        profile: dict[str, Any] = {"attributes": attributes}
        for name, values in (("tags", r.TAGS), ("roles", r.ROLES)):
            if dice.random() < 0.7:
                profile[name] = dice.sample(values, dice.randrange(1, 3))
        self.note(f"profile {player_id} {profile}")
        self.api.ok("PUT", f"/v1/players/{player_id}", profile)
        self.profiles[player_id] = profile

    def _are_behind(self, ids: list[str]) -> None:
        for board_id in ids:
            self.boards[board_id].is_behind = True
            self.counts["behind"] += 1

    # Leaderboards ---------------------------------------------------------------------------------------

    def _random_scoring(self, terms: Terms) -> Terms:
        """The part that may be changed at any time."""
        dice = self.dice
        bounds = {"score_min": dice.choice((None, None, 1)), "score_max": dice.choice((None, None, 20))}
        if terms.source == "metric":
            return replace(
                terms,
                metric=dice.choice(METRICS),
                basis=dice.choice(("earned", "balance")),
                filters=dice.choice(r.METRIC_FILTERS),
                **bounds,
            )
        drawn = tuple(dice.sample(r.RULES, dice.randrange(1, len(r.RULES) + 1)))
        return replace(terms, filters=dice.choice(r.EVENT_FILTERS), rules=drawn, **bounds)

    def _scoring(self, terms: Terms) -> dict[str, Any]:
        document: dict[str, Any] = {
            "source": terms.source,
            "aggregation": terms.aggregation,
            "score_min": terms.score_min,
            "score_max": terms.score_max,
            "filters": terms.filters,
        }
        if terms.source == "metric":
            return {**document, "metric": terms.metric, "basis": terms.basis}
        return {**document, "rules": [rule.document() for rule in terms.rules]}

    def make(self, board_id: str | None = None) -> None:
        if board_id is None and len(self.boards) >= MOST_BOARDS:
            return
        dice, now_ms = self.dice, self.clocked.now_ms()
        terms = Terms(
            dice.choice(("metric", "events")),
            aggregation=dice.choice(AGGREGATIONS),
            order=dice.choice(("desc", "asc")),
            subscore_order=dice.choice(("desc", "asc")),
            tie_breaking=dice.choice(("first", "last")),
            rank_style=dice.choice(("ordinal", "competition", "dense")),
            min_score=dice.choice((None, None, 1)),
            late_arrival=dice.random() < 0.4,
        )
        terms = self._random_scoring(terms)
        timeframe = dice.choice(("permanent", "hourly", "hourly", "daily"))
        windows = [w for w in further(timeframe) if dice.random() < 0.6]
        backfill = dice.random() < 0.7
        self._ids += 1
        board = Board(
            board_id or f"board-{self._ids}",
            terms,
            timeframe,
            windows,
            dice.choice(GRACES_S),
            0 if backfill else now_ms,
        )
        ranking = ("order", "subscore_order", "tie_breaking", "rank_style", "min_score")
        document = {
            "leaderboard_id": board.id,
            "timeframe": {
                "type": timeframe,
                "late_grace_seconds": board.grace_s,
                "late_submissions": "arrival" if terms.late_arrival else "refuse",
                "retain_periods": 1000,
            },
            "windows": windows,
            "scoring": {**self._scoring(terms), "backfill": backfill},
            "ranking": {name: getattr(terms, name) for name in ranking},
        }
        self.note(f"make {document}")
        self.api.ok("POST", "/v1/leaderboards", document, status=201)
        self.boards[board.id] = board

    def _any(self) -> Board:
        return self.dice.choice(list(self.boards.values()))

    def _patch(self, board: Board, changes: dict[str, Any]) -> None:
        self._freeze(board)
        self.note(f"patch {board.id} {changes}")
        self.api.ok("PATCH", board.path, changes)

    def patch(self) -> None:
        board = self._any()
        terms = self._random_scoring(board.terms)
        scoring = self._scoring(terms)
        fields = [f for f in ("metric", "basis", "filters", "rules", "score_min") if f in scoring]
        changed = self.dice.sample(fields, self.dice.randrange(1, len(fields) + 1))
        if "score_min" in changed and terms.score_min is not None and board.terms.score_max is not None:
            changed.append("score_max")
        board_terms = replace(board.terms, **{name: getattr(terms, name) for name in changed})
        self._patch(board, {"scoring": {name: scoring[name] for name in changed}})
        board.terms = board_terms

    def patch_windows(self) -> None:
        board = self._any()
        windows = [w for w in further(board.timeframe) if self.dice.random() < 0.5]
        gone = [w for w in board.windows if w not in windows]
        for window in gone:
            for period in self._periods(board, window):
                if period["state"] == "active":
                    board.graces_ms[window, period["period_key"]] = 0
        self._patch(board, {"windows": windows})
        board.windows = windows
        board.gone |= set(gone)

    def patch_timeframe(self) -> None:
        board = self._any()
        if board.timeframe not in ("hourly", "daily") or board.is_paused:
            return
        timeframe = "daily" if board.timeframe == "hourly" else "hourly"
        if timeframe in board.windows:
            return
        old_key = self._current(board, "main")["period_key"]
        self._patch(board, {"timeframe": {"type": timeframe}})
        board.timeframe = timeframe
        new_key = self._current(board, "main")["period_key"]
        if ("main", old_key) in board.acts:
            board.acts["main", new_key] = board.acts.pop(("main", old_key))

    def toggle(self) -> None:
        board, now_ms = self._any(), self.clocked.now_ms()
        if board.is_paused:
            self._patch(board, {"status": "active"})
            board.pauses[-1] = (board.pauses[-1][0], now_ms)
        else:
            self._patch(board, {"status": "inactive"})
            board.pauses.append((now_ms, None))

    def purge(self) -> None:
        board = self._any()
        self.note(f"purge {board.id}")
        self.api.ok("DELETE", board.path, params={"purge": True})
        del self.boards[board.id]
        self.make(board.id if self.dice.random() < 0.5 else None)

    def rebuild(self) -> None:
        board = self._any()
        window = self.dice.choice(board.all_windows)
        periods = self._periods(board, window)
        possible = [p for p in periods if p["state"] != "pending"]
        closed = [p for p in possible if p["state"] == "closed"]
        period = self.dice.choice(closed if closed and self.dice.random() < 0.8 else possible)
        self._freeze(board)
        key = period["period_key"]
        self.note(f"rebuild {board.id} {window} {key}")
        path = f"{board.path}/periods/{key}/rebuild"
        reply = self.api.call("POST", path, params={"window": window})
        assert reply.status in (200, 202) or reply.json["error"]["code"] == "rewards_pending", reply
        if reply.status in (200, 202):
            board.frozen.pop((window, key), None)
            self.counts["rebuilt closed"] += period["state"] == "closed"

    def force_close(self) -> None:
        board = self._any()
        window = self.dice.choice(board.all_windows)
        if board.is_paused:
            return
        self._freeze(board)
        self.note(f"close {board.id} {window}")
        path = f"{board.path}/periods/current/close"
        answer = self.api.ok("POST", path, {}, params={"window": window})
        board.graces_ms[window, answer["closed"]["period_key"]] = 0

    def crash(self) -> None:
        self.note("crash")
        self.clocked.crash_actors()

    # Moderators -----------------------------------------------------------------------------------------

    def moderate(self) -> None:
        """What was done is told by the answer. An act has its place behind all rows so far, so the
        leaderboard must have taken them.
        """
        board = self._any()
        if board.is_paused or not self._is_even(board):
            return
        now_ms, kind = self.clocked.now_ms(), self.dice.choice(("remove", "edit", "restore"))
        window = self.dice.choice(board.all_windows)
        shown = self.api.get(f"{board.path}/rankings", window=window, limit=1000)["entries"]
        players = [entry["player_id"] for entry in shown]
        if kind == "restore":
            removed = [a.player_id for acts in board.acts.values() for a in acts if a.kind == "remove"]
            players = [player_id for player_id in removed if player_id not in players]
        player_id = self.dice.choice(players or PLAYERS)
        path = f"{board.path}/players/{player_id}"
        fields: dict[str, Any] = {}
        if kind == "edit":
            fields = {"score": self.dice.choice(AMOUNTS)}
            if self.dice.random() < 0.5:
                fields["subscore"] = self.dice.choice((-1, 0, 1))
        self.note(f"{kind} {board.id} {player_id} {fields}")
        reply: Reply
        if kind == "remove":
            reply = self.api.call("DELETE", path)
        elif kind == "edit":
            reply = self.api.call("PATCH", path, {**fields, "reason": "checked"})
        else:
            reply = self.api.call("POST", f"{path}/restore", {})
        if reply.status != 200:
            assert reply.status in (404, 409), reply
            return
        name = {"remove": "removed", "edit": "after", "restore": "restored"}[kind]
        place = self._next()
        for entry in reply.json[name]:
            act = Act(place, now_ms, kind, player_id, fields.get("score"), fields.get("subscore"))
            board.acts.setdefault((entry["window"], entry["period_key"]), []).append(act)
            self.counts["acts"] += 1

    def _is_even(self, board: Board) -> bool:
        """Whether a leaderboard has taken all rows, as far as it tells."""
        state = self.api.get(board.path)["projection"]
        if state is None or state["state"] != "live" or board.is_behind:
            return False
        self._compare_board(board)
        return True

    # Comparing ------------------------------------------------------------------------------------------

    def _periods(self, board: Board, window: str) -> list[dict[str, Any]]:
        """Oldest first."""
        return self.api.listing(f"{board.path}/periods", window=window, limit=1000)[::-1]

    def _current(self, board: Board, window: str) -> dict[str, Any]:
        now_ms = self.clocked.now_ms()
        found = [p for p in self._periods(board, window) if self._span(board, window, p).contains(now_ms)]
        assert found, (board, window)
        return found[-1]

    def _span(self, board: Board, window: str, period: dict[str, Any]) -> Span:
        grace_ms = board.graces_ms.get((window, period["period_key"]), board.grace_s * SECOND_MS)
        # The first one without bounds shows when it was opened; it takes what happened before.
        starts_at = None if period["period_key"] == "all_time" else period["starts_at"]
        return Span(ms(starts_at), ms(period["ends_at"]), grace_ms)

    def _log(self, board: Board) -> list[Counted]:
        return self.events if board.terms.source == "events" else self.metrics[board.terms.metric].rows

    def _rows(
        self,
        board: Board,
        window: str,
        period: dict[str, Any],
        periods: list[dict[str, Any]],
        rows: list[Counted],
    ) -> list[Counted]:
        others = [self._span(board, window, p) for p in periods]
        span = self._span(board, window, period)
        return counts(rows, span, others, board.terms, board.from_ms, board.pauses)

    def _expected(
        self, board: Board, window: str, period: dict[str, Any], periods: list[dict[str, Any]]
    ) -> list[Shown]:
        key = period["period_key"]
        known = board.frozen.get((window, key))
        if known is not None:
            return known
        rows = self._rows(board, window, period, periods, self._log(board))
        found = page(standings(rows, board.acts.get((window, key), ()), board.terms), board.terms)
        if period["state"] == "closed":
            board.frozen[window, key] = found
        return found

    def _freeze(self, board: Board) -> None:
        """Closed periods stay as they are, whatever changes now."""
        for window in {*board.all_windows, *board.gone}:
            periods = self._periods(board, window)
            for period in periods:
                if period["state"] == "closed":
                    self._expected(board, window, period, periods)

    def compare(self) -> None:
        self.clocked.check()
        for board in self.boards.values():
            self._compare_board(board)

    def _compare_board(self, board: Board) -> None:
        for window in board.all_windows:
            periods = self._periods(board, window)
            for period in periods:
                if period["state"] != "pending":
                    self._compare_period(board, window, period, periods)
        board.is_behind = False

    def _compare_period(
        self, board: Board, window: str, period: dict[str, Any], periods: list[dict[str, Any]]
    ) -> None:
        expected = self._expected(board, window, period, periods)
        deadline_s = time.monotonic() + (WITHIN_S if board.is_behind else 0)
        while True:
            got = self._shown(board, window, period["period_key"])
            if got == expected:
                break
            if time.monotonic() > deadline_s:
                self._fail(board, window, period, got, expected)
            time.sleep(0.05)
        self.counts["periods compared"] += 1
        self.counts["entries compared"] += len(got)

    def _shown(self, board: Board, window: str, key: str) -> list[Shown]:
        answer = self.api.get(f"{board.path}/rankings", window=window, period=key, limit=1000)
        assert answer["total"] == len(answer["entries"]), answer
        return [
            Shown(
                entry["rank"],
                entry["player_id"],
                entry["score"],
                entry["subscore"],
                entry["metadata"],
                entry["submissions"],
                ms(entry["first_at"]) or 0,
                ms(entry["updated_at"]) or 0,
            )
            for entry in answer["entries"]
        ]

    def _about(self, board: Board) -> str:
        return f"{board.id}: {board}"

    def _fail(
        self, board: Board, window: str, period: dict[str, Any], got: list[Shown], expected: list[Shown]
    ) -> None:
        both = itertools.zip_longest(got, expected)
        differ = [f"  got {g}\n want {e}" for g, e in both if g != e]
        acts = board.acts.get((window, period["period_key"]))
        mine = [line for line in self.history if board.id in line or "{" not in line]
        raise AssertionError(
            f"{board.id} {window} {period}\n{len(got)} entries, not {len(expected)}\n"
            + "\n".join(differ[:5])
            + f"\nboard: {replace(board, frozen={})}\nacts: {acts}\nnow {told(self.clocked.now_ms())}\n"
            + f"projection: {self.api.get(board.path)['projection']}\n"
            + "\n".join(mine[-60:])
        )

    def compare_balances(self) -> None:
        for name, metric in self.metrics.items():
            if not metric.accounts:
                continue
            for player_id in PLAYERS:
                account = metric.account(player_id)
                got = self.api.get(f"/v1/metrics/{name}/players/{player_id}")
                told_of = (got["balance"], got["earned"], got["spent"], got["pending"], got["transactions"])
                wanted = (account.balance, account.earned, account.spent, account.pending)
                assert told_of == (*wanted, account.transactions), (name, player_id, got, account)
