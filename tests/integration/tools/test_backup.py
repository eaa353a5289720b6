"""`lbactors backup` and `lbactors restore` as an operator runs them.

Verified: a restored store holds what was backed up, is sound and is served without further options; a server
refuses every state that a broken off restore leaves, and the same restore goes on; nothing is overwritten or
changed that was not to be; kill -9 and a full disk leave no half backup. With a real server under load:
`tests/crash/test_backup.py`. Not verified: speed, power loss.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.server.known_store import KnownStores
from gateway.server.store_claim import claim_store
from lbactors.documents.entities import COLLECTIONS
from lbactors.tools import backup as backup_module
from persistence.data_dir import DATABASE_NAME, KNOWLEDGE, lock_data_dir
from persistence.store import Change, StoreWentBack
from tests.support.command import json_fields, refused, run
from tests.support.repository import python_path
from tests.support.store.sqlite_backend import SqliteBackend
from tests.support.stored import (
    COINS_2,
    COINS_RECORDS,
    commit,
    everything,
    filled,
    opened,
    within,
    written_once,
)

__all__ = ["written_once"]  # fixtures


@pytest.fixture
def data(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A data directory with a store."""
    filled("sqlite", tmp_path / "data", request)
    return tmp_path / "data"


@pytest.fixture
def file(data: Path, tmp_path: Path) -> Path:
    """A backup of it."""
    made = tmp_path / "store.backup"
    backed_up(made, data)
    return made


def backed_up(file: Path, data: Path, *options: str) -> Any:
    result = run("backup", str(file), "--data-dir", str(data), "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def restored(file: Path, data: Path, *options: str) -> Any:
    result = run("restore", str(file), "--data-dir", str(data), "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def held(data: Path) -> dict[str, Any]:
    return within(f"sqlite:{data}", lambda store: everything(store, COLLECTIONS))


def changed(data: Path, name: str) -> None:
    """Change a store, as a server that goes on."""
    within(f"sqlite:{data}", lambda store: commit(store, Change("tenants", name, b"later")))


def damage(data: Path) -> None:
    within(f"sqlite:{data}", lambda store: SqliteBackend(data).damage_record(COINS_2, COINS_RECORDS[2][1]))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


async def started(data: Path) -> str:
    """What a start of a server does first; the id of the store that it would serve. StoreWentBack."""
    claim = await claim_store(f"sqlite:{data}", KnownStores(data), accept_older=False)
    await claim.release()
    return claim.store_id


# Backup ---------------------------------------------------------------------------------------------------


def test_a_backup_says_what_it_holds(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "store.backup"
    answer = backed_up(file, data)
    assert answer | {"taken_at": "", "store_id": ""} == {
        "file": str(file), "store": f"sqlite:{data}", "store_id": "", "taken_at": "",
        "size_bytes": file.stat().st_size, "documents": 22, "periods": 6, "entries": 55,
        "verified": True, "findings": [],
    }  # fmt: skip
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "store.backup"]
    result = run("backup", str(tmp_path / "second"), "--data-dir", str(data))
    assert "22 documents and 6 periods with 55 entries; verified, sound" in result.stdout
    unchecked = backed_up(tmp_path / "third", data, "--no-verify")
    assert set(unchecked) == set(answer) == json_fields("backup")
    assert (unchecked["verified"], unchecked["entries"], unchecked["findings"]) == (False, None, None)


def test_a_store_that_is_in_use_is_backed_up(data: Path, tmp_path: Path) -> None:
    with lock_data_dir(data):
        backed_up(tmp_path / "store.backup", data)


def test_a_file_is_not_overwritten(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "store.backup"
    file.write_text("precious")
    assert "--force" in refused(2, "backup", str(file), "--data-dir", str(data))
    assert file.read_text() == "precious"
    backed_up(file, data, "--force")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and file.stat().st_size > 10_000


def test_a_name_that_is_taken_meanwhile_is_not_overwritten(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "store.backup"
    original = backup_module.publish

    def late(draft: Path, file: Path, *, force: bool) -> None:
        file.write_text("precious")
        original(draft, file, force=force)

    monkeypatch.setattr(backup_module, "publish", late)
    assert "--force" in refused(2, "backup", str(file), "--data-dir", str(data))
    assert file.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "store.backup"]


@pytest.mark.parametrize("name", [DATABASE_NAME, f"{DATABASE_NAME}-wal", KNOWLEDGE, "server.lock"])
def test_the_stores_own_files_are_no_target(data: Path, name: str) -> None:
    before = tree(data)
    assert "choose another" in refused(2, "backup", str(data / name), "--force", "--data-dir", str(data))
    assert tree(data) == before


def test_a_place_that_cannot_be_written(data: Path, tmp_path: Path) -> None:
    assert "directory" in refused(2, "backup", str(tmp_path), "--data-dir", str(data))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "not a regular file" in refused(2, "backup", str(pipe), "--force", "--data-dir", str(data))
    assert pipe.is_fifo(), "a device such as /dev/null would be gone"
    assert "is a directory" in refused(2, "restore", str(data), "--data-dir", str(tmp_path / "new"))
    assert "does not exist" in refused(
        2, "restore", str(tmp_path / "no.backup"), "--data-dir", str(tmp_path / "new")
    )
    nowhere = str(tmp_path / "nowhere" / "store.backup")
    assert "does not exist" in refused(2, "backup", nowhere, "--data-dir", str(data))
    target = str(tmp_path / "store.backup")
    assert "no store in" in refused(2, "backup", target, "--data-dir", str(tmp_path / "nowhere"))


def test_a_damaged_store_does_not_replace_a_good_backup(data: Path, file: Path) -> None:
    good = file.read_bytes()
    damage(data)
    result = run("backup", str(file), "--force", "--data-dir", str(data))
    assert result.exit_code == 1 and "checksum differs" in result.stdout
    assert "--no-verify" in result.stderr and file.read_bytes() == good
    backed_up(file, data, "--force", "--no-verify")
    assert file.read_bytes() != good


def test_redis_is_told_how(tmp_path: Path) -> None:
    line = refused(2, "backup", str(tmp_path / "b"), "--store", "redis://u:hunter2@127.0.0.1:1/0")
    assert "redis-cli --rdb" in line and "lbactors migrate" in line and "hunter2" not in line
    assert "migrate" in refused(2, "restore", str(tmp_path / "b"), "--store", "redis://127.0.0.1:1/0")


def ended(how: str, number: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A backup in a process of its own: see `backing_up`."""
    return subprocess.run(
        [sys.executable, "-m", "tests.support.backing_up", how, str(number), *arguments],
        env={**os.environ, "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("step", [1, 5, 0])
def test_kill_9_leaves_no_half_backup(data: Path, tmp_path: Path, step: int) -> None:
    file = tmp_path / "store.backup"
    assert ended("kill", step, str(file), "--data-dir", str(data)).returncode == -signal.SIGKILL
    assert not file.exists() and (tmp_path / "store.backup.partial").exists()
    backed_up(file, data)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "store.backup"]


def test_a_full_disk_is_one_line(data: Path, tmp_path: Path) -> None:
    """The limit of a file's size stands for it. SQLite's index of the log, which a copy needs, is 32 KiB."""
    file = tmp_path / "store.backup"
    file.write_text("precious")
    result = ended("limit", 40_000, str(file), "--force", "--data-dir", str(data))
    assert result.returncode == 2 and result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: cannot write {file}.partial: ")
    assert file.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "store.backup"]


# Files as stores ------------------------------------------------------------------------------------------


def test_a_backup_is_verified_and_copied_like_a_store(data: Path, file: Path, tmp_path: Path) -> None:
    """A copy of it into Redis is a restore on Redis."""
    content = file.read_bytes()
    result = run("verify", str(file), "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["entries"] == 55
    result = run("migrate", "--from", str(file), "--to", str(tmp_path / "copy"))
    assert result.exit_code == 0, result.output
    assert held(tmp_path / "copy") == held(data)
    assert "name a directory" in refused(2, "migrate", "--from", str(data), "--to", str(file))
    assert run("repair", str(file), "--apply", "--yes").exit_code == 0  # there is nothing to cut
    assert file.read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "data", "store.backup"]
    damage(data)
    backed_up(file, data, "--force", "--no-verify")
    assert run("verify", str(file)).exit_code == 1
    assert "can only be read" in run("repair", str(file), "--apply", "--yes").stderr


# Restore --------------------------------------------------------------------------------------------------


async def test_a_restore_into_a_new_directory_is_served(data: Path, file: Path, tmp_path: Path) -> None:
    before = await asyncio.to_thread(held, data)
    new = tmp_path / "new"
    answer = await asyncio.to_thread(restored, file, new)
    assert set(answer) == json_fields("restore")
    assert (answer["entries"], answer["verified"], answer["replaced"]) == (55, True, None)
    assert await asyncio.to_thread(held, new) == before
    assert await started(new) == answer["store_id"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in new.iterdir()} == {0o600}
    assert stat.S_IMODE(new.stat().st_mode) == 0o700


async def test_a_restore_over_a_store_is_served_without_further_options(data: Path, file: Path) -> None:
    elsewhere = ("redis://10.0.0.5:6379/0", "id-of-a-redis", 7)
    before = await asyncio.to_thread(held, data)
    known = KnownStores(data)
    known.note(*elsewhere)
    old_id = await started(data)  # the directory knows its store from here on
    await asyncio.to_thread(changed, data, "later")
    later = await asyncio.to_thread(held, data)
    answer = await asyncio.to_thread(restored, file, data, "--replace")
    assert await started(data) == answer["store_id"] != old_id
    assert await asyncio.to_thread(held, data) == before
    aside = Path(answer["replaced"])
    assert aside.parent == data and await asyncio.to_thread(held, aside) == later
    again = KnownStores(data)
    assert again.server_id == known.server_id
    with pytest.raises(StoreWentBack):
        again.check(*elsewhere[:2], 6)  # what is known of other stores stays


def test_nothing_is_replaced_by_default(data: Path, file: Path) -> None:
    before = tree(data)
    assert "--replace" in refused(2, "restore", str(file), "--data-dir", str(data))
    assert tree(data) == before


def test_a_server_that_runs_is_in_the_way(data: Path, file: Path) -> None:
    before = tree(data)
    with lock_data_dir(data):
        line = refused(2, "restore", str(file), "--replace", "--data-dir", str(data))
    assert f"in use by process {os.getpid()}" in line
    assert tree(data) == before


def _gone(file: Path) -> None:
    file.unlink()


def _text(file: Path) -> None:
    file.write_text("no database" * 1000)


def _short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:20_000])


def _of_a_server(file: Path) -> None:
    file.with_name(f"{file.name}-wal").write_bytes(b"x" * 100)


@pytest.mark.parametrize(("hurt", "code"), [(_gone, 2), (_text, 1), (_short, 1), (_of_a_server, 2)])
def test_what_is_no_backup_changes_nothing(
    data: Path, file: Path, hurt: Callable[[Path], None], code: int
) -> None:
    before = tree(data)
    hurt(file)
    result = run("restore", str(file), "--replace", "--data-dir", str(data))
    assert result.exit_code == code and len(result.stderr.splitlines()) == 1, result.output
    assert tree(data) == before
    new = data.parent / "new"
    run("restore", str(file), "--data-dir", str(new))
    assert not (new / DATABASE_NAME).exists()


def test_a_damaged_backup_changes_nothing(data: Path, file: Path) -> None:
    before = tree(data)
    other = data.parent / "other"
    restored(file, other)
    damage(other)
    backed_up(file, other, "--force", "--no-verify")
    result = run("restore", str(file), "--replace", "--data-dir", str(data))
    assert result.exit_code == 1 and "checksum differs" in result.stdout
    assert "nothing was changed" in result.stderr and tree(data) == before


class Killed(BaseException):
    """Stands for the end of the process."""


def _before_the_move(made: Path, aside: Path | None) -> None:
    raise Killed


def _after_the_move(made: Path, aside: Path | None) -> None:
    """The old store is away, and the new one is not there yet."""
    assert aside is not None
    aside.mkdir()
    (made.parent / DATABASE_NAME).rename(aside / DATABASE_NAME)
    raise Killed


@pytest.mark.parametrize("point", [_before_the_move, _after_the_move])
async def test_a_restore_that_breaks_off_is_not_served_and_goes_on(
    data: Path, file: Path, monkeypatch: pytest.MonkeyPatch, point: Callable[[Path, Path | None], None]
) -> None:
    await started(data)
    with monkeypatch.context() as patch:
        patch.setattr(backup_module, "put_in_place", point)
        with pytest.raises(Killed):
            await backup_module.restore(
                file,
                data,
                replace=True,
                note=lambda: KnownStores(data).note,
                seen_ids_limit=1000,
                now_ms=lambda: 0,
                progress=lambda what, done, total: None,
            )
    with pytest.raises(StoreWentBack):
        await started(data)
    answer = await asyncio.to_thread(restored, file, data, "--replace")
    assert await started(data) == answer["store_id"]
    async with opened(f"sqlite:{data}") as store:
        assert len(await store.list_periods()) == 4
