"""Routes of scores and rankings (API sections 4 and 5)."""

from __future__ import annotations

from gateway import examples as example
from gateway import moderation
from gateway import rankings as ranking
from gateway import scores as score
from gateway.openapi import Answer, Body, Route
from gateway.parameters import boolean, choice, integer, number, text
from gateway.table.shared import BOARD, PERIOD_WORDS, READ_CODES, SUBMIT_CODES, WINDOW_NAMES, Shared

REASON = text("reason", "Why, for the audit log.", max_length=500)


def scores(s: Shared) -> tuple[Route, ...]:
    """Submitting."""
    results = choice("results", "What a batch tells of its accepted items.", score.RESULTS, "none")
    key = s.idempotency_key.described("`K` stands for the submission ids `K:0`, `K:1`… of items without one.")
    batch = Answer(200, "The verdicts.", "BatchOutcome", example.BATCH_OUTCOME)
    return (
        Route(
            "POST",
            f"{BOARD}/scores",
            score.submit,
            "Scores",
            "Submit one score or many",
            Answer(200, "One: its outcome. Many: the verdicts.", "SubmissionsAnswer", example.OUTCOME),
            'A single object is one submission. An array, or `{"submissions": […]}`, is a batch: a bad item '
            "rejects itself alone, and the answer is 200 unless all items failed for one passing reason.",
            scopes=("scores:write",),
            parameters=(s.board, results, key),
            body=Body(
                "Submissions",
                example.SUBMISSION,
                more_examples={"many": example.SUBMISSIONS, "object": example.SUBMISSIONS_OBJECT},
            ),
            codes=(*SUBMIT_CODES, "submission_refused"),
        ),
        Route(
            "POST",
            "/v1/scores",
            score.submit_to_several,
            "Scores",
            "Submit scores to several leaderboards",
            batch,
            "As a batch; each item has a `leaderboard_id`. Items of a leaderboard are applied in order.",
            scopes=("scores:write",),
            parameters=(results, key),
            body=Body("SubmissionsToBoards", example.SUBMISSIONS_TO_BOARDS),
            codes=("overloaded",),
        ),
    )


def rankings(s: Shared) -> tuple[Route, ...]:
    """Reading, and taking an entry out."""
    read = ("rankings:read",)
    neighbours = integer("limit", "Entries in all.", 1, s.settings.page_limit, min(11, s.settings.page_limit))
    here = (s.board, s.window, s.period)
    page = Answer(200, "A page.", "RankingsPage", example.PAGE, headers=())
    return (
        Route(
            "GET",
            f"{BOARD}/rankings",
            ranking.page,
            "Rankings",
            "Read a page",
            page,
            "A cursor stays in its period after a rollover. Inside a score range ranks and `total` are "
            "global, and `matched` counts the range.",
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
        ),
        Route(
            "GET",
            f"{BOARD}/players/{{player_id}}",
            ranking.entry,
            "Rankings",
            "Read a player's entry",
            Answer(200, "The entry.", "PlayerEntry", example.PLAYER_ENTRY),
            scopes=read,
            parameters=(s.board, s.player, s.window, s.period, s.if_none_match),
            codes=(*READ_CODES, "entry_not_found"),
            etag=True,
        ),
        Route(
            "GET",
            f"{BOARD}/players/{{player_id}}/around",
            ranking.around,
            "Rankings",
            "Read the entries around a player",
            page,
            "An even `limit` has one more below the player. The cursors lead on from the page's edges.",
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
        ),
        Route(
            "POST",
            f"{BOARD}/rankings/lookup",
            ranking.lookup,
            "Rankings",
            "Look up several players",
            Answer(200, "Their entries in rank order.", "LookupAnswer", example.LOOKUP_ANSWER),
            "A friends' list. `position` counts from 1 within the answer.",
            scopes=read,
            parameters=here,
            body=Body("Lookup", example.LOOKUP),
            codes=READ_CODES,
        ),
        Route(
            "GET",
            f"{BOARD}/rankings/at/{{score}}",
            ranking.rank_at,
            "Rankings",
            "Which rank a score would take",
            Answer(
                200,
                "The rank that a new player would take.",
                "RankAt",
                {"rank": 12, "total": 1250, "period": example.PAGE_PERIOD},
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
        ),
        Route(
            "GET",
            f"{BOARD}/distribution",
            ranking.distribution,
            "Rankings",
            "How the scores are spread",
            Answer(200, "Figures and a histogram.", "Distribution", example.DISTRIBUTION),
            "Buckets are equally wide; fewer than asked for where the scores are close together.",
            scopes=read,
            parameters=(*here, integer("buckets", "Most buckets.", 1, 1000, 20), s.if_none_match),
            codes=READ_CODES,
            etag=True,
        ),
        Route(
            "DELETE",
            f"{BOARD}/players/{{player_id}}",
            moderation.remove_entry,
            "Rankings",
            "Take a player's entry out",
            Answer(200, "What was taken out.", "RemovedEntries"),
            "Out of the current period of every window, or of one. What was removed can be restored. The act "
            "is in the audit log.",
            scopes=("scores:write",),
            parameters=(s.board, s.player, s.any_window, REASON),
            codes=(*SUBMIT_CODES, "entry_not_found", "period_not_found"),
            logged=True,
        ),
        Route(
            "GET",
            "/v1/players/{player_id}/entries",
            ranking.player_entries,
            "Rankings",
            "Read a player's entries everywhere",
            Answer(200, "Entries by leaderboard and window.", "PlayerEntries"),
            scopes=read,
            parameters=(s.player, s.any_window, s.period, s.if_none_match),
            codes=("overloaded", "period_not_found"),
            etag=True,
        ),
    )
