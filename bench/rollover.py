"""Hundreds of leaderboards that roll over in one second, under load: the minutes before, at and after.

    python bench/rollover.py [--boards 300] [--scores-per-s 2000] [--windows]

A real server on SQLite, its clock set so that a midnight falls into the middle: Monday, 2026-06-01. Boards
are daily; with --windows each has a weekly and an all-time window too, so that two chains of each roll over
at once. The load is open-loop: two thirds of the requests are single scores, the others batches of 2 to 18 (a
quarter of those ask for full results), spread over all boards, on 64 connections; every score has an id.

Each score says who it is. Boards add scores up, and the k-th score of a player is 4^k: so the base-4 digits
of a player's sum in a period tell of every single score whether it is in that period, and how often. Checked
for every period of every window

  a score that was acknowledged before midnight is in the old period, one that was sent after it in the new
  one, one under way at midnight in one of them, once; where the answer named a period, it is in that one
  a score that was not acknowledged is there at most once; and there is nothing else

Exit 1 if that does not hold, or if any answer was a 5xx. Latencies run from the moment at which a request was
due, and so contain what it waited for a free connection.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import shutil
import struct
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
import orjson
import uvloop
from paced_load import Answer, PacedLoad, Request
from server_processes import Server, looked_at, span_since, total

from lbactors.client import Client
from lbactors.load.load import percentile
from lbactors.tables import print_table

KEY = "lb_rollover"
MIDNIGHT_MS = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1000)
MAKE_WITHIN_MS = (
    240_000  # so long before midnight the server starts; then its clock moves to the load's begin
)
WARM_UP_S = 15.0
CONNECTIONS = 64
SINGLES = 2 / 3  # of the requests
BATCH = (2, 18)
FULL = 1 / 4  # of the batches
REPEATS = 16  # scores of one player on one board; at most 26, for 4^26 < 2^53
MAKING = 8
SHOWN = 10
# Name, begin and end in seconds after midnight.
SPANS = (
    ("the minute before", -90, -30),
    ("the minute of the boundary", -30, 30),
    ("  its first 10 s after midnight", 0, 10),
    ("the minute after", 30, 90),
)


class RolloverFailed(Exception):
    """The server did not answer as it must."""


class Score(NamedTuple):
    """One submission: the `turn`-th of a player on a board. Its value is 4^turn."""

    board: int
    player: int
    turn: int

    def item(self) -> dict[str, Any]:
        return {
            "player_id": f"player-{self.player:03d}",
            "score": 4**self.turn,
            "submission_id": f"r:{self.player}:{self.turn}",
        }


class Sent(NamedTuple):
    """What one request carries. `full`: its answer names the period of each score."""

    scores: list[Score]
    single: bool
    full: bool


class Told(NamedTuple):
    """What is known of a score: whether it was acknowledged, and where it may be, by window."""

    acknowledged: bool
    periods: dict[str, set[str]]


def board_id(number: int) -> str:
    return f"roll-{number:03d}"


def keys_of(window: str) -> tuple[str, str]:
    """Keys of the period before midnight and of the one after it."""
    return {
        "main": ("2026-05-31", "2026-06-01"),
        "weekly": ("2026-W22", "2026-W23"),
        "all_time": ("all_time", "all_time"),
    }[window]


class Traffic:
    """The requests, in order of their due times; seeded."""

    def __init__(self, host: str, boards: int, scores_per_s: float, seconds: float, seed: int) -> None:
        self._rng = random.Random(seed)
        self._boards = boards
        mean = SINGLES + (1 - SINGLES) * sum(BATCH) / 2
        self._requests_per_s = scores_per_s / mean
        self._count = int(self._requests_per_s * seconds)
        self._players = max(10, int(scores_per_s * seconds / boards / REPEATS) + 1)
        self._made = Counter[int]()
        self._head = f"Host: {host}\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"

    def requests(self, begin_s: float) -> Iterator[Request]:
        for number in range(self._count):
            sent = self._sent()
            yield Request(begin_s + number / self._requests_per_s, self._rendered(sent), sent)

    def _sent(self) -> Sent:
        board = self._rng.randrange(self._boards)
        single = self._rng.random() < SINGLES
        length = 1 if single else self._rng.randint(*BATCH)
        scores = []
        for _ in range(length):
            turn, player = divmod(self._made[board], self._players)
            self._made[board] += 1
            scores.append(Score(board, player, turn))
        return Sent(scores, single, single or self._rng.random() < FULL)

    def _rendered(self, sent: Sent) -> bytes:
        items = [score.item() for score in sent.scores]
        body = orjson.dumps(items[0] if sent.single else items)
        query = "?results=full" if sent.full and not sent.single else ""
        path = f"/v1/leaderboards/{board_id(sent.scores[0].board)}/scores{query}"
        return f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def refusals(answer: Answer) -> dict[int, str]:
    """Codes of the scores that an answer refused, by index; of all if it is no success."""
    sent: Sent = answer.request.tag
    if answer.status != 200:
        code = orjson.loads(answer.body)["error"]["code"] if answer.status else "connection lost"
        return dict.fromkeys(range(len(sent.scores)), f"{answer.status} {code}")
    if sent.single or b'"rejected":0' in answer.body:
        return {}
    return {error["index"]: error["code"] for error in orjson.loads(answer.body)["errors"]}


def told_by(answer: Answer, windows: tuple[str, ...], midnight_s: float) -> Iterator[tuple[Score, Told]]:
    """What an answer says of each score in it. midnight_s: on the load's clock."""
    sent: Sent = answer.request.tag
    refused = refusals(answer)
    named: dict[int, dict[str, str]] = {}
    if sent.full and answer.status == 200:
        body = orjson.loads(answer.body)
        for row in [{**body, "index": 0}] if sent.single else body["results"]:
            named[row["index"]] = {"main": row["period_key"]}
            named[row["index"]] |= {each["window"]: each["period_key"] for each in row.get("windows", [])}
    for index, score in enumerate(sent.scores):
        periods = {}
        for window in windows:
            old, new = keys_of(window)
            possible = (
                {old} if answer.done_s < midnight_s else {new} if answer.sent_s >= midnight_s else {old, new}
            )
            if index in named and index not in refused:
                possible &= {named[index].get(window, "nowhere")}
            periods[window] = possible
        yield score, Told(index not in refused, periods)


def counted(rows: list[dict[str, Any]]) -> Counter[tuple[int, int]]:
    """How often each (player, turn) is in the entries of one period."""
    found = Counter[tuple[int, int]]()
    for row in rows:
        rest, turn = row["score"], 0
        while rest:
            rest, digit = divmod(rest, 4)
            if digit:
                found[int(row["player_id"].removeprefix("player-")), turn] = digit
            turn += 1
    return found


async def audit(client: Client, boards: int, windows: tuple[str, ...], told: dict[Score, Told]) -> list[str]:
    """What the periods hold that was not acknowledged so, or the other way round; each in a sentence."""
    of_board: dict[int, dict[tuple[int, int], Told]] = defaultdict(dict)
    for score, known in told.items():
        of_board[score.board][score.player, score.turn] = known
    wrong: list[str] = []

    async def look_at(board: int) -> None:
        for window in windows:
            held: dict[str, Counter[tuple[int, int]]] = {}
            for key in dict.fromkeys(keys_of(window)):
                page = await client.rankings(board_id(board), period=key, window=window, limit=1000)
                held[key] = counted(page["entries"])
                submissions = sum(entry["submissions"] for entry in page["entries"])
                if held[key].total() != submissions:
                    wrong.append(
                        f"{board_id(board)} {key}: {submissions} submissions, not {held[key].total()}"
                    )
            for number, known in of_board[board].items():
                places = [key for key, found in held.items() for _ in range(found.pop(number, 0))]
                right = len(places) == 1 and places[0] in known.periods[window]
                if not right and (places or known.acknowledged):
                    said = "acknowledged" if known.acknowledged else "not acknowledged"
                    may = sorted(known.periods[window])
                    wrong.append(
                        f"{board_id(board)} {window} {number}: {said}, in {places}, not in one of {may}"
                    )
            rest = sum(found.total() for found in held.values())
            if rest:
                wrong.append(f"{board_id(board)} {window}: {rest} scores that were not sent")

    queue = iter(range(boards))

    async def looker() -> None:
        for board in queue:
            await look_at(board)

    await asyncio.gather(*(looker() for _ in range(MAKING)))
    return wrong


def set_clock(path: Path, now_ms: int) -> None:
    """Make it this instant for every process of the server."""
    with path.open("r+b" if path.exists() else "wb") as file:  # in place: it is mapped
        file.write(struct.pack("<q", now_ms - time.time_ns() // 1_000_000))


async def make(client: Client, boards: int, windows: tuple[str, ...]) -> None:
    queue = iter(range(boards))

    async def maker() -> None:
        for number in queue:
            definition = {"leaderboard_id": board_id(number), "timeframe": {"type": "daily"}}
            scoring = {"scoring": {"aggregation": "sum"}, "windows": list(windows[1:])}
            await client.create_leaderboard({**definition, **scoring})

    await asyncio.gather(*(maker() for _ in range(MAKING)))


async def measured(
    boards: int, scores_per_s: float, windows: tuple[str, ...], seed: int, options: tuple[str, ...]
) -> dict[str, Any]:
    folder = Path(f"/tmp/lbv-{time.time_ns():x}")  # short: sockets of the server's processes lie below
    folder.mkdir()
    clock = folder / "clock"
    set_clock(clock, MIDNIGHT_MS - MAKE_WITHIN_MS)
    server = Server(KEY, "--clock-file", str(clock), "--log-level", "warning", *options)
    try:
        await server.start()
        async with Client(server.url, KEY) as client:
            await make(client, boards, windows)
            click.echo(f"{boards} boards made; the load begins", err=True)
            first_s = SPANS[0][1] - WARM_UP_S
            load = PacedLoad(("127.0.0.1", server.port), CONNECTIONS)
            traffic = Traffic(f"127.0.0.1:{server.port}", boards, scores_per_s, SPANS[-1][2] - first_s, seed)
            gc.collect()
            gc.disable()  # the generator's pauses are not the server's
            set_clock(clock, MIDNIGHT_MS + int(first_s * 1000))
            begin_s = time.perf_counter()
            before = await asyncio.to_thread(looked_at, server)
            await load.run(traffic.requests(begin_s))
            used = await asyncio.to_thread(span_since, server, before)
            took_s = time.perf_counter() - begin_s
            gc.enable()
            midnight_s = begin_s - first_s
            click.echo("comparing every score with what the periods hold", err=True)
            told = dict(pair for answer in load.answers for pair in told_by(answer, windows, midnight_s))
            wrong = await audit(client, boards, windows, told)
        server.terminate()
        if await server.exit_code():
            raise RolloverFailed(f"the server did not end well; {server.tail()}")
    except Exception as error:
        raise RolloverFailed(f"{error!r}; {server.tail()}") from error
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
    figures = show(load.answers, told, midnight_s)
    cores = {kind: span.cpu_s / took_s for kind, span in {**used, "all": total(used)}.items()}
    shown = ", ".join(f"{kind} {share:.2f}" for kind, share in cores.items())
    click.echo(f"{len(told)} scores checked; cores used: {shown}; {total(used).pss_mb:.0f} MB PSS")
    for line in wrong[:SHOWN]:
        click.echo(f"wrong: {line}", err=True)
    for answer in [a for a in load.answers if a.status != 200][:SHOWN]:
        due_s, message = answer.request.due_s - midnight_s, answer.body.decode(errors="replace")
        click.echo(f"due {due_s:.1f} s after midnight, {answer.latency_ms:.0f} ms: {message}", err=True)
    return {**figures, "wrong": len(wrong), "cores": cores}


def show(answers: list[Answer], told: dict[Score, Told], midnight_s: float) -> dict[str, Any]:
    """The table, and its figures by span."""
    rows, figures = [], {}
    for name, begin, end in SPANS:
        inside = [a for a in answers if begin <= a.request.due_s - midnight_s < end]
        errors = Counter(code for a in inside for code in refusals(a).values())
        scores = sum(len(a.request.tag.scores) for a in inside) - errors.total()
        ordered = sorted(a.latency_ms for a in inside if a.status == 200)
        p50, p99, longest = (percentile(ordered, p) for p in (50, 99, 100))  # type: ignore[arg-type]
        shown = ", ".join(f"{code}×{count}" for code, count in sorted(errors.items())) or "0"
        rows.append(
            [name, str(len(inside)), str(scores), shown, f"{p50:.1f}", f"{p99:.1f}", f"{longest:.0f}"]
        )
        figures[name.strip()] = {"p50_ms": p50, "p99_ms": p99, "max_ms": longest, "errors": dict(errors)}
    columns = ["writes due in", "requests", "acknowledged scores", "errors", "p50 ms", "p99 ms", "max ms"]
    acknowledged = sum(known.acknowledged for known in told.values())
    print_table(columns, rows, f"{acknowledged} of {len(told)} scores acknowledged")
    quiet, boundary = figures["the minute before"], figures["the minute of the boundary"]
    times = boundary["p99_ms"] / quiet["p99_ms"]
    click.echo(f"p99 at the boundary: {times:.2f} times that of the minute before")
    return {"spans": figures, "server_errors": sum(a.status >= 500 or a.status == 0 for a in answers)}


@click.command()
@click.option("--boards", type=click.IntRange(1, 1000), default=300, show_default=True)
@click.option("--scores-per-s", type=click.FloatRange(10), default=2000.0, show_default=True)
@click.option("--windows", "with_windows", is_flag=True, help="Boards have a weekly and an all-time window.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--server-option", "options", multiple=True, help="Further words of `lbactors serve`.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False), help="Write the figures to a file, too."
)
def main(
    boards: int,
    scores_per_s: float,
    with_windows: bool,
    seed: int,
    options: tuple[str, ...],
    json_path: str | None,
) -> None:
    """Measure what a rollover of many leaderboards at once costs those who write meanwhile."""
    windows = ("main", "weekly", "all_time") if with_windows else ("main",)
    try:
        figures = uvloop.run(measured(boards, scores_per_s, windows, seed, options))
    except RolloverFailed as error:
        raise click.ClickException(str(error)) from error
    if json_path is not None:
        Path(json_path).write_text(
            json.dumps({"boards": boards, "windows": windows, **figures}, indent=2) + "\n"
        )
    if figures["wrong"] or figures["server_errors"]:
        wrong, errors = figures["wrong"], figures["server_errors"]
        raise click.ClickException(f"{wrong} scores in the wrong place, {errors} answers with 5xx or lost")


if __name__ == "__main__":
    sys.exit(main())
