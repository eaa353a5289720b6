"""The server's lock on its data directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from persistence.data_dir import SERVER_LOCK, lock_data_dir
from persistence.store import StoreError, StoreInUse
from tests.support.store.processes import Child


def test_one_server_at_a_time(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "data"
    with lock_data_dir(directory) as lock:
        assert lock.path == directory
        assert int((directory / SERVER_LOCK).read_text()) == os.getpid()
        with pytest.raises(StoreInUse) as refused:
            lock_data_dir(str(directory))
        assert str(refused.value) == f"data directory {directory} is in use by process {os.getpid()}"
    lock.release()
    with lock_data_dir(directory), lock_data_dir(tmp_path / "another"):
        pass


def test_between_processes_and_after_kill(tmp_path: Path) -> None:
    with Child("hold", tmp_path) as child:
        assert child.line() == ["locked"]
        with pytest.raises(StoreInUse, match=f"in use by process {child.process.pid}$"):
            lock_data_dir(tmp_path)
        child.kill()
        with lock_data_dir(tmp_path):
            assert int((tmp_path / SERVER_LOCK).read_text()) == os.getpid()


def test_programs_started_by_the_server_do_not_keep_the_lock(tmp_path: Path) -> None:
    with lock_data_dir(tmp_path), Child("hold", tmp_path / "elsewhere") as child:
        assert child.line() == ["locked"]
        with pytest.raises(StoreInUse):
            lock_data_dir(tmp_path)
        descriptors = Path(f"/proc/{child.process.pid}/fd").iterdir()
        assert tmp_path / SERVER_LOCK not in {descriptor.readlink() for descriptor in descriptors}


def test_no_such_place(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "below", Path("/proc/nowhere/data")):
        with pytest.raises(StoreError, match=f"^data directory {path}: ") as refused:
            lock_data_dir(path)
        assert "\n" not in str(refused.value)
    (tmp_path / "data" / SERVER_LOCK).mkdir(parents=True)
    with pytest.raises(StoreError, match=SERVER_LOCK):
        lock_data_dir(tmp_path / "data")
