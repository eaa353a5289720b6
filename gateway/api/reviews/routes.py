"""Routes of submissions that plugins held for review."""

from __future__ import annotations

from gateway.api.reviews import examples as example
from gateway.api.reviews import handlers
from gateway.http.examples import OUTCOME
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import identifier, text
from gateway.http.shared_parameters import BOARD, SUBMIT_CODES, Shared


def routes(s: Shared) -> tuple[Route, ...]:
    """Listing and deciding."""
    write = ("leaderboards:write",)
    held_id = text(
        "held_id",
        "Id of a held submission.",
        "path",
        max_length=64,
        example="h_5f0c2a1b9d8e7f6a5b4c3d2e",
    )
    decided = ("held_submission_not_found", "held_submission_decided")
    return (
        Route(
            "GET",
            f"{BOARD}/held",
            handlers.list_reviews,
            "held_list_held",
            "Review",
            "List the review queue",
            Answer(200, "A page of held submissions, oldest first.", "HeldListing"),
            scopes=write,
            parameters=(
                s.board,
                identifier("player_id", "Only submissions of this player.", s.settings.id_length, "query"),
                s.limit,
                s.offset,
                s.cursor,
                s.if_none_match,
            ),
            codes=("leaderboard_not_found",),
            etag=True,
            python="list_held(leaderboard_id, limit=)",
            sample_query={"limit": 10},
        ),
        Route(
            "POST",
            f"{BOARD}/held/{{held_id}}/approve",
            handlers.approve,
            "held_approve",
            "Review",
            "Approve a held submission",
            Answer(
                200,
                "The submission, and its outcome.",
                "ApprovedSubmission",
                {"held": {**example.HELD, "state": "approved"}, "outcome": OUTCOME},
            ),
            "Submits it under its own id, as of the time it arrived. If the period of that time is closed, "
            "the answer is 409 and the submission stays held. It is applied once, however often you repeat "
            "the approval, also after a 503; repeats get the first answer.",
            scopes=write,
            parameters=(s.board, held_id),
            body=Body("Empty", {}, required=False),
            codes=(*SUBMIT_CODES, *decided),
            logged=True,
            python="approve_held(leaderboard_id, held_id)",
        ),
        Route(
            "POST",
            f"{BOARD}/held/{{held_id}}/reject",
            handlers.reject,
            "held_reject",
            "Review",
            "Reject a held submission",
            Answer(
                200,
                "The submission; it will not be applied.",
                "HeldSubmission",
                {**example.HELD, "state": "rejected"},
            ),
            "If the same submission is sent again within a day, it is refused with this reason. A "
            "submission whose approval has an unknown outcome can be rejected after a minute; if it had "
            "been applied, it stays applied.",
            scopes=write,
            parameters=(s.board, held_id),
            body=Body("Rejection", {"reason": "impossible on this level"}, required=False),
            codes=("leaderboard_not_found", *decided),
            logged=True,
            python="reject_held(leaderboard_id, held_id, reason=)",
        ),
    )
