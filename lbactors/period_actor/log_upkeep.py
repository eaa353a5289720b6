"""What takes rows out of a log: erasing a player, and age.

An erasure empties the account first, and lets go of it last: the account leads to the player's rows, so an
erasure that was interrupted is asked for again and goes on. Neither input names the player. Rows are
overwritten where they stand, since all others keep their seqs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from lbactors.core.errors import ApiError
from lbactors.core.inputs import JournalBody
from lbactors.core.log_inputs import ERASED, erased, names
from lbactors.period_actor import log_writes
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.leaderboard import Leaderboard
from lbactors.period_actor.log_chain import LogChain
from lbactors.period_actor.log_reader import LogReader
from lbactors.period_actor.log_reads import inputs_of
from lbactors.wire.logs import TrimLog
from persistence.store import Record

REWRITTEN_AT_ONCE = 32  # records


async def erase(board: Leaderboard, chain: LogChain, player_id: str) -> int:
    """Forget a player in a log; 1 if there was anything, else 0. ApiError, StoreError: ask again."""
    activation = await chain.awake()
    if not activation.period.has(player_id):
        await _saved(chain)  # an erasure that was interrupted at its end may be in the journal alone
        return 0
    marker = await log_writes.erase_account(board, chain, player_id)
    await _saved(chain)  # a replay must not meet rows that are overwritten
    # What came since is new, and stays.
    seqs = [seq async for seq, item in inputs_of(chain, player_id) if seq < marker and item[0] != ERASED]
    await _overwrite(chain, player_id, seqs)
    await log_writes.forget_account(board, chain, player_id)
    await _saved(chain)
    return 1


async def _saved(chain: LogChain) -> Activation:
    """The log's activation, with a snapshot of all that it is. ApiError, StoreError."""
    activation = await chain.awake()
    await activation.snapshot()
    if activation.state != "serving":
        raise ApiError("storage_unavailable", "the log could not be saved; ask again")
    return cast("Activation", activation)


async def _overwrite(chain: LogChain, player_id: str, seqs: Sequence[int]) -> None:
    """Overwrite the player's inputs in the records that have these seqs. ApiError, StoreError."""
    activation = await chain.awake()
    store, log_id = chain.store, activation.period_id
    records: list[Record] = []
    for seq in sorted(set(seqs), reverse=True):
        if records and records[-1].first_seq <= seq <= records[-1].last_seq:
            continue
        found = await store.records(log_id, seq - 1, 1)
        if not found or found[0].first_seq > seq:
            continue  # it is not kept any more
        record = found[0]
        rules, now_ms, inputs = JournalBody.unpack(record.body)
        cleared = [erased(item) if names(item, player_id) else item for item in inputs]
        records.append(record._replace(body=JournalBody(rules, now_ms, cleared).pack()))
        if len(records) == REWRITTEN_AT_ONCE:
            await store.rewrite(log_id, activation.epoch, records)
            records = []
    if records:
        await store.rewrite(log_id, activation.epoch, records)


async def trim(board: Leaderboard, chain: LogChain, asked: TrimLog) -> int:
    """Let go of old rows; the first seq that is kept. ApiError, StoreError."""
    activation = await _saved(chain)
    log_id = activation.period_id
    limit = min(asked.up_to_seq, activation.period.saved_seq)
    seq = await LogReader(chain.store, log_id).seek(asked.before_ms, limit)
    first_kept = (await chain.awake()).period.first_kept
    if seq < first_kept:
        return first_kept
    await log_writes.note_trimmed(board, chain, seq)
    await chain.store.trim(log_id, activation.epoch, seq)
    return seq + 1
