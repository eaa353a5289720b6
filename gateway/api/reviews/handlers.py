"""Reviewing held submissions: list, approve, reject. Why one is held: `gateway.http.validation`.

An approval is three steps: the supervisor notes that it begins, the submission goes the way of all others
(under its own id, so any number of attempts applies it once), and the supervisor notes what became of it.
"""

from __future__ import annotations

from aiohttp import web

from gateway.http.call import Call, takes_no_scores
from gateway.http.documents import outcome_document
from gateway.http.listings import listing_of
from lbactors.core.errors import ApiError, invalid
from lbactors.core.model import Board
from lbactors.core.zones import local_ms
from lbactors.documents.reviews import APPROVED, Review, review_json
from lbactors.wire.commands import BeginApproval, FinishApproval, RejectSubmission

LONGEST_NOTE = 500  # characters


async def list_reviews(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/held`, oldest first."""
    board = await call.board()
    player_id = call.query["player_id"]
    found = await call.service.held(board)
    if player_id is not None:
        found = [held for held in found if held.player_id == player_id]

    def document(held: Review) -> dict[str, object]:
        return review_json(held, board.leaderboard_id)

    return listing_of(
        call, found, document, lambda held: (held.arrived_at_ms, held.held_id), "held", board.uid, player_id
    )


async def approve(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/held/{held_id}/approve`."""
    board = await call.board()
    await call.empty_document()
    refusal = takes_no_scores(board)
    if refusal is not None:
        raise refusal
    held_id = call.path["held_id"]
    begun = await call.admin(BeginApproval(board.leaderboard_id, held_id), call.tenant_id)
    held = Review(*begun.body["held"])
    if held.state != APPROVED:
        outcome = await _outcome(call, board, held)
        finish = FinishApproval(board.leaderboard_id, held_id, outcome)
        finished = await call.admin(finish, call.tenant_id)
        held = Review(*finished.body["held"])
    return call.answer({"held": review_json(held, board.leaderboard_id), "outcome": held.outcome})


async def _outcome(call: Call, board: Board, held: Review) -> dict[str, object]:
    """Submit it. ApiError: the supervisor knows already if it was not applied."""
    try:
        if held.attempts == 1:  # else an earlier attempt may have been taken
            await _check_open(call, board, held)
        verdict = (await call.service.submit(board, [held.submission()], call.service.now_ms(), "full"))[0]
        if isinstance(verdict, ApiError):
            raise verdict
    except ApiError as error:
        if error.code != "storage_unavailable":  # there the outcome is unknown
            await call.admin(FinishApproval(board.leaderboard_id, held.held_id, None), call.tenant_id)
        raise
    return outcome_document(verdict)


async def _check_open(call: Call, board: Board, held: Review) -> None:
    """409 where a window's period of that time was closed by hand, so that no other window takes it.

    Periods that ended by the clock are known to the service, and looked at there.
    """
    if board.definition.timeframe.late_submissions == "arrival":
        return
    at_ms = held.submission().occurred_at_ms
    zone = await call.service.zone_of(board, held.player_id)
    for window in board.windows:
        current = await call.service.period(board, window, "current", zone)
        if at_ms is None or not current.is_after(at_ms, local_ms(at_ms, zone)):
            continue
        try:
            before = await call.service.period(board, window, "previous", zone)
        except ApiError as error:
            if error.code == "period_not_found":
                continue  # the first one: it takes what is older, too
            raise
        if before.state == "closed":
            message = f"the period of that time is closed in window {window!r}"
            raise ApiError("period_closed", message)


async def reject(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/held/{held_id}/reject`."""
    board = await call.board()
    body, _ = await call.optional_document()
    note = body.pop("reason", None)
    for name in body:
        raise invalid("unknown field", "body", name)
    if note is not None and (type(note) is not str or not 0 < len(note) <= LONGEST_NOTE):
        raise invalid(f"must be a text of 1 to {LONGEST_NOTE} characters", "body", "reason")
    return call.admin_answer(
        await call.admin(
            RejectSubmission(leaderboard_id=board.leaderboard_id, held_id=call.path["held_id"], note=note),
            call.tenant_id,
        )
    )
