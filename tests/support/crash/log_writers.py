"""Writers of logs under fire: rows of a metric, and events, with what each was answered.

Like `writers.Ledger`, but what is written goes to a log, and each leaderboard that is computed from it is an
account of its own (`Projection`): what it must show follows from the rows that were acknowledged.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.support.crash.readers import PASSING
from tests.support.crash.writers import DISCONNECTED, OK, RETRY_S, Api, Disconnected, Events, Item, unique

AGAIN_WITHIN_S = 60.0
CHUNK = 50
DEDUCTED = 0.45  # part of the rows; with these amounts balances stay low, and some are refused
AWARD_UP_TO, DEDUCT_UP_TO = 1000, 1200
WANTED = Callable[[Item], int | None]  # what a row is worth on a board; None: nothing


class Projection:
    """A leaderboard that is computed from a log. `floor`: the least score of a player that a reader may see
    from now on (of one whose scores only grow). The names are those of a `Ledger`, so readers can read it.
    """

    def __init__(self, api: Api, prefix: str, worth: WANTED) -> None:
        self.api = api
        self.board_id = unique(prefix)
        self.path = f"/v1/leaderboards/{self.board_id}"
        self.worth = worth
        self.floor: dict[str, int] = {}
        self._owed: list[tuple[str, int]] = []  # acknowledged; whether the board had it was not said

    async def create(self, **definition: Any) -> None:
        body = {"leaderboard_id": self.board_id, "timeframe": {"type": "permanent"}, **definition}
        status, answer = await self.api.call("POST", "/v1/leaderboards", body)
        assert status == 201, answer

    def acknowledged(self, items: Iterable[Item], *, new: bool) -> None:
        """Rows are in the log."""
        if new:
            worths = ((item["player_id"], self.worth(item)) for item in items)
            self._owed += [(player_id, worth) for player_id, worth in worths if worth is not None]

    def owed(self) -> int:
        """Mark: how many rows were acknowledged that the board may not have."""
        return len(self._owed)

    def has_taken(self, count: int) -> None:
        """It has the first so many of those."""
        for player_id, worth in self._owed[:count]:
            self.floor[player_id] = self.floor.get(player_id, 0) + worth
        del self._owed[:count]

    def expected(self, items: Iterable[Item]) -> list[tuple[str, int, int]]:
        """Player, score, submissions of whoever has an entry, if exactly these rows are in the log."""
        found: dict[str, tuple[int, int]] = {}
        for item in items:
            worth = self.worth(item)
            if worth is not None:
                score, count = found.get(item["player_id"], (0, 0))
                found[item["player_id"]] = score + worth, count + 1
        return sorted((player_id, *pair) for player_id, pair in found.items())

    async def status(self) -> dict[str, Any] | None:
        """How far it is, as the server says; None while that cannot be told."""
        document = await self.api.ok("GET", self.path, passing=PASSING)
        found: dict[str, Any] | None = document["projection"]
        return found


class LogLedger:
    """What one log was sent. `boards`: leaderboards that are computed from it, all of them. `behind`: every
    name that answers gave. `path`, `id_field`: see the two kinds.
    """

    path: str
    id_field: str

    def __init__(self, api: Api, rng: random.Random, players: int = 30) -> None:
        self.api = api
        self.players = [f"player-{n:03}" for n in range(players)]
        self.boards: list[Projection] = []
        self.sent: dict[str, Item] = {}
        self.acknowledged: dict[str, int] = {}  # id -> seq; 0 where it was not told
        self.unknown: dict[str, None] = {}
        self.refused: dict[str, str] = {}  # id -> code: it is not in, and never sent again
        self.behind: set[str] = set()
        self.wrong: list[str] = []
        self.events = Events()
        self.name = unique("log")
        self._rng = rng

    def body(self) -> Item:
        """A new row but for its id."""
        raise NotImplementedError

    async def send(self, items: list[Item], *, single: bool) -> tuple[int, Any, Any]:
        """Status, body, headers. Disconnected."""
        raise NotImplementedError

    def seqs(self, items: list[Item], answer: Any, *, single: bool) -> dict[int, int]:
        """Index -> seq of what a 200 answer accepted."""
        raise NotImplementedError

    # Writing --------------------------------------------------------------------------------------------

    def make(self, count: int) -> list[Item]:
        return [self.with_id(self.body()) for _ in range(count)]

    def with_id(self, body: Item) -> Item:
        """A row with an id, noted as sent."""
        row_id = f"{self.name}:{len(self.sent)}"
        item = self.sent[row_id] = {**body, self.id_field: row_id}
        return item

    async def post(self, items: list[Item], *, single: bool) -> list[Item]:
        """Send items once and note how each ended; those whose outcome is unknown.

        A row that is refused when it is sent again stays unknown: its first copy may still be on its way.
        """
        again = {item[self.id_field] for item in items} & (self.unknown.keys() | self.acknowledged.keys())
        for item in items:
            self.unknown[item[self.id_field]] = None
        marks = [board.owed() for board in self.boards]
        sent_s = time.monotonic()
        try:
            status, answer, headers = await self.send(items, single=single)
        except Disconnected:
            self.events.add(sent_s, DISCONNECTED)
            return items
        codes: dict[int, str] = {}
        seqs: dict[int, int] = {}
        if status == 200:
            codes = {error["index"]: error["code"] for error in answer.get("errors", ())}
            seqs = self.seqs(items, answer, single=single)
            if seqs.keys() | codes.keys() != set(range(len(items))) or seqs.keys() & codes.keys():
                self.wrong.append(f"{len(items)} rows: {answer}")
            self.behind.update(answer["behind"])
        else:
            if status in (429, 503) and int(headers["Retry-After"]) <= 0:
                self.wrong.append(f"no time to come again: {answer}")
            codes = dict.fromkeys(range(len(items)), str(answer["error"]["code"]))
        fresh = [items[i] for i, seq in seqs.items() if self._acknowledge(items[i][self.id_field], seq)]
        for index, code in codes.items():
            row_id = items[index][self.id_field]
            if code != "storage_unavailable" and row_id not in again:
                del self.unknown[row_id]
                self.refused[row_id] = code
        for board, mark in zip(self.boards, marks, strict=True):
            board.acknowledged(fresh, new=True)
            asked = any(board.worth(items[i]) is not None for i in seqs)
            if asked and board.board_id not in answer["behind"]:
                board.has_taken(mark)
        for how in sorted({*codes.values(), *([OK] if seqs else [])}):
            self.events.add(sent_s, how)
        return [item for item in items if item[self.id_field] in self.unknown]

    def _acknowledge(self, row_id: str, seq: int) -> bool:
        """Whether it was not yet."""
        self.unknown.pop(row_id, None)
        before = self.acknowledged.get(row_id)
        if before is None:
            self.acknowledged[row_id] = seq
        elif before != seq:
            self.wrong.append(f"{row_id} has seq {before} and {seq}")
        return before is None

    async def write(self, stop: asyncio.Event, count: int, patient: bool) -> None:
        """As `Ledger.write`."""
        while not stop.is_set():
            pending = await self.post(self.make(count), single=count == 1)
            lost = len(pending) == count
            while patient and pending and not stop.is_set():
                await asyncio.sleep(RETRY_S)
                pending = await self.post(pending, single=count == 1)
            if lost:
                await asyncio.sleep(RETRY_S * (1 + len(self.unknown) / 100))

    async def fill(self, count: int, at_once: int = 1000) -> None:
        """Write so many, in batches; all are acknowledged afterwards, or refused for good."""
        for _ in range(0, count, at_once):
            await self.send_all(self.make(at_once))

    async def send_all(self, items: list[Item], at_once: int = 10_000) -> None:
        """Send items again and again until none is unknown."""
        for start in range(0, len(items), at_once):
            pending = items[start : start + at_once]
            deadline_s = time.monotonic() + AGAIN_WITHIN_S
            while pending := await self.post(pending, single=False):
                last = self.events.all[-1].how
                assert time.monotonic() < deadline_s, f"still unknown ({last}): {pending[:3]}"
                await asyncio.sleep(RETRY_S)

    async def resend(self) -> None:
        """Send what is unknown again, until it is acknowledged."""
        await self.send_all([self.sent[row_id] for row_id in self.unknown], CHUNK)

    async def repeat(self, count: int = 200) -> None:
        """Send some of what was acknowledged again: nothing may be counted twice."""
        ids = self._rng.sample(list(self.acknowledged), min(count, len(self.acknowledged)))
        await self.send_all([self.sent[row_id] for row_id in ids], CHUNK)

    def rows(self) -> list[Item]:
        """Those that are in."""
        return [self.sent[row_id] for row_id in self.acknowledged]


class RowLedger(LogLedger):
    """Of a metric: awards and deductions."""

    id_field = "submission_id"

    def __init__(self, api: Api, rng: random.Random, players: int = 30) -> None:
        super().__init__(api, rng, players)
        self.metric = unique("coins")
        self.path = f"/v1/metrics/{self.metric}"

    def body(self) -> Item:
        kind = "deduct" if self._rng.random() < DEDUCTED else "award"
        amount = self._rng.randint(1, AWARD_UP_TO if kind == "award" else DEDUCT_UP_TO)
        return {"player_id": self._rng.choice(self.players), "score": amount, "kind": kind}

    async def send(self, items: list[Item], *, single: bool) -> tuple[int, Any, Any]:
        if single:
            return await self.api.exchange("POST", self.path, items[0])
        return await self.api.exchange("POST", self.path, {"submissions": items}, results="full")

    def seqs(self, items: list[Item], answer: Any, *, single: bool) -> dict[int, int]:
        results = [{"index": 0, **answer}] if single else answer["results"]
        if any(result["balance"] < 0 for result in results):
            self.wrong.append(f"a balance below zero: {answer}")
        return {result["index"]: result["seq"] for result in results}

    async def resend(self) -> None:
        """As for any log; but first whoever may have deducted something gets as much, so that it is covered
        whether or not it was.
        """
        needed: dict[str, int] = {}
        for item in map(self.sent.__getitem__, self.unknown):
            if item["kind"] == "deduct":
                needed[item["player_id"]] = needed.get(item["player_id"], 0) + item["score"]
        cover = [{"player_id": p, "score": amount, "kind": "award"} for p, amount in needed.items()]
        await self.send_all([self.with_id(body) for body in cover], CHUNK)
        await super().resend()

    def balances(self) -> dict[str, tuple[int, int, int, int]]:
        """Player -> balance, earned, spent, rows, by the rows that are in."""
        found = dict.fromkeys(self.players, (0, 0, 0, 0))
        for item in self.rows():
            _, earned, spent, count = found[item["player_id"]]
            if item["kind"] == "award":
                earned += item["score"]
            else:
                spent += item["score"]
            found[item["player_id"]] = earned - spent, earned, spent, count + 1
        return found


def awarded(item: Item) -> int | None:
    """What a row is worth where a leaderboard sums up what was earned."""
    return int(item["score"]) if item["kind"] == "award" else None


def changed(item: Item) -> int | None:
    """The same of one that sums up changes of the balance."""
    return int(item["score"]) if item["kind"] == "award" else -int(item["score"])


def counted(item: Item) -> int | None:
    """The same of one that counts awards."""
    return 1 if item["kind"] == "award" else None


TYPES = ("match", "match", "bonus", "chat")
RULES = [
    {"event_type": "match", "points_expression": "attrs.points * 2 + 1"},
    {"event_type": "match", "points_expression": "10", "conditions": {"attrs.mode": {"eq": "ranked"}}},
    {"event_type": "bonus", "points_expression": "attrs.points"},
]


def scored(item: Item) -> int | None:
    """What an event is worth by RULES."""
    kind, attrs = item["event_type"], item["attrs"]
    if kind == "match":
        return int(attrs["points"]) * 2 + 1 + (10 if attrs["mode"] == "ranked" else 0)
    return int(attrs["points"]) if kind == "bonus" else None


def played(item: Item) -> int | None:
    """What an event is worth where matches are counted."""
    return 1 if item["event_type"] == "match" else None


class EventLedger(LogLedger):
    """Of a tenant's events."""

    id_field = "event_id"
    path = "/v1/events"

    def body(self) -> Item:
        attrs = {"points": self._rng.randint(1, 100), "mode": self._rng.choice(["ranked", "casual"])}
        kind = self._rng.choice(TYPES)
        return {"player_id": self._rng.choice(self.players), "event_type": kind, "attrs": attrs}

    async def send(self, items: list[Item], *, single: bool) -> tuple[int, Any, Any]:
        full = {"results": "full"} if self._rng.random() < 0.5 else {}
        return await self.api.exchange("POST", self.path, {"events": items}, **full)

    def seqs(self, items: list[Item], answer: Any, *, single: bool) -> dict[int, int]:
        refused = {error["index"] for error in answer["errors"]}
        if answer["accepted"] != len(items) - len(refused):
            self.wrong.append(f"{len(items)} events: {answer}")
        names = {board.board_id for board in self.boards}
        for result in answer.get("results", ()):
            if not names >= {matched["leaderboard_id"] for matched in result["matched"]}:
                self.wrong.append(f"matched by what is not there: {result}")
        return dict.fromkeys(set(range(len(items))) - refused, 0)
