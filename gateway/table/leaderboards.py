"""Routes of definitions, periods and players (API sections 2, 3 and the end of 5)."""

from __future__ import annotations

from gateway import examples as example
from gateway import leaderboards as leaderboard
from gateway import players as player
from gateway.openapi import Answer, Body, Route
from gateway.parameters import boolean, choice, text
from gateway.table.shared import BOARD, PERIOD_WORDS, READ_CODES, Shared


def leaderboards(s: Shared) -> tuple[Route, ...]:
    """Definitions."""
    write = ("leaderboards:write",)
    document = Answer(200, "The definition.", "Leaderboard", headers=("ETag",))
    return (
        Route(
            "POST",
            "/v1/leaderboards",
            leaderboard.create,
            "Leaderboards",
            "Create a leaderboard",
            Answer(201, "Created.", "Leaderboard", headers=("ETag", "Location")),
            scopes=write,
            parameters=(s.idempotency_key,),
            body=Body(
                "Definition",
                example.DEFINITION,
                more_examples={"least": {"leaderboard_id": "xp"}, "rewards": example.DEFINITION_WITH_REWARDS},
            ),
            codes=("leaderboard_exists", "idempotency_conflict"),
            logged=True,
        ),
        Route(
            "GET",
            "/v1/leaderboards",
            leaderboard.list_all,
            "Leaderboards",
            "List leaderboards",
            Answer(200, "A page of definitions.", "LeaderboardListing"),
            scopes=("leaderboards:read",),
            parameters=(
                choice("status", "Only with this status.", leaderboard.STATUSES, None),
                text("search", "Only with this text in id or name, in any case.", max_length=200),
                choice(
                    "sort", "Field to sort by; `-` reverses.", leaderboard.sort_values(), "leaderboard_id"
                ),
                s.limit,
                s.offset,
                s.cursor,
                s.if_none_match,
            ),
            etag=True,
        ),
        Route(
            "GET",
            BOARD,
            leaderboard.get,
            "Leaderboards",
            "Read a definition",
            document,
            scopes=("leaderboards:read",),
            parameters=(s.board, s.if_none_match),
            codes=("leaderboard_not_found",),
            etag=True,
        ),
        Route(
            "PATCH",
            BOARD,
            leaderboard.patch,
            "Leaderboards",
            "Change a definition",
            document,
            "A change of timeframe takes effect at once. Order, aggregation and tie rules cannot change "
            "while a period holds entries.",
            scopes=write,
            parameters=(
                s.board,
                text("If-Match", "The ETag of the version to change.", "header"),
            ),
            body=Body("DefinitionPatch", example.DEFINITION_PATCH),
            codes=("leaderboard_not_found", "version_mismatch"),
            logged=True,
        ),
        Route(
            "DELETE",
            BOARD,
            leaderboard.delete,
            "Leaderboards",
            "Archive or purge a leaderboard",
            Answer(200, "The definition as it was left.", "Leaderboard"),
            "Archived: reads go on, writes stop. Purged: definition, periods and entries are gone.",
            scopes=write,
            parameters=(s.board, boolean("purge", "Remove everything.", False)),
            codes=("leaderboard_not_found",),
            logged=True,
        ),
    )


def periods(s: Shared) -> tuple[Route, ...]:
    """Periods."""
    write = ("leaderboards:write",)
    return (
        Route(
            "GET",
            f"{BOARD}/periods",
            leaderboard.list_periods,
            "Periods",
            "List periods, newest first",
            Answer(200, "A page of periods.", "PeriodListing"),
            scopes=("rankings:read",),
            parameters=(
                s.board,
                s.window,
                choice("state", "Only in this state.", leaderboard.PERIOD_STATES, None),
                s.limit,
                s.offset,
                s.cursor,
                s.if_none_match,
            ),
            codes=READ_CODES,
            etag=True,
        ),
        Route(
            "GET",
            f"{BOARD}/periods/{{period_key}}",
            leaderboard.get_period,
            "Periods",
            "Read a period",
            Answer(200, "The period.", "Period", example.PERIOD),
            scopes=("rankings:read",),
            parameters=(
                s.board,
                text("period_key", PERIOD_WORDS, "path"),
                s.any_window.described("The window; default: whichever has a period of this key."),
                s.if_none_match,
            ),
            codes=READ_CODES,
            etag=True,
        ),
        Route(
            "POST",
            f"{BOARD}/periods",
            leaderboard.create_period,
            "Periods",
            "Create a period (timeframe `manual`)",
            Answer(201, "Created.", "Period", example.PERIOD),
            scopes=write,
            parameters=(s.board, s.idempotency_key),
            body=Body("PeriodInput", example.PERIOD_INPUT),
            codes=("leaderboard_not_found", "leaderboard_inactive", "period_exists", "idempotency_conflict"),
            logged=True,
        ),
        Route(
            "POST",
            f"{BOARD}/periods/current/close",
            leaderboard.close_period,
            "Periods",
            "Close the current period now",
            Answer(
                200,
                "The period that ended, and the one that began.",
                "ClosedPeriod",
                {"closed": {**example.PERIOD, "state": "closed"}, "current": None},
            ),
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
        ),
    )


def players(s: Shared) -> tuple[Route, ...]:
    """Profiles and erasure."""
    return (
        Route(
            "GET",
            "/v1/players/{player_id}",
            player.get,
            "Players",
            "Read a profile",
            Answer(200, "The profile.", "PlayerProfile"),
            scopes=("rankings:read", "players:write"),
            parameters=(s.player, s.if_none_match),
            codes=("player_not_found",),
            etag=True,
        ),
        Route(
            "PUT",
            "/v1/players/{player_id}",
            player.put,
            "Players",
            "Write a profile",
            Answer(200, "The profile.", "PlayerProfile"),
            scopes=("players:write",),
            parameters=(s.player,),
            body=Body("Profile", example.PROFILE),
        ),
        Route(
            "DELETE",
            "/v1/players/{player_id}",
            player.erase,
            "Players",
            "Erase a player",
            Answer(200, "What was erased.", "Erased", {"player_id": "p1", "erased_entries": 3}),
            "Profile, entries, journals and archives. Closed periods keep an anonymous entry.",
            scopes=("players:write",),
            parameters=(s.player,),
            codes=("player_not_found", "overloaded"),
            logged=True,
        ),
    )
