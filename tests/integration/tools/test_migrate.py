"""`lbactors migrate` between stores of both kinds: everything arrives, and a server can go on with it.

Verified: documents, snapshots and journals are equal; periods load, take scores and save parts of their
snapshots on the target; a migration that is killed (-9, in a real process, at random writes) goes on; a
target is not overwritten, a source not changed, a copy that differs noticed; memory on the way is bounded.
The seed of what is random is printed. Not verified: speed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.definition import Rules
from lbactors.documents.entities import COLLECTIONS
from lbactors.tools import migrate as migration_module
from lbactors.tools.migrate import (
    MARKER,
    MARKERS,
    Migrated,
    Migration,
    MigrationFailed,
    digest_of,
    unfinished_migration,
)
from lbactors.tools.verify import verify
from persistence.store import Change, Record, Store, StoreCorrupt
from tests.support.command import json_fields, refused, run
from tests.support.repository import python_path
from tests.support.rounds import long, rounds
from tests.support.stored import (
    COINS,
    COINS_2,
    COINS_SEQ,
    NOON_MS,
    PERIODS,
    SEEN_IDS,
    XP,
    Place,
    activation,
    board_of,
    commit,
    everything,
    filled,
    full,
    no_progress,
    opened,
    place,
    record_of,
    submission,
    within,
    write,
    written_once,
)

__all__ = ["full", "written_once"]  # fixtures

KINDS = ("sqlite", "redis")


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place(request.param, tmp_path / "empty", request)


def migrating(source: Store, target: Store) -> Migration:
    return Migration(source, target, address="somewhere", now_ms=lambda: NOON_MS, progress=no_progress)


async def migrated(source: Place | str, target: Place | str) -> Migrated:
    async with opened(source) as ours, opened(target) as theirs:
        return await migrating(ours, theirs).run()


def held(where: Place | str) -> dict[str, Any]:
    return within(where, lambda store: everything(store, COLLECTIONS))


async def errors(store: Store) -> list[str]:
    verified = await verify(store, SEEN_IDS, no_progress)
    return [finding.text for finding in verified.findings if finding.severity == "error"]


# Copies ---------------------------------------------------------------------------------------------------


def test_everything_arrives(full: Place, empty: Place) -> None:
    before = held(full)
    result = run("migrate", "--from", full.url, "--to", empty.url)
    assert result.exit_code == 0, result.output
    assert "22 documents and 6 periods; " in result.stdout
    assert result.stdout.endswith(" KiB written, everything compared and equal\n")
    assert held(empty) == before == held(full)
    assert within(empty, errors) == []
    assert within(empty, unfinished_migration) is None


async def test_a_server_goes_on_with_the_copy(full: Place, empty: Place) -> None:
    """Periods load, the next snapshot names parts that it does not write, and all is sound afterwards."""
    await migrated(full, empty)
    rules = Rules.of(board_of(COINS, "sum", []).definition)
    async with opened(full) as source, opened(empty) as target:
        before = [item async for item in source.recover(COINS_2)]
        ours = await activation(source, f"{COINS}/main", record_of(2), rules)
        theirs = await activation(target, f"{COINS}/main", record_of(2), rules)
        assert theirs.period.seq == ours.period.seq and theirs.epoch == 2
        for coins in (ours, theirs):
            (again,) = await coins.submit([submission(1000 + COINS_SEQ + 1)], 0)
            assert again.duplicate
            await coins.submit([submission(5000, 1)], 0)
            snapshot = await coins.snapshot()
            assert snapshot
        assert await digest_of(source, COINS_2) == await digest_of(target, COINS_2)
        assert [item async for item in source.recover(COINS_2)] != before
        assert await errors(target) == []


async def test_parts_keep_the_seqs_that_they_were_put_under(full: Place, empty: Place) -> None:
    await migrated(full, empty)
    there, _ = await full.backend.stored(COINS_2)
    here, records = await empty.backend.stored(COINS_2)
    assert len({seq for _, seq in there}) == 3
    assert here == there and records == list(range(COINS_SEQ + 10, COINS_SEQ + 61, 10))


def test_a_redis_cluster_is_target_and_source(
    tmp_path: Path, written_once: Path, request: pytest.FixtureRequest
) -> None:
    nodes = place("cluster", tmp_path, request)
    there, back = f"sqlite:{written_once}", f"sqlite:{tmp_path / 'back'}"
    for source, target in ((there, nodes.url), (nodes.url, back)):
        result = run("migrate", "--from", source, "--to", target)
        assert result.exit_code == 0, result.output
    assert within(nodes, errors) == [] == within(nodes, lambda store: store.strays())
    assert held(back) == held(there) == held(nodes)


async def test_an_empty_store_is_migrated_too(empty: Place, tmp_path: Path) -> None:
    assert (await migrated(f"sqlite:{tmp_path / 'nothing'}", empty))[:3] == (0, 0, 0)


async def test_memory_on_the_way_is_bounded(
    tmp_path: Path, written_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_module, "PARTS", 3)
    monkeypatch.setattr(migration_module, "PARTS_BYTES", 400)
    monkeypatch.setattr(migration_module, "APPENDS", 2)
    monkeypatch.setattr(migration_module, "CHANGES", 3)

    class Counting:
        """The most that was on its way in one call, or at once."""

        def __init__(self, store: Store) -> None:
            self.store, self.under_way = store, 0
            self.most: dict[str, int] = {}

        def _note(self, what: str, count: int) -> None:
            self.most[what] = max(self.most.get(what, 0), count)

        async def put_parts(self, period_id: str, epoch: int, seq: int, parts: dict[str, bytes]) -> None:
            self._note("parts", len(parts))
            await self.store.put_parts(period_id, epoch, seq, parts)

        async def append(self, period_id: str, record: Record) -> None:
            if period_id == COINS_2:
                self.under_way += 1
                self._note("appends", self.under_way)
            await self.store.append(period_id, record)
            if period_id == COINS_2:
                self.under_way -= 1

        async def commit(self, changes: list[Change], *, owner: str, epoch: int) -> None:
            self._note("changes", len(changes))
            await self.store.commit(changes, owner=owner, epoch=epoch)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.store, name)

    async with opened(f"sqlite:{written_once}") as ours, opened(f"sqlite:{tmp_path}") as theirs:
        counting: Any = Counting(theirs)
        await migrating(ours, counting).run()
        assert counting.most == {"parts": 3, "appends": 2, "changes": 3}
        assert await everything(theirs, COLLECTIONS) == await everything(ours, COLLECTIONS)


# Interruptions --------------------------------------------------------------------------------------------


def killed_runs(source: Place, target: Place, numbers: random.Random) -> Iterator[str]:
    """Run the command in a process that is killed, again and again, until it ends by itself; its stdout."""
    done, most = "", 10  # the first one is killed for certain: there are more steps than that
    while not done:
        arguments = (str(numbers.randint(1, most)), numbers.choice(["before", "after"]))
        most = rounds(60, 25)
        child = subprocess.run(
            [sys.executable, "-m", "tests.support.migrating", *arguments, source.url, target.url],
            env={**os.environ, "PYTHONPATH": python_path()},
            capture_output=True,
            text=True,
        )
        assert child.returncode in (0, -9), child.stderr
        done = child.stdout
        yield done


@long
@pytest.mark.parametrize(("from_kind", "to_kind"), [("sqlite", "redis"), ("redis", "sqlite")])
def test_a_killed_migration_goes_on(
    tmp_path: Path, request: pytest.FixtureRequest, from_kind: str, to_kind: str
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    numbers = random.Random(seed)
    source = filled(from_kind, tmp_path / "source", request)
    target = place(to_kind, tmp_path / "target", request)
    before = held(source)
    kills = 0
    for done in killed_runs(source, target, numbers):
        if done:
            after_the_end = kills > 0 and "has it all already" in done and "compared and equal" in done
            assert "everything compared and equal" in done or after_the_end  # of a run that a kill cut short
        else:
            kills += 1
            marked, blank = within(target, unfinished_migration), within(target, has_nothing)
            if marked is None and not blank:  # killed between its last write and the end
                assert held(target) == before, "half a copy that nothing marks"
    assert kills > 0
    assert held(target) == before == held(source)
    assert within(target, errors) == []


async def has_nothing(store: Store) -> bool:
    """Whether a server may start on the target of a migration that was killed: nothing was written yet."""
    documents = [name for name in COLLECTIONS if await store.scan(name, limit=1)]
    return not documents and not await store.list_periods()


class Breaking:
    """A store that fails at one method for one period or collection."""

    def __init__(self, store: Store, name: str, method: str) -> None:
        self._store = store
        self._fails = (method, name)

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **named: Any) -> Any:
            if (name, args[0] if args else "") == self._fails:
                raise StoreCorrupt("as told")
            return await getattr(self._store, name)(*args, **named)

        return getattr(self._store, name) if name == "recover" else call


@pytest.mark.parametrize("method", ["take_epoch", "append", "put_parts", "commit_snapshot"])
async def test_what_is_there_and_equal_is_not_copied_again(
    full: Place, empty: Place, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_module, "PERIODS_AT_ONCE", 1)
    async with opened(full) as ours, opened(empty) as theirs:
        breaking: Any = Breaking(theirs, COINS_2, method)
        with pytest.raises(StoreCorrupt, match="as told"):
            await migrating(ours, breaking).run()
        unfinished = await unfinished_migration(theirs)
        assert unfinished is not None and "from somewhere, begun 2026-11-18T12:00:00" in unfinished
        outcome = await migrating(ours, theirs).run()
        assert (outcome.periods, outcome.equal_before, outcome.documents) == (6, 3, 22)
        assert await everything(theirs, COLLECTIONS) == await everything(ours, COLLECTIONS)
        assert await theirs.epochs(PERIODS[:3]) == [1, 1, 1]


async def test_the_source_may_change_before_it_goes_on(full: Place, empty: Place) -> None:
    """A server ran on the source in between: what is gone there goes here, what is new comes."""
    async with opened(full) as ours, opened(empty) as theirs:
        breaking: Any = Breaking(ours, "secrets", "scan")  # after most documents
        with pytest.raises(StoreCorrupt, match="as told"):
            await migrating(breaking, theirs).run()
        assert await theirs.list_periods() == PERIODS
        await ours.drop_periods([f"{XP}/main/1"])
        await commit(ours, Change("periods", f"{XP}/main/hour-1", None), Change("homes", "x", b"period-9"))
        rules = Rules.of(board_of(COINS, "sum", []).definition)
        coins = await activation(ours, f"{COINS}/main", record_of(2), rules)
        await coins.submit([submission(7000)], 0)
        outcome = await migrating(ours, theirs).run()
        assert (outcome.periods, outcome.equal_before) == (5, 2)
        assert await everything(theirs, COLLECTIONS) == await everything(ours, COLLECTIONS)


def test_verify_counts_as_migrate_does(full: Place, empty: Place) -> None:
    migrated = json.loads(run("migrate", "--from", full.url, "--to", empty.url, "--json").stdout)
    assert set(migrated) == json_fields("migrate")
    for store in (full, empty):
        verified = json.loads(run("verify", store.url, "--json").stdout)
        assert set(verified) == json_fields("verify")
        assert sum(verified["documents"].values()) == migrated["documents"]
        assert verified["periods"] == migrated["periods"]
        assert "in 22 documents and 6 periods with 55 entries\n" in run("verify", store.url).stdout
    again = run("migrate", "--from", full.url, "--to", empty.url).stdout
    assert "22 documents and 6 periods" in again


def test_a_path_is_an_sqlite_store(full: Place, tmp_path: Path) -> None:
    if not full.url.startswith("sqlite:"):
        pytest.skip("a path is SQLite")
    path = full.url.removeprefix("sqlite:")
    assert run("migrate", "--from", path, "--to", str(tmp_path / "new")).exit_code == 0
    assert "is sound" in run("verify", str(tmp_path / "new")).stdout
    assert "nothing to repair" in run("repair", str(tmp_path / "new")).stdout
    assert "no store in" in refused(2, "verify", str(tmp_path / "none"))
    assert "give STORE, or" in refused(2, "verify", path, "--data-dir", path)


# Refusals -------------------------------------------------------------------------------------------------


def test_a_finished_migration_is_confirmed_and_never_repeated(full: Place, empty: Place) -> None:
    command = ("migrate", "--from", full.url, "--to", empty.url)
    assert run(*command).exit_code == 0
    result = run(*command)
    assert result.exit_code == 0
    assert "has it all already: 22 documents and 6 periods, compared and equal" in result.stdout
    within(empty, lambda store: commit(store, Change("homes", "since", b"period-1")))
    after = held(empty)
    line = refused(2, *command)
    assert "they differ since (document homes since differs); nothing was changed" in line
    assert held(empty) == after


def test_what_is_not_empty_is_not_overwritten(full: Place, tmp_path: Path) -> None:
    other = f"sqlite:{tmp_path / 'other'}"
    within(other, write)
    before = held(full)
    line = refused(2, "migrate", "--from", other, "--to", full.url)
    assert line.startswith("error: the target is not empty (it holds tenants, keys, leaderboards,")
    assert held(full) == before


def test_a_target_takes_one_source_alone(tmp_path: Path, full: Place, empty: Place) -> None:
    within(full, lambda store: _break_off(store, empty))
    other = f"sqlite:{tmp_path / 'other'}"
    within(other, write)
    line = refused(2, "migrate", "--from", other, "--to", empty.url)
    assert "the target holds an unfinished migration from another store (somewhere)" in line
    line = refused(2, "migrate", "--from", empty.url, "--to", f"sqlite:{tmp_path / 'third'}")
    assert line.startswith("error: the source holds an unfinished migration from somewhere, begun")


async def _break_off(source: Store, target: Place) -> None:
    async with opened(target) as theirs:
        breaking: Any = Breaking(theirs, COINS_2, "append")
        with pytest.raises(StoreCorrupt, match="as told"):
            await migrating(source, breaking).run()


def test_a_store_is_not_copied_onto_itself(full: Place, tmp_path: Path) -> None:
    assert refused(2, "migrate", "--from", full.url, "--to", full.url).endswith("are the same store\n")
    if full.kind == "redis":
        line = refused(2, "migrate", "--from", full.url, "--to", f"{full.url}&timeout_ms=4000")
    else:
        folder = Path(full.url.removeprefix("sqlite:"))
        shutil.copytree(folder, tmp_path / "copy")
        line = refused(2, "migrate", "--from", full.url, "--to", f"sqlite:{tmp_path / 'copy'}")
    assert line == "error: source and target are the same store\n"


def test_a_store_in_use_is_left_alone(full: Place, empty: Place) -> None:
    for where in (full, empty):
        if where.kind == "redis":
            within(where, lambda store: store.claim("other", "server elsewhere pid 7", 60.0))
            assert "server elsewhere pid 7" in refused(2, "migrate", "--from", full.url, "--to", empty.url)
            if where is full and empty.kind == "sqlite":
                assert not Path(empty.url.removeprefix("sqlite:")).exists()  # no target is made in vain
            within(where, lambda store: store.disclaim("other"))
    assert run("migrate", "--from", full.url, "--to", empty.url).exit_code == 0


def test_a_damaged_source_is_not_copied(full: Place, empty: Place) -> None:
    asyncio.run(full.backend.damage_part(COINS_2, "e:1"))
    line = refused(1, "migrate", "--from", full.url, "--to", empty.url)
    assert COINS_2 in line and "part 'e:1'" in line and line.count("\n") == 1
    assert within(empty, unfinished_migration) is not None


def test_a_wrong_option_is_named_and_shows_no_password(tmp_path: Path) -> None:
    target = f"sqlite:{tmp_path / 'target'}"
    line = refused(2, "migrate", "--from", "mysql://:hunter2@x", "--to", target)
    assert line.startswith("error: --from: must be sqlite or") and "hunter2" not in line
    line = refused(2, "migrate", "--from", "redis://:hunter2@127.0.0.1:1/0", "--to", target)
    assert "127.0.0.1:1" in line and "hunter2" not in line
    assert refused(2, "migrate", "--from", f"sqlite:{tmp_path / 'no'}", "--to", target) == (
        f"error: no store in {tmp_path}/no: there is no lbactors.sqlite3\n"
    )


class Lying:
    """A target that writes one part, one record or one document otherwise than it was told."""

    def __init__(self, store: Store, lie: str) -> None:
        self._store = store
        self._lie = lie

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put_parts(self, period_id: str, epoch: int, seq: int, parts: dict[str, bytes]) -> None:
        if self._lie == "part":
            parts = {part: body + b"\x00" if part == "e:0" else body for part, body in parts.items()}
        await self._store.put_parts(period_id, epoch, seq, parts)

    async def append(self, period_id: str, record: Record) -> None:
        if self._lie == "record" and record.body:
            record = record._replace(body=record.body + b"\x00")
        await self._store.append(period_id, record)

    async def commit(self, changes: list[Change], *, owner: str, epoch: int) -> None:
        kept = [c for c in changes if not (self._lie == "document" and c.collection == "secrets")]
        await self._store.commit(kept, owner=owner, epoch=epoch)


@pytest.mark.parametrize("lie", ["part", "record", "document"])
async def test_a_copy_that_differs_is_noticed(full: Place, empty: Place, lie: str) -> None:
    async with opened(full) as ours, opened(empty) as theirs:
        lying: Any = Lying(theirs, lie)
        with pytest.raises(MigrationFailed, match="differs"):
            await migrating(ours, lying).run()
        assert await unfinished_migration(theirs) is not None
        await migrating(ours, theirs).run()
        assert await everything(theirs, COLLECTIONS) == await everything(ours, COLLECTIONS)


async def test_a_marker_that_says_nothing_is_damage(empty: Place) -> None:
    async with opened(empty) as store:
        await commit(store, Change(MARKERS, MARKER, b"\xc1"))
        with pytest.raises(StoreCorrupt, match="marker"):
            await unfinished_migration(store)
