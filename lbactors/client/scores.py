"""Scores go in, rankings come out: what a game server calls all day.

Every submission carries an id, its own or one made here, so that sending it again does no harm.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

from lbactors.client.batches import ListRoute, send_all
from lbactors.client.routes import Instant, Routes, board_path, player_path, segment
from lbactors.client.transport import new_id
from lbactors.client.types import (
    BatchOutcome,
    Distribution,
    HeldOutcome,
    Json,
    LookupAnswer,
    Outcome,
    PlayerEntries,
    PlayerEntry,
    RankAt,
    RankingsPage,
)

BATCH_ITEMS = 10_000  # the API's limit for one body; longer lists go in several requests


class Scores(Routes):
    """Part of `Client`: scores and rankings."""

    # Scores ---------------------------------------------------------------------------------------------

    async def submit(
        self,
        leaderboard_id: str,
        player_id: str,
        score: float | None = None,
        *,
        subscore: float | None = None,
        metadata: Any = None,
        submission_id: str | None = None,
        occurred_at: Instant | None = None,
        aggregation: str | None = None,
    ) -> Outcome | HeldOutcome:
        """One score; answers with the entry's score and rank, before and after.

        answer = await client.submit("xp", "maya", 5100, metadata={"level": 7})
        print(answer["rank"], answer["previous_rank"])

        Where a plugin held it for review, `held` is true and nothing else is told. score None: for boards
        that count. Give a `submission_id` of your own (`"match-77:maya"`) if your process may die and send
        the same score again later.
        """
        item = {
            "player_id": player_id,
            "score": score,
            "subscore": subscore,
            "metadata": metadata,
            "submission_id": submission_id or new_id(),
            "occurred_at": occurred_at,
            "aggregation": aggregation,
        }
        body = {name: value for name, value in item.items() if value is not None}
        return await self.transport.json("POST", f"{board_path(leaderboard_id)}/scores", body=body)

    async def submit_many(
        self, leaderboard_id: str, submissions: Sequence[Mapping[str, Any]], results: str = "none"
    ) -> BatchOutcome:
        """Many scores of one leaderboard; `{"accepted", "rejected", "errors", "results"}`, and `held` where a
        plugin held some.

        scores = [{"player_id": "maya", "score": 5100}, {"player_id": "noor", "score": 4800}]
        answer = await client.submit_many("xp", scores)

        results: none, ranks or full. A bad item is rejected alone. Items that the server could not take
        for the moment are sent again, after the others, as long as patience lasts.
        """
        return await self._submit_all(f"{board_path(leaderboard_id)}/scores", submissions, results)

    async def submit_across(
        self, submissions: Sequence[Mapping[str, Any]], results: str = "none"
    ) -> BatchOutcome:
        """Like `submit_many`, for any leaderboards: each item has a `leaderboard_id`."""
        return await self._submit_all("/v1/scores", submissions, results)

    async def _submit_all(
        self, path: str, submissions: Sequence[Mapping[str, Any]], results: str
    ) -> BatchOutcome:
        route = ListRoute(path, "submissions", "submission_id", BATCH_ITEMS)
        empty: Json = {"accepted": 0, "rejected": 0, "errors": [], "results": []}
        return cast("BatchOutcome", await send_all(self.transport, route, submissions, results, empty))

    # Rankings: `period` is current, previous or a period_key; `window` main, all_time, …; `timezone` tells
    # whose current period is meant on a leaderboard with timezone `player` ------------------------------

    async def rankings(
        self,
        leaderboard_id: str,
        *,
        limit: int | None = None,
        offset: int | None = None,
        cursor: str | None = None,
        score_min: float | None = None,
        score_max: float | None = None,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> RankingsPage:
        """A page of the ranking: `{"period", "total", "as_of_seq", "entries", "next_cursor", …}`."""
        params = {
            "limit": limit,
            "offset": offset,
            "cursor": cursor,
            "score_min": score_min,
            "score_max": score_max,
            "period": period,
            "window": window,
            "timezone": timezone,
        }
        return await self.transport.json("GET", f"{board_path(leaderboard_id)}/rankings", params=params)

    async def all_rankings(
        self,
        leaderboard_id: str,
        *,
        page: int = 1000,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> AsyncIterator[RankingsPage]:
        """Every page of a ranking, best first: `async for page in client.all_rankings("xp"): …`."""
        cursor = None
        while True:
            answer = await self.rankings(
                leaderboard_id, limit=page, cursor=cursor, period=period, window=window, timezone=timezone
            )
            yield answer
            cursor = answer["next_cursor"]
            if cursor is None:
                return

    async def entry(
        self,
        leaderboard_id: str,
        player_id: str,
        *,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> PlayerEntry:
        """One player's entry with rank and percentile; ApiError `entry_not_found`."""
        params = {"period": period, "window": window, "timezone": timezone}
        return await self.transport.json("GET", player_path(leaderboard_id, player_id), params=params)

    async def around(
        self,
        leaderboard_id: str,
        player_id: str,
        *,
        limit: int | None = None,
        fill: bool | None = None,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> RankingsPage:
        """The player and the neighbours, `limit` in all."""
        params = {"limit": limit, "fill": fill, "period": period, "window": window, "timezone": timezone}
        return await self.transport.json(
            "GET", f"{player_path(leaderboard_id, player_id)}/around", params=params
        )

    async def lookup(
        self,
        leaderboard_id: str,
        player_ids: Sequence[str],
        *,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> LookupAnswer:
        """A friends list: these players' entries in rank order, and `not_found`."""
        if isinstance(player_ids, str):
            raise TypeError("player_ids must be a list of player ids, not one id")
        path = f"{board_path(leaderboard_id)}/rankings/lookup"
        params = {"period": period, "window": window, "timezone": timezone}
        return await self.transport.json("POST", path, params=params, body={"player_ids": list(player_ids)})

    async def rank_at(
        self,
        leaderboard_id: str,
        score: float,
        *,
        subscore: float | None = None,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> RankAt:
        """The rank that a new player with this score would take."""
        params = {"subscore": subscore, "period": period, "window": window, "timezone": timezone}
        return await self.transport.json(
            "GET", f"{board_path(leaderboard_id)}/rankings/at/{score}", params=params
        )

    async def distribution(
        self,
        leaderboard_id: str,
        *,
        buckets: int | None = None,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> Distribution:
        """How the scores are spread: quantiles and a histogram."""
        params = {"buckets": buckets, "period": period, "window": window, "timezone": timezone}
        return await self.transport.json("GET", f"{board_path(leaderboard_id)}/distribution", params=params)

    async def player_entries(self, player_id: str, **params: Any) -> PlayerEntries:
        """The player's entries in all leaderboards. params: window, period."""
        return await self.transport.json("GET", f"/v1/players/{segment(player_id)}/entries", params=params)
