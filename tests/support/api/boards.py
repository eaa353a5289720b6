"""One leaderboard as a test sees it: unique ids, paths, submissions, pages; and the times of the wire.

Owns no state but the id. Every method asserts 200 unless its name says otherwise; tests of refusals use
`Api.fails` with `Board.path`.
"""

from __future__ import annotations

import itertools
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote
from zoneinfo import ZoneInfo

from tests.support.api.client import Api
from tests.support.zones import zone_at_noon

WIRE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

_run = secrets.token_hex(3)
_count = itertools.count(1)


def unique(prefix: str) -> str:
    """An id that no other test of this run, nor another run against the same server, uses."""
    return f"{prefix}-{_run}-{next(_count)}"


def now() -> datetime:
    return datetime.now(UTC)


def wire(instant: datetime) -> str:
    """An instant as a client sends it."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ahead(seconds: float) -> str:
    """The wire time so many seconds from now; negative: ago."""
    return wire(now() + timedelta(seconds=seconds))


def instant(text: Any) -> datetime:
    """Reads a time that the server sent; its form is fixed."""
    assert isinstance(text, str) and WIRE_TIME.fullmatch(text), f"not a time of the API: {text!r}"
    return datetime.fromisoformat(text)


def at_noon(definition: dict[str, Any]) -> dict[str, Any]:
    """A definition in a zone where it is noon, unless it names one: whatever the time, no day ends now."""
    return {**definition, "timeframe": {"timezone": zone_at_noon(), **definition.get("timeframe", {})}}


class Board:
    """A leaderboard of the tenant that `api` acts in."""

    def __init__(self, api: Api, leaderboard_id: str) -> None:
        self.api = api
        self.id = leaderboard_id
        self.path = f"/v1/leaderboards/{quote(leaderboard_id, safe='')}"
        self.scores = f"{self.path}/scores"
        self.rankings = f"{self.path}/rankings"
        self.periods = f"{self.path}/periods"
        self.close = f"{self.path}/periods/current/close"

    def player(self, player_id: str) -> str:
        return f"{self.path}/players/{quote(player_id, safe='')}"

    def definition(self) -> dict[str, Any]:
        definition: dict[str, Any] = self.api.get(self.path)
        return definition

    def patch(self, **changes: Any) -> dict[str, Any]:
        definition: dict[str, Any] = self.api.ok("PATCH", self.path, changes)
        return definition

    def submit(self, player_id: str, score: float | None = None, **fields: Any) -> dict[str, Any]:
        """The single form; `score=None` sends none (`count`)."""
        body = {"player_id": player_id, **fields}
        if score is not None:
            body["score"] = score
        answer: dict[str, Any] = self.api.ok("POST", self.scores, body)
        return answer

    def submit_all(self, scores: dict[str, float]) -> None:
        """One batch, in the dictionary's order, all of which must be accepted."""
        items = [{"player_id": player_id, "score": score} for player_id, score in scores.items()]
        answer = self.batch(items)
        assert (answer["accepted"], answer["rejected"], answer["errors"]) == (len(items), 0, []), answer

    def batch(self, items: list[Any], results: str | None = None, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.api.ok("POST", self.scores, items, params={"results": results}, **more)
        assert {"accepted", "rejected", "errors", "results"} <= set(answer), answer
        assert answer["accepted"] + answer["rejected"] == len(items), answer
        assert len(answer["errors"]) == answer["rejected"], answer
        return answer

    def page(self, **params: Any) -> dict[str, Any]:
        page: dict[str, Any] = self.api.get(self.rankings, **params)
        return page

    def standings(self, **params: Any) -> list[tuple[int, str, Any]]:
        """(rank, player_id, score) of the first 1000."""
        entries = self.page(limit=1000, **params)["entries"]
        return [(entry["rank"], entry["player_id"], entry["score"]) for entry in entries]

    def ranks(self, **params: Any) -> dict[str, int]:
        return {player_id: rank for rank, player_id, _ in self.standings(**params)}

    def entry(self, player_id: str, **params: Any) -> dict[str, Any]:
        entry: dict[str, Any] = self.api.get(self.player(player_id), **params)
        return entry

    def current(self, window: str | None = None) -> dict[str, Any]:
        """The period that a page of `current` names."""
        period: dict[str, Any] = self.page(limit=1, window=window)["period"]
        return period

    def year(self) -> tuple[str, str, str]:
        """Key and bounds of the year that it is in the leaderboard's zone."""
        zone = ZoneInfo(self.definition()["timeframe"]["timezone"])
        year = now().astimezone(zone).year
        return str(year), wire(datetime(year, 1, 1, tzinfo=zone)), wire(datetime(year + 1, 1, 1, tzinfo=zone))

    def force_close(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.api.ok("POST", self.close, {})
        assert set(answer) == {"closed", "current"}, answer
        return answer


class MakeBoard(Protocol):
    """The fixture `make_board`: creates a leaderboard from the given fields of a definition, `at_noon`."""

    def __call__(self, api: Api | None = None, **definition: Any) -> Board: ...
