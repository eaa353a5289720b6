"""Submitting scores (API section 4): one, many, and many for several leaderboards.

One submission is answered with its outcome or with the status of what went wrong. A list is always answered
with 200 and a verdict for each item, but for two cases: where every item failed for the same passing reason
(429, 503), that is the status, so that a client's retry treats the request as a whole; and where its
`Idempotency-Key` came before with another body, the request as a whole is the conflict.

The body of a batch is judged as a whole only as far as it is no list, or too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from gateway.http.call import Call, takes_no_scores
from gateway.http.documents import Document, error_item, outcome_document
from gateway.http.items import Item, Loc, failure_of_all, items_in
from gateway.http.submissions import Standard
from gateway.http.validation import HeldForReview, Verdict
from lbactors.core.errors import ApiError
from lbactors.core.model import Board, Submission

RESULTS = ("none", "ranks", "full")


async def submit(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/scores`."""
    board = await call.board()
    body = await call.body()
    refusal = takes_no_scores(board)
    if refusal is not None:
        raise refusal
    key = call.idempotency_key()
    tag = await call.body_tag(key)
    standard = Standard(board, call.caller, call.service.now_ms(), key, tag)
    if type(body) is dict and "submissions" not in body:
        return await _submit_one(call, board, body, standard)
    items, loc = items_in(body, "submissions", call.settings.batch_items, bare=True)
    verdicts: list[Verdict | None] = [None] * len(items)
    for index, error in call.gateway.submissions.structure(items, loc, of_boards=False).items():
        verdicts[index] = error
    await _submit_some(call, board, standard, items, list(range(len(items))), loc, verdicts)
    return _batch_answer(call, verdicts)


async def submit_to_several(call: Call) -> web.Response:
    """`POST /v1/scores`: every item names its leaderboard."""
    body = await call.body()
    items, loc = items_in(body, "submissions", call.settings.batch_items, bare=True)
    arrived_at_ms = call.service.now_ms()
    key = call.idempotency_key()
    tag = await call.body_tag(key)
    verdicts: list[Verdict | None] = [None] * len(items)
    for index, error in call.gateway.submissions.structure(items, loc, of_boards=True).items():
        verdicts[index] = error
    groups: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        if verdicts[index] is None:
            groups.setdefault(item["leaderboard_id"], []).append(index)
    boards = await call.boards_of(groups)

    async def submit_group(leaderboard_id: str, indexes: list[int]) -> None:
        found = boards[leaderboard_id]
        refusal = found if isinstance(found, ApiError) else takes_no_scores(found)
        if isinstance(found, ApiError) or refusal is not None:
            for index in indexes:
                verdicts[index] = refusal
            return
        standard = Standard(found, call.caller, arrived_at_ms, key, tag)
        await _submit_some(call, found, standard, items, indexes, loc, verdicts)

    if len(groups) == 1:
        await submit_group(*next(iter(groups.items())))
    else:
        await asyncio.gather(*(submit_group(*group) for group in groups.items()))
    return _batch_answer(call, verdicts)


async def _submit_one(call: Call, board: Board, item: Item, standard: Standard) -> web.Response:
    metrics = call.gateway.metrics
    try:
        submission = call.gateway.submissions.one(item, standard)
        tag = standard.tag([item])
        (verdict,) = await _send(call, board, [submission], standard.arrived_at_ms, "full", tag)
        if isinstance(verdict, ApiError):
            raise verdict
    except ApiError:
        metrics.submissions(0, 1)
        raise
    if isinstance(verdict, HeldForReview):
        metrics.submissions(0, 0, 1)
        return call.answer(held_document(verdict))
    metrics.submissions(1, 0)
    return call.answer(outcome_document(verdict))


async def _send(
    call: Call, board: Board, submissions: list[Submission], at_ms: int, results: str, tag: int
) -> Sequence[Verdict]:
    """To the service; past the plugins, where there are some that want to see submissions."""
    validation = call.gateway.validation
    if validation is None:
        return await call.service.submit(board, submissions, at_ms, results, tag)
    return await validation.submit(call.caller.key_id, board, submissions, at_ms, results, tag)


async def _submit_some(
    call: Call,
    board: Board,
    standard: Standard,
    items: list[Item],
    indexes: list[int],
    loc: Loc,
    verdicts: list[Verdict | None],
) -> None:
    """Fills in the verdicts of the items at `indexes` that have none yet; all belong to the board."""
    pending = [index for index in indexes if verdicts[index] is None]
    submissions, sent, refused = call.gateway.submissions.several(items, pending, standard, loc)
    for index, refusal in refused.items():
        verdicts[index] = refusal
    if not sent:
        return
    try:
        tag = standard.tag(items[index] for index in sent)
        outcomes: list[Verdict] = list(
            await _send(call, board, submissions, standard.arrived_at_ms, call.query["results"], tag)
        )
    except ApiError as error:
        outcomes = [error] * len(sent)
    for index, outcome in zip(sent, outcomes, strict=True):
        verdicts[index] = outcome


# Answers --------------------------------------------------------------------------------------------------


def held_document(verdict: HeldForReview) -> Document:
    """The single answer where a plugin held the submission: an outcome that tells of no entry."""
    return {
        "period_key": None,
        "player_id": verdict.player_id,
        "applied": False,
        "score": None,
        "subscore": None,
        "previous_score": None,
        "rank": None,
        "previous_rank": None,
        "seq": None,
        "held": True,
        "held_id": verdict.held_id,
    }


def _batch_answer(call: Call, verdicts: list[Verdict | None]) -> web.Response:
    errors = [(index, v) for index, v in enumerate(verdicts) if isinstance(v, ApiError)]
    rejected = len(errors)
    held = 0 if call.gateway.validation is None else sum(isinstance(v, HeldForReview) for v in verdicts)
    call.gateway.metrics.submissions(len(verdicts) - rejected - held, rejected, held)
    failure = failure_of_all(errors, len(verdicts), keyed=call.idempotency_key() is not None)
    if failure is not None:
        raise failure
    results: list[Document] = []
    wanted = call.query["results"]
    if wanted != "none":
        for index, verdict in enumerate(verdicts):
            if isinstance(verdict, list):
                if wanted == "full":
                    results.append({"index": index, **outcome_document(verdict)})
                else:
                    results.append({"index": index, "rank": verdict[0].rank})
            elif isinstance(verdict, HeldForReview):
                document = held_document(verdict)
                names = document if wanted == "full" else ("rank", "held", "held_id")
                results.append({"index": index, **{name: document[name] for name in names}})
    return call.answer(
        {
            "accepted": len(verdicts) - rejected,
            "rejected": rejected,
            **({"held": held} if held else {}),
            "errors": [error_item(index, error) for index, error in errors],
            "results": results,
        }
    )
