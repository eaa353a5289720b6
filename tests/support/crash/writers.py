"""Writers under fire, and the ledger of what they were told.

A ledger belongs to one board. It makes submissions with unique ids and known contributions, and notes how
each ended: acknowledged (a 2xx answer: it is in), unknown (`storage_unavailable`, or the connection was lost:
it may be in, and is sent again under the same id), refused (any other error: it is not in, and never sent
again). From these three sets follows which states of a player are possible at all: `possible`.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Container, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp

from tests.support.zones import zone_at_noon

RETRY_S = 0.05
UNIQUE = 1_000_000  # submissions that a ledger can make with contributions that all differ
RESENT_WITHIN_S = 30.0
PASSES_WITHIN_S = 30.0
REQUEST_TIMEOUT_S = 40.0  # longer than the server's own: it answers first
DISCONNECTED = "disconnected"
OK = "ok"

Item = dict[str, Any]
_numbers = itertools.count(1)


def unique(prefix: str) -> str:
    return f"{prefix}-{next(_numbers)}-{random.SystemRandom().getrandbits(24):06x}"


class Disconnected(Exception):
    """The connection could not be made, or was lost before the answer was complete."""


class Api:
    """A client of one server with one key. `async with`."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"X-API-Key": key}

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(
            self._url, headers=self._headers, timeout=timeout, connector=connector
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        """Status and decoded body. Disconnected."""
        status, found, _ = await self.exchange(method, path, body, **query)
        return status, found

    async def exchange(
        self, method: str, path: str, body: Any = None, **query: Any
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, decoded body and headers. Disconnected."""
        try:
            async with self._session.request(method, path, json=body, params=query) as answer:
                return answer.status, await answer.json(), answer.headers
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Disconnected(repr(error)) from error

    async def ok(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        passing: Container[str] = ("period_loading",),
        **query: Any,
    ) -> Any:
        """The body of a 2xx answer; `passing` is waited out, nothing else is accepted."""
        deadline_s = time.monotonic() + PASSES_WITHIN_S
        while True:
            try:
                status, found = await self.call(method, path, body, **query)
            except Disconnected:
                if DISCONNECTED not in passing or time.monotonic() >= deadline_s:
                    raise
            else:
                if status < 300:
                    return found
                passes = found["error"]["code"] in passing and time.monotonic() < deadline_s
                assert passes, f"{method} {path}: {status} {found}"
            await asyncio.sleep(RETRY_S)

    async def status(self) -> Any:
        """`GET /v1/status`, asked for again while the supervisor is away: another one may have to start."""
        return await self.ok("GET", "/v1/status", passing=("storage_unavailable",))

    async def supervisor_pid(self) -> int:
        """Its process, waited for while it is away."""
        pid: int = (await self.status())["supervisor"]["pid"]
        return pid


class Event(NamedTuple):
    """One request: when it was sent, when it ended (monotonic seconds), and how: `ok`, an error's code,
    `disconnected`.
    """

    sent_s: float
    ended_s: float
    how: str


class Events:
    """What happened to a group of requests, in order of their ends; others can wait for a success."""

    def __init__(self) -> None:
        self.all: list[Event] = []
        self._judged = 0
        self._news = asyncio.Event()

    def add(self, sent_s: float, how: str) -> None:
        self.all.append(Event(sent_s, time.monotonic(), how))
        self._news.set()
        self._news = asyncio.Event()

    def strange(self, began_s: float, ended_s: float, *allowed: str) -> list[Event]:
        """Failures since the last call that are none of `allowed`, or were neither sent nor answered in the
        outage between two instants.
        """
        new, self._judged = self.all[self._judged :], len(self.all)
        return [
            event
            for event in new
            if event.how != OK
            and not (event.how in allowed and event.ended_s >= began_s and event.sent_s < ended_s)
        ]

    async def success_after(self, instant_s: float, within_s: float) -> float:
        """Wait for a success that was sent after an instant; seconds from there to its end."""
        deadline_s = time.monotonic() + within_s
        seen = 0
        while True:
            for event in self.all[seen:]:
                if event.how == OK and event.sent_s >= instant_s:
                    return event.ended_s - instant_s
            seen, news = len(self.all), self._news
            try:
                await asyncio.wait_for(news.wait(), deadline_s - time.monotonic())
            except TimeoutError:
                told = Counter(event.how for event in self.all if event.sent_s >= instant_s)
                raise AssertionError(f"no success within {within_s:.0f} s, but {dict(told)}") from None


class Ledger:
    """What one board was sent. aggregation: sum or best, both with positive scores only. `who`: how players
    are called; ledgers that share a board (`beside`) share no player.
    """

    def __init__(
        self, api: Api, aggregation: str, rng: random.Random, players: int = 200, who: str = "player"
    ) -> None:
        self.api = api
        self.board_id = unique(aggregation)
        self.path = f"/v1/leaderboards/{self.board_id}"
        self.aggregation = aggregation
        self.who = who
        self.players = [f"{who}-{n:03}" for n in range(players)]
        self.sent: dict[str, tuple[str, int]] = {}  # id -> player, contribution
        self.acknowledged: dict[str, None] = {}
        self.unknown: dict[str, None] = {}
        self.refused: dict[str, str] = {}  # id -> code
        self.floor: dict[str, int] = {}  # the least score that a reader may see from now on
        self.events = Events()
        self._rng = rng

    async def create(self, **definition: Any) -> None:
        body = {"leaderboard_id": self.board_id, "scoring": {"aggregation": self.aggregation}, **definition}
        body.setdefault("timeframe", {"type": "permanent", "timezone": zone_at_noon()})
        status, answer = await self.api.call("POST", "/v1/leaderboards", body)
        assert status == 201, answer

    def beside(self, api: Api, who: str) -> Ledger:
        """Another ledger of the same board, with players of its own."""
        other = Ledger(api, self.aggregation, self._rng, len(self.players), who)
        other.board_id, other.path = self.board_id, self.path
        return other

    def combine(self, score: int | None, contribution: int) -> int:
        if score is None:
            return contribution
        return score + contribution if self.aggregation == "sum" else max(score, contribution)

    # Writing --------------------------------------------------------------------------------------------

    def make(self, count: int) -> list[Item]:
        items = []
        for _ in range(count):
            player_id = self._rng.choice(self.players)
            contribution = self._rng.randint(1, 1000) * UNIQUE + len(self.sent)
            submission_id = f"{self.board_id}:{self.who}:{len(self.sent)}"
            self.sent[submission_id] = (player_id, contribution)
            items.append({"player_id": player_id, "score": contribution, "submission_id": submission_id})
        return items

    async def post(self, items: list[Item], *, single: bool) -> list[Item]:
        """Send items once and note how each ended; those whose outcome is unknown."""
        earlier = self.unknown.keys() | self.acknowledged.keys()
        again = {item["submission_id"] for item in items if item["submission_id"] in earlier}
        for item in items:
            self.unknown[item["submission_id"]] = None  # from here on it may be in
        sent_s = time.monotonic()
        try:
            body = items[0] if single else {"submissions": items}
            status, answer, headers = await self.api.exchange("POST", f"{self.path}/scores", body)
        except Disconnected:
            self.events.add(sent_s, DISCONNECTED)
            return items
        codes: dict[int, str] = {}
        if status != 200:
            assert status not in (429, 503) or int(headers["Retry-After"]) > 0, answer
            codes = dict.fromkeys(range(len(items)), str(answer["error"]["code"]))
        elif not single:
            codes = {error["index"]: error["code"] for error in answer["errors"]}
            assert answer["accepted"] == len(items) - len(codes), answer
        for index, item in enumerate(items):
            code, submission_id = codes.get(index), item["submission_id"]
            if code is None:
                self._acknowledge(submission_id)
            elif code != "storage_unavailable" and submission_id not in again:
                del self.unknown[submission_id]
                self.refused[submission_id] = code
        for how in sorted(set(codes.values())) or [OK]:
            self.events.add(sent_s, how)
        return [item for item in items if item["submission_id"] in self.unknown]

    async def fill(self, count: int) -> None:
        """Submit so many in one batch; the board is waited for first, so that all are acknowledged."""
        await self.api.ok("GET", f"{self.path}/rankings", limit=1)
        pending = self.make(count)
        deadline_s = time.monotonic() + RESENT_WITHIN_S
        while pending := await self.post(pending, single=False):
            assert time.monotonic() < deadline_s, f"still unknown: {pending[:3]}"
            await asyncio.sleep(RETRY_S)
        assert not self.refused, self.refused

    def _acknowledge(self, submission_id: str) -> None:
        del self.unknown[submission_id]
        if submission_id not in self.acknowledged:
            self.acknowledged[submission_id] = None
            player_id, contribution = self.sent[submission_id]
            self.floor[player_id] = self.combine(self.floor.get(player_id), contribution)

    async def write(self, stop: asyncio.Event, count: int, patient: bool) -> None:
        """Submit `count` at a time until told to stop. A patient writer sends what is unknown again and
        again; the other kind goes on with new submissions, and so meets every state of a period's return.
        """
        while not stop.is_set():
            items = self.make(count)
            pending = await self.post(items, single=count == 1)
            while patient and pending and not stop.is_set():
                await asyncio.sleep(RETRY_S)
                pending = await self.post(pending, single=count == 1)
            if all(item["submission_id"] not in self.acknowledged for item in items):
                # A player's possible states double with each unknown one: the longer, the fewer come.
                await asyncio.sleep(RETRY_S * (1 + len(self.unknown) / 100))

    async def resend(self) -> None:
        """Send what is unknown again, until it is acknowledged."""
        await self._send_again(list(self.unknown))

    async def repeat(self, count: int = 200) -> None:
        """Send some of what was acknowledged again: nothing may be counted twice. To be done after a look at
        the board, for what was lost would be there again.
        """
        await self._send_again(self._rng.sample(list(self.acknowledged), min(count, len(self.acknowledged))))

    async def _send_again(self, ids: list[str]) -> None:
        for start in range(0, len(ids), 50):
            pending = [self._item(i) for i in ids[start : start + 50]]
            deadline_s = time.monotonic() + RESENT_WITHIN_S
            while pending:
                assert time.monotonic() < deadline_s, f"still unknown: {pending[:3]}"
                pending = await self.post(pending, single=False)

    def _item(self, submission_id: str) -> Item:
        player_id, contribution = self.sent[submission_id]
        return {"player_id": player_id, "score": contribution, "submission_id": submission_id}

    # What may be there ----------------------------------------------------------------------------------

    def possible(self) -> dict[str, set[tuple[int | None, int]]]:
        """For each player the pairs (score, submissions) that the acknowledged submissions allow together
        with any subset of the unknown ones; (None, 0): no entry.
        """
        states: dict[str, set[tuple[int | None, int]]] = {p: {(None, 0)} for p in self.players}
        for submission_id in self.acknowledged:
            player_id, contribution = self.sent[submission_id]
            ((score, count),) = states[player_id]
            states[player_id] = {(self.combine(score, contribution), count + 1)}
        for submission_id in self.unknown:
            player_id, contribution = self.sent[submission_id]
            more = {(self.combine(score, contribution), n + 1) for score, n in states[player_id]}
            states[player_id] |= more
        return states


class Load:
    """Writers of boards inside `async with`: for each board, patient ones that submit so many at a time as
    `patient` says, and others by `hasty`.
    """

    def __init__(
        self, *ledgers: Ledger, patient: tuple[int, ...] = (1, 1, 50), hasty: tuple[int, ...] = ()
    ) -> None:
        kinds = [(count, True) for count in patient] + [(count, False) for count in hasty]
        self._work = [(ledger, *kind) for ledger in ledgers for kind in kinds]
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(ledger.write(self._stop, *kind)) for ledger, *kind in self._work]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)


def wire(at_ms: int) -> str:
    """An instant as a client sends it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
