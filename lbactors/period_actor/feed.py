"""What comes of rows of a log, on its way into the journal of one period: inputs, and the place up to which
rows were read, in one record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from lbactors.core import inputs as made
from lbactors.core.errors import ApiError
from lbactors.core.followed import Terms
from lbactors.core.inputs import Input
from lbactors.core.period import NO_RANK
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.journaling import Append, Waiting


class Feed(Waiting):
    """Inputs for one period that come of rows, and the place up to which rows were read.

    position, read_ms: seq of the last one, and when it was acknowledged. terms: under which they were judged;
    where others hold by the time of the append (`terms_now`) they are refused. begins: the terms are to be
    journaled, too. `done`: ApiError: they were not taken, or nobody knows.
    """

    def __init__(
        self,
        chain: Chain,
        activation: Activation,
        inputs: Sequence[Input],
        position: int,
        read_ms: int,
        terms: Terms,
        terms_now: Callable[[Activation], Terms],
        *,
        begins: bool = False,
    ) -> None:
        super().__init__(len(inputs) + 1)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._chain = chain
        self._activation = activation
        self._inputs = inputs
        self._position, self._read_ms = position, read_ms
        self._terms, self._terms_now = terms, terms_now
        self._begins = begins

    def place(self, append: Append) -> None:
        activation, chain = self._activation, self._chain
        activation.require_writer(final_too=False)
        if self._terms_now(activation) != self._terms:
            raise ApiError("period_loading", "the leaderboard was changed meanwhile")
        if self._inputs:
            activation.used()
            hiding = chain.hidden.ahead_of(activation, map(made.player_id_of, self._inputs))
            if hiding:
                append.add(activation, hiding, NO_RANK)
            append.add(activation, chain.hidden.marked(chain.spec.audience, self._inputs), NO_RANK)
        terms = self._terms if self._begins else None
        now_ms = activation.clock.now_ms()
        append.add(activation, [made.follow(self._position, self._read_ms, now_ms, terms)], NO_RANK)

    def answer(self, append: Append) -> None:
        try:
            append.results(self._activation, 0, 0)
        except ApiError as error:
            self.refuse(error)
            return
        if not self.done.done():
            self.done.set_result(None)

    def refuse(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
