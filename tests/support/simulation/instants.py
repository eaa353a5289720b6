"""When to look at a server in its year.

Interesting are the instants around the ends of periods: a second before, the last millisecond, the instant
itself, the end of the grace, the seal. Ends near a change of the zone's clock are all visited, others by lot.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from lbactors.core.lifecycle import LINGER_MS, SEAL_SPREAD_MS
from tests.support.rounds import rounds
from tests.support.simulation.boards import YEAR_BEGINS_MS, YEAR_ENDS_MS
from tests.support.simulation.counted_time import clock_changes_ms
from tests.support.simulation.expected import ExpectedBoard

SEALED_AFTER_MS = LINGER_MS + SEAL_SPREAD_MS  # at the latest, after the grace
SECOND_MS = 1000
# Ends visited on each side of a change of the clock.
NEAR_CHANGE = {"hourly": rounds(1, 3), "daily": 1, "cron": rounds(1, 2), "every": 1, "weekly": 1}


class Instant(NamedTuple):
    """When to look, and at which end of a period of which board."""

    at_ms: int
    board_id: str
    end_ms: int


def interesting(expected: ExpectedBoard, rng: random.Random, by_lot: int) -> list[Instant]:
    """Instants around ends of a board's periods: those near clock changes, and some others."""
    changes = [
        at for at in clock_changes_ms(expected.frame["timezone"]) if YEAR_BEGINS_MS < at < YEAR_ENDS_MS
    ]
    found: list[Instant] = []
    for window, chain in expected.chains.items():
        ends = sorted({at for at, w in expected.boundaries(YEAR_BEGINS_MS, YEAR_ENDS_MS) if w == window})
        kind = expected.frame["type"] if window == "main" else window
        count = NEAR_CHANGE.get(kind, 0)
        chosen = set(rng.sample(ends, min(by_lot, len(ends))))
        for change in changes:
            chosen.update([at for at in ends if at <= change][-count:] if count else [])
            chosen.update([at for at in ends if at > change][:count])
        sealed_ms = chain.grace_ms + SEALED_AFTER_MS
        around = [
            -SECOND_MS,
            -1,
            0,
            1,
            SECOND_MS,
            chain.grace_ms - 1,
            chain.grace_ms,
            sealed_ms,
            sealed_ms + 1,
        ]
        for end_ms in sorted(chosen):
            offsets_ms = {*rng.sample(around, 3), rng.choice((-1, 0))}
            found += [Instant(end_ms + offset_ms, expected.id, end_ms) for offset_ms in sorted(offsets_ms)]
    return found
