"""Routes of reading rankings (API section 5)."""

from __future__ import annotations

from gateway.api.rankings import examples as example
from gateway.api.rankings import handlers
from gateway.http.examples import PAGE_PERIOD
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import boolean, choice, integer, number, text
from gateway.http.shared_parameters import BOARD, PERIOD_WORDS, READ_CODES, WINDOW_NAMES, Shared


def routes(s: Shared) -> tuple[Route, ...]:
    """Reading."""
    read = ("rankings:read",)
    neighbours = integer(
        "limit",
        "Total number of entries in the answer.",
        1,
        s.settings.page_limit,
        min(11, s.settings.page_limit),
    )
    here = (s.board, s.window, s.period, s.timezone, s.viewer)
    page = Answer(200, "A page of entries, best first.", "RankingsPage", example.PAGE, headers=())
    return (
        Route(
            "GET",
            f"{BOARD}/rankings",
            handlers.page,
            "rankings_page",
            "Rankings",
            "Read the rankings",
            page,
            "A cursor stays in its period after a reset and continues after the last entry you saw: "
            "players who do not move in the meantime appear exactly once, in either direction. `offset` "
            "jumps to a position, which shifts when players move. With `score_min` or `score_max`, ranks "
            "and `total` still count all entries, and `matched` counts those in the range.",
            scopes=read,
            parameters=(
                s.board,
                choice(
                    "window", "The window; defaults to `main`, or to the cursor's window.", WINDOW_NAMES, None
                ),
                text(
                    "period",
                    f"{PERIOD_WORDS} Defaults to `current`, or to the cursor's period.",
                    max_length=160,
                ),
                s.limit,
                s.offset,
                s.cursor,
                s.timezone,
                s.viewer,
                number("score_min", "Only entries with at least this score."),
                number("score_max", "Only entries with at most this score."),
                s.if_none_match,
            ),
            codes=READ_CODES,
            etag=True,
            python="rankings(leaderboard_id, limit=)",
            sample_query={"limit": 10},
        ),
        Route(
            "GET",
            f"{BOARD}/players/{{player_id}}",
            handlers.entry,
            "rankings_entry",
            "Rankings",
            "Read a player's entry",
            Answer(200, "The entry.", "PlayerEntry", example.PLAYER_ENTRY),
            scopes=read,
            parameters=(s.board, s.player, s.window, s.period, s.timezone, s.viewer, s.if_none_match),
            codes=(*READ_CODES, "entry_not_found"),
            etag=True,
            python="entry(leaderboard_id, player_id)",
        ),
        Route(
            "GET",
            f"{BOARD}/players/{{player_id}}/around",
            handlers.around,
            "rankings_around",
            "Rankings",
            "Read the neighbours of a player",
            page,
            "With an even `limit` there is one more entry below the player than above. The cursors "
            "continue from the edges of the page. A player who is not ranked (below `min_score`, hidden, or "
            "outside the audience) is returned alone, without cursors.",
            scopes=read,
            parameters=(
                s.board,
                s.player,
                s.window,
                s.period,
                s.timezone,
                s.viewer,
                neighbours,
                boolean(
                    "fill",
                    "At the top and bottom of the rankings, shift the page so that it stays full.",
                    True,
                ),
                s.if_none_match,
            ),
            codes=(*READ_CODES, "entry_not_found"),
            etag=True,
            python="around(leaderboard_id, player_id, limit=)",
            sample_query={"limit": 5},
        ),
        Route(
            "POST",
            f"{BOARD}/rankings/lookup",
            handlers.lookup,
            "rankings_lookup",
            "Rankings",
            "Look up several players",
            Answer(200, "Their entries in rank order.", "LookupAnswer", example.LOOKUP_ANSWER),
            "For a friends list. `position` counts from 1 within the answer.",
            scopes=read,
            parameters=here,
            body=Body("Lookup", example.LOOKUP),
            codes=READ_CODES,
            python="lookup(leaderboard_id, player_ids)",
        ),
        Route(
            "GET",
            f"{BOARD}/rankings/at/{{score}}",
            handlers.rank_at,
            "rankings_rank_at",
            "Rankings",
            "Read the rank of a score",
            Answer(
                200,
                "The rank that a new player with this score would get.",
                "RankAt",
                {"rank": 12, "total": 1250, "period": PAGE_PERIOD},
            ),
            scopes=read,
            parameters=(
                *here,
                number("score", "The score.", "path"),
                number("subscore", "The subscore.", default=0),
                s.if_none_match,
            ),
            codes=READ_CODES,
            etag=True,
            python="rank_at(leaderboard_id, score)",
        ),
        Route(
            "GET",
            f"{BOARD}/distribution",
            handlers.distribution,
            "rankings_distribution",
            "Rankings",
            "Read the distribution of scores",
            Answer(200, "Statistics and a histogram.", "Distribution", example.DISTRIBUTION),
            "All buckets have the same width; there may be fewer of them than you ask for if the scores "
            "are close together.",
            scopes=read,
            parameters=(
                *here,
                integer("buckets", "Maximum number of buckets.", 1, 1000, 20),
                s.if_none_match,
            ),
            codes=READ_CODES,
            etag=True,
            python="distribution(leaderboard_id, buckets=)",
            sample_query={"buckets": 10},
        ),
        Route(
            "GET",
            "/v1/players/{player_id}/entries",
            handlers.player_entries,
            "rankings_player_entries",
            "Rankings",
            "Read a player's entries on all leaderboards",
            Answer(200, "Entries by leaderboard and window.", "PlayerEntries"),
            "Leaderboards whose `audience.view` lacks the player who asks are left out. With timezone "
            "`player`, `current` is the period of the zone in the player's profile.",
            scopes=read,
            parameters=(s.player, s.any_window, s.period, s.viewer, s.if_none_match),
            codes=("overloaded", "period_not_found"),
            etag=True,
            python="player_entries(player_id)",
        ),
    )
