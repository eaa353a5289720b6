"""What the SQLite backend keeps in its file, and what each operation does to it inside one transaction.

Layout (formats 1 to 3):
    names      period -> the epoch given out last, and a number that stands for it in the tables below
    owners     owner of documents -> the epoch given out last
    identity   one row: the id that was made with the store
    documents  collection, doc_id -> body
    journal    number, last_seq -> one record
    parts      one version of one snapshot part; `id` only ever rises
    snapshots  number -> seq, epoch, manifest: JSON [[part name, seq it was put under, id of that version], …]
    garbage    number -> delete its journal up to `seq`, and parts up to id `mark` that no manifest names
    kept       number -> its journal stays when a snapshot covers it, after seq `trimmed`; of a number that
               is not here nothing stays that the snapshot covers

Why the number rose, although the tables of the version before stayed as they are: 2, since a journal may hold
inputs that the version before would misread; 3, since the version before knows nothing of `kept`, and its
next snapshot of a log would delete what is kept.

The first files of format 1 have no `owners` and no `identity`: owners were among the names. The next writer
adds both tables and copies the epoch of every name that has neither journal nor snapshot; that some of those
are periods does no harm. The version before goes on with such a file, and counts owners where it did. `kept`
is added in the same way to files of formats 1 and 2.

A period that is dropped gets a new number, and the old one becomes garbage: the drop is one small step,
however long the journal is. Garbage is deleted a few rows at a time beside other work: trimming stops no
append. A manifest points at versions by id, so a part put again under the same seq stays invisible until its
commit.
The journal is an ordinary table with an index on (number, last_seq), not clustered by it: measured, that
appends records of 3 kB 2.7 times faster, and replay is sequential enough.

Here are no threads, files or connections: functions of something that executes SQL. An operation that raises
leaves nothing behind; the caller has begun the transaction and commits it.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, Protocol

from persistence.checksum import checksum
from persistence.paging import Found, page_after, page_before
from persistence.store import (
    Change,
    Fenced,
    Part,
    Record,
    Recovered,
    SeqMismatch,
    StoreCorrupt,
    StoreError,
    StoreWentBack,
    not_tried,
)

APPLICATION_ID = 0x4C424143  # "LBAC", in the header of the file
FORMAT = 3
COLLECT_RECORDS = 128  # of garbage deleted in one transaction, about 3 ms
COLLECT_PARTS = 16
NAMES_IN_QUERY = 500
PROBE_BYTES = 8192
MAX_INTEGER = 2**63 - 1

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE names (num INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
    epoch INTEGER NOT NULL);
CREATE TABLE documents (collection TEXT NOT NULL, doc_id TEXT NOT NULL, crc INTEGER NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (collection, doc_id)) WITHOUT ROWID;
CREATE TABLE journal (num INTEGER NOT NULL, last_seq INTEGER NOT NULL, first_seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (num, last_seq));
CREATE TABLE parts (id INTEGER PRIMARY KEY AUTOINCREMENT, num INTEGER NOT NULL, name TEXT NOT NULL,
    seq INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX parts_of ON parts (num, name, seq);
CREATE TABLE snapshots (num INTEGER PRIMARY KEY, seq INTEGER NOT NULL, epoch INTEGER NOT NULL,
    crc INTEGER NOT NULL, manifest BLOB NOT NULL);
CREATE TABLE garbage (num INTEGER PRIMARY KEY, seq INTEGER NOT NULL, mark INTEGER NOT NULL);
CREATE TABLE probe (body BLOB);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
COMMIT;
"""

# What came to format 1 later. Made once, whoever comes first: the copy must not be repeated.
ADDITIONS = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS owners (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS identity (id TEXT NOT NULL);
INSERT INTO owners SELECT name, epoch FROM names WHERE NOT EXISTS (SELECT 1 FROM identity)
    AND NOT EXISTS (SELECT 1 FROM journal WHERE num = names.num)
    AND NOT EXISTS (SELECT 1 FROM snapshots WHERE num = names.num);
INSERT INTO identity SELECT lower(hex(randomblob(16))) WHERE NOT EXISTS (SELECT 1 FROM identity);
COMMIT;
"""

# What came with format 3.
KEPT = "kept (num INTEGER PRIMARY KEY, trimmed INTEGER NOT NULL)"

# Checks and append in one statement: for each statement the thread gives up the interpreter's lock and has to
# get it back from a busy event loop.
APPEND = """
INSERT INTO journal (num, last_seq, first_seq, epoch, crc, body)
SELECT num, ?2, ?3, ?4, ?5, ?6 FROM names WHERE name = ?1 AND epoch = ?4 AND ?3 - 1 = max(
    ifnull((SELECT max(last_seq) FROM journal WHERE num = names.num), 0),
    ifnull((SELECT seq FROM snapshots WHERE num = names.num), 0))
"""
LAST = """max(ifnull((SELECT max(last_seq) FROM journal WHERE num = names.num), 0),
    ifnull((SELECT seq FROM snapshots WHERE num = names.num), 0))"""
LAST_SEQ = f"SELECT {LAST} FROM names WHERE name = ?"
# Of a period: its number, the seq up to which its journal is trimmed, the last seq that is known.
BOUNDS = f"""
SELECT num, ifnull((SELECT trimmed FROM kept WHERE num = names.num),
    ifnull((SELECT seq FROM snapshots WHERE num = names.num), 0)), {LAST} FROM names WHERE name = ?
"""
RECORDS = "SELECT epoch, first_seq, last_seq, body, crc FROM journal WHERE num = ?1 AND last_seq > ?2"
LIST_PERIODS = """
SELECT name FROM names WHERE EXISTS (SELECT 1 FROM journal WHERE num = names.num)
    OR EXISTS (SELECT 1 FROM snapshots WHERE num = names.num) ORDER BY name
"""


class Connection(Protocol):
    """What the operations need of an SQLite connection."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        """Run one statement; a cursor."""

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> Any:
        """Run one statement for each row of parameters."""


# Operations: each runs in the writer's transaction and leaves nothing behind if it raises ---------------


@contextlib.contextmanager
def _savepoint(conn: Connection) -> Iterator[None]:
    conn.execute("SAVEPOINT operation")
    try:
        yield
    except BaseException:
        if conn.in_transaction:  # some errors have rolled everything back already
            conn.execute("ROLLBACK TO operation")
            conn.execute("RELEASE operation")
        raise
    conn.execute("RELEASE operation")


def _fence(name: str, epoch: int, highest: int) -> None:
    """Fenced unless `epoch` is the highest given out; 0 for none."""
    if epoch != highest or not highest:
        what = "is over" if epoch < highest else "was never given out"
        raise Fenced(f"{name!r}: epoch {epoch} {what}, the highest is {highest}", highest)


def _number(conn: Connection, period_id: str, epoch: int) -> int:
    """The number of a period whose highest epoch is `epoch`, else Fenced."""
    num, highest = number_and_epoch(conn, period_id)
    _fence(period_id, epoch, highest)
    return num


def take_ownership(conn: Connection, owner: str) -> int:
    """The next epoch of an owner of documents."""
    ((version,),) = conn.execute("PRAGMA user_version").fetchall()
    if version < FORMAT:  # whoever owns documents writes the new format from here on
        conn.execute(f"PRAGMA user_version = {FORMAT}")
    upsert = "INSERT INTO owners VALUES (?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch"
    ((epoch,),) = conn.execute(upsert, (owner,)).fetchall()
    return int(epoch)


def take_epoch(conn: Connection, period_id: str) -> int:
    """The next epoch of a period, which is made by its first one."""
    upsert = "INSERT INTO names (name, epoch) VALUES (?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1"
    ((num, epoch),) = conn.execute(f"{upsert} RETURNING num, epoch", (period_id,)).fetchall()
    if epoch > 1 and conn.execute("SELECT 1 FROM parts WHERE num = ? LIMIT 1", (num,)).fetchall():
        _discard(conn, num, 0)  # parts of the epoch before, whose snapshot will never be committed
    return int(epoch)


def _discard(conn: Connection, num: int, seq: int) -> None:
    """Make the journal up to `seq` garbage, and every part put so far that no manifest names."""
    mark = "(SELECT ifnull(max(seq), 0) FROM sqlite_sequence WHERE name = 'parts')"
    keep = "ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq), mark = max(mark, excluded.mark)"
    conn.execute(f"INSERT INTO garbage VALUES (?, ?, {mark}) {keep}", (num, seq))


def append(conn: Connection, period_id: str, record: Record) -> None:
    """Append, or find that the very same record is there already. Fenced, SeqMismatch."""
    epoch, first_seq, last_seq, body = record
    crc = checksum(body, period_id, epoch, first_seq, last_seq)
    if first_seq <= last_seq:
        row = (period_id, last_seq, first_seq, epoch, crc, body)
        if conn.execute(APPEND, row).rowcount == 1:
            return
    num = _number(conn, period_id, epoch)
    found = "SELECT epoch, first_seq, last_seq, body FROM journal WHERE num = ? AND last_seq = ?"
    if (epoch, first_seq, last_seq, body) not in conn.execute(found, (num, last_seq)).fetchall():
        ((last,),) = conn.execute(LAST_SEQ, (period_id,)).fetchall()
        raise SeqMismatch(f"period {period_id!r}: record {first_seq}..{last_seq} does not follow seq {last}")


def append_all(conn: Connection, records: Mapping[str, Record]) -> dict[str, StoreError]:
    """Append to several journals, or to none: period -> why not."""
    rows: list[Any] = []
    for period_id, (epoch, first_seq, last_seq, body) in records.items():
        crc = checksum(body, period_id, epoch, first_seq, last_seq)
        rows += (period_id, last_seq, first_seq, epoch, crc, body)
    if all(record.first_seq <= record.last_seq for record in records.values()):
        appended = conn.execute(append_statement(len(records)), (*rows, len(records))).rowcount
        if appended == len(records):
            return {}
    period_id = ""
    try:  # some are refused, or there already: one after the other
        with _savepoint(conn):
            for period_id, record in records.items():
                append(conn, period_id, record)
    except (Fenced, SeqMismatch) as error:
        return {i: error if i == period_id else not_tried(error) for i in records}
    return {}


@functools.cache
def append_statement(count: int) -> str:
    """APPEND for so many records, which appends all or none."""
    values = ", ".join(["(?, ?, ?, ?, ?, ?)"] * count)
    return f"""
WITH asked (name, last_seq, first_seq, epoch, crc, body) AS (VALUES {values}),
sound AS (SELECT num, last_seq, first_seq, asked.epoch, crc, body FROM asked JOIN names USING (name, epoch)
    WHERE first_seq - 1 = max(ifnull((SELECT max(last_seq) FROM journal WHERE num = names.num), 0),
                              ifnull((SELECT seq FROM snapshots WHERE num = names.num), 0)))
INSERT INTO journal (num, last_seq, first_seq, epoch, crc, body)
SELECT * FROM sound WHERE (SELECT count(*) FROM sound) = ?
"""


def put_parts(conn: Connection, period_id: str, epoch: int, seq: int, parts: Mapping[str, bytes]) -> None:
    """Add a version of each part, which no manifest names yet. Fenced."""
    with _savepoint(conn):
        num = _number(conn, period_id, epoch)
        rows = [(num, name, seq, checksum(body, period_id, name, seq), body) for name, body in parts.items()]
        conn.executemany("INSERT INTO parts (num, name, seq, crc, body) VALUES (?, ?, ?, ?, ?)", rows)


def commit_snapshot(
    conn: Connection,
    period_id: str,
    epoch: int,
    seq: int,
    manifest: Mapping[str, int],
    keep_journal: bool = False,
) -> None:
    """Let the manifest name the newest version put under each (name, seq).

    Fenced; SeqMismatch unless a record ends at `seq`; StoreCorrupt if a part is missing.
    """
    with _savepoint(conn):
        num = _number(conn, period_id, epoch)
        old_seq, old_entries = manifest_of(conn, num, period_id)
        if seq < 1 or seq < old_seq or not _ends_at(conn, num, old_seq, seq):
            raise SeqMismatch(f"period {period_id!r}: no record ends at seq {seq} (snapshot at {old_seq})")
        live = {part_id for _, _, part_id in old_entries}
        ((mark,),) = conn.execute("SELECT max(mark) FROM garbage WHERE num = ?", (num,)).fetchall()
        versions: dict[tuple[str, int], int] = {}
        for name, put_at, part_id in conn.execute("SELECT name, seq, id FROM parts WHERE num = ?", (num,)):
            if part_id > (mark or 0) or part_id in live:
                versions[name, put_at] = max(part_id, versions.get((name, put_at), 0))
        entries = [[name, put_at, versions.get((name, put_at))] for name, put_at in manifest.items()]
        for name, put_at, part_id in entries:
            if part_id is None:
                raise StoreCorrupt(f"period {period_id!r}: part {name!r} of seq {put_at} is missing")
        body = json.dumps(entries).encode()
        row = (num, seq, epoch, checksum(body, period_id, seq, epoch), body)
        conn.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?)", row)
        if keep_journal:  # what the snapshot before covered may be gone
            conn.execute("INSERT OR IGNORE INTO kept VALUES (?, ?)", (num, old_seq))
        else:
            conn.execute("DELETE FROM kept WHERE num = ?", (num,))
        _discard(conn, num, 0 if keep_journal else seq)


def trim(conn: Connection, period_id: str, epoch: int, seq: int) -> None:
    """Make kept records that end at `seq` or before garbage. Fenced, SeqMismatch."""
    with _savepoint(conn):
        num = _number(conn, period_id, epoch)
        covered = snapshot_seq(conn, num)
        if seq > covered:
            raise SeqMismatch(f"period {period_id!r}: the snapshot covers seq {covered}, not {seq}")
        # Up to the seq, or to the first seq of the record that the seq is inside of.
        found = "SELECT first_seq FROM journal WHERE num = ? AND last_seq > ? ORDER BY last_seq LIMIT 1"
        end = min([seq, *(first_seq - 1 for (first_seq,) in conn.execute(found, (num, seq)).fetchall())])
        trimmed = "UPDATE kept SET trimmed = ?2 WHERE num = ?1 AND trimmed < ?2"
        if conn.execute(trimmed, (num, end)).rowcount:
            conn.execute(
                "INSERT INTO garbage VALUES (?, ?, 0) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)",
                (num, end),
            )


def rewrite(conn: Connection, period_id: str, epoch: int, records: Sequence[Record]) -> None:
    """Replace the bodies of records that are there. Fenced, SeqMismatch."""
    with _savepoint(conn):
        num = _number(conn, period_id, epoch)
        _, floor, _ = bounds(conn, period_id)
        update = """UPDATE journal SET crc = ?5, body = ?6
            WHERE num = ?1 AND last_seq = ?2 AND first_seq = ?3 AND epoch = ?4"""
        for epoch_of, first_seq, last_seq, body in records:
            crc = checksum(body, period_id, epoch_of, first_seq, last_seq)
            row = (num, last_seq, first_seq, epoch_of, crc, body)
            if last_seq <= floor or conn.execute(update, row).rowcount != 1:
                raise SeqMismatch(
                    f"period {period_id!r}: there is no record {first_seq}..{last_seq} of epoch {epoch_of}"
                )


def cut(conn: Connection, period_id: str, epoch: int, seq: int) -> None:
    """Delete the records after `seq`. Fenced, SeqMismatch."""
    with _savepoint(conn):
        num = _number(conn, period_id, epoch)
        covered = snapshot_seq(conn, num)
        if seq < covered or not _ends_at(conn, num, covered, seq):
            raise SeqMismatch(f"period {period_id!r}: no record ends at seq {seq} (snapshot at {covered})")
        conn.execute("DELETE FROM journal WHERE num = ? AND last_seq > ?", (num, seq))


def _ends_at(conn: Connection, num: int, covered: int, seq: int) -> bool:
    """Whether the snapshot or a record of the journal ends at `seq`."""
    row = (num, seq)
    found = "SELECT 1 FROM journal WHERE num = ? AND last_seq = ?"
    return seq == covered or bool(conn.execute(found, row).fetchall())


def drop_periods(conn: Connection, period_ids: Sequence[str]) -> None:
    """Give each period a new number and epoch. Those never heard of are passed over."""
    with _savepoint(conn):
        for name in period_ids:
            num, epoch = number_and_epoch(conn, name)
            if num:
                conn.execute("DELETE FROM snapshots WHERE num = ?", (num,))
                conn.execute("DELETE FROM kept WHERE num = ?", (num,))
                conn.execute("DELETE FROM names WHERE num = ?", (num,))
                conn.execute("INSERT INTO names (name, epoch) VALUES (?, ?)", (name, epoch + 1))
                _discard(conn, num, MAX_INTEGER)


def commit(conn: Connection, changes: Sequence[Change], owner: str, epoch: int) -> None:
    """Put and delete documents in the order given. Fenced."""
    with _savepoint(conn):
        _fence(owner, epoch, ownership(conn, owner))
        for collection, doc_id, body in changes:
            if body is None:
                key = (collection, doc_id)
                conn.execute("DELETE FROM documents WHERE collection = ? AND doc_id = ?", key)
            else:
                row = (collection, doc_id, checksum(body, collection, doc_id), body)
                conn.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", row)


def probe(conn: Connection) -> None:
    """Do what any write needs, and leave nothing: room in the file and a write of the log."""
    with _savepoint(conn):
        conn.execute(f"INSERT INTO probe VALUES (zeroblob({PROBE_BYTES}))")
        conn.execute("DELETE FROM probe")


def collect(conn: Connection) -> bool:
    """Delete a little garbage; whether there is more."""
    for num, seq, mark in conn.execute("SELECT num, seq, mark FROM garbage LIMIT 1").fetchall():
        more = False
        names = conn.execute("SELECT name FROM names WHERE num = ?", (num,)).fetchall()
        with contextlib.suppress(StoreCorrupt):  # then nothing of it is deleted; reading it will complain
            _, entries = manifest_of(conn, num, names[0][0] if names else "")
            live = {part_id for _, _, part_id in entries}
            ids = conn.execute("SELECT id FROM parts WHERE num = ? AND id <= ?", (num, mark)).fetchall()
            dead = [row for row in ids if row[0] not in live]
            conn.executemany("DELETE FROM parts WHERE id = ?", dead[:COLLECT_PARTS])
            few = "SELECT last_seq FROM journal WHERE num = ? AND last_seq <= ? ORDER BY last_seq LIMIT ?"
            trim = f"DELETE FROM journal WHERE num = ? AND last_seq IN ({few})"
            trimmed = conn.execute(trim, (num, num, seq, COLLECT_RECORDS)).rowcount
            more = len(dead) > COLLECT_PARTS or trimmed == COLLECT_RECORDS
        if not more:
            conn.execute("DELETE FROM garbage WHERE num = ?", (num,))
    return bool(conn.execute("SELECT 1 FROM garbage LIMIT 1").fetchall())


# Reading ------------------------------------------------------------------------------------------------


def identity(conn: Connection) -> str:
    """The id that was made with the store. StoreCorrupt if it is gone."""
    rows = conn.execute("SELECT id FROM identity").fetchall()
    if len(rows) != 1:
        raise StoreCorrupt(f"the store has {len(rows)} ids, not one")
    return str(rows[0][0])


def ownership(conn: Connection, owner: str) -> int:
    """The highest epoch given out to an owner of documents; 0 for none."""
    rows = conn.execute("SELECT epoch FROM owners WHERE name = ?", (owner,)).fetchall()
    return int(rows[0][0]) if rows else 0


def number_and_epoch(conn: Connection, period_id: str) -> tuple[int, int]:
    """A period's number and the highest epoch given out for it; 0, 0 if it was never heard of."""
    rows: list[tuple[int, int]] = conn.execute(
        "SELECT num, epoch FROM names WHERE name = ?", (period_id,)
    ).fetchall()
    return rows[0] if rows else (0, 0)


def epochs(conn: Connection, period_ids: Sequence[str]) -> list[int]:
    """The highest epoch given out for each period, in the order asked for; 0 for none."""
    return [number_and_epoch(conn, period_id)[1] for period_id in period_ids]


def snapshot_seq(conn: Connection, num: int) -> int:
    """The seq of the snapshot in force, whether it is sound or not; 0 without one."""
    rows = conn.execute("SELECT seq FROM snapshots WHERE num = ?", (num,)).fetchall()
    return int(rows[0][0]) if rows else 0


def manifest_of(conn: Connection, num: int, period_id: str) -> tuple[int, list[tuple[str, int, int]]]:
    """Seq and entries (part name, seq it was put under, id) of the snapshot in force; 0, [] without one."""
    rows = conn.execute("SELECT seq, epoch, crc, manifest FROM snapshots WHERE num = ?", (num,)).fetchall()
    for seq, epoch, crc, body in rows:
        if crc != checksum(body, period_id, seq, epoch):
            raise StoreCorrupt(f"period {period_id!r}: snapshot at seq {seq}: checksum differs")
        return seq, [(name, put_at, part_id) for name, put_at, part_id in json.loads(body)]
    return 0, []


def get(conn: Connection, collection: str, doc_ids: Sequence[str]) -> list[bytes | None]:
    """The documents' bodies in the order asked for, None where there is none. StoreCorrupt."""
    bodies: list[bytes | None] = []
    for doc_id in doc_ids:
        query = "SELECT crc, body FROM documents WHERE collection = ? AND doc_id = ?"
        rows = conn.execute(query, (collection, doc_id)).fetchall()
        bodies.append(_sound(collection, doc_id, *rows[0]) if rows else None)
    return bodies


def _sound(collection: str, doc_id: str, crc: int, body: bytes) -> bytes:
    if crc != checksum(body, collection, doc_id):
        raise StoreCorrupt(f"document {collection!r} {doc_id!r}: checksum differs")
    return body


def scan(conn: Connection, collection: str, prefix: str, after: str, limit: int) -> list[tuple[str, bytes]]:
    """Documents by prefix, after an id, in id order, at most `limit` (0 = all). StoreCorrupt."""
    # SQLite compares the bytes of UTF-8, whose order is that of the code points.
    start = "doc_id > ?" if after >= prefix and after else "doc_id >= ?"
    query = f"SELECT doc_id, crc, body FROM documents WHERE collection = ? AND {start} ORDER BY doc_id"
    found: list[tuple[str, bytes]] = []
    for doc_id, crc, body in conn.execute(query, (collection, max(prefix, after))):
        if not doc_id.startswith(prefix) or (limit and len(found) >= limit):
            break
        found.append((doc_id, _sound(collection, doc_id, crc, body)))
    return found


def last_seq(conn: Connection, period_id: str) -> int:
    """The last seq that snapshot or journal hold, 0 for none."""
    rows = conn.execute(LAST_SEQ, (period_id,)).fetchall()
    return int(rows[0][0]) if rows else 0


def last_seqs(conn: Connection, period_ids: Sequence[str]) -> list[int]:
    """`last_seq` of each."""
    found: dict[str, int] = {}
    asked = list(dict.fromkeys(period_ids))
    for start in range(0, len(asked), NAMES_IN_QUERY):
        some = asked[start : start + NAMES_IN_QUERY]
        query = f"SELECT name, {LAST} FROM names WHERE name IN ({', '.join('?' * len(some))})"
        found.update(conn.execute(query, some).fetchall())
    return [found.get(period_id, 0) for period_id in period_ids]


def bounds(conn: Connection, period_id: str) -> tuple[int, int, int]:
    """A period's number, the seq up to which its journal is trimmed, and its last seq; 0 for none."""
    rows: list[tuple[int, int, int]] = conn.execute(BOUNDS, (period_id,)).fetchall()
    return rows[0] if rows else (0, 0, 0)


def first_seq(conn: Connection, period_id: str) -> int:
    """The first seq that the journal still has, its last one + 1 if it has none."""
    return bounds(conn, period_id)[1] + 1


def manifest(conn: Connection, period_id: str) -> dict[str, int]:
    """Part name -> the seq it was put under, of the snapshot in force. StoreCorrupt."""
    num, _ = number_and_epoch(conn, period_id)
    return {name: put_at for name, put_at, _ in manifest_of(conn, num, period_id)[1]}


def records(conn: Connection, period_id: str, after_seq: int, limit: int) -> list[Record]:
    """A page of the journal. StoreWentBack, StoreCorrupt."""
    num, floor, last = bounds(conn, period_id)
    rows: Iterator[Any] = iter(())
    if after_seq < last:
        query = f"{RECORDS} ORDER BY last_seq LIMIT ?3"
        rows = conn.execute(query, (num, max(after_seq, floor), limit))
    return page_after(period_id, after_seq, floor, last, (_found(period_id, *row) for row in rows))


def records_before(conn: Connection, period_id: str, before_seq: int, limit: int) -> list[Record]:
    """A page of the journal backwards. StoreCorrupt."""
    num, floor, last = bounds(conn, period_id)
    # The record that holds the seq before is the first one that ends there or later.
    top = "ifnull((SELECT min(last_seq) FROM journal WHERE num = ?1 AND last_seq >= ?3), ?4)"
    query = f"{RECORDS} AND last_seq <= {top} ORDER BY last_seq DESC LIMIT ?5"
    rows = conn.execute(query, (num, floor, before_seq - 1, last, limit))
    return page_before(period_id, before_seq, floor, last, (_found(period_id, *row) for row in rows))


def _found(period_id: str, epoch: int, first_seq: int, last_seq: int, body: bytes, crc: int) -> Found:
    sound = crc == checksum(body, period_id, epoch, first_seq, last_seq)
    return Found(Record(epoch, first_seq, last_seq, body), sound)


def list_periods(conn: Connection) -> list[str]:
    """Names with a journal or a snapshot, sorted."""
    return [name for (name,) in conn.execute(LIST_PERIODS).fetchall()]


def parts_of(
    conn: Connection, num: int, period_id: str, entries: Sequence[tuple[str, int, int]]
) -> Iterator[tuple[Part, str]]:
    """Parts that a manifest names, each with what is wrong with it ("" for nothing)."""
    for name, put_at, part_id in entries:
        place = f"period {period_id!r}: part {name!r} of seq {put_at}"
        query = "SELECT crc, body FROM parts WHERE id = ? AND num = ? AND name = ? AND seq = ?"
        found = conn.execute(query, (part_id, num, name, put_at)).fetchall()
        if not found:
            yield Part(name, b""), f"{place} is missing"
        else:
            ((crc, body),) = found
            sound = crc == checksum(body, period_id, name, put_at)
            yield Part(name, body), "" if sound else f"{place}: checksum differs"


def records_of(
    conn: Connection, num: int, period_id: str, seq: int
) -> Iterator[tuple[Record, bool, list[str]]]:
    """Records after a seq, each with whether its checksum is right, and all that is wrong with it."""
    for row in conn.execute(f"{RECORDS} ORDER BY last_seq", (num, seq)):
        found = _found(period_id, *row)
        place = f"period {period_id!r}: {found.place}"
        faults = [] if found.sound else [f"{place}: checksum differs"]
        if found.record.first_seq != seq + 1:
            faults.append(f"{place} comes after seq {seq}: a gap")
        seq = found.record.last_seq
        yield found.record, found.sound, faults


def replay(conn: Connection, period_id: str) -> Generator[Recovered | Part | Record, None, None]:
    """Everything of one period, checked, from one view: the caller has begun a transaction. StoreCorrupt."""
    num, _ = number_and_epoch(conn, period_id)
    seq, entries = manifest_of(conn, num, period_id)
    yield Recovered(seq)
    for part, fault in parts_of(conn, num, period_id, entries):
        if fault:
            raise StoreCorrupt(fault)
        yield part
    yield from _sound_records(conn, num, period_id, seq)


def _sound_records(conn: Connection, num: int, period_id: str, seq: int) -> Generator[Record, None, None]:
    for record, _, faults in records_of(conn, num, period_id, seq):
        if faults:
            raise StoreCorrupt(faults[0])
        yield record


def records_after(conn: Connection, period_id: str, seq: int) -> Generator[Record, None, None]:
    """The records after a seq, checked, from one view. StoreWentBack, SeqMismatch, StoreCorrupt."""
    num, _ = number_and_epoch(conn, period_id)
    covered, _ = manifest_of(conn, num, period_id)
    last = last_seq(conn, period_id)
    if seq > last:
        raise StoreWentBack(f"period {period_id!r}: the journal ends at seq {last}, but had reached {seq}")
    if seq < covered:
        raise SeqMismatch(f"period {period_id!r}: the snapshot covers seq {covered}, more than {seq}")
    if not _ends_at(conn, num, covered, seq):
        raise SeqMismatch(f"period {period_id!r}: no record ends at seq {seq}")
    yield from _sound_records(conn, num, period_id, seq)
