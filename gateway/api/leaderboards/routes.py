"""Routes of definitions (API section 2)."""

from __future__ import annotations

from gateway.api.leaderboards import examples as example
from gateway.api.leaderboards import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import boolean, choice, text
from gateway.http.shared_parameters import BOARD, Shared
from lbactors.core.presentation import LANGUAGE_CHARACTERS


def routes(s: Shared) -> tuple[Route, ...]:
    """Definitions."""
    write = ("leaderboards:write",)
    document = Answer(200, "The definition.", "Leaderboard", headers=("ETag",))
    lang = text(
        "lang",
        "Language tag, such as `it` or `pt-BR`: shows `name`, `description` and `display.score_label` as "
        "`translations` has them in this language, else in the more general one (`pt`), else the "
        "leaderboard's own. A language that is unknown is no error.",
        max_length=LANGUAGE_CHARACTERS,
    )
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
                    "presentation": example.DEFINITION_WITH_PRESENTATION,
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
                text(
                    "search",
                    "Only leaderboards with this text in the id or name, with `lang` also in the translated "
                    "name; upper and lower case do not matter.",
                    max_length=200,
                ),
                choice(
                    "sort",
                    "Field to sort by; a leading `-` reverses the order. Of leaderboards with the same "
                    "`display_order`, the oldest comes first.",
                    handlers.sort_values(),
                    "display_order",
                ),
                lang,
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
            "Read a leaderboard",
            document,
            scopes=("leaderboards:read",),
            parameters=(s.board, lang, s.if_none_match),
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
            "Change a leaderboard",
            document,
            "Fields that you leave out keep their values. A new timeframe takes effect at once. If you "
            "extend a schedule after its end, its last period continues with its entries; other closed "
            "periods stay closed. Order, aggregation and tie rules cannot change while a period has "
            "entries, nor can a period continue under different ones.",
            scopes=write,
            parameters=(
                s.board,
                text(
                    "If-Match",
                    "The `ETag` that you read; if the leaderboard has changed since, the answer is 412.",
                    "header",
                ),
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
            Answer(200, "The leaderboard's last definition.", "Leaderboard"),
            "By default the leaderboard is archived: it can still be read, but takes no more scores. With "
            "`purge=true` its definition, periods and entries are removed for good.",
            scopes=write,
            parameters=(s.board, boolean("purge", "Remove the leaderboard and all its data.", False)),
            codes=("leaderboard_not_found",),
            logged=True,
            python="archive_leaderboard(leaderboard_id)",
        ),
    )
