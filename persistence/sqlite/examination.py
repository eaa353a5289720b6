"""A look at what the SQLite backend keeps that goes on where recovery would stop: damage, and strays.

Both read from one view of the database. A period may be large, so its examination is read in steps, like a
replay, and remembers sizes and sentences only.
"""

from __future__ import annotations

from collections.abc import Generator

from persistence.sqlite import operations as operations
from persistence.sqlite.operations import Connection
from persistence.store import Examined, StoreCorrupt

# The numbers that a table holds rows of: one step in its index for each, however many rows there are.
NUMBERS = """
WITH RECURSIVE numbers (num) AS (SELECT min(num) FROM {table} UNION ALL
    SELECT (SELECT min(num) FROM {table} WHERE num > numbers.num) FROM numbers WHERE num IS NOT NULL)
SELECT num FROM numbers WHERE num IS NOT NULL AND num NOT IN (SELECT num FROM names)
"""


class Examination:
    """What was found of a period so far."""

    def __init__(self, period_id: str) -> None:
        self.damage: list[str] = []
        self._period_id = period_id
        self._epoch = 0
        self._snapshot_seq = 0
        self._last_seq = 0
        self._parts = 0
        self._snapshot_sound = False
        self._records: list[tuple[int, int, int, int, bool]] = []
        self._kept = 0

    def read(self, conn: Connection) -> Generator[int, None, None]:
        """Read everything; yields the size in bytes of each row, so that others may have their turn."""
        period_id = self._period_id
        num, self._epoch = operations.number_and_epoch(conn, period_id)
        self._snapshot_seq = self._last_seq = operations.snapshot_seq(conn, num)
        try:
            _, entries = operations.manifest_of(conn, num, period_id)
        except StoreCorrupt as error:
            self.damage.append(str(error))
            entries = []
        for part, fault in operations.parts_of(conn, num, period_id, entries):
            self._parts += 1
            self.damage += [fault] if fault else []
            yield len(part.body)
        self._snapshot_sound = not self.damage
        _, read_seq, last_seq = operations.bounds(conn, period_id)
        for record, sound, faults in operations.records_of(conn, num, period_id, read_seq):
            epoch, first_seq, read_seq, body = record
            if read_seq <= self._snapshot_seq:
                self._kept += 1
            else:
                self._records.append((epoch, first_seq, read_seq, len(body), sound))
                self._last_seq = read_seq
            self.damage += faults
            yield len(body)
        if read_seq < last_seq:
            self.damage.append(
                f"period {period_id!r}: the journal ends at seq {read_seq}, not at {last_seq}: a gap"
            )

    def result(self) -> Examined:
        """What was found."""
        return Examined(
            self._epoch,
            self._snapshot_seq,
            self._last_seq,
            self._parts,
            self._snapshot_sound,
            self._records,
            self.damage,
            self._kept,
        )


def strays(conn: Connection) -> list[str]:
    """Rows of numbers that no period has, and that are not garbage either."""
    found = []
    garbage = {num for (num,) in conn.execute("SELECT num FROM garbage").fetchall()}
    for table, what, collected in (
        ("journal", "journal records", True),
        ("parts", "snapshot parts", True),
        ("snapshots", "snapshots", False),
        ("kept", "marks of kept journals", False),
    ):
        for (num,) in conn.execute(NUMBERS.format(table=table)).fetchall():
            if not (collected and num in garbage):
                ((count,),) = conn.execute(f"SELECT count(*) FROM {table} WHERE num = ?", (num,)).fetchall()
                found.append(f"table {table}: {count} {what} of number {num}, which no period has")
    return found
