"""Who is not ranked, whatever the score, as a period actor knows it, and how its periods follow.

There are two reasons: a player is hidden, or is outside the leaderboard's audience (by id, role or tag, or as
a test player: `lbactors.period_actor.members`). The supervisor tells every actor who is hidden and until
when, and who has which role and tag (`moderate`), before it has anything to host. A period keeps in its own
journaled state who is left out (`lbactors.core.period_moderation`), so that a replay ranks as it was ranked;
`follow` journals what the two differ in. It says nothing of players without an entry: what makes their entry
says it (`ahead_of`, `marked`), so long lists cost idle periods nothing.

`generation` rises whenever anything changes, also when an end passed by the actor's clock: a period that
follows an older one is behind. What changed of late is known by player, so a period that is not far behind
looks at those alone, and only one that was just loaded, or whose audience changed, looks at all entries.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from lbactors.clock import Clock
from lbactors.core.audience import RankAudience
from lbactors.core.inputs import NAMELESS, Input, hide, inside, outside, player_id_of, show
from lbactors.core.period import NO_RANK, Period
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.journaling import APPEND_INPUTS
from lbactors.period_actor.members import Members
from lbactors.wire.requests import MemberList

KEPT_MS = 600_000  # after a hiding's end: a period that ended before that one is made final within seconds
CHANGES_KEPT = 1000  # generations of which it is known who changed
UNKNOWN = -1  # generation of a period that has to look at all entries
AT_ONCE = 2048  # players looked at in one step


class HiddenPlayers:
    """Of one tenant. `until`: player id -> until_ms (None: for good). `version`: the supervisor's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.until: dict[str, int | None] = {}
        self.members = Members()
        self._ended: dict[str, int] = {}  # hidings that ended lately
        self.version = 0
        self.generation = 0
        self._changes: deque[Collection[str]] = deque(maxlen=CHANGES_KEPT)  # the last one made `generation`
        self._next_end_ms: int | None = None

    # Knowing --------------------------------------------------------------------------------------------

    def take(self, version: int, until: Mapping[str, int | None]) -> None:
        """What the supervisor tells; an older version changes nothing."""
        if version < self.version:
            return
        self.version = version
        self.expire()
        old, self.until = self.until, dict(until)
        changed = {player_id for player_id, _ in old.items() ^ self.until.items()}
        if changed:
            self._changed(changed)
        self.expire()

    def take_members(self, told: MemberList) -> None:
        """The same of roles, tags and test players."""
        changed = self.members.take(told)
        if changed:
            self._changed(changed)

    def _changed(self, players: Collection[str]) -> None:
        self.generation += 1
        self._changes.append(players)
        self._next_end_ms = min((ms for ms in self.until.values() if ms is not None), default=None)

    def expire(self) -> None:
        """Let go of those whose end has passed."""
        now_ms = self._clock.now_ms()
        if self._next_end_ms is not None and now_ms >= self._next_end_ms:
            ended = {p: ms for p, ms in self.until.items() if ms is not None and ms <= now_ms}
            kept = {p: ms for p, ms in self._ended.items() if ms > now_ms - KEPT_MS}
            self._ended = {**kept, **ended}
            self.until = {p: ms for p, ms in self.until.items() if p not in ended}
            self._changed(ended.keys())

    def _at(self, at_ms: int | None) -> Mapping[str, int | None]:
        """Who was hidden at an instant of late; None: who is now."""
        if at_ms is None:
            return self.until
        return {**{p: ms for p, ms in self._ended.items() if ms > at_ms}, **self.until}

    def _changed_since(self, generation: int) -> set[str] | None:
        """The players of whom anything changed since a generation; None: nobody knows."""
        behind = self.generation - generation
        if generation == UNKNOWN or behind > len(self._changes):
            return None
        return set().union(*(self._changes[-place] for place in range(1, behind + 1)))

    # Following ------------------------------------------------------------------------------------------

    def is_behind(self, activation: Activation) -> bool:
        """Whether a period that serves, and is not final, does not follow the lists as they are now."""
        behind = activation.follows != self.generation
        return behind and activation.state == "serving" and not activation.is_final

    async def follow(self, activation: Activation, audience: RankAudience, at_ms: int | None = None) -> None:
        """Journal who is left out and who is ranked again in an open period. at_ms: of one that is over, when
        it ended: whose hiding ended since is hidden in its final standings. ApiError.
        """
        while self.is_behind(activation):
            self.expire()
            generation = self.generation
            changed = self._changed_since(activation.follows) if at_ms is None else None
            await activation.settle()  # what is on its way may say what does not hold any more
            period, hidden = activation.period, self._at(at_ms)
            for players in self._suspects(period, audience, hidden) if changed is None else [changed]:
                # Judged when they are put in the queue: what follows there is judged by the same lists.
                inputs = [i for p in players for i in self._differences(period, audience, hidden, p)]
                for start in range(0, len(inputs), APPEND_INPUTS):
                    await activation.submit(inputs[start : start + APPEND_INPUTS], NO_RANK)
                if changed is None:
                    await asyncio.sleep(0)
            activation.follows = generation

    def _suspects(
        self, period: Period, audience: RankAudience, hidden: Mapping[str, int | None]
    ) -> Iterator[Collection[str]]:
        """All who may have to be left out, or ranked again, some at a time."""
        if not audience.is_everyone:
            yield from period.players()
            yield [*hidden, *(p for p in period.hidden if p not in hidden)]
            return
        players = {**hidden, **period.hidden, **dict.fromkeys([*self.members.test_players, *period.outside])}
        everybody = list(players)
        for start in range(0, len(everybody), AT_ONCE):
            yield everybody[start : start + AT_ONCE]

    def _differences(
        self, period: Period, audience: RankAudience, hidden: Mapping[str, int | None], player_id: str
    ) -> Iterator[Input]:
        """What is to be journaled so that a period leaves a player out as the lists say."""
        now_ms = self._clock.now_ms()
        there = period.entry(player_id) is not None
        if player_id in hidden:
            known = player_id in period.hidden
            if period.hidden[player_id] != hidden[player_id] if known else there:
                yield hide(player_id, hidden[player_id], now_ms)
        elif player_id in period.hidden:
            yield show(player_id, now_ms)
        left_out = there and self.members.leave_out(audience, player_id)
        if left_out != (player_id in period.outside):
            yield outside(player_id, now_ms) if left_out else inside(player_id, now_ms)

    # Ahead of submissions -------------------------------------------------------------------------------

    def ahead_of(self, activation: Activation, player_ids: Iterable[str]) -> list[Input]:
        """What is to be journaled before submissions of these players: those whose first they may be are
        hidden.
        """
        if not self.until:
            return []
        hidden = activation.period.hidden
        new = {p for p in player_ids if p in self.until and p not in hidden}
        if not new:
            return []
        self.expire()
        now_ms = self._clock.now_ms()
        return [hide(p, self.until[p], now_ms) for p in sorted(new) if p in self.until]

    def marked(self, audience: RankAudience, inputs: Sequence[Input]) -> Sequence[Input]:
        """The same inputs, those of players outside marked as such; an AGAIN is about nobody here. The very
        same, if nobody is outside.
        """
        if not self.members.may_leave_out(audience):
            return inputs
        named = [item for item in inputs if item[0] not in NAMELESS]
        left_out = self.members.left_out(audience, map(player_id_of, named))
        if not left_out:
            return inputs
        return [
            outside(player_id_of(item), item[1], item)
            if item[0] not in NAMELESS and player_id_of(item) in left_out
            else item
            for item in inputs
        ]
