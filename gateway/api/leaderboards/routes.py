"""Routes of definitions (API section 2)."""

from __future__ import annotations

from gateway.api.leaderboards import examples as example
from gateway.api.leaderboards import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import boolean, choice, text
from gateway.http.shared_parameters import BOARD, Shared


def routes(s: Shared) -> tuple[Route, ...]:
    """Definitions."""
    write = ("leaderboards:write",)
    document = Answer(200, "The definition.", "Leaderboard", headers=("ETag",))
    return (
        Route(
            "POST",
            "/v1/leaderboards",
            handlers.create,
            "leaderboards_create",
            "Leaderboards",
            "Create a leaderboard",
            Answer(201, "Created.", "Leaderboard", headers=("ETag", "Location")),
            scopes=write,
            parameters=(s.idempotency_key,),
            body=Body(
                "Definition",
                example.DEFINITION,
                more_examples={
                    "least": {"leaderboard_id": "xp"},
                    "short": {"leaderboard_id": "xp", "timeframe": "weekly"},
                    "rewards": example.DEFINITION_WITH_REWARDS,
                },
            ),
            codes=("leaderboard_exists", "idempotency_conflict"),
            logged=True,
            python="create_leaderboard(body)",
        ),
        Route(
            "GET",
            "/v1/leaderboards",
            handlers.list_all,
            "leaderboards_list_all",
            "Leaderboards",
            "List leaderboards",
            Answer(200, "A page of definitions.", "LeaderboardListing"),
            scopes=("leaderboards:read",),
            parameters=(
                choice("status", "Only with this status.", handlers.STATUSES, None),
                text("search", "Only with this text in id or name, in any case.", max_length=200),
                choice("sort", "Field to sort by; `-` reverses.", handlers.sort_values(), "leaderboard_id"),
                s.limit,
                s.offset,
                s.cursor,
                s.if_none_match,
            ),
            etag=True,
            python="list_leaderboards(status=, limit=)",
            sample_query={"status": "active", "limit": 10},
        ),
        Route(
            "GET",
            BOARD,
            handlers.get,
            "leaderboards_get",
            "Leaderboards",
            "Read a definition",
            document,
            scopes=("leaderboards:read",),
            parameters=(s.board, s.if_none_match),
            codes=("leaderboard_not_found",),
            etag=True,
            python="leaderboard(leaderboard_id)",
        ),
        Route(
            "PATCH",
            BOARD,
            handlers.patch,
            "leaderboards_patch",
            "Leaderboards",
            "Change a definition",
            document,
            "A change of timeframe takes effect at once; a schedule that is extended after its end goes on "
            "with its last period and its entries. What is closed stays so. Order, aggregation and tie "
            "rules cannot change while a period holds entries, nor may one go on under others.",
            scopes=write,
            parameters=(
                s.board,
                text("If-Match", "The ETag of the version to change.", "header"),
            ),
            body=Body("DefinitionPatch", example.DEFINITION_PATCH),
            codes=("leaderboard_not_found", "version_mismatch"),
            logged=True,
            python="update_leaderboard(leaderboard_id, body)",
        ),
        Route(
            "DELETE",
            BOARD,
            handlers.delete,
            "leaderboards_delete",
            "Leaderboards",
            "Archive or purge a leaderboard",
            Answer(200, "The definition as it was left.", "Leaderboard"),
            "Archived: reads go on, writes stop. Purged: definition, periods and entries are gone.",
            scopes=write,
            parameters=(s.board, boolean("purge", "Remove everything.", False)),
            codes=("leaderboard_not_found",),
            logged=True,
            python="archive_leaderboard(leaderboard_id)",
        ),
    )
