"""A plugin for lbactors: refuses scores that nobody can reach, holds those that hardly anybody does.

What is plausible is said by each leaderboard, in the metadata of its definition; a leaderboard that says
nothing is left alone:

    "metadata": {"plausible": {"usual": 5000, "hold_times": 5, "refuse_times": 50, "points_per_second": 80}}

`usual` with `hold_times` and `refuse_times`: a score more than so many times better than the usual one (where
low scores lead, so many times lower) is held, or refused. `points_per_second`: the submission's metadata says
how many `seconds` the match took; without them it is held, beyond the rate too, and refused at ten times it.

Closings of periods are written to the file that PLAUSIBLE_SCORES_LOG names, a JSON object on each line. A
line may come twice, after a crash: then its `event_id` is the same.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lbactors.plugins import Context, Event, Hold, Refuse, SubmittedScore, hookimpl

REFUSED_AT = 10  # times the highest rate


class PlausibleScores:
    """The plugin; a server makes one in each of its processes."""

    def __init__(self) -> None:
        log = os.environ.get("PLAUSIBLE_SCORES_LOG")
        self._log = Path(log) if log else None

    @hookimpl
    def validate_submission(self, submission: SubmittedScore, context: Context) -> Refuse | Hold | None:
        """No I/O here: this runs on the gateway's event loop."""
        rules = context.definition.metadata.get("plausible")
        if not isinstance(rules, dict) or submission.score is None:
            return None
        ascending = context.definition.ranking.order == "asc"
        jump = _of_jump(submission.score, rules, ascending)
        if isinstance(jump, Refuse):
            return jump
        return _of_rate(submission, rules) or jump

    @hookimpl
    def on_period_closed(self, event: Event) -> None:
        """One call at a time, in a thread of the supervisor: files are fine."""
        if self._log is None:
            return
        period = event.data["period"]
        line = {
            "event_id": event.event_id,
            "tenant_id": event.tenant_id,
            "leaderboard_id": event.leaderboard_id,
            "window": period["window"],
            "period_key": period["period_key"],
            "total": event.data["total"],
            "winner": next((entry["player_id"] for entry in event.data["standings"]), None),
        }
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())  # once the hook returns, it is not called again for this event


def _of_jump(score: float, rules: dict[str, Any], ascending: bool) -> Refuse | Hold | None:
    """What a score far beyond the usual one means."""
    usual = rules.get("usual")
    if not usual or usual <= 0:
        return None
    if ascending:
        times = usual / score if score > 0 else float("inf")
    else:
        times = score / usual
    if times > rules.get("refuse_times", float("inf")):
        return Refuse("this score cannot be reached")
    if times > rules.get("hold_times", float("inf")):
        return Hold(f"{times:.1f} times the usual score")
    return None


def _of_rate(submission: SubmittedScore, rules: dict[str, Any]) -> Refuse | Hold | None:
    """What a score in too short a time means."""
    most = rules.get("points_per_second")
    if not most or submission.score is None:
        return None
    seconds = (submission.metadata or {}).get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
        return Hold("metadata.seconds is missing")
    rate = submission.score / seconds
    if rate > most * REFUSED_AT:
        return Refuse("this score cannot be reached in that time")
    if rate > most:
        return Hold(f"{rate:.0f} points a second")
    return None
