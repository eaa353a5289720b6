"""Scores on their way from a gateway to the period actor that has a leaderboard."""

from __future__ import annotations

from collections.abc import Sequence

from lbactors.core.errors import ApiError
from lbactors.core.model import Board, Outcome, Submission
from lbactors.core.period import FULL, NO_RANK, RANK
from lbactors.service.profiles import Profiles
from lbactors.service.router import Router
from lbactors.wire.writes import Submitted, WriteOp

WANT = {"none": NO_RANK, "ranks": RANK, "full": FULL}


class Submitter:
    """One for each gateway process."""

    def __init__(self, router: Router, profiles: Profiles) -> None:
        self._router = router
        self._profiles = profiles

    async def submit(
        self, board: Board, submissions: list[Submission], at_ms: int, results: str, tag: int = 0
    ) -> list[list[Outcome] | ApiError]:
        """Journal and apply submissions that arrived at `at_ms`, in order, in every window of the board.

        results: none | ranks | full (ranks are computed only as far as asked for). tag: of the body that made
        their ids (`lbactors.core.seen_ids`), 0 for ids of their own. One item for each submission: its
        outcomes, main window first, or why it was refused. With `none` the lists are empty.
        """
        want, windows = WANT[results], board.windows
        zones: Sequence[str] = ()
        try:
            if board.definition.timeframe.is_player_local:
                players = [submission.player_id for submission in submissions]
                zones = await self._profiles.zones(board.tenant_id, players)
            op = WriteOp(board.board_uid, at_ms, want, submissions, windows, tag, zones)
            reply = await self._router.write(op, len(submissions))
        except ApiError as error:
            return [error] * len(submissions)
        submitted = Submitted(reply, want)
        if submitted.says_nothing:
            nothing: list[Outcome] = []
            return [nothing] * len(submissions)
        return submitted.answers(submissions, windows)
