"""A store checked from end to end, by the storage contract alone: whether a server that starts on it finds
everything that was acknowledged.

Three looks. *Documents*: each one's checksum, that it is what its collection holds, that it stands under its
own id. *Periods*, whether a document names them or not: every byte's checksum, seqs without a gap, epochs
that never fall and are all given out, a state that loads and passes its `check`, and for a closed period the
numbers in its record. Of a log also every row that is kept, and whether the accounts lead to them. *Between
them*: periods that no document names, documents whose leaderboard is gone, leaderboards whose log is not
there or ends before the place up to which they have read it.

A finding is an **error** if something acknowledged is damaged, missing or out of reach, so that a server
would refuse it or show something else than before. It is a **caution** if nothing is lost: room taken by
leftovers, a store that keeps less than it could. A store is sound if there is no error.

Documents are read some hundreds at a time, periods one at a time: memory is bounded by the largest period.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from lbactors.core.ids import board_of_chain, chain_of, is_log
from lbactors.core.lifecycle import Retention
from lbactors.core.log import Log
from lbactors.core.model import Board, PeriodRecord
from lbactors.core.period import Period
from lbactors.documents.entities import COLLECTIONS
from lbactors.supervisor.chain_state import log_of
from lbactors.tools.migration_marker import unfinished_migration
from lbactors.tools.progress import Progress
from lbactors.tools.stored_documents import all_documents, read_document
from lbactors.tools.stored_logs import is_ahead, log_findings, period_of
from lbactors.tools.stored_periods import load_state, named_by
from persistence.store import Examined, Store, StoreCorrupt

ERROR, CAUTION = "error", "caution"
SHOWN_OF_A_PERIOD = 10  # findings of one kind; a journal of thousands of bad records is one trouble


class Finding(NamedTuple):
    """One thing found. `kind` is one word for programs, `place` names document or period, `text` says it."""

    severity: str
    kind: str
    place: str
    text: str


class Verified(NamedTuple):
    """What was read, and what was found. `documents`: number by collection; `entries`: of all states."""

    documents: dict[str, int]
    periods: int
    entries: int
    records: int
    findings: list[Finding]

    @property
    def errors(self) -> int:
        return sum(finding.severity == ERROR for finding in self.findings)

    @property
    def sound(self) -> bool:
        return self.errors == 0


async def verify(store: Store, seen_ids_limit: int, progress: Progress, *, live: bool = False) -> Verified:
    """Check an open store. StoreUnavailable.

    live: a server changes the store meanwhile. What is found may then be one moment's document beside
    another's data; so a second look is taken, and what it does not find again is dropped.
    """
    verified = await Verification(store, seen_ids_limit, progress).run()
    if not live or not verified.findings:
        return verified
    again = await Verification(store, seen_ids_limit, progress).run()
    before = {(finding.kind, finding.place) for finding in verified.findings}
    return again._replace(findings=[f for f in again.findings if (f.kind, f.place) in before])


class Verification:
    """One look at a store; `run` may be called once."""

    def __init__(self, store: Store, seen_ids_limit: int, progress: Progress) -> None:
        self._store = store
        self._seen_ids_limit = seen_ids_limit
        self._progress = progress
        self._findings: list[Finding] = []
        self._documents: dict[str, int] = {}
        self._boards: dict[str, Board] = {}  # by the first part of their chains' ids, logs too
        self._logs: dict[str, Board] = {}  # by their documents
        self._homes: list[str] = []
        self._chains: dict[str, list[PeriodRecord]] = {}
        self._unread: set[str] = set()  # collections of which a document could not be read
        self._entries = 0
        self._records = 0

    async def run(self) -> Verified:
        """StoreUnavailable."""
        store = self._store
        for sentence in await store.cautions():
            self._find(CAUTION, "keeping", "store", sentence)
        try:
            unfinished = await unfinished_migration(store)
            if unfinished is not None:
                self._find(ERROR, "migration", "store", unfinished)
        except StoreCorrupt as error:
            self._find(ERROR, "damage", "store", str(error))
        for number, collection in enumerate(COLLECTIONS):
            self._progress(collection, number, len(COLLECTIONS))
            await self._read_documents(collection)
        self._relate()
        period_ids = await self._read_periods()
        self._progress("what belongs to nothing", 0, 0)
        for sentence in await store.strays():
            self._find(CAUTION, "stray", "store", sentence)
        if not period_ids and not any(self._documents.values()):
            self._find(CAUTION, "empty", "store", "there is nothing in it: is this the right store?")
        order = {ERROR: 0, CAUTION: 1}
        self._findings.sort(key=lambda finding: order[finding.severity])
        return Verified(self._documents, len(period_ids), self._entries, self._records, self._findings)

    def _find(self, severity: str, kind: str, place: str, text: str) -> None:
        self._findings.append(Finding(severity, kind, place, text))

    # Documents ------------------------------------------------------------------------------------------

    async def _read_documents(self, collection: str) -> None:
        count = 0
        async for doc_id, body in all_documents(self._store, collection):
            count += 1
            place = f"document {collection} {doc_id}".rstrip()
            if isinstance(body, StoreCorrupt):
                self._unread.add(collection)
                rest = "" if doc_id else "; the documents after it cannot be read"
                self._find(ERROR, "damage", place, f"{body}{rest}")
                continue
            try:
                document = read_document(collection, doc_id, body)
            except ValueError as error:
                self._unread.add(collection)
                self._find(ERROR, "document", place, str(error))
                continue
            self._take(collection, doc_id, document)
        self._documents[collection] = count

    def _take(self, collection: str, doc_id: str, document: Board | PeriodRecord | str) -> None:
        """Keep what the periods are held against."""
        if isinstance(document, Board):
            self._boards[document.board_uid] = document
            if collection == "logs":
                self._logs[doc_id] = document
        elif isinstance(document, PeriodRecord):
            self._chains.setdefault(chain_of(doc_id), []).append(document)
        elif collection == "homes":
            self._homes.append(doc_id)

    def _home_is_known(self, name: str) -> bool:
        """Homes are of leaderboards; of chains, in stores written before those were placed whole."""
        boards = {*self._boards, *map(board_of_chain, self._chains)}
        return name in boards or board_of_chain(name) in boards

    def _board_of(self, chain_id: str) -> Board | None:
        return self._boards.get(board_of_chain(chain_id))

    def _relate(self) -> None:
        """Documents held against each other. Where one could not be read, nothing is said to be missing."""
        for chain_id, records in sorted(self._chains.items()):
            records.sort(key=lambda record: record.serial)
            if self._board_of(chain_id) is None and self._is_complete(chain_id):
                keys = _some(record.key for record in records)
                text = f"left over: their {_board_word(chain_id)} is gone, nobody reads them ({keys})"
                self._find(CAUTION, "leftover", f"documents periods {chain_id}", text)
            for one, other in pairwise(records):
                if one.serial == other.serial:
                    text = f"periods {one.key} and {other.key} claim the same journal (serial {one.serial})"
                    self._find(ERROR, "document", f"documents periods {chain_id}", text)
        for name in self._homes:
            if self._is_complete(name) and not self._home_is_known(name):
                text = f"left over: there is no such {_board_word(name)}"
                self._find(CAUTION, "leftover", f"document homes {name}", text)
        if "logs" not in self._unread:
            self._relate_logs()

    def _is_complete(self, name: str) -> bool:
        """Whether all documents were read among which that of a board, chain or period is."""
        return ("logs" if is_log(name) else "leaderboards") not in self._unread

    def _relate_logs(self) -> None:
        """Every log has its period, and every leaderboard that is computed from one has it."""
        for name, log in sorted(self._logs.items()):
            records = self._chains.get(log.chain_id("main"), [])
            if [record.serial for record in records] != [1] and "periods" not in self._unread:
                text = f"a log has one period, and this one has {len(records)}"
                self._find(ERROR, "log", f"document logs {name}", text)
        for board in self._boards.values():
            needed = log_of(board)
            if needed is not None and needed not in self._logs:
                place = f"document leaderboards {board.tenant_id}/{board.leaderboard_id}"
                self._find(ERROR, "log", place, f"it is computed from the log {needed}, which is not there")

    # Periods --------------------------------------------------------------------------------------------

    async def _read_periods(self) -> set[str]:
        """Look at every period that the store has or a document names; their ids."""
        known = {
            named_by(chain_id, record): (chain_id, record)
            for chain_id, records in self._chains.items()
            for record in records
        }
        stored = set(await self._store.list_periods())
        period_ids = sorted(stored | known.keys())
        for number, period_id in enumerate(period_ids):
            self._progress(period_id, number, len(period_ids))
            examined = await self._store.examine(period_id)
            self._records += len(examined.records) + examined.kept
            self._check_bytes(period_id, examined)
            loads, state = await self._load(period_id, examined)
            if period_id not in known:
                self._unknown(period_id)
            if isinstance(state, Log):
                await self._check_log(period_id, state)
            elif loads and period_id in known:
                self._check_record(period_id, *known[period_id], state)
                await self._check_place(period_id, *known[period_id], state)
        self._progress("", len(period_ids), len(period_ids))
        return set(period_ids)

    def _check_bytes(self, period_id: str, examined: Examined) -> None:
        for sentence in examined.damage[:SHOWN_OF_A_PERIOD]:
            self._find(ERROR, "damage", f"period {period_id}", sentence)
        if (more := len(examined.damage) - SHOWN_OF_A_PERIOD) > 0:
            self._find(ERROR, "damage", f"period {period_id}", f"and {more} more of the kind")
        for text in epoch_findings(examined)[:SHOWN_OF_A_PERIOD]:
            self._find(ERROR, "epoch", f"period {period_id}", text)

    async def _load(self, period_id: str, examined: Examined) -> tuple[bool, Period | Log | None]:
        """Whether the period loads, and its state, if it has one."""
        if examined.damage:
            return False, None
        try:
            state = await load_state(self._store, period_id, self._seen_ids_limit, check=True)
        except StoreCorrupt as error:
            self._find(ERROR, "state", f"period {period_id}", str(error))
            return False, None
        self._entries += len(state) if isinstance(state, Period) else 0
        seq = state.seq if state is not None else 0
        if seq != examined.last_seq:
            text = f"its state ends at seq {seq}, its journal at {examined.last_seq}"
            self._find(ERROR, "state", f"period {period_id}", text)
        return True, state

    async def _check_log(self, log_id: str, log: Log) -> None:
        """The rows of a log, and its state against them."""
        shown: Counter[str] = Counter()
        async for kind, text in log_findings(self._store, log_id, log):
            shown[kind] += 1
            if shown[kind] <= SHOWN_OF_A_PERIOD:
                severity = CAUTION if kind == "leftover" else ERROR
                self._find(severity, kind, f"period {log_id}", text)

    async def _check_place(
        self, period_id: str, chain_id: str, record: PeriodRecord, period: Period | None
    ) -> None:
        """How far a projection says that it has read its log."""
        board = self._board_of(chain_id)
        log = None if board is None else self._logs.get(log_of(board) or "")
        if board is None or log is None or period is None:
            return
        last_seq = await self._store.last_seq(period_of(log))
        if is_ahead(board, log, record, period, last_seq):
            text = (
                f"it has read its log up to seq {period.followed.position}, and that ends at {last_seq}: "
                f"it counts rows that are gone, and begins anew when a server loads it"
            )
            self._find(ERROR, "place", f"period {period_id}", text)

    def _unknown(self, period_id: str) -> None:
        chain_id = chain_of(period_id)
        if "periods" in self._unread or not self._is_complete(chain_id):
            return  # its document may be the one that cannot be read
        word = _board_word(chain_id)
        if self._board_of(chain_id) is None:
            text = f"left over: its {word} is gone, nobody reads it, it takes up room"
            self._find(CAUTION, "orphan", f"period {period_id}", text)
        else:
            what = "rows" if is_log(chain_id) else "scores"
            text = f"no document names it, though its {word} is there: its {what} are out of reach"
            self._find(ERROR, "orphan", f"period {period_id}", text)

    def _check_record(
        self, period_id: str, chain_id: str, record: PeriodRecord, period: Period | None
    ) -> None:
        """A closed period's record against its state. Open ones carry no numbers yet."""
        if not record.sealed:
            return
        place = f"period {period_id}"
        if period is None:
            if not (record.entries or record.submissions or record.last_seq):
                return  # nobody ever played in it
            said = f"its record ({record.key}) says {record.entries} entries, but there is no data"
            board = self._board_of(chain_id)
            if board is not None and record.serial in _surplus(board, self._chains[chain_id]):
                self._find(
                    CAUTION, "deleting", place, f"{said}: it was being deleted, which goes on at start"
                )
            else:
                self._find(ERROR, "missing", place, said)
            return
        if (period.total, period.submissions) != (record.entries, record.submissions):
            self._find(
                ERROR,
                "record",
                place,
                f"its record ({record.key}) says {record.entries} entries of {record.submissions} "
                f"submissions, its state has {period.total} of {period.submissions}",
            )
        # An erasure of a player in a closed period adds an input and changes neither number.
        if record.last_seq > period.seq:
            text = f"its record ({record.key}) says {record.last_seq} inputs, its state has {period.seq}"
            self._find(ERROR, "record", place, text)


def _board_word(name: str) -> str:
    """What a board, chain or period is of."""
    return "log" if is_log(name) else "leaderboard"


def epoch_findings(examined: Examined) -> list[str]:
    """What is wrong with a period's epochs: one that falls along the journal, one that was not given out."""
    found = []
    before = 0
    for epoch, first_seq, last_seq, _, sound in examined.records:
        if not sound:
            continue
        if epoch < before:
            found.append(f"record {first_seq}..{last_seq} has epoch {epoch}, one before it {before}")
        before = max(before, epoch)
    if before > examined.epoch:
        found.append(f"a record has epoch {before}, but the highest given out is {examined.epoch}")
    elif examined.last_seq and not examined.epoch:
        found.append("it has data, but no epoch of it was ever given out")
    return found


def _surplus(board: Board, records: list[PeriodRecord]) -> set[int]:
    """Serials of closed periods beyond those that the leaderboard keeps now."""
    timeframe = board.definition.timeframe
    closed = [(record.serial, record.ends_at_ms or 0) for record in records if record.sealed]
    retention = Retention(timeframe.retain_periods, timeframe.retain_days)
    serials, _ = retention.expired(closed, len(closed), time.time_ns() // 1_000_000)
    return set(serials)


def _some(words: Iterable[str], limit: int = 5) -> str:
    listed = list(words)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more
