"""What is in a log and on the leaderboards that are computed from it, compared with what was acknowledged."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from datetime import datetime
from typing import NamedTuple

from lbactors.core.ids import is_log
from lbactors.core.log_inputs import EVENT, ROW
from lbactors.period_actor.log_reader import LogReader
from persistence import open_store
from persistence.store import Store
from tests.support.crash.log_writers import LogLedger, Projection, RowLedger
from tests.support.crash.readers import PASSING, Reader, entries_of
from tests.support.crash.writers import Disconnected
from tests.support.redis_server import until

FOLLOWS_WITHIN_S = 120.0  # fills are slowed down in some tests
SHOWN = 5
PLACES = {ROW: (8, 9), EVENT: (4, 5)}  # of its id, and of when it happened, in an input


def balance_reader(ledger: RowLedger, rng: random.Random, pause_s: float) -> Reader:
    """Reads balances, which are never below zero and always what was earned less what was spent."""

    async def read(reader: Reader) -> None:
        player_id = rng.choice(ledger.players)
        found = await reader.get(ledger.api, f"{ledger.path}/players/{player_id}")
        if found is not None and not 0 <= found["balance"] == found["earned"] - found["spent"]:
            reader.problems.append(f"balance: {found}")

    return Reader(read, pause_s)


async def until_live(*boards: Projection, within_s: float = FOLLOWS_WITHIN_S) -> None:
    """Wait until leaderboards say that they have all rows, and go on as long as the log has more."""
    for board in boards:

        async def is_live(board: Projection = board) -> bool:
            with contextlib.suppress(Disconnected):
                await board.api.call("GET", f"{board.path}/rankings", limit=1)  # it wakes up
            status = await board.status()
            return status is not None and status["state"] == "live" and status["rows_read"] == status["rows"]

        await until(is_live, f"{board.board_id} follows", within_s)


async def rows_of(board: Projection, window: str) -> list[tuple[str, int, int]]:
    """Player, score, submissions over all periods of a window together."""
    periods = await board.api.ok("GET", f"{board.path}/periods", window=window, limit=1000, passing=PASSING)
    scores: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for period in periods["items"]:
        if period["state"] == "pending":
            continue
        for entry in await entries_of(board, window, period["period_key"]):  # type: ignore[arg-type]
            scores[entry["player_id"]] += entry["score"]
            counts[entry["player_id"]] += entry["submissions"]
    return sorted((player_id, scores[player_id], count) for player_id, count in counts.items())


async def check_board(board: Projection, ledger: LogLedger, *windows: str) -> None:
    """Fail unless a leaderboard shows every acknowledged row once, in every window (default: main)."""
    expected = board.expected(ledger.rows())
    for window in windows or ("main",):
        found = await rows_of(board, window)
        wrong = sorted(set(found) ^ set(expected))
        counts = f"{sum(n for *_, n in found)} rows, {sum(n for *_, n in expected)} expected"
        assert found == expected, f"{board.board_id}/{window}: {counts}, differ: {wrong[:SHOWN]}"


async def check_balances(ledger: RowLedger) -> None:
    """Fail unless balances are the sums of what was acknowledged."""
    for player_id, expected in ledger.balances().items():
        found = await ledger.api.ok("GET", f"{ledger.path}/players/{player_id}", passing=PASSING)
        told = found["balance"], found["earned"], found["spent"], found["transactions"]
        assert told == expected, f"{player_id}: {told}, not {expected}"


class Logged(NamedTuple):
    """A row as the log has it. Times in ms."""

    seq: int
    acknowledged_ms: int
    occurred_ms: int


async def id_of(ledger: LogLedger, store: Store) -> str:
    """The log's id in the store."""
    name = ledger.metric if isinstance(ledger, RowLedger) else "events"
    (log_id,) = [
        period_id
        for period_id in await store.list_periods()
        if is_log(period_id) and period_id.partition("/")[2].startswith(f"{name}~")
    ]
    return log_id


async def first_kept(ledger: LogLedger, url: str) -> int:
    """The first seq that a log still has. url: of the store."""
    store = open_store(url)
    await store.open()
    try:
        return await store.first_seq(await id_of(ledger, store))
    finally:
        await store.close()


async def logged(ledger: LogLedger, store: Store) -> dict[str, Logged]:
    """Everything that a log has, by id. Fails if an id is there twice."""
    reader = LogReader(store, await id_of(ledger, store))
    found: dict[str, Logged] = {}
    seq = 0
    while pages := await reader.after(seq) if seq < await reader.last_seq() else []:
        for page in pages:
            for at, item in enumerate(page.items, page.first_seq):
                if item[0] in PLACES:
                    id_place, time_place = PLACES[item[0]]
                    row_id, occurred_ms = item[id_place], item[time_place]
                    assert row_id not in found, f"{row_id} is in the log twice: {found[row_id]}, {at}"
                    found[row_id] = Logged(at, item[1], item[1] if occurred_ms is None else occurred_ms)
        seq = pages[-1].last_seq
    return found


async def check_log(ledger: LogLedger, url: str) -> dict[str, Logged]:
    """Fail unless a log has every row that was acknowledged, once, and at its place; and no other. What it
    has. url: of the store.
    """
    assert not ledger.unknown
    store = open_store(url)
    await store.open()
    try:
        found = await logged(ledger, store)
    finally:
        await store.close()
    differing = found.keys() ^ ledger.acknowledged.keys()
    told = {row_id: (row_id in found, ledger.refused.get(row_id)) for row_id in sorted(differing)[:SHOWN]}
    assert not differing, f"{len(differing)} rows, in the log or not: {told}"
    moved = [(i, seq, found[i].seq) for i, seq in ledger.acknowledged.items() if seq not in (0, found[i].seq)]
    assert not moved, f"told and found: {moved[:SHOWN]}"
    return found


async def check_periods(board: Projection, ledger: LogLedger, found: dict[str, Logged], grace_ms: int) -> int:
    """Fail unless each period of the main window has the rows that happened in it, each once, but for those
    that came when its grace was over. found: what the log has. How many periods had rows.
    """
    listed = await board.api.ok("GET", f"{board.path}/periods", limit=1000, passing=PASSING)
    used = 0
    for period in listed["items"]:
        if period["state"] == "pending":
            continue
        starts_ms, ends_ms = (instant_ms(period[name]) for name in ("starts_at", "ends_at"))
        rows = [
            ledger.sent[row_id]
            for row_id, (_, acknowledged_ms, occurred_ms) in found.items()
            if starts_ms <= occurred_ms < ends_ms and acknowledged_ms < ends_ms + grace_ms
        ]
        expected = board.expected(rows)
        entries = await entries_of(board, "main", period["period_key"])  # type: ignore[arg-type]
        there = sorted((e["player_id"], e["score"], e["submissions"]) for e in entries)
        wrong = sorted(set(there) ^ set(expected))
        counts = f"{sum(n for *_, n in there)} rows, {sum(n for *_, n in expected)} expected"
        assert there == expected, f"{board.board_id} {period}: {counts}, differ: {wrong[:SHOWN]}"
        used += bool(rows)
    return used


def instant_ms(text: str) -> int:
    """An instant of an answer."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


async def settle_and_audit(ledger: LogLedger, windows: dict[str, tuple[str, ...]], url: str) -> None:
    """What is unknown is sent again until it is acknowledged: then everything is there, once. Some of it is
    sent again: nothing changes. windows: of each leaderboard. url: of the store.
    """
    await ledger.resend()
    for turn in range(2):
        began_s = time.monotonic()
        await until_live(*ledger.boards)
        for board in ledger.boards:
            await check_board(board, ledger, *windows[board.board_id])
        if isinstance(ledger, RowLedger):
            await check_balances(ledger)
        if not turn:
            await ledger.repeat()
        print(f"{ledger.name}: audited in {time.monotonic() - began_s:.1f} s")
    await check_log(ledger, url)
    check_answers(ledger)


def check_answers(ledger: LogLedger) -> None:
    """Fail if an answer was wrong in itself, or named a leaderboard that is not there."""
    assert not ledger.wrong, ledger.wrong[:SHOWN]
    names = {board.board_id for board in ledger.boards}
    assert ledger.behind <= names, f"behind are leaderboards that are not there: {ledger.behind - names}"
