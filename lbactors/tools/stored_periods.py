"""A stored period or log read as a whole, with what damage left of it."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from lbactors.core.ids import in_chain, is_log
from lbactors.core.log import Log
from lbactors.core.model import PeriodRecord
from lbactors.core.period import Period
from lbactors.period_actor.hosted_state import LOGS, PERIODS
from lbactors.period_actor.replay import rebuild
from persistence.store import Part, Record, Recovered, Store, StoreCorrupt


class Stored(NamedTuple):
    """A period's stored state as far as it could be read. `damage`: what ended the reading, if it did."""

    seq: int
    parts: list[tuple[str, bytes]]
    records: list[Record]
    damage: StoreCorrupt | None

    @property
    def is_blank(self) -> bool:
        return not (self.seq or self.records)


def named_by(chain_id: str, record: PeriodRecord) -> str:
    """The id of the period that a document names. `verify` and `migrate` count what is named or stored."""
    return in_chain(chain_id, record.serial)


async def read_period(store: Store, period_id: str) -> Stored:
    """Snapshot and journal, up to their end or to damage. StoreUnavailable."""
    seq = 0
    parts: list[tuple[str, bytes]] = []
    records: list[Record] = []
    try:
        async for item in store.recover(period_id):
            if isinstance(item, Recovered):
                seq = item.seq
            elif isinstance(item, Part):
                parts.append((item.name, item.body))
            else:
                records.append(item)
    except StoreCorrupt as error:
        return Stored(seq, parts, records, error)
    return Stored(seq, parts, records, None)


async def build_state(
    period_id: str, stored: Stored, seen_ids_limit: int, *, check: bool = False
) -> Period | Log | None:
    """The state that was read, built in a thread; None if it is blank. `check`: assert every invariant, too.

    StoreCorrupt if the bytes make no state.
    """
    if stored.is_blank:
        return None

    def build() -> Period | Log:
        state: Period | Log
        if is_log(period_id):
            state = rebuild(LOGS, stored.seq, stored.parts, stored.records, seen_ids_limit)
        else:
            state = rebuild(PERIODS, stored.seq, stored.parts, stored.records, seen_ids_limit)
        if check:
            state.check()
        return state

    try:
        return await asyncio.to_thread(build)  # what else the process does goes on meanwhile
    except MemoryError:
        raise
    except Exception as error:  # whatever it is, these bytes make no state
        why = str(error) or type(error).__name__
        raise StoreCorrupt(f"period {period_id!r}: the stored state does not load: {why}") from error


async def load_state(
    store: Store, period_id: str, seen_ids_limit: int, *, check: bool = False
) -> Period | Log | None:
    """The state of a period or log; None if nothing was ever written. `check` as in `build_state`.

    StoreCorrupt for damage, and for sound bytes that do not make a state; StoreUnavailable.
    """
    stored = await read_period(store, period_id)
    if stored.damage is not None:
        raise stored.damage
    return await build_state(period_id, stored, seen_ids_limit, check=check)


async def load_period(
    store: Store, period_id: str, seen_ids_limit: int, *, check: bool = False
) -> Period | None:
    """The same of a leaderboard's period."""
    state = await load_state(store, period_id, seen_ids_limit, check=check)
    assert not isinstance(state, Log), "a log is no period"
    return state
