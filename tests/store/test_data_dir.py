"""The server's lock on its data directory, and that it is for its user alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence.data_dir import DATABASE_NAME, KNOWLEDGE, SERVER_LOCK, WRITE_LOCK, lock_data_dir
from persistence.sqlite.store import SqliteStore
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


# Neighbours on the machine --------------------------------------------------------------------------------


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture(params=[0o022, 0o000, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a user's shell has set."""
    before = os.umask(request.param)
    yield
    os.umask(before)


async def test_what_is_made_is_for_its_owner_alone(tmp_path: Path, umask: None) -> None:
    directory = tmp_path / "data"
    with lock_data_dir(directory) as lock:
        store = SqliteStore(directory)
        await store.open()
        await store.take_ownership("supervisor")
        modes = {path.name: mode_of(path) for path in directory.iterdir()}
        await store.close()
    assert mode_of(directory) == 0o700 and lock.caution == ""
    assert set(modes.values()) == {0o600}
    assert modes.keys() >= {DATABASE_NAME, f"{DATABASE_NAME}-wal", SERVER_LOCK, WRITE_LOCK}


def test_what_is_looser_is_tightened(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    names = [DATABASE_NAME, f"{DATABASE_NAME}-wal", SERVER_LOCK, WRITE_LOCK, KNOWLEDGE]
    for name in names:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o664)
    with lock_data_dir(tmp_path) as lock:
        assert (mode_of(tmp_path), lock.caution) == (0o700, "")
        assert {mode_of(tmp_path / name) for name in names} == {0o600}


def test_a_directory_that_holds_other_things_is_left_and_told_of(tmp_path: Path) -> None:
    """It may be one that others need, such as /var/lib."""
    tmp_path.chmod(0o755)
    for name in (DATABASE_NAME, "theirs"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    with lock_data_dir(tmp_path) as lock:
        assert (mode_of(tmp_path), mode_of(tmp_path / "theirs")) == (0o755, 0o644)
        assert mode_of(tmp_path / DATABASE_NAME) == 0o600
        assert str(tmp_path) in lock.caution and "0755" in lock.caution and "\n" not in lock.caution


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.touch()
    theirs.chmod(0o644)
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (data / KNOWLEDGE).symlink_to(theirs)
    with lock_data_dir(data):
        assert (mode_of(theirs), mode_of(data)) == (0o644, 0o700)
