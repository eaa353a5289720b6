"""Which period of a chain is meant: by what a reader calls it, and as the one before another.

`current` and `previous` depend on the time; a key may name a period that only the store knows. `change`
compares with the period before, so that one is loaded too; where it cannot be, the change is not known, and
all else is answered.
"""

from __future__ import annotations

from lbactors.core import lifecycle
from lbactors.core.errors import PERIODS_NAMED, ApiError
from lbactors.core.model import PeriodRecord
from lbactors.period_actor import reads
from lbactors.period_actor.activation import READABLE, Activation
from lbactors.period_actor.chain import Chain
from persistence.store import StoreError


def named(chain: Chain, ref: str, zone: str = "") -> Activation | PeriodRecord | None:
    """What `current`, `previous` or a key mean now; None for a key that is not loaded. zone: whose current
    period, where periods are player-local.
    """
    if ref == "current":
        return _loaded_or(chain, chain.current(chain.clock.now_ms(), zone))
    if ref == "previous":
        record = _current_record(chain, zone)
        last = chain.last_sealed
        known = [a.record for a in chain.open] if last is None else [*(a.record for a in chain.open), last]
        before = lifecycle.record_before(known, record)
        if before is not None:
            return chain.open.find(before.serial) or _loaded_or(chain, before)
        if record.serial == chain.spec.oldest_serial:
            raise ApiError("period_not_found", "there is no previous period")
        return None
    activation: Activation
    for activation in [*chain.open, *chain.closed.values()]:
        if activation.record.key == ref:
            return activation
    return None


def _current_record(chain: Chain, zone: str) -> PeriodRecord:
    current = chain.current(chain.clock.now_ms(), zone)
    return current.record if isinstance(current, Activation) else current


async def stored(chain: Chain, ref: str, zone: str = "") -> PeriodRecord:
    """A sealed period that only the store knows: by key, or the one before the current one."""
    records = await chain.closed.records()
    if ref == "previous":
        chosen = lifecycle.record_before(records, _current_record(chain, zone))
    else:
        chosen = next((r for r in records if r.key == ref), None)
    if chosen is None:
        told = f"no period '{ref}' in window {chain.spec.window}; {PERIODS_NAMED}"
        raise ApiError("period_not_found", told)
    return chosen


def _loaded_or(chain: Chain, found: Activation | PeriodRecord) -> Activation | PeriodRecord:
    if isinstance(found, PeriodRecord):
        return chain.closed.get(found.serial, found)
    return found


def record_before(chain: Chain, activation: Activation) -> PeriodRecord | None:
    """The period that `change` compares with, as far as it is known without asking the store."""
    known = [a.record for a in (*chain.open, *chain.closed.values())]
    last = chain.last_sealed
    if last is not None:
        known.append(last)
    return lifecycle.record_before(known, activation.record)


def _may_lack(chain: Chain, activation: Activation, before: PeriodRecord | None) -> bool:
    """Whether the store may know a period between these two. Open periods come after all closed ones, but for
    player-local ones, which are not closed in their order where one was closed by hand.
    """
    record = activation.record
    if record.is_local:
        if activation.before_serial == (0 if before is None else before.serial):
            return False
        if before is None:
            return record.serial > chain.spec.oldest_serial
        return before.local_ends_at_ms not in (record.local_starts_at_ms, record.local_ends_at_ms)
    return record.sealed and (before is None or before.serial != record.serial - 1)


def loaded_before(chain: Chain, record: PeriodRecord) -> Activation | None:
    activation: Activation
    for activation in [*chain.open, *chain.closed.values()]:
        if activation.record.serial == record.serial and activation.state in READABLE:
            return activation
    return None


async def period_before(chain: Chain, activation: Activation) -> reads.Before:
    """The period before, loaded; None if there is none, `UNREAD` if it cannot be read. Older closed periods
    need a look into the store. ApiError period_loading if the chain was let go of meanwhile.
    """
    record = record_before(chain, activation)
    if _may_lack(chain, activation, record):
        try:
            closed = await chain.closed.records()
        except StoreError:
            return reads.UNREAD
        known = closed if record is None else [*closed, record]
        record = lifecycle.record_before(known, activation.record)
        activation.before_serial = 0 if record is None else record.serial
    if record is None:
        return None
    found = loaded_before(chain, record)
    if found is not None:
        return found.period
    if chain.open.find(record.serial) is not None:
        try:
            found = await chain.open.ensure_awake(record.serial)
            found.require_loaded()
            return found.period
        except ApiError:
            if chain.open.is_stopped:
                raise
            if chain.open.find(record.serial) is not None:
                return reads.UNREAD
            # it was closed meanwhile
    if not chain.closed.has_failed(record.serial):
        try:
            return (await chain.closed.ensure_loaded(record)).period
        except ApiError:
            if not chain.closed.has_failed(record.serial):
                raise
    chain.closed.try_again(record)
    return reads.UNREAD
