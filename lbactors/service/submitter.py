"""Scores on their way from a gateway to the period actors of a leaderboard's windows, and the answer that
their replies make together.
"""

from __future__ import annotations

import asyncio

from lbactors.core.errors import ApiError, detail
from lbactors.core.model import Board, Outcome, Submission
from lbactors.core.period import FULL, NO_RANK, RANK
from lbactors.core.timeframe import span_at
from lbactors.service.router import Router
from lbactors.wire.writes import KNOWN, SUBMIT, Submitted, WriteOp

WANT = {"none": NO_RANK, "ranks": RANK, "full": FULL}
CLOCKS_DIFFER_MS = 2000  # so close to a bound, the period actor's clock decides


def _refusals(reply: Submitted | ApiError, count: int) -> dict[int, ApiError]:
    """Which submissions a window refused, by index: all of them, or some."""
    return dict.fromkeys(range(count), reply) if isinstance(reply, ApiError) else reply.refusals()


def _verdict(refused: dict[str, ApiError], windows: int) -> ApiError:
    """The answer to a submission that some windows refused, in their order: its details name them.

    An unknown outcome outweighs every refusal; and where one window was away and another took the score,
    nobody may be told that nothing was taken.
    """
    errors = list(refused.values())
    first = next((e for e in errors if e.code == "storage_unavailable"), errors[0])
    if windows == 1:
        return first
    details = [detail(f"{e.code}: {e.message}", "windows", window) for window, e in refused.items()]
    message = first.message
    if len(errors) < windows:
        message = f"window {', '.join(map(repr, refused))} did not take it, the others did: {message}"
        if any(error.status in (429, 503) for error in errors):
            if first.code != "storage_unavailable":
                message += "; send the same submission_id again"
            return ApiError("storage_unavailable", message, details)
    return ApiError(first.code, message, [*first.details, *details], first.retry_after_s)


class Submitter:
    """One for each gateway process."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def submit(
        self, board: Board, submissions: list[Submission], at_ms: int, results: str
    ) -> list[list[Outcome] | ApiError]:
        """Journal and apply submissions that arrived at `at_ms`, in order, in every window of the board.

        results: none | ranks | full (ranks are computed only as far as asked for). One item for each
        submission: its outcomes, main window first, or why it was refused. With `none` the lists are empty.
        """
        refused = self._refused(board, submissions, at_ms)
        await self._take_repeats_out(board, submissions, refused)
        if not refused:
            return await self._submit_all(board, submissions, at_ms, WANT[results])
        taken = [s for i, s in enumerate(submissions) if i not in refused]
        rest = iter(await self._submit_all(board, taken, at_ms, WANT[results]) if taken else [])
        return [refused[i] if i in refused else next(rest) for i in range(len(submissions))]

    async def _take_repeats_out(
        self, board: Board, submissions: list[Submission], refused: dict[int, ApiError]
    ) -> None:
        """Some of those that come too late were taken in time: their answers were lost, and they are sent
        again. They are recognised by their ids, in whatever window, and are not refused; where that cannot
        be found out now, they alone are told so.
        """
        late = [i for i, e in refused.items() if e.code == "period_closed" and submissions[i].submission_id]
        if not late:
            return
        ids = [submissions[i].submission_id for i in late]
        found: set[str | None] = set()
        try:
            for window in board.windows:
                op = WriteOp(board.chain_id(window), KNOWN, 0, NO_RANK, ids)
                found.update(await self._router.write(op, len(ids)))
        except ApiError as error:
            refused.update(dict.fromkeys(late, error))
        for index in late:
            if submissions[index].submission_id in found:
                del refused[index]

    async def _submit_all(
        self, board: Board, submissions: list[Submission], at_ms: int, want: int
    ) -> list[list[Outcome] | ApiError]:
        windows = board.windows
        replies = await asyncio.gather(
            *(self._submit(board, window, submissions, at_ms, want) for window in windows)
        )
        taken = [reply for reply in replies if not isinstance(reply, ApiError)]
        if len(taken) == len(windows) and all(reply.says_nothing for reply in taken):
            nothing: list[Outcome] = []
            return [nothing for _ in submissions]
        refusals = [_refusals(reply, len(submissions)) for reply in replies]
        answers: list[list[Outcome] | ApiError] = []
        for index, submission in enumerate(submissions):
            missed = {w: found[index] for w, found in zip(windows, refusals, strict=True) if index in found}
            if missed:
                answers.append(_verdict(missed, len(windows)))
            elif want == NO_RANK:
                answers.append([])
            else:
                named = zip(windows, taken, strict=True)
                answers.append([reply.outcome(index, w, submission.player_id) for w, reply in named])
        return answers

    @staticmethod
    def _refused(board: Board, submissions: list[Submission], at_ms: int) -> dict[int, ApiError]:
        """Submissions whose `occurred_at` lies in a closed or a future period of any window, by index.

        Looked at before anything is sent, so that no window takes what another refuses.
        """
        refused: dict[int, ApiError] = {}
        timeframe = board.definition.timeframe
        grace_ms = timeframe.late_grace_seconds * 1000
        for index, submission in enumerate(submissions):
            occurred_at_ms = submission.occurred_at_ms
            if occurred_at_ms is None:
                continue
            for window in board.windows:
                span = span_at(timeframe, window, occurred_at_ms)
                if span is None:
                    continue  # outside the schedule or by hand: the period actor knows
                ends_ms = span.ends_at_ms
                if ends_ms is not None and at_ms >= ends_ms + grace_ms + CLOCKS_DIFFER_MS:
                    if timeframe.late_submissions == "arrival":
                        continue
                    message = f"occurred_at lies in a closed period of window '{window}'"
                    refused[index] = ApiError("period_closed", message)
                elif span.starts_at_ms is not None and at_ms < span.starts_at_ms - CLOCKS_DIFFER_MS:
                    message = f"occurred_at lies in a future period of window '{window}'"
                    refused[index] = ApiError("period_not_open", message)
        return refused

    async def _submit(
        self, board: Board, window: str, submissions: list[Submission], at_ms: int, want: int
    ) -> Submitted | ApiError:
        try:
            op = WriteOp(board.chain_id(window), SUBMIT, at_ms, want, submissions)
            return Submitted(await self._router.write(op, len(submissions)), want)
        except ApiError as error:
            return error
