"""Periods that do not load, and the one thing that can be done for them here: their journal's damaged end cut
off.

A journal is read up to the first record that is damaged or does not follow the one before it. What comes
after cannot be applied, since the inputs between are missing; so all of it goes, sound records too, and each
is described before: seqs, inputs, and what a sound one holds. What remains is loaded before a cut is offered,
if the store gives what lies before the damage (a store may refuse both together), and in any case after it.

Damage elsewhere cannot be cut away: a snapshot or a document has nothing behind it that would be right.
Neither is a state that does not load although every byte is sound: that is a bug or a newer version's
writing, and dropping acknowledged inputs is no answer to it.

A log is a journal whose records are kept. Its end can be cut like that of any other; what the snapshot covers
cannot, and damage there stops nobody but those who read it. A leaderboard that has read rows which a cut
drops counts what is gone, and would pass over the rows that come under the same seqs: with the cut, such a
leaderboard is told to begin its open periods anew (the generation of its terms rises), as after a change of
its rules. Closed periods stay as they are.

A closed period's record carries its numbers. They are corrected only where a cut made them wrong. (Mostly it
does not: a closed period's snapshot covers all submissions, and its journal holds at most the erasure of a
player that was interrupted.)
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from lbactors.core.ids import board_of_chain, chain_of, in_chain, is_log
from lbactors.core.log import Log
from lbactors.core.model import Board, PeriodRecord
from lbactors.core.packing import pack
from lbactors.core.period import Period
from lbactors.documents.entities import COLLECTIONS, pack_board
from lbactors.period_actor.replay import Contents, contents, log_contents
from lbactors.supervisor.chain_state import log_of
from lbactors.tools.progress import Progress
from lbactors.tools.stored_documents import all_documents, read_document
from lbactors.tools.stored_logs import document_of, is_ahead, period_of
from lbactors.tools.stored_periods import build_state, load_period, load_state, read_period
from persistence.store import Change, Examined, Store, StoreCorrupt, StoreError

OWNER = "repair"
RESTORE = "restore the store from a backup"


class Dropped(NamedTuple):
    """A journal record that a cut would drop. `contents`: None if it cannot be read."""

    first_seq: int
    last_seq: int
    epoch: int
    size_bytes: int
    sound: bool
    contents: Contents | None

    @property
    def inputs(self) -> int:
        return self.last_seq - self.first_seq + 1


class Remains(NamedTuple):
    """What a period holds after a cut. rows: of a log, all there ever were, and its accounts are the entries;
    None of a leaderboard's period.
    """

    entries: int
    submissions: int
    seq: int
    rows: int | None = None


class Trouble(NamedTuple):
    """A period that does not load, or a document (`place` names which).

    `cut_seq`: the seq that a cut would leave as the last; None if a cut does not help, then `advice` says
    what does. `last_seq`: the last one acknowledged. `remains`: what loads after the cut; None if that cannot
    be told before. `ahead`: documents of leaderboards that have read more of the log than a cut leaves.
    """

    place: str
    why: list[str]
    period_id: str = ""
    key: str = ""
    cut_seq: int | None = None
    last_seq: int = 0
    remains: Remains | None = None
    dropped: tuple[Dropped, ...] = ()
    advice: str = RESTORE
    ahead: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        """Inputs that a cut drops, those of records that are not there any more included."""
        return max(self.last_seq - self.cut_seq, 0) if self.cut_seq is not None else 0

    @property
    def readable(self) -> Contents:
        """What the records to be dropped hold, as far as they can be read."""
        known = [record.contents for record in self.dropped if record.contents is not None]
        return Contents(*(sum(kind) for kind in zip(*known, strict=True))) if known else Contents(0, 0, 0, 0)

    @property
    def is_log(self) -> bool:
        return is_log(self.period_id)


class Repaired(NamedTuple):
    """A cut that was made. `corrected`: the closed period's record had to follow. `begin_anew`: documents of
    leaderboards that fill their open periods again.
    """

    period_id: str
    remains: Remains
    corrected: bool
    begin_anew: tuple[str, ...] = ()


class NotRepaired(Exception):
    """The cut was made, and the period still does not load."""


class Repair:
    """A look at an open store, and cuts in it. `find` first."""

    def __init__(self, store: Store, seen_ids_limit: int, progress: Progress) -> None:
        self._store = store
        self._seen_ids_limit = seen_ids_limit
        self._progress = progress
        self._records: dict[str, tuple[str, PeriodRecord]] = {}  # by period id: document's id, record
        self._boards: dict[str, Board] = {}  # leaderboards, by their documents
        self._logs: dict[str, Board] = {}  # by their period

    async def find(self) -> list[Trouble]:
        """Everything that does not load. Changes nothing. StoreUnavailable."""
        found = []
        for number, collection in enumerate(COLLECTIONS):
            self._progress(collection, number, len(COLLECTIONS))
            found += await self._documents(collection)
        period_ids = sorted({*await self._store.list_periods(), *self._records})
        for number, period_id in enumerate(period_ids):
            self._progress(period_id, number, len(period_ids))
            trouble = await self._period(period_id)
            if trouble is not None:
                found.append(trouble)
        self._progress("", len(period_ids), len(period_ids))
        return found

    async def _documents(self, collection: str) -> list[Trouble]:
        found = []
        async for doc_id, body in all_documents(self._store, collection):
            place = f"document {collection} {doc_id}".rstrip()
            if isinstance(body, StoreCorrupt):
                found.append(Trouble(place, [str(body)]))
                continue
            try:
                document = read_document(collection, doc_id, body)
            except ValueError as error:
                found.append(Trouble(place, [str(error)]))
                continue
            if isinstance(document, PeriodRecord):
                chain_id = chain_of(doc_id)
                self._records[in_chain(chain_id, document.serial)] = (doc_id, document)
            elif isinstance(document, Board):
                if collection == "logs":
                    self._logs[period_of(document)] = document
                else:
                    self._boards[doc_id] = document
        return found

    # Periods --------------------------------------------------------------------------------------------

    async def _period(self, period_id: str) -> Trouble | None:
        """What is wrong with a period; None if it loads."""
        _, record = self._records.get(period_id, ("", None))
        key = record.key if record is not None else ""
        trouble = Trouble(f"period {period_id}", [], period_id, key)
        examined = await self._store.examine(period_id)
        if not examined.damage:
            try:
                await self._load(period_id)
            except StoreCorrupt as error:
                advice = "every byte is sound, so nothing is cut: is this version of lbactors too old for it?"
                return trouble._replace(why=[str(error)], advice=advice)
            return None
        trouble = trouble._replace(why=examined.damage, last_seq=examined.last_seq)
        if not examined.snapshot_sound:
            return trouble._replace(advice=f"the snapshot is damaged, a cut does not help: {RESTORE}")
        cut_seq, count = last_sound_seq(examined)
        if cut_seq == examined.last_seq and count == len(examined.records):
            return trouble._replace(
                advice=f"the damage is not in the journal's end, a cut does not help: {RESTORE}"
            )
        try:
            remains = await self._remains(period_id, cut_seq)
        except StoreCorrupt as error:
            advice = f"what a cut would leave does not load either ({error}): {RESTORE}"
            return trouble._replace(advice=advice)
        dropped = await self._dropped(period_id, examined.records[count:])
        ahead = tuple([doc_id async for doc_id in self._ahead(period_id, cut_seq)])
        return trouble._replace(
            cut_seq=cut_seq, remains=remains, dropped=tuple(dropped), advice="", ahead=ahead
        )

    async def _load(self, period_id: str, *, check: bool = False) -> Remains:
        """What a period holds. `check` as in `build_state`. StoreCorrupt: it does not load."""
        return remains_of(await load_state(self._store, period_id, self._seen_ids_limit, check=check))

    async def _remains(self, period_id: str, cut_seq: int) -> Remains | None:
        """What loads up to a seq; None if the store does not give it all. StoreCorrupt: it does not load."""
        stored = await read_period(self._store, period_id)
        records = [record for record in stored.records if record.last_seq <= cut_seq]
        if cut_seq != (records[-1].last_seq if records else stored.seq):
            return None
        usable = stored._replace(records=records)
        return remains_of(await build_state(period_id, usable, self._seen_ids_limit))

    async def _ahead(self, log_id: str, last_seq: int) -> AsyncIterator[str]:
        """The leaderboards of which an open period has read more of a log than would be left, or may have."""
        log = self._logs.get(log_id)
        if log is None:
            return
        for doc_id, board in self._boards.items():
            for period_id, (_, record) in self._records.items():
                if board_of_chain(chain_of(period_id)) != board.board_uid:
                    continue
                if record.sealed or log_of(board) != document_of(log):
                    continue
                try:
                    period = await load_period(self._store, period_id, self._seen_ids_limit)
                except StoreCorrupt:
                    yield doc_id  # what it has read can only be told after its own repair
                    break
                if period is not None and is_ahead(board, log, record, period, last_seq):
                    yield doc_id
                    break

    async def _dropped(self, period_id: str, rows: list[tuple[int, int, int, int, bool]]) -> list[Dropped]:
        """The records to be dropped. Those that follow one of them can be read, if they are sound."""
        read: dict[int, Contents] = {}
        before = 0
        for _, _, last_seq, _, sound in rows:
            if sound and before and last_seq not in read:
                read.update(await self._readable(period_id, before))
            before = last_seq
        return [
            Dropped(first_seq, last_seq, epoch, size_bytes, sound, read.get(last_seq) if sound else None)
            for epoch, first_seq, last_seq, size_bytes, sound in rows
        ]

    async def _readable(self, period_id: str, after_seq: int) -> dict[int, Contents]:
        """What the records after a seq hold, by their last seq, up to the next damaged one."""
        found: dict[int, Contents] = {}
        held = log_contents if is_log(period_id) else contents
        with contextlib.suppress(StoreError, ValueError, TypeError, IndexError):
            async with aclosing(self._store.records_after(period_id, after_seq)) as records:  # type: ignore[type-var]
                async for record in records:
                    found[record.last_seq] = held([record])
        return found

    # Cutting --------------------------------------------------------------------------------------------

    async def cut(self, trouble: Trouble) -> Repaired:
        """Cut as `trouble` says, and make sure that the period loads. NotRepaired, StoreError."""
        assert trouble.cut_seq is not None
        period_id = trouble.period_id
        await self._begin_anew(trouble.ahead)  # first: once it is cut, nobody would see that they must
        epoch = await self._store.take_epoch(period_id)
        await self._store.cut(period_id, epoch, trouble.cut_seq)
        try:
            remains = await self._load(period_id, check=True)
        except StoreCorrupt as error:
            raise NotRepaired(str(error)) from error
        if trouble.remains not in (None, remains):
            raise NotRepaired(f"period {period_id}: it has {remains} now, and should have {trouble.remains}")
        corrected = await self._correct(period_id, remains)
        return Repaired(period_id, remains, corrected, trouble.ahead)

    async def _begin_anew(self, doc_ids: Sequence[str]) -> None:
        """Have leaderboards fill their open periods again from their log."""
        changes = []
        for doc_id in doc_ids:
            board = self._boards[doc_id]
            fill = board.fill._replace(generation=board.fill.generation + 1)
            self._boards[doc_id] = board._replace(fill=fill)
            changes.append(Change("leaderboards", doc_id, pack_board(self._boards[doc_id])))
        if changes:
            epoch = await self._store.take_ownership(OWNER)
            await self._store.commit(changes, owner=OWNER, epoch=epoch)

    async def _correct(self, period_id: str, remains: Remains) -> bool:
        """Have a closed period's record say what it holds; whether it did not."""
        doc_id, record = self._records.get(period_id, ("", None))
        if record is None or not record.sealed:
            return False
        numbers = (remains.entries, remains.submissions)
        if numbers == (record.entries, record.submissions) and record.last_seq <= remains.seq:
            return False
        entries, submissions = numbers
        right = record._replace(entries=entries, submissions=submissions, last_seq=remains.seq)
        epoch = await self._store.take_ownership(OWNER)
        change = Change("periods", doc_id, pack(right.to_wire()))
        await self._store.commit([change], owner=OWNER, epoch=epoch)
        return True


def last_sound_seq(examined: Examined) -> tuple[int, int]:
    """The last seq up to which the journal can be applied, and the number of its records up to there."""
    seq = examined.snapshot_seq
    for count, (_, first_seq, last_seq, _, sound) in enumerate(examined.records):
        if not sound or first_seq != seq + 1:
            return seq, count
        seq = last_seq
    return seq, len(examined.records)


def remains_of(state: Period | Log | None) -> Remains:
    """The numbers of a state; None is the state of a period that nothing was ever written to."""
    if isinstance(state, Log):
        return Remains(len(state), 0, state.seq, state.rows)
    return Remains(state.total, state.submissions, state.seq) if state is not None else Remains(0, 0, 0)
