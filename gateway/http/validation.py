"""Submissions before plugins: what `validate_submission` says of each, and what follows from it.

Made only where a plugin has the hook, so a server without one does not pay for it: `Gateway.validation` is
None, and `gateway.api.scores` goes to the service as ever.

Hooks are plain functions on the gateway's event loop, so while one runs nothing else does. That is kept in
bounds and in sight: a list is judged in slices, between which others have their turn; a call that takes long
is counted and logged; and one that does not end is logged by a thread beside the loop, for as long as it
lasts.

A hook that fails (raises, or answers what is no verdict) is logged and counted, and the setting
`plugin_failure` decides: `accept` as if it had said nothing (the default: a wrong score can be taken out
later, a lost one cannot be brought back), `hold` for review, `refuse` with a 503, so that it is sent again.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import structlog
from cachetools import LRUCache

from gateway.http.metrics import Metrics
from gateway.http.review_queue import ReviewQueue
from lbactors.core.definition import Definition
from lbactors.core.errors import ApiError
from lbactors.core.model import Board, Outcome, Submission
from lbactors.documents.reviews import APPROVED, REJECTED, Review, review_of
from lbactors.plugins import LONGEST_REASON, VALIDATE, Context, Hold, Hook, Plugins, Refuse, SubmittedScore

if TYPE_CHECKING:
    from lbactors.service.service import Service

SLICE_S = 0.005  # hooks run so long before others have their turn
SLOW_S = 0.005  # a call that takes longer is slow: at most 200 submissions a second can be judged like that
STUCK_S = 1.0  # a call that takes longer is logged while it runs
LOG_EVERY_S = 1.0  # of each plugin and kind; what lies between is counted
DEFINITIONS = 1000  # copies of definitions that are kept

log = structlog.get_logger("plugins")


class HeldForReview(NamedTuple):
    """A submission that is held: nothing of it was applied."""

    held_id: str
    player_id: str


Verdict = list[Outcome] | ApiError | HeldForReview


class _Doubt(NamedTuple):
    """Why a submission is to be held."""

    plugin: str
    reason: str


class Validation:
    """One for each gateway. `failure`: the setting `plugin_failure`."""

    def __init__(self, plugins: Plugins, failure: str, service: Service, metrics: Metrics) -> None:
        self._hooks = plugins.hooks(VALIDATE)
        self._failure = failure
        self._service = service
        self._metrics = metrics
        self._review_queue = ReviewQueue(service)
        self._definitions = LRUCache[str, tuple[int, Definition]](DEFINITIONS)
        self._logged: dict[tuple[str, str], tuple[float, int]] = {}  # (plugin, event) -> when, left out since
        self._running: tuple[str, float] | None = None  # plugin, since when
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="plugins", daemon=True).start()

    def close(self) -> None:
        """Nothing is judged any more."""
        self._closed.set()

    async def submit(
        self,
        key_id: str,
        board: Board,
        submissions: list[Submission],
        at_ms: int,
        results: str,
        tag: int = 0,
    ) -> list[Verdict]:
        """Like `Service.submit`, for those that plugins accept; the others are refused or held."""
        judged = await self._judge(key_id, board, submissions, at_ms)
        if not judged:
            return list(await self._service.submit(board, submissions, at_ms, results, tag))
        verdicts: dict[int, Verdict] = {i: v for i, v in judged.items() if isinstance(v, ApiError)}
        doubts = {i: v for i, v in judged.items() if isinstance(v, _Doubt)}
        if doubts:
            verdicts |= await self._hold(key_id, board, submissions, at_ms, doubts)
        rest = [s for i, s in enumerate(submissions) if i not in verdicts]
        try:
            taken: list[Any] = (
                list(await self._service.submit(board, rest, at_ms, results, tag)) if rest else []
            )
        except ApiError as error:  # the verdicts of the others stand
            taken = [error] * len(rest)
        outcomes = iter(taken)
        return [verdicts[i] if i in verdicts else next(outcomes) for i in range(len(submissions))]

    # Judging ----------------------------------------------------------------------------------------------

    async def _judge(
        self, key_id: str, board: Board, submissions: list[Submission], at_ms: int
    ) -> dict[int, ApiError | _Doubt]:
        """What plugins have against submissions, by index."""
        context = Context(key_id, at_ms, self._definition(board))
        names = board.tenant_id, board.leaderboard_id
        found: dict[int, ApiError | _Doubt] = {}
        began_s = time.perf_counter()
        for index, submission in enumerate(submissions):
            player_id, score, subscore, metadata, submission_id, occurred_at_ms, aggregation = submission
            parsed = None if metadata is None else orjson.loads(metadata)
            shown = SubmittedScore(
                player_id, score, subscore, parsed, submission_id, occurred_at_ms, aggregation
            )
            verdict = self._asked((*names, shown, context))
            if verdict is not None:
                found[index] = verdict
            if time.perf_counter() - began_s > SLICE_S:
                await asyncio.sleep(0)
                began_s = time.perf_counter()
        return found

    def _asked(self, arguments: tuple[Any, ...]) -> ApiError | _Doubt | None:
        """What the plugins say of one submission: the first refusal, else the first doubt."""
        doubt: _Doubt | None = None
        for plugin, hook in self._hooks:
            answer = self._called(plugin, hook, arguments)
            if answer is None:
                continue
            if isinstance(answer, Hold):
                doubt = doubt or _Doubt(plugin, answer.reason)
                continue
            if isinstance(answer, ApiError):
                return answer
            return ApiError("submission_refused", answer.reason)
        return doubt

    def _called(self, plugin: str, hook: Hook, arguments: tuple[Any, ...]) -> Refuse | Hold | ApiError | None:
        """One call of one hook; ApiError where it failed and that is a refusal."""
        began_s = time.perf_counter()
        self._running = plugin, began_s
        try:
            answer = hook(*arguments)
            if answer is not None:
                answer = _checked(answer)
        except Exception as error:
            failed: Exception | None = error
        else:
            failed = None
        self._running = None
        took_s = time.perf_counter() - began_s
        if failed is None:
            result = "accepted" if answer is None else "held" if isinstance(answer, Hold) else "refused"
        else:
            result = "failed"
        self._metrics.plugin_call(plugin, result, took_s)
        if took_s > SLOW_S:
            self._metrics.plugin_slow(plugin)
            self._log("slow hook", plugin, ms=round(took_s * 1000, 1))
        if failed is None:
            return answer  # type: ignore[no-any-return]
        self._log("hook failed", plugin, exc_info=failed, policy=self._failure)
        if self._failure == "hold":
            return Hold(f"the plugin failed: {type(failed).__name__}")
        if self._failure == "refuse":
            return ApiError("period_loading", f"plugin {plugin!r} failed; nothing was taken")
        return None

    def _definition(self, board: Board) -> Definition:
        """The leaderboard's definition, to be kept by plugins: a copy for each version."""
        name = board.board_uid
        known = self._definitions.get(name)
        if known is None or known[0] != board.version:
            known = self._definitions[name] = (board.version, board.definition.model_copy(deep=True))
        return known[1]

    # Reviews ----------------------------------------------------------------------------------------------

    async def _hold(
        self, key_id: str, board: Board, submissions: list[Submission], at_ms: int, doubts: dict[int, _Doubt]
    ) -> dict[int, Verdict]:
        """Have submissions held. Those that were approved before are in no verdict: they are duplicates."""
        held: list[Review] = [
            review_of(board, submissions[index], at_ms, doubt.plugin, doubt.reason, key_id)
            for index, doubt in doubts.items()
        ]
        try:
            reviews = await self._review_queue.hold(board, held)
        except ApiError as error:
            return dict.fromkeys(doubts, error)
        verdicts: dict[int, Verdict] = {}
        for index, one, review in zip(doubts, held, reviews, strict=True):
            if review.state == "full":
                message = "the leaderboard has too many submissions held for review; nothing was taken"
                verdicts[index] = ApiError("overloaded", message)
            elif review.state == "gone":
                message = f"no leaderboard {board.leaderboard_id!r}"
                verdicts[index] = ApiError("leaderboard_not_found", message)
            elif review.state == REJECTED:
                verdicts[index] = ApiError("submission_refused", review.note or "it was rejected in review")
            elif review.state != APPROVED:
                verdicts[index] = HeldForReview(review.held_id, one.player_id)
        return verdicts

    # What operators see -----------------------------------------------------------------------------------

    def _log(self, event: str, plugin: str, **more: Any) -> None:
        """At most one line in LOG_EVERY_S of a kind."""
        now_s = time.monotonic()
        logged_s, left_out = self._logged.get((plugin, event), (-math.inf, 0))
        if now_s - logged_s < LOG_EVERY_S:
            self._logged[plugin, event] = logged_s, left_out + 1
            return
        self._logged[plugin, event] = now_s, 0
        log.warning(event, plugin=plugin, hook=VALIDATE, not_logged=left_out, **more)

    def _watch(self) -> None:
        """In a thread of its own: tell of a call that does not end."""
        while not self._closed.wait(STUCK_S):
            running = self._running
            if running is not None and (took_s := time.perf_counter() - running[1]) > STUCK_S:
                log.error(
                    "a hook blocks this gateway", plugin=running[0], hook=VALIDATE, seconds=round(took_s, 1)
                )


def _checked(answer: Any) -> Refuse | Hold:
    """A verdict, with its reason cut to what is kept. TypeError for anything else."""
    if not isinstance(answer, Refuse | Hold):
        raise TypeError(f"answered {type(answer).__name__}, not Refuse, Hold or None")
    if not isinstance(answer.reason, str):
        raise TypeError(f"answered a reason that is no text but {type(answer.reason).__name__}")
    reason = answer.reason.encode(errors="replace").decode()[:LONGEST_REASON]
    return answer._replace(reason=reason or "no reason given")
