"""Routes of periods (API section 3)."""

from __future__ import annotations

from dataclasses import replace

from gateway.api.periods import examples as example
from gateway.api.periods import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import choice, text
from gateway.http.shared_parameters import BOARD, PERIOD_WORDS, READ_CODES, Shared


def routes(s: Shared) -> tuple[Route, ...]:
    """Periods."""
    write = ("leaderboards:write",)
    return (
        Route(
            "GET",
            f"{BOARD}/periods",
            handlers.list_periods,
            "leaderboards_list_periods",
            "Periods",
            "List periods",
            Answer(200, "A page of periods, newest first.", "PeriodListing"),
            scopes=("rankings:read",),
            parameters=(
                s.board,
                s.window,
                choice("state", "Only in this state.", handlers.PERIOD_STATES, None),
                s.limit,
                s.offset,
                s.cursor,
                s.if_none_match,
            ),
            codes=READ_CODES,
            etag=True,
            python="list_periods(leaderboard_id, limit=)",
            sample_query={"limit": 10},
        ),
        Route(
            "GET",
            f"{BOARD}/periods/{{period_key}}",
            handlers.get_period,
            "leaderboards_get_period",
            "Periods",
            "Read a period",
            Answer(200, "The period.", "Period", example.PERIOD),
            scopes=("rankings:read",),
            parameters=(
                s.board,
                text("period_key", PERIOD_WORDS, "path", example="current"),
                s.any_window.described("The window; by default any window that has a period with this key."),
                s.timezone,
                s.asker,
                s.if_none_match,
            ),
            codes=READ_CODES,
            etag=True,
            python="period(leaderboard_id, period_key)",
        ),
        Route(
            "POST",
            f"{BOARD}/periods",
            handlers.create_period,
            "leaderboards_create_period",
            "Periods",
            "Create a period",
            Answer(201, "Created.", "Period", example.PERIOD),
            "Only for leaderboards with timeframe `manual`. Without `starts_at` the period begins now; "
            "without `ends_at` it lasts until you close it.",
            scopes=write,
            parameters=(replace(s.board, example="cup"), s.idempotency_key),
            body=Body("PeriodInput", example.PERIOD_INPUT, required=False),
            codes=("leaderboard_not_found", "leaderboard_inactive", "period_exists", "idempotency_conflict"),
            logged=True,
            python="create_period(leaderboard_id, body)",
        ),
        Route(
            "POST",
            f"{BOARD}/periods/current/close",
            handlers.close_period,
            "leaderboards_close_period",
            "Periods",
            "Close the current period (reset now)",
            Answer(
                200,
                "The period that ended and the one that began.",
                "ClosedPeriod",
                {"closed": {**example.PERIOD, "state": "closed"}, "current": None},
            ),
            "With timezone `player` it is the current period of UTC that ends, for everybody, and begins "
            "anew for the rest of its local time; those of the dates before and after go on.",
            scopes=write,
            parameters=(s.board, s.window, s.idempotency_key),
            body=Body("Empty", {}, required=False),
            codes=(
                "leaderboard_not_found",
                "leaderboard_inactive",
                "period_not_found",
                "period_not_open",
                "period_closed",
                "idempotency_conflict",
            ),
            logged=True,
            python="close_period(leaderboard_id)",
        ),
        Route(
            "POST",
            f"{BOARD}/periods/{{period_key}}/rebuild",
            handlers.rebuild_period,
            "leaderboards_rebuild_period",
            "Periods",
            "Rebuild a period from its log",
            Answer(200, "The period; its rebuilding has begun.", "Period", example.PERIOD),
            "Only for leaderboards that are computed from a metric or events (`scoring.source`). Computes "
            "the period anew from the rows that are still kept. Until that is done, reads of the period are "
            "answered 503. A closed period whose rewards were granted is only rebuilt with `keep_rewards`: "
            "409 `rewards_granted` otherwise.",
            scopes=write,
            parameters=(
                replace(s.board, example="match-wins"),
                text("period_key", PERIOD_WORDS, "path", example="current"),
                s.window,
                s.idempotency_key,
            ),
            body=Body("RebuildInput", example.REBUILD, required=False),
            codes=(
                "leaderboard_not_found",
                "period_not_found",
                "rewards_pending",
                "rewards_granted",
                "idempotency_conflict",
            ),
            logged=True,
            python="rebuild_period(leaderboard_id, period_key, keep_rewards=)",
        ),
    )
