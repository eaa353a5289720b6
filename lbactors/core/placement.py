"""Where leaderboards live: which actor takes a new one, and which move is due. A leaderboard is placed whole,
with all its windows. Pure: loads and budget are arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

BUSY_PER_S = 300.0  # submissions and reads a second with which one is to have an actor of its own
CALM_PER_S = BUSY_PER_S / 4  # below it, it may share again
MOVED_AT_ONCE = 32  # leaderboards of one move; the next look takes the next ones


class BoardLoad(NamedTuple):
    """A leaderboard in an actor, with its load. rate_per_s: submissions and reads of late. dedicated: it
    asked for an actor of its own.
    """

    board_id: str
    rate_per_s: float
    dedicated: bool


class Move(NamedTuple):
    """Leaderboards that are to go from one actor to another (None: to a new one)."""

    board_ids: list[str]
    home: str
    to: str | None


def is_reserved(boards: Sequence[BoardLoad]) -> bool:
    """Whether an actor is kept for the one leaderboard that it has."""
    return len(boards) == 1 and (boards[0].dedicated or boards[0].rate_per_s >= CALM_PER_S)


def place(actors: Mapping[str, Sequence[BoardLoad]], budget: int) -> str | None:
    """The actor for a new leaderboard, or None if a further actor should be started for it.

    An idle actor first; a new one while the budget lasts; then the least loaded of those that are not kept
    for one leaderboard, then of all.
    """
    idle = sorted(name for name, boards in actors.items() if not boards)
    if idle:
        return idle[0]
    if len(actors) < budget:
        return None
    shared = {name: t for name, t in actors.items() if not is_reserved(t)} or actors
    return min(shared, key=lambda name: (len(shared[name]), name))


def next_move(actors: Mapping[str, Sequence[BoardLoad]], budget: int) -> Move | None:
    """The most urgent change of homes, or None if all is well.

    One that asked for an actor of its own, or is busy, and shares one, moves to an idle or a new actor while
    the budget lasts. Beyond it the others make room: they leave for the shared actors with the fewest
    leaderboards, as long as half the budget (all but one actor for dedicated ones) is left to share.
    """
    wanting = [
        (t.dedicated, t.rate_per_s, t.board_id, name)
        for name, boards in actors.items()
        if len(boards) > 1
        for t in boards
        if t.dedicated or t.rate_per_s >= BUSY_PER_S
    ]
    if not wanting:
        return None
    dedicated, _, board_id, home = max(wanting)
    idle = sorted(name for name, boards in actors.items() if not boards)
    if idle or len(actors) < budget:
        return Move([board_id], home, idle[0] if idle else None)
    # A busy one leaves those alone that have an actor of their own; a dedicated one only its like.
    others_home = {
        name: boards
        for name, boards in actors.items()
        if name != home and not (any(t.dedicated for t in boards) if dedicated else is_reserved(boards))
    }
    shared = sorted((is_reserved(boards), len(boards), name) for name, boards in others_home.items())
    kept = len(actors) - len(shared)  # with this home, which would be kept too
    if not shared or kept > (budget - 1 if dedicated else budget // 2):
        return None
    others = [t.board_id for t in actors[home] if t.board_id != board_id]
    return Move(others[:MOVED_AT_ONCE], home, shared[0][2])
