"""Which period of a chain is meant: by what a reader calls it, and as the one before another.

`current` and `previous` depend on the time; a key may name a period that only the store knows. `change`
compares with the period before, so that one is loaded too; where it cannot be, the change is not known, and
all else is answered.
"""

from __future__ import annotations

from lbactors.core.errors import PERIODS_NAMED, ApiError
from lbactors.core.model import PeriodRecord
from lbactors.period_actor import reads
from lbactors.period_actor.activation import READABLE, Activation
from lbactors.period_actor.chain import Chain
from persistence.store import StoreError


def named(chain: Chain, ref: str) -> Activation | PeriodRecord | None:
    """What `current`, `previous` or a key mean now; None for a key that is not loaded."""
    if ref == "current":
        return _loaded_or(chain, chain.current(chain.clock.now_ms()))
    if ref == "previous":
        current = chain.current(chain.clock.now_ms())
        record = current.record if isinstance(current, Activation) else current
        before = [a for a in chain.open if a.record.serial < record.serial]
        if before:
            return before[-1]
        last = chain.last_sealed
        if last is not None and last.serial < record.serial:
            return _loaded_or(chain, last)
        if record.serial == chain.spec.oldest_serial:
            raise ApiError("period_not_found", "there is no previous period")
        return None
    activation: Activation
    for activation in [*chain.open, *chain.closed.values()]:
        if activation.record.key == ref:
            return activation
    return None


async def stored(chain: Chain, ref: str) -> PeriodRecord:
    """A sealed period that only the store knows: by key, or the one before the current one."""
    records = await chain.closed.records()
    if ref == "previous":
        current = chain.current(chain.clock.now_ms())
        serial = (current.record if isinstance(current, Activation) else current).serial
        chosen = [r for r in records if r.serial < serial]
    else:
        chosen = [r for r in records if r.key == ref]
    if not chosen:
        told = f"no period '{ref}' in window {chain.spec.window}; {PERIODS_NAMED}"
        raise ApiError("period_not_found", told)
    return chosen[-1]


def _loaded_or(chain: Chain, found: Activation | PeriodRecord) -> Activation | PeriodRecord:
    if isinstance(found, PeriodRecord):
        return chain.closed.get(found.serial, found)
    return found


def record_before(chain: Chain, activation: Activation) -> PeriodRecord | None:
    """The period that `change` compares with, as far as it is known without asking the store."""
    before = [a.record for a in chain.open if a.record.serial < activation.record.serial]
    last = chain.last_sealed
    if last is not None and last.serial < activation.record.serial:
        before.append(last)
    before.extend(a.record for s, a in chain.closed.items() if s < activation.record.serial)
    return max(before, key=lambda r: r.serial, default=None)


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
    serial = activation.record.serial
    if activation.record.sealed and (record is None or record.serial != serial - 1):
        try:
            earlier = [r for r in await chain.closed.records() if r.serial < serial]
        except StoreError:
            return reads.UNREAD
        record = earlier[-1] if earlier else None
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
