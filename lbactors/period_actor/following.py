"""A leaderboard is asked to read on in its log, and what rows did there: the answer to a `FollowOp`."""

from __future__ import annotations

import asyncio
from typing import Any

from lbactors.core.log_model import MatchedWindow
from lbactors.period_actor.follower import Follower
from lbactors.period_actor.leaderboard import Leaderboard
from lbactors.wire.logs import FollowedWire, FollowOp
from lbactors.wire.ping import FollowPing
from lbactors.wire.replies import ASLEEP, VALUE, Reply


async def followed(board: Leaderboard, op: FollowOp) -> Reply:
    """StoreError."""
    chains = list(board.chains.values())
    if not op.through:
        found = [c.follower.status for c in chains if isinstance(c.follower, Follower) and c.open.is_awake]
        return Reply(VALUE, FollowedWire(False, (), FollowPing.worst(found)))
    if any(chain.is_waking for chain in chains):
        return Reply(ASLEEP)
    followers = [chain.follower for chain in chains if isinstance(chain.follower, Follower)]
    within_s = op.within_ms / 1000
    taken = await asyncio.gather(*(follower.through(op.through, within_s) for follower in followers))
    if not all(taken):
        return Reply(VALUE, FollowedWire(True))
    return Reply(VALUE, FollowedWire(False, [await _matched(followers, seq) for seq in op.seqs]))


async def _matched(followers: list[Follower], seq: int) -> list[Any] | None:
    """What an event gave, and where each window has its player now."""
    points: object = None
    windows: list[MatchedWindow] = []
    for follower in sorted(followers, key=lambda f: f.chain.spec.window != "main"):
        found = await follower.matched(seq)
        if found is None:
            continue
        points, activation, player_id = found
        if activation is None:
            continue
        entry = activation.period.entry(player_id)
        if entry is not None:
            rank = activation.period.rank(player_id)
            windows.append(MatchedWindow(follower.chain.spec.window, entry.score, rank))
    return [points, windows] if windows else None
