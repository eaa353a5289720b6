"""A plugin for tests with a real server. What it does is said by the submission's metadata, or by files.

`metadata`: `{"judge": "refuse" | "hold" | "raise"}`. JUDGING_FOLDER: `on_period_*` append a line to `heard`
in it, synced to the disk. Where a file `die` names a leaderboard, the first closing of it takes the file away
and kills the process, after the hook's work and before anybody could note that it was done. Where a file
`fail` names one, its hooks make a file `failed` and raise.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from lbactors.plugins import Context, Event, Hold, Refuse, SubmittedScore, hookimpl

__version__ = "0.1"


@hookimpl
def validate_submission(submission: SubmittedScore, context: Context) -> Refuse | Hold | None:
    wanted = (submission.metadata or {}).get("judge")
    if wanted == "raise":
        raise ValueError("as told")
    if wanted == "refuse":
        return Refuse(f"refused for {context.definition.leaderboard_id}")
    return Hold("as told") if wanted == "hold" else None


@hookimpl
def on_period_opened(event: Event) -> None:
    _hear(event)


@hookimpl
def on_period_closed(event: Event) -> None:
    _hear(event)


def _hear(event: Event) -> None:
    folder = Path(os.environ["JUDGING_FOLDER"])
    period = event.data["period"]
    if _named(folder / "fail") == event.leaderboard_id:
        (folder / "failed").touch()
        raise OSError("as told")
    words = (event.type, event.leaderboard_id, period["window"], period["period_key"], event.event_id)
    with (folder / "heard").open("a") as file:
        file.write(" ".join(words) + "\n")
        file.flush()
        os.fsync(file.fileno())
    if event.type == "period.closed" and _named(folder / "die") == event.leaderboard_id:
        (folder / "die").unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def _named(file: Path) -> str:
    """What a file holds; empty without it."""
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""
