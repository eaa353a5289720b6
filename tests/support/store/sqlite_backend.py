"""A store in SQLite, hurt from beside with SQL: what a test must know of the tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from persistence import open_store
from persistence.sqlite.store import DATABASE_NAME
from persistence.store import Store
from tests.support.store.backend import Backend

OF_PERIOD = "num = (SELECT num FROM names WHERE name = ?)"


class SqliteBackend(Backend):
    """A data directory; it is hurt through the file."""

    CLAIMS = False
    KNOWS_ITS_END = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def handle(self) -> Store:
        return open_store(f"sqlite:{self.directory}")

    def _sql(self, statement: str, *parameters: Any, touches: bool = True) -> list[Any]:
        path = self.directory / DATABASE_NAME
        with closing(sqlite3.connect(path, isolation_level=None)) as conn:
            cursor = conn.execute(statement, parameters)
            assert cursor.rowcount != 0 or not touches, "nothing was hurt"
            return cursor.fetchall()

    async def damage_document(self, collection: str, doc_id: str) -> None:
        where = "collection = ? AND doc_id = ?"
        self._sql(f"UPDATE documents SET {_other_byte('body')} WHERE {where}", collection, doc_id)

    async def damage_record(self, period_id: str, last_seq: int) -> None:
        where = f"{OF_PERIOD} AND last_seq = ?"
        self._sql(f"UPDATE journal SET {_other_byte('body')} WHERE {where}", period_id, last_seq)

    async def lose_record(self, period_id: str, last_seq: int) -> None:
        self._sql(f"DELETE FROM journal WHERE {OF_PERIOD} AND last_seq = ?", period_id, last_seq)

    async def damage_part(self, period_id: str, name: str) -> None:
        self._sql(f"UPDATE parts SET {_other_byte('body')} WHERE {OF_PERIOD} AND name = ?", period_id, name)

    async def lose_part(self, period_id: str, name: str) -> None:
        self._sql(f"DELETE FROM parts WHERE {OF_PERIOD} AND name = ?", period_id, name)

    async def damage_manifest(self, period_id: str) -> None:
        self._sql(f"UPDATE snapshots SET {_other_byte('manifest')} WHERE {OF_PERIOD}", period_id)

    async def leave_stray(self) -> str:
        self._sql("INSERT INTO journal VALUES (12345, 1, 1, 1, 0, x'00')")
        return "12345"

    async def stored(self, period_id: str) -> tuple[set[tuple[str, int]], list[int]]:
        parts = self._sql(f"SELECT name, seq FROM parts WHERE {OF_PERIOD}", period_id)
        ends = self._sql(f"SELECT last_seq FROM journal WHERE {OF_PERIOD} ORDER BY 1", period_id)
        return set(parts), [last_seq for (last_seq,) in ends]


def _other_byte(column: str) -> str:
    return f"{column} = CAST('#' || substr({column}, 2) AS BLOB)"
