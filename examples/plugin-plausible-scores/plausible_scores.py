"""A plugin for lbactors: refuses impossible scores and holds suspicious ones for review.

Each leaderboard says in its metadata which scores are plausible. One that says nothing is left alone.

    "metadata": {"plausible": {"usual": 5000, "hold_times": 5, "refuse_times": 50, "points_per_second": 80}}

`usual`, `hold_times`, `refuse_times`: a score more than `hold_times` times better than `usual` is held, one
more than `refuse_times` times better is refused. Where low scores lead, "better" means lower.

`points_per_second`: the submission's metadata must say how many `seconds` the match took. A submission
without it, or with a higher rate, is held; at more than ten times the rate it is refused.

The plugin also writes a JSON line for each closed period to the file named by PLAUSIBLE_SCORES_LOG. After a
crash a line may appear twice, with the same `event_id`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lbactors.plugins import Context, Event, Hold, Refuse, SubmittedScore, hookimpl

REFUSED_AT = 10  # times the highest rate
LOG = os.environ.get("PLAUSIBLE_SCORES_LOG")


@hookimpl
def validate_submission(submission: SubmittedScore, context: Context) -> Refuse | Hold | None:
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
def on_period_closed(event: Event) -> None:
    """The supervisor calls this in a thread, one call at a time, so file I/O is fine."""
    if LOG is None:
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
    with Path(LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())  # once the hook returns, it is not called again for this event


def _of_jump(score: float, rules: dict[str, Any], ascending: bool) -> Refuse | Hold | None:
    """Judge how far a score is from the usual one."""
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
    """Judge how fast a score was made."""
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
