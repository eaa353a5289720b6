"""Reads of a log: accounts from memory, rows from the store."""

from __future__ import annotations

from collections.abc import AsyncIterator

from lbactors.core.errors import ApiError
from lbactors.core.log import Log, PendingRow
from lbactors.core.log_inputs import ROW, LogInput, Row, names, previous_seq_of
from lbactors.core.log_model import ROW_KINDS, RowState, Transaction, transaction_id
from lbactors.period_actor.log_chain import LogChain
from lbactors.period_actor.log_reader import LogPage, LogReader
from lbactors.wire.logs import BALANCE, STATS, TRANSACTION, LogRead, TransactionsAsked, TransactionsFound
from lbactors.wire.replies import NOT_HERE, VALUE, Reply


async def read(chain: LogChain, asked: LogRead) -> Reply:
    """ApiError; StoreError."""
    if chain.is_leaving:
        return Reply(NOT_HERE)
    chain.work += 1
    log = (await chain.awake()).period
    if asked.kind == BALANCE:
        (player_id,) = asked.args
        return Reply(VALUE, log.balance(player_id))
    if asked.kind == STATS:
        return Reply(VALUE, log.stats)
    if asked.kind == TRANSACTION:
        (seq,) = asked.args
        return Reply(VALUE, await transaction(chain, seq))
    return Reply(VALUE, await transactions(chain, TransactionsAsked(*asked.args)))


async def transaction(chain: LogChain, seq: int) -> Transaction:
    """One row; one that is pending is found for as long as it is. ApiError transaction_not_found;
    StoreError.
    """
    activation = await chain.awake()
    waiting = activation.period.open.pending.get(seq)
    if waiting is not None:
        return _pending(seq, waiting)
    page = await _page(chain, activation.period, seq)
    item = None if page is None else page.item(seq)
    if item is None or item[0] != ROW:
        raise ApiError("transaction_not_found", f"no transaction '{transaction_id(seq)}'")
    return _shown(activation.period, seq, item)


async def _page(chain: LogChain, log: Log, seq: int) -> LogPage | None:
    """The page that has a seq; None if it is not kept, or there is no such seq."""
    if not log.first_kept <= seq <= log.seq:
        return None
    return await LogReader(chain.store, chain.only.period_id).at(seq)


async def transactions(chain: LogChain, asked: TransactionsAsked) -> TransactionsFound:
    """Rows newest first. StoreError."""
    log = (await chain.awake()).period
    player_id, before_seq, limit = asked
    before_seq = min(before_seq or log.seq + 1, log.seq + 1)
    found: list[Transaction] = []
    rows = (
        _all(chain, log, before_seq) if player_id is None else _of_player(chain, log, player_id, before_seq)
    )
    async for seq, item in rows:
        if len(found) == limit:
            return _page_of(log, found, player_id, seq + 1)
        found.append(_shown(log, seq, item))
    return _page_of(log, found, player_id, None)


def _page_of(
    log: Log, found: list[Transaction], player_id: str | None, next_before: int | None
) -> TransactionsFound:
    total = log.rows if player_id is None else log.balance(player_id).transactions
    return TransactionsFound(found, total, next_before)


async def _all(chain: LogChain, log: Log, before_seq: int) -> AsyncIterator[tuple[int, LogInput]]:
    reader = LogReader(chain.store, chain.only.period_id)
    async for page in reader.backwards(before_seq):
        for seq in range(min(page.last_seq, before_seq - 1), page.first_seq - 1, -1):
            item = page.item(seq)
            if seq < log.first_kept:
                return
            if item[0] == ROW:
                yield seq, item


async def _of_player(
    chain: LogChain, log: Log, player_id: str, before_seq: int
) -> AsyncIterator[tuple[int, LogInput]]:
    """From one to the one before. `before_seq` follows one of them, or the walk begins at the newest."""
    async for seq, item in inputs_of(chain, player_id, before_seq - 1):
        if item[0] == ROW and seq < before_seq:
            yield seq, item


async def inputs_of(
    chain: LogChain, player_id: str, at_seq: int | None = None
) -> AsyncIterator[tuple[int, LogInput]]:
    """A player's inputs that are kept, newest first, those that were erased included; from `at_seq` on, if
    that is one of them. StoreError.
    """
    log = (await chain.awake()).period
    seq = log.newest(player_id)
    if at_seq is not None:
        page = await _page(chain, log, at_seq)
        if page is not None and names(page.item(at_seq), player_id):
            seq = at_seq
    page = None
    while seq:
        if page is None or not page.first_seq <= seq <= page.last_seq:
            page = await _page(chain, log, seq)
        if page is None:
            return
        item = page.item(seq)
        yield seq, item
        seq = previous_seq_of(item)


def _pending(seq: int, row: PendingRow) -> Transaction:
    return Transaction(
        seq,
        row.player_id,
        ROW_KINDS[row.kind],
        "pending",
        row.amount,
        row.subscore,
        row.submission_id,
        row.metadata,
        row.occurred_at_ms,
        row.at_ms,
        None,
    )


def _shown(log: Log, seq: int, item: LogInput) -> Transaction:
    row = Row(*item)
    state: RowState = "completed"
    settled_at_ms: int | None = None
    if row.is_pending:
        is_completed, settled_at_ms = log.open.settled.get(seq, (None, None))
        state = "pending" if is_completed is None else "completed" if is_completed else "rejected"
    return Transaction(
        seq,
        row.player_id,
        ROW_KINDS[row.kind],
        state,
        row.amount,
        row.subscore,
        row.submission_id,
        row.metadata,
        row.occurred_at_ms,
        row.at_ms,
        settled_at_ms,
    )
