"""The client for game servers: one method for each route of the native API.

    async with Client("http://127.0.0.1:8080", key) as client:
        await client.submit("xp", "maya", 5100)
        page = await client.rankings("xp", limit=10)

Answers are the API's JSON as Python dictionaries, nothing renamed. Every write of a score carries a
`submission_id` (made here if the caller gives none), so the client's own retries never count a score
twice; see `client.transport` for what is retried and how long. Errors: `ApiError` (the server said no) and
`Unreachable` (no answer; the outcome of a write is unknown).

`SyncClient` is the same for programs without an event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from lbactors.client.moderation import HiddenPlayers
from lbactors.client.rewards import RewardMethods
from lbactors.client.transport import (
    DEFAULT_URL,
    NOT_TAKEN,
    ApiError,
    Pauses,
    Unreachable,
    checked,
    new_id,
    segment,
)
from lbactors.client.webhooks import WebhookMethods

__all__ = ["DEFAULT_URL", "ApiError", "Client", "SyncClient", "Unreachable"]

Json = dict[str, Any]
Instant = str | datetime

BATCH_ITEMS = 10_000  # the API's limit for one body; longer lists go in several requests
# Codes of single items in a batch that pass by themselves; the ids make sending them again safe.
PASSING_CODES = NOT_TAKEN | {"storage_unavailable"}


class Client(HiddenPlayers, RewardMethods, WebhookMethods):
    """Async client; see `Transport` for the constructor's arguments. Safe to share among tasks of one
    loop.
    """

    # Scores -----------------------------------------------------------------------------------------------

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
    ) -> Json:
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
        return await self._json("POST", f"{_board(leaderboard_id)}/scores", body=body)

    async def submit_many(
        self, leaderboard_id: str, submissions: Sequence[Mapping[str, Any]], results: str = "none"
    ) -> Json:
        """Many scores of one leaderboard; `{"accepted", "rejected", "errors", "results"}`, and `held` where a
        plugin held some.

        answer = await client.submit_many("xp", [{"player_id": "maya", "score": 5100},
                                                 {"player_id": "noor", "score": 4800}])

        results: none, ranks or full. A bad item is rejected alone. Items that the server could not take
        for the moment are sent again, after the others, as long as patience lasts.
        """
        return await self._submit_all(f"{_board(leaderboard_id)}/scores", submissions, results)

    async def submit_across(self, submissions: Sequence[Mapping[str, Any]], results: str = "none") -> Json:
        """Like `submit_many`, for any leaderboards: each item has a `leaderboard_id`."""
        return await self._submit_all("/v1/scores", submissions, results)

    async def _submit_all(self, path: str, submissions: Sequence[Mapping[str, Any]], results: str) -> Json:
        run = new_id()
        merged: Json = {"accepted": 0, "rejected": 0, "errors": [], "results": []}
        for start in range(0, len(submissions), BATCH_ITEMS):
            items = submissions[start : start + BATCH_ITEMS]
            pending = [(i, {"submission_id": f"{run}:{i}", **item}) for i, item in enumerate(items, start)]
            pauses = Pauses(self.patience_s)
            while pending:
                sent = {"submissions": [item for _, item in pending]}
                answer = await self._json("POST", path, params={"results": results}, body=sent)
                passing = [e for e in answer["errors"] if e["code"] in PASSING_CODES]
                if passing and not await pauses.wait():
                    passing = []
                again = {error["index"] for error in passing}
                for name in ("errors", "results"):
                    merged[name] += [
                        {**row, "index": pending[row["index"]][0]}
                        for row in answer[name]
                        if row["index"] not in again
                    ]
                merged["accepted"] += answer["accepted"]
                if "held" in answer:
                    merged["held"] = merged.get("held", 0) + answer["held"]
                merged["rejected"] += answer["rejected"] - len(again)
                pending = [pending[index] for index in sorted(again)]
        for name in ("errors", "results"):
            merged[name].sort(key=lambda row: row["index"])
        return merged

    # Rankings: `period` is current, previous or a period_key; `window` main, all_time, … -----------------

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
    ) -> Json:
        """A page of the ranking: `{"period", "total", "as_of_seq", "entries", "next_cursor", …}`."""
        params = {
            "limit": limit,
            "offset": offset,
            "cursor": cursor,
            "score_min": score_min,
            "score_max": score_max,
            "period": period,
            "window": window,
        }
        return await self._json("GET", f"{_board(leaderboard_id)}/rankings", params=params)

    async def all_rankings(
        self, leaderboard_id: str, *, page: int = 1000, period: str | None = None, window: str | None = None
    ) -> AsyncIterator[Json]:
        """Every page of a ranking, best first: `async for page in client.all_rankings("xp"): …`."""
        cursor = None
        while True:
            answer = await self.rankings(
                leaderboard_id, limit=page, cursor=cursor, period=period, window=window
            )
            yield answer
            cursor = answer["next_cursor"]
            if cursor is None:
                return

    async def entry(
        self, leaderboard_id: str, player_id: str, *, period: str | None = None, window: str | None = None
    ) -> Json:
        """One player's entry with rank and percentile; ApiError `entry_not_found`."""
        params = {"period": period, "window": window}
        return await self._json("GET", _player(leaderboard_id, player_id), params=params)

    async def around(
        self,
        leaderboard_id: str,
        player_id: str,
        *,
        limit: int | None = None,
        fill: bool | None = None,
        period: str | None = None,
        window: str | None = None,
    ) -> Json:
        """The player and the neighbours, `limit` in all."""
        params = {"limit": limit, "fill": fill, "period": period, "window": window}
        return await self._json("GET", f"{_player(leaderboard_id, player_id)}/around", params=params)

    async def lookup(
        self,
        leaderboard_id: str,
        player_ids: Sequence[str],
        *,
        period: str | None = None,
        window: str | None = None,
    ) -> Json:
        """A friends list: these players' entries in rank order, and `not_found`."""
        path = f"{_board(leaderboard_id)}/rankings/lookup"
        params = {"period": period, "window": window}
        return await self._json("POST", path, params=params, body={"player_ids": list(player_ids)})

    async def rank_at(
        self,
        leaderboard_id: str,
        score: float,
        *,
        subscore: float | None = None,
        period: str | None = None,
        window: str | None = None,
    ) -> Json:
        """The rank that a new player with this score would take."""
        params = {"subscore": subscore, "period": period, "window": window}
        return await self._json("GET", f"{_board(leaderboard_id)}/rankings/at/{score}", params=params)

    async def distribution(
        self,
        leaderboard_id: str,
        *,
        buckets: int | None = None,
        period: str | None = None,
        window: str | None = None,
    ) -> Json:
        """How the scores are spread: quantiles and a histogram."""
        params = {"buckets": buckets, "period": period, "window": window}
        return await self._json("GET", f"{_board(leaderboard_id)}/distribution", params=params)

    async def delete_entry(
        self, leaderboard_id: str, player_id: str, *, window: str | None = None, reason: str | None = None
    ) -> Json:
        """Take an entry out of the current periods. Not repeated if the answer is lost."""
        path = _player(leaderboard_id, player_id)
        params = {"window": window, "reason": reason}
        return await self._json("DELETE", path, params=params, repeatable=False)

    # Leaderboards and periods -------------------------------------------------------------------------------

    async def create_leaderboard(self, definition: Mapping[str, Any]) -> Json:
        """`await client.create_leaderboard({"leaderboard_id": "xp", "timeframe": {"type": "weekly"}})`."""
        return checked(await self.command("/v1/leaderboards", definition))

    async def list_leaderboards(self, **params: Any) -> Json:
        """params: status, search, sort, limit, cursor."""
        return await self._json("GET", "/v1/leaderboards", params=params)

    async def leaderboard(self, leaderboard_id: str) -> Json:
        return await self._json("GET", _board(leaderboard_id))

    async def update_leaderboard(
        self, leaderboard_id: str, changes: Mapping[str, Any], *, if_version: int | None = None
    ) -> Json:
        """Change some fields. if_version: refuse with `version_mismatch` if the definition has moved on."""
        headers = {} if if_version is None else {"If-Match": f'"{if_version}"'}
        path = _board(leaderboard_id)
        return await self._json("PATCH", path, body=changes, headers=headers, repeatable=if_version is None)

    async def archive_leaderboard(self, leaderboard_id: str) -> Json:
        """Stop writes for good; reads go on."""
        return await self._json("DELETE", _board(leaderboard_id))

    async def purge_leaderboard(self, leaderboard_id: str) -> Json:
        """Remove definition, periods and entries."""
        return await self._json("DELETE", _board(leaderboard_id), params={"purge": True})

    async def list_periods(self, leaderboard_id: str, **params: Any) -> Json:
        """params: window, state, limit, cursor."""
        return await self._json("GET", f"{_board(leaderboard_id)}/periods", params=params)

    async def period(self, leaderboard_id: str, period_key: str, *, window: str | None = None) -> Json:
        path = f"{_board(leaderboard_id)}/periods/{segment(period_key)}"
        return await self._json("GET", path, params={"window": window})

    async def create_period(self, leaderboard_id: str, period: Mapping[str, Any]) -> Json:
        """For boards with timeframe `manual`: `{"period_key"?, "starts_at", "ends_at"?}`."""
        return checked(await self.command(f"{_board(leaderboard_id)}/periods", period))

    async def close_period(self, leaderboard_id: str, *, window: str | None = None) -> Json:
        """End the current period now; `{"closed", "current"}`."""
        path = f"{_board(leaderboard_id)}/periods/current/close"
        return checked(await self.command(path, {}, {"window": window}))

    # Submissions that a plugin held for review --------------------------------------------------------------

    async def list_held(self, leaderboard_id: str, **params: Any) -> Json:
        """What waits to be decided, oldest first. params: player_id, limit, cursor."""
        return await self._json("GET", f"{_board(leaderboard_id)}/held", params=params)

    async def approve_held(self, leaderboard_id: str, held_id: str) -> Json:
        """It counts, for the time at which it came; `{"held", "outcome"}`."""
        return await self._json("POST", f"{_board(leaderboard_id)}/held/{segment(held_id)}/approve", body={})

    async def reject_held(self, leaderboard_id: str, held_id: str, *, reason: str | None = None) -> Json:
        """It will not count."""
        body = {} if reason is None else {"reason": reason}
        return await self._json("POST", f"{_board(leaderboard_id)}/held/{segment(held_id)}/reject", body=body)

    # Players ------------------------------------------------------------------------------------------------

    async def player_entries(self, player_id: str, **params: Any) -> Json:
        """The player's entries in all leaderboards. params: window, period."""
        return await self._json("GET", f"/v1/players/{segment(player_id)}/entries", params=params)

    async def put_player(self, player_id: str, profile: Mapping[str, Any]) -> Json:
        """`await client.put_player("p1", {"display_name": "Maya"})`."""
        return await self._json("PUT", f"/v1/players/{segment(player_id)}", body=profile)

    async def erase_player(self, player_id: str) -> Json:
        """Remove profile, entries and traces of a person."""
        return await self._json("DELETE", f"/v1/players/{segment(player_id)}")

    # Tenants, keys, operations ------------------------------------------------------------------------------

    async def list_keys(self, **params: Any) -> Json:
        return await self._json("GET", "/v1/keys", params=params)

    async def create_key(self, key: Mapping[str, Any]) -> Json:
        """`{"name", "scopes", "tenant_id"?, "expires_at"?, "player_id"?}`; the answer alone holds the key."""
        return checked(await self.command("/v1/keys", key))

    async def update_key(self, key_id: str, changes: Mapping[str, Any]) -> Json:
        return await self._json("PATCH", f"/v1/keys/{segment(key_id)}", body=changes)

    async def delete_key(self, key_id: str) -> Json:
        return await self._json("DELETE", f"/v1/keys/{segment(key_id)}")

    async def list_tenants(self, **params: Any) -> Json:
        return await self._json("GET", "/v1/tenants", params=params)

    async def create_tenant(self, tenant: Mapping[str, Any]) -> Json:
        return checked(await self.command("/v1/tenants", tenant))

    async def tenant(self, tenant_id: str) -> Json:
        return await self._json("GET", f"/v1/tenants/{segment(tenant_id)}")

    async def update_tenant(self, tenant_id: str, changes: Mapping[str, Any]) -> Json:
        return await self._json("PATCH", f"/v1/tenants/{segment(tenant_id)}", body=changes)

    async def delete_tenant(self, tenant_id: str) -> Json:
        return await self._json("DELETE", f"/v1/tenants/{segment(tenant_id)}")

    async def health(self) -> Json:
        """Whether the gateway process is up."""
        return await self._json("GET", "/healthz")

    async def ready(self) -> Json:
        """Whether actors and storage are; a server that is not ready answers here too, with `ready:
        false`.
        """
        return await self._json("GET", "/readyz", answers=(503,))

    async def status(self) -> Json:
        """For operators: actors, supervisor, store."""
        return await self._json("GET", "/v1/status")

    async def metrics(self) -> str:
        """Prometheus' text format."""
        return str(await self.call("GET", "/metrics"))


class SyncClient:
    """`Client` without `await`: every method of it, with the same arguments.

        with SyncClient("http://127.0.0.1:8080", key) as client:
            client.submit("xp", "maya", 5100)

    It runs its own event loop inside each call, so it cannot be used where one runs already. Async iterators
    (`all_rankings`) become plain ones.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._client = Client(*args, **options)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **options: Any) -> Any:
            result = method(*args, **options)
            if isinstance(result, AsyncIterator):
                return self._iterate(result)
            return self._runner.run(result)

        return call

    def _iterate(self, items: AsyncIterator[Json]) -> Iterator[Json]:
        async def step() -> Json | None:
            return await anext(items, None)

        while (item := self._runner.run(step())) is not None:
            yield item


def _board(leaderboard_id: str) -> str:
    return f"/v1/leaderboards/{segment(leaderboard_id)}"


def _player(leaderboard_id: str, player_id: str) -> str:
    return f"{_board(leaderboard_id)}/players/{segment(player_id)}"
