"""Readers that trust nothing, and the audit at the end.

A reader reads the same ranking over and over while processes die, and judges every answer: a page is ordered,
its ranks are consecutive, it shows at least what was acknowledged before it was asked for, and nothing that
was ever seen is taken back - over restarts, too. What a reader may be told instead is up to the test, which
looks at `events`. `audit` reads everything and compares it with a ledger.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

from tests.support.crash.writers import DISCONNECTED, OK, RETRY_S, Api, Disconnected, Events, Ledger, unique

PAGE = 1000
PROBLEMS_SHOWN = 5
PRELOAD_BATCH = 10_000
# What the audit waits out: processes may have died a moment ago, also the gateway that a connection leads to.
PASSING = ("period_loading", "storage_unavailable", DISCONNECTED)

Page = dict[str, Any]
Row = tuple[str, int, int]  # player, score, submissions


class Reader:
    """Reads, with pauses, while a block lasts. `problems`: what should never have been shown."""

    def __init__(self, read: Callable[[Reader], Coroutine[Any, Any, None]], pause_s: float = 0) -> None:
        self.events = Events()
        self.problems: list[str] = []
        self._read = read
        self._pause_s = pause_s
        self._judged = 0
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._stop.clear()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        assert self._task is not None
        await self._task

    async def _run(self) -> None:
        while not self._stop.is_set():
            await self._read(self)
            await asyncio.sleep(self._pause_s)

    async def get(self, api: Api, path: str, **query: Any) -> Any:
        """The body of a 200 answer, else None; the outcome is noted, and a failure followed by a pause."""
        sent_s = time.monotonic()
        try:
            status, found = await api.call("GET", path, **query)
            how = OK if status == 200 else str(found["error"]["code"])
        except Disconnected:
            how = DISCONNECTED
        self.events.add(sent_s, how)
        if how != OK:
            await asyncio.sleep(RETRY_S)
            return None
        return found

    def check(self) -> None:
        """Fail if anything wrong was shown, or nothing was read since the last check."""
        shown = "\n".join(self.problems[:PROBLEMS_SHOWN])
        assert not self.problems, f"{len(self.problems)} wrong answers:\n{shown}"
        new, self._judged = self.events.all[self._judged :], len(self.events.all)
        assert any(event.how == OK for event in new), f"nothing was read in {len(new)} attempts: {new[:5]}"


def order_problems(page: Page, offset: int, limit: int) -> list[str]:
    """What is wrong with a page in itself (ordinal ranks, descending)."""
    entries, total = page["entries"], page["total"]
    ranks, scores = [e["rank"] for e in entries], [e["score"] for e in entries]
    problems = []
    if ranks != list(range(offset + 1, offset + 1 + len(entries))):
        problems.append(f"ranks from {offset + 1} on are not consecutive: {ranks[:20]}")
    if any(one < next_one for one, next_one in pairwise(scores)):
        problems.append(f"not in order: {scores[:20]}")
    if len(entries) != max(min(limit, total - offset), 0):
        problems.append(f"{len(entries)} entries at offset {offset} of {total}")
    if len({e["player_id"] for e in entries}) != len(entries):
        problems.append("a player is on the page twice")
    return problems


def live_reader(ledger: Ledger, window: str = "main", pause_s: float = 0) -> Reader:
    """Reads the whole board of a ledger, which must fit one page."""
    best: dict[str, int] = {}  # what was shown of each player so far
    highest = {"total": 0, "as_of_seq": 0}

    async def read(reader: Reader) -> None:
        floor = dict(ledger.floor)
        page = await reader.get(ledger.api, f"{ledger.path}/rankings", window=window, limit=PAGE)
        if page is None:
            return
        problems = order_problems(page, 0, PAGE)
        scores = {e["player_id"]: e["score"] for e in page["entries"]}
        for player_id, score in floor.items():
            if scores.get(player_id, 0) < score:
                problems.append(f"{player_id}: {scores.get(player_id)}, but {score} was acknowledged")
        for player_id, score in best.items():
            if scores.get(player_id, 0) < score:
                problems.append(f"{player_id}: {scores.get(player_id)}, but {score} was shown before")
        for name, value in highest.items():
            if page[name] < value:
                problems.append(f"{name} fell from {value} to {page[name]}")
            highest[name] = max(value, page[name])
        best.update({p: max(score, best.get(p, 0)) for p, score in scores.items()})
        reader.problems.extend(f"{ledger.board_id}/{window}: {p}" for p in problems)

    return Reader(read, pause_s)


class Preloaded:
    """A board of many entries that never change, with its exact order known (the first of equals leads)."""

    def __init__(self, api: Api, rng: random.Random, entries: int) -> None:
        scores = [rng.randint(1, entries) for _ in range(entries)]
        self.api = api
        self.path = f"/v1/leaderboards/{unique('preloaded')}"
        self._rng = rng
        self._items = [{"player_id": f"player-{n:06}", "score": score} for n, score in enumerate(scores)]
        self._order = sorted(range(entries), key=lambda n: (-scores[n], n))

    async def fill(self) -> None:
        board_id = self.path.rpartition("/")[2]
        status, answer = await self.api.call("POST", "/v1/leaderboards", {"leaderboard_id": board_id})
        assert status == 201, answer
        for start in range(0, len(self._items), PRELOAD_BATCH):
            batch = self._items[start : start + PRELOAD_BATCH]
            status, answer = await self.api.call("POST", f"{self.path}/scores", batch)
            assert (status, answer["accepted"]) == (200, len(batch)), answer

    def reader(self) -> Reader:
        """Reads a page at a random place, and then the rank of one of its players."""
        limit, total = 50, len(self._items)

        async def read(reader: Reader) -> None:
            offset = self._rng.randrange(total)
            page = await reader.get(self.api, f"{self.path}/rankings", offset=offset, limit=limit)
            if page is None:
                return
            found = [(e["rank"], e["player_id"], e["score"]) for e in page["entries"]]
            expected = [
                (rank, self._items[n]["player_id"], self._items[n]["score"])
                for rank, n in enumerate(self._order[offset : offset + limit], offset + 1)
            ]
            if (page["total"], found) != (total, expected):
                reader.problems.append(
                    f"page at {offset} of {page['total']}: {found[:3]}, not {expected[:3]}"
                )
                return
            rank, player_id, _ = self._rng.choice(expected)
            entry = await reader.get(self.api, f"{self.path}/players/{player_id}")
            if entry is not None and (entry["rank"], entry["total"]) != (rank, total):
                reader.problems.append(f"{player_id}: rank {entry['rank']}, but {rank} on the page")

        return Reader(read)


async def entries_of(ledger: Ledger, window: str = "main", period: str = "current") -> list[dict[str, Any]]:
    """All entries in rank order; fails unless pages, ranks, lookups and totals agree with each other."""
    entries: list[dict[str, Any]] = []
    query: dict[str, Any] = {"window": window, "period": period, "passing": PASSING}
    where = f"{ledger.board_id}/{window}/{period}"
    while True:
        page = await ledger.api.ok(
            "GET", f"{ledger.path}/rankings", offset=len(entries), limit=PAGE // 8, **query
        )
        problems = order_problems(page, len(entries), PAGE // 8)
        assert not problems, f"{where}: {problems}"
        entries.extend(page["entries"])
        if len(entries) >= page["total"]:
            break
    assert [e["rank"] for e in entries] == list(range(1, len(entries) + 1)), where
    player_ids = [e["player_id"] for e in entries]
    if not entries:
        return entries
    found = await ledger.api.ok(
        "POST", f"{ledger.path}/rankings/lookup", {"player_ids": player_ids[::-1]}, **query
    )
    assert [e["player_id"] for e in found["entries"]] == player_ids, where
    assert [e["rank"] for e in found["entries"]] == [e["rank"] for e in entries], where
    for entry in entries[:: max(len(entries) // 10, 1)]:
        alone = await ledger.api.ok("GET", f"{ledger.path}/players/{entry['player_id']}", **query)
        assert (alone["rank"], alone["total"]) == (entry["rank"], len(entries)), where
    return entries


async def standings_of(ledger: Ledger, window: str = "main", period: str = "current") -> list[Row]:
    """All entries in rank order, checked as `entries_of` does."""
    entries = await entries_of(ledger, window, period)
    return [(e["player_id"], e["score"], e["submissions"]) for e in entries]


def compare(standings: list[Row], *ledgers: Ledger) -> None:
    """Fail unless a board shows exactly what its ledgers were promised, nothing of which is unknown any more:
    each acknowledged submission once, the highest score first. The ledgers share no player. Sums can tie, and
    who came first to a score is known to nobody who sends several at a time: either order will do.
    """
    expected = []
    for ledger in ledgers:
        assert not ledger.unknown
        for player_id, states in ledger.possible().items():
            ((score, count),) = states
            if score is not None:
                expected.append((player_id, score, count))
    wrong = sorted(set(standings) ^ set(expected))
    counts = f"{len(standings)} entries, {len(expected)} expected"
    assert sorted(standings) == sorted(expected), f"{counts}, {len(wrong)} rows differ: {wrong[:5]}"
    scores = [score for _, score, _ in standings]
    assert scores == sorted(scores, reverse=True), f"ranks are wrong: {scores}"


async def audit(ledger: Ledger, *windows: str) -> None:
    """Fail unless each player's entry is what the acknowledged submissions give, each once, with a subset of
    the unknown ones, in every window (default: main), and in all of them the same.
    """
    possible = ledger.possible()
    shown: dict[str, list[Row]] = {}
    for window in windows or ("main",):
        standings = shown[window] = await standings_of(ledger, window)
        there = {player_id: (score, count) for player_id, score, count in standings}
        wrong = {
            p: (there.get(p, (None, 0)), sorted(states, key=str)[:4])
            for p, states in possible.items()
            if there.get(p, (None, 0)) not in states
        }
        told = f"acknowledged {len(ledger.acknowledged)}, unknown {len(ledger.unknown)}"
        told += f", refused {len(ledger.refused)} {sorted(set(ledger.refused.values()))}"
        first = list(wrong.items())[:PROBLEMS_SHOWN]
        assert not wrong, f"{ledger.board_id}/{window}: {len(wrong)} players wrong ({told}): {first}"
        assert there.keys() <= possible.keys(), f"{ledger.board_id}/{window}: players that nobody sent"
        if not ledger.unknown:
            compare(standings, ledger)
    first, *others = shown.values()
    differing = [row for other in others for row in sorted(set(first) ^ set(other))]
    assert not differing, f"{ledger.board_id}: {[*shown]} differ: {differing[:PROBLEMS_SHOWN]}"


async def settle_and_audit(ledger: Ledger, *windows: str) -> None:
    """`audit`; then all that is unknown is sent again under the same ids, and everything is there, once; then
    some of that is sent again, too.
    """
    await audit(ledger, *windows)
    await ledger.resend()
    assert not ledger.unknown
    await audit(ledger, *windows)
    await ledger.repeat()
    await audit(ledger, *windows)
