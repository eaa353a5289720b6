"""A read of a chain, from the question to the answer: the period that is meant is loaded if it is not, and
shows the latest rules and hidden players.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from lbactors.core.errors import ApiError
from lbactors.core.lifecycle import record_after
from lbactors.core.model import PeriodView
from lbactors.period_actor import period_finder, reads
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.chain import Chain
from lbactors.wire.reads import QUERIES, ReadAnswer


def is_warm(chain: Chain, ref: str, zone: str = "") -> bool:
    """Whether a read needs no loading and so no waiting."""
    try:
        found = period_finder.named(chain, ref, zone)
    except ApiError:
        return True
    if not isinstance(found, Activation):
        return False
    if found in chain.open:
        if chain.open.is_waking(found):
            return False
    elif found.state == "loading":
        return False
    if found.state == "loading":
        return True  # that is the answer
    if found in chain.open and chain.is_to_close(found):
        return False
    before = period_finder.record_before(chain, found)
    if before is None or chain.closed.has_failed(before.serial):
        return True
    return period_finder.loaded_before(chain, before) is not None


async def read(chain: Chain, ref: str, kind: str, args: Sequence[Any], zone: str = "") -> ReadAnswer:
    """One read. `ref`: current, previous or a key. The rest: see `lbactors.wire.reads`."""
    asked = QUERIES[kind](*args)
    found = period_finder.named(chain, ref, zone)
    if found is None:
        found = await period_finder.stored(chain, ref, zone)
    chain.work += 1
    activation = found if isinstance(found, Activation) else await chain.closed.ensure_loaded(found)
    if activation in chain.open and chain.open.is_waking(activation):
        activation = await chain.open.ensure_awake(activation.record.serial)
    before = (
        await period_finder.period_before(chain, activation) if type(asked) in reads.WITH_CHANGES else None
    )
    if chain.hidden.is_behind(activation) or chain.is_behind(activation):
        with contextlib.suppress(ApiError):  # while the store is away, reads go on with what is known
            await chain.follow_hidden_in(activation)
            await chain.follow_rules()
    activation.require_loaded()
    if chain.is_to_close(activation):
        with contextlib.suppress(ApiError):  # while the store is away, it is shown as closing
            await chain.close_together()
        activation.require_loaded()
    activation.last_used_ms = chain.clock.now_ms()
    if chain.follower is not None and chain.follower.is_filling(activation):
        key = activation.record.key
        raise ApiError("period_loading", f"period {key} is being filled from its log")
    period = activation.period
    rows, offset, matched, missing, edges = reads.answer(period, before, asked)
    view = _view(chain, activation)
    return ReadAnswer(view, period.total, period.seq, rows, offset, matched, list(missing), edges)


def _view(chain: Chain, activation: Activation) -> PeriodView:
    record = activation.record
    following = record_after((a.record for a in chain.open), record)
    last = chain.last_sealed
    if last is not None and record.order < last.order:  # others lie between it and the open ones
        next_ms = record.next_starts_at_ms
    elif following is not None:
        next_ms = following.starts_at_ms
    else:
        next_ms = record.next_starts_at_ms if chain.spec.more else None
    return reads.view_of(activation, chain.spec.window, chain.clock.now_ms(), chain.spec.grace_ms, next_ms)
