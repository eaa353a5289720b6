"""What there is to check of logs beyond what they share with periods: their documents, the rows that they
keep, and the places up to which leaderboards say that they have read them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from lbactors.core.ids import LOG_UIDS, in_chain, log_document
from lbactors.core.log import Log
from lbactors.core.log_inputs import (
    AWARD,
    ERASED,
    EVENT,
    ROW,
    SET,
    SETTLE,
    TRIM,
    Event,
    LogInput,
    Row,
    Settle,
    names,
    previous_seq_of,
)
from lbactors.core.model import Board, PeriodRecord
from lbactors.core.period import Period
from lbactors.period_actor.log_reader import LogPage, LogReader
from lbactors.supervisor.chain_state import log_of
from persistence.store import Store, StoreCorrupt

METRIC_UID, EVENTS_UID = LOG_UIDS


def document_of(board: Board) -> str:
    """Under which id a log's document stands. ValueError if it is no log's."""
    if board.uid.startswith(METRIC_UID):
        return log_document(board.tenant_id, board.leaderboard_id)
    if board.uid.startswith(EVENTS_UID):
        return log_document(board.tenant_id, None)
    raise ValueError("no log")


def period_of(log: Board) -> str:
    """The one period of a log."""
    return in_chain(log.chain_id("main"), 1)


def is_ahead(board: Board, log: Board, record: PeriodRecord, period: Period, last_seq: int) -> bool:
    """Whether a period counts rows that its log does not have, and will not begin anew in any case.
    last_seq: of the log.
    """
    followed = period.followed
    if followed.terms is None or record.sealed or log_of(board) != document_of(log):
        return False
    holds = (board.fill.generation, period_of(log), record.reopened)
    return followed.terms.reading == holds and followed.position > last_seq


class LogFinding(NamedTuple):
    """What is wrong with a log, in a sentence. kind: `damage` of its rows, of its `state` beside them, or
    what a cut left behind (`leftover`), which does no harm.
    """

    kind: str
    text: str


async def log_findings(store: Store, log_id: str, log: Log) -> AsyncIterator[LogFinding]:
    """Read every row that is kept, and hold the state against them. A page in memory at a time, and a number
    for each account. StoreUnavailable.
    """
    first_kept = await store.first_seq(log_id)
    if first_kept > log.first_kept:
        text = f"rows before seq {first_kept} were deleted for their age, and the note of that was cut"
        yield LogFinding("leftover", text)
    newest = log.newest_rows()
    pending = dict(log.open.pending)
    reader, seq, last_ms = LogReader(store, log_id), 0, 0
    while True:
        try:
            pages = await reader.after(seq)
        except StoreCorrupt as error:
            yield LogFinding("damage", str(error))
            return
        if not pages:
            break
        for page in pages:
            for text in _wrong_in(page, last_ms):
                yield LogFinding("damage", text)
            for at_seq, item in enumerate(page.items, page.first_seq):
                player_id = newest.pop(at_seq, None)
                if player_id is not None and not _leads_on(item, player_id, log):
                    text = f"the newest row of an account is said to be at seq {at_seq}, and is not"
                    yield LogFinding("state", text)
                row = pending.pop(at_seq, None)
                if row is not None and not (item[0] == ROW and names(item, row.player_id) and item[4]):
                    yield LogFinding("state", f"the row at seq {at_seq} is said to be pending, and is not")
            seq, last_ms = page.last_seq, page.last_ms
    begins = max(first_kept, log.first_kept)
    lost = sum(at_seq >= begins for at_seq in newest), sum(at_seq >= begins for at_seq in pending)
    if any(lost):
        yield LogFinding("state", f"{lost[0]} newest rows of accounts and {lost[1]} pending rows are missing")
    if log.last_ms < last_ms:
        yield LogFinding("state", "a row was acknowledged later than the state says that anything was")


def _leads_on(item: LogInput, player_id: str, log: Log) -> bool:
    """Whether an input may be what an account points to. One that was erased has no rows any more."""
    if item[0] == ERASED:
        return not log.account(player_id)[4]
    return names(item, player_id) and item[0] in (ROW, SETTLE, EVENT)


def _wrong_in(page: LogPage, last_ms: int) -> list[str]:
    """What is wrong with the inputs of a record, one sentence at most. last_ms: of the one before."""
    for seq, item in enumerate(page.items, page.first_seq):
        try:
            why = _wrong(seq, item, last_ms)
            last_ms = item[1]
        except (TypeError, IndexError, ValueError):
            why = "is no input of a log"
        if why:
            return [f"record {page.first_seq}..{page.last_seq}: what is at seq {seq} {why}"]
    return []


_FIELDS = {ROW: len(Row._fields), SETTLE: len(Settle._fields), EVENT: len(Event._fields)}


def _wrong(seq: int, item: LogInput, last_ms: int) -> str:
    """What is wrong with an input; empty if nothing is. TypeError, IndexError: it is none."""
    kind, at_ms = item[0], item[1]
    if type(kind) is not int or not ROW <= kind <= TRIM or type(at_ms) is not int:
        return "is no input of a log"
    if len(item) != _FIELDS.get(kind, len(item)):
        return "has not the fields of its kind"
    if at_ms < last_ms:
        return "was acknowledged before what is before it"
    if not 0 <= previous_seq_of(item) < seq:
        return "points to what comes after it"
    if kind in _FIELDS and not isinstance(item[2], str):
        return "names no player"
    if kind in (ROW, SETTLE) and not AWARD <= item[3 if kind == ROW else 5] <= SET:
        return "is of no kind"
    if kind == SETTLE and not 0 < item[3] < seq:
        return "settles what comes after it"
    return ""
