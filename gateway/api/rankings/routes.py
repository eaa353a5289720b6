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
    neighbours = integer("limit", "Entries in all.", 1, s.settings.page_limit, min(11, s.settings.page_limit))
    here = (s.board, s.window, s.period)
    page = Answer(200, "A page.", "RankingsPage", example.PAGE, headers=())
    return (
        Route(
            "GET",
            f"{BOARD}/rankings",
            handlers.page,
            "rankings_page",
            "Rankings",
            "Read a page",
            page,
            "A cursor stays in its period after a rollover, and goes on after a standing: whoever does not "
            "move meanwhile is met once, in either direction. `offset` jumps, and shifts when others move. "
            "Inside a score range ranks and `total` are global, and `matched` counts the range.",
            scopes=read,
            parameters=(
                s.board,
                choice("window", "The window; default `main`, or the cursor's.", WINDOW_NAMES, None),
                text("period", f"{PERIOD_WORDS} Default `current`, or the cursor's.", max_length=160),
                s.limit,
                s.offset,
                s.cursor,
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
            parameters=(s.board, s.player, s.window, s.period, s.if_none_match),
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
            "Read the entries around a player",
            page,
            "An even `limit` has one more below the player. The cursors lead on from the page's edges. A "
            "player who is not ranked (below `min_score`, hidden) is alone, without cursors.",
            scopes=read,
            parameters=(
                s.board,
                s.player,
                s.window,
                s.period,
                neighbours,
                boolean("fill", "Shift the page at the edges so that it stays full.", True),
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
            "A friends' list. `position` counts from 1 within the answer.",
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
            "Which rank a score would take",
            Answer(
                200,
                "The rank that a new player would take.",
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
            "How the scores are spread",
            Answer(200, "Figures and a histogram.", "Distribution", example.DISTRIBUTION),
            "Buckets are equally wide; fewer than asked for where the scores are close together.",
            scopes=read,
            parameters=(*here, integer("buckets", "Most buckets.", 1, 1000, 20), s.if_none_match),
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
            "Read a player's entries everywhere",
            Answer(200, "Entries by leaderboard and window.", "PlayerEntries"),
            scopes=read,
            parameters=(s.player, s.any_window, s.period, s.if_none_match),
            codes=("overloaded", "period_not_found"),
            etag=True,
            python="player_entries(player_id)",
        ),
    )
