"""A log in a period actor: hosted like a leaderboard whose one period never ends.

So it has what a period has: an activation with an epoch, a journal and snapshots, a successor when it loses
its journal, sleep when nobody uses it, and moves. What a period has beyond that (rules, hidden players, an
end) a log has not.
"""

from __future__ import annotations

from typing import cast

from lbactors.core.errors import ApiError
from lbactors.core.lifecycle import rules_of
from lbactors.core.log import Log
from lbactors.core.log_draft import LogDraft
from lbactors.core.model import PeriodRecord
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.hosted_state import LOGS
from lbactors.period_actor.journaling import Append
from lbactors.wire.replies import ASLEEP, NOT_HERE, NotTaken


class LogChain(Chain):
    """Of one log."""

    def _new(self, record: PeriodRecord) -> Activation:
        activation = Activation(
            self.store,
            self.clock,
            self.spec.chain_id,
            record,
            rules_of(record, self.spec.rules),
            self.limits.seen_ids,
            self.limits.lease_s,
            self.spec.floors.get(record.serial, 0),
            self.writer,
            LOGS,
        )
        return cast("Activation", activation)

    async def _bring_up_to_date(self, activation: Activation) -> None:
        """A log knows no rules and no hidden players."""

    async def follow_rules(self) -> None:
        """See above."""

    async def follow_hidden(self) -> None:
        """See above."""

    async def follow_hidden_in(self, activation: Activation) -> None:
        """See above."""

    @property
    def only(self) -> Activation[Log]:
        """Its one activation, loaded or not. ApiError period_loading where there is none."""
        if not len(self.open):
            raise ApiError("period_loading", "the log is being opened")
        return cast("Activation[Log]", self.open[0])

    async def awake(self) -> Activation[Log]:
        """Loaded, and woken if it slept. ApiError."""
        await self.open.ensure_awake(self.only.record.serial)
        activation = self.only
        activation.require_loaded()
        activation.used()
        return activation

    def draft(self, append: Append) -> tuple[Activation[Log], LogDraft]:
        """Where inputs of an append are drafted. NotTaken; ApiError if it cannot be written now."""
        if self.is_leaving or self.open.is_stopped or not len(self.open):
            raise NotTaken(NOT_HERE)  # gateways wait a moment for it
        if self.is_waking:
            raise NotTaken(ASLEEP)
        activation = self.only
        activation.require_writable()
        activation.used()
        draft = append.drafts.get(activation)
        if draft is None:
            log, created_ms = activation.period, self.only.record.opened_at_ms
            draft = append.drafts[activation] = LogDraft(log, max(self.clock.now_ms(), created_ms))
        return activation, draft
