"""The hidden players of a tenant as a period actor knows them, and how its periods follow.

The supervisor tells every actor who is hidden and until when (`moderate`), before it has anything to host.
A period keeps who is hidden in its own journaled state (`lbactors.core.period_moderation`), so that a replay
ranks as it was ranked; `follow` journals what the two differ in. It says nothing of players without an entry:
they are hidden there when their first submission comes (`ahead_of`), so a long list costs idle periods
nothing.

`generation` rises whenever the list changes, also when an end passed by the actor's clock: a period that
follows an older one is behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lbactors.clock import Clock
from lbactors.core.inputs import Input, hide, show
from lbactors.core.period import NO_RANK
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.journaling import APPEND_INPUTS

KEPT_MS = 600_000  # after a hiding's end: a period that ended before that one is made final within seconds


class HiddenPlayers:
    """Of one tenant. `until`: player id -> until_ms (None: for good). `version`: the supervisor's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.until: dict[str, int | None] = {}
        self._ended: dict[str, int] = {}  # hidings that ended lately
        self.version = 0
        self.generation = 0
        self._next_end_ms: int | None = None

    def take(self, version: int, until: Mapping[str, int | None]) -> None:
        """What the supervisor tells; an older version changes nothing."""
        if version < self.version:
            return
        self.version = version
        self.expire()
        self.until = dict(until)
        self._changed()
        self.expire()

    def _changed(self) -> None:
        self.generation += 1
        self._next_end_ms = min((ms for ms in self.until.values() if ms is not None), default=None)

    def expire(self) -> None:
        """Let go of those whose end has passed."""
        now_ms = self._clock.now_ms()
        if self._next_end_ms is not None and now_ms >= self._next_end_ms:
            ended = {p: ms for p, ms in self.until.items() if ms is not None and ms <= now_ms}
            kept = {p: ms for p, ms in self._ended.items() if ms > now_ms - KEPT_MS}
            self._ended = {**kept, **ended}
            self.until = {p: ms for p, ms in self.until.items() if p not in ended}
            self._changed()

    def _at(self, at_ms: int | None) -> Mapping[str, int | None]:
        """Who was hidden at an instant of late; None: who is now."""
        if at_ms is None:
            return self.until
        return {**{p: ms for p, ms in self._ended.items() if ms > at_ms}, **self.until}

    def is_behind(self, activation: Activation) -> bool:
        """Whether a period that serves, and is not final, does not follow the list as it is now."""
        behind = activation.follows != self.generation
        return behind and activation.state == "serving" and not activation.is_final

    async def follow(self, activation: Activation, at_ms: int | None = None) -> None:
        """Journal who is hidden and who is shown again in an open period. at_ms: of one that is over, when it
        ended: whose hiding ended since is hidden in its final standings. ApiError.
        """
        while self.is_behind(activation):
            self.expire()
            generation = self.generation
            await activation.settle()  # what is on its way may hide somebody who is not hidden any more
            now_ms, period = self._clock.now_ms(), activation.period
            hidden = self._at(at_ms)
            inputs: list[Input] = [
                hide(player_id, until_ms, now_ms)
                for player_id, until_ms in hidden.items()
                if (player_id not in period.hidden and period.entry(player_id) is not None)
                or (player_id in period.hidden and period.hidden[player_id] != until_ms)
            ]
            inputs += [show(p, now_ms) for p in period.hidden if p not in hidden]
            for start in range(0, len(inputs), APPEND_INPUTS):
                await activation.submit(inputs[start : start + APPEND_INPUTS], NO_RANK)
            activation.follows = generation

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
