"""The SQLite backend under the contract suite."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.store.backend import Backend
from tests.support.store.contract import StoreContract
from tests.support.store.sqlite_backend import SqliteBackend


class TestSqliteContract(StoreContract):
    @pytest.fixture
    def new_backend(self, tmp_path: Path) -> Callable[[], Backend]:
        numbers = itertools.count()
        return lambda: SqliteBackend(tmp_path / f"data {next(numbers)}")
