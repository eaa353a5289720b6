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
    results = choice(
        "results",
        "What the answer to a batch contains for accepted items: nothing, their ranks, or their full "
        "outcomes.",
        handlers.RESULTS,
        "none",
    )
    key = s.idempotency_key.described(
        "A key `K` stands for the submission ids `K:0`, `K:1`, … of items without an id of their own."
    )
    batch = Answer(
        200, "How many items were accepted and rejected, and why.", "BatchOutcome", example.BATCH_OUTCOME
    )
    return (
        Route(
            "POST",
            f"{BOARD}/scores",
            handlers.submit,
            "scores_submit",
            "Scores",
            "Submit one score or many",
            Answer(
                200,
                "For one submission, its outcome; for a batch, how many items were accepted and rejected.",
                "SubmissionsAnswer",
                OUTCOME,
            ),
            'A single object is one submission. An array, or `{"submissions": […]}`, is a batch. An invalid '
            "item is rejected without affecting the others, and the answer is 200, unless all items failed "
            "for the same temporary reason.",
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
            "A batch in which each item names its `leaderboard_id`. Items of the same leaderboard are "
            "applied in order.",
            scopes=("scores:write",),
            own_player="items",
            parameters=(results, key),
            body=Body("SubmissionsToBoards", example.SUBMISSIONS_TO_BOARDS),
            codes=("overloaded",),
            python="submit_across(body)",
        ),
    )
