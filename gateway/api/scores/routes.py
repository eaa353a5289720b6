"""Routes of submitting scores (API section 4)."""

from __future__ import annotations

from gateway.api.scores import examples as example
from gateway.api.scores import handlers
from gateway.http.examples import OUTCOME
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import choice
from gateway.http.shared_parameters import BOARD, SUBMIT_CODES, Shared


def routes(s: Shared) -> tuple[Route, ...]:
    """Submitting."""
    results = choice("results", "What a batch tells of its accepted items.", handlers.RESULTS, "none")
    key = s.idempotency_key.described("`K` stands for the submission ids `K:0`, `K:1`… of items without one.")
    batch = Answer(200, "The verdicts.", "BatchOutcome", example.BATCH_OUTCOME)
    return (
        Route(
            "POST",
            f"{BOARD}/scores",
            handlers.submit,
            "scores_submit",
            "Scores",
            "Submit one score or many",
            Answer(200, "One: its outcome. Many: the verdicts.", "SubmissionsAnswer", OUTCOME),
            'A single object is one submission. An array, or `{"submissions": […]}`, is a batch: a bad item '
            "rejects itself alone, and the answer is 200 unless all items failed for one passing reason.",
            scopes=("scores:write",),
            own_player="items",
            parameters=(s.board, results, key),
            body=Body(
                "Submissions",
                example.SUBMISSION,
                more_examples={"many": example.SUBMISSIONS, "object": example.SUBMISSIONS_OBJECT},
            ),
            codes=(*SUBMIT_CODES, "submission_refused"),
            python="submit(leaderboard_id, player_id, score, subscore=, metadata=, submission_id=)",
        ),
        Route(
            "POST",
            "/v1/scores",
            handlers.submit_to_several,
            "scores_submit_to_several",
            "Scores",
            "Submit scores to several leaderboards",
            batch,
            "As a batch; each item has a `leaderboard_id`. Items of a leaderboard are applied in order.",
            scopes=("scores:write",),
            own_player="items",
            parameters=(results, key),
            body=Body("SubmissionsToBoards", example.SUBMISSIONS_TO_BOARDS),
            codes=("overloaded",),
            python="submit_across(body)",
        ),
    )
