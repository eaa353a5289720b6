"""Stores as a server leaves them, for the tools that work on stores: written by real activations.

`write` fills an empty store with two tenants' documents and these periods (entries of `p0`, `p1`…):

    XP     best, two windows. main: 1 closed and snapshotted, 2 open, with a snapshot and records after it,
           3 opened ahead, with nothing in it; daily: 1 open, records alone
    COINS  sum. 1 closed, nobody played; 2 open, with three snapshots whose parts are of different seqs, and
           six records of ten inputs each after them, from seq COINS_SEQ on
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgpack
import pytest

from lbactors.core import period as period_module
from lbactors.core import seen_ids as seen_ids_module
from lbactors.core.definition import Definition, Rules
from lbactors.core.inputs import REMOVE, SUBMIT
from lbactors.core.model import Board, Key, PeriodRecord, Tenant
from lbactors.documents.entities import pack_board, pack_key, pack_tenant
from lbactors.period_actor.activation import Activation
from persistence import open_store
from persistence.store import Change, Part, Recovered, Store
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.store.contract import Backend
from tests.support.store.redis_backend import RedisBackend
from tests.support.store.sqlite_backend import SqliteBackend

NOON_MS = 1_795_003_200_000  # 2026-11-18T12:00:00Z
HOUR_MS = 3_600_000
SEEN_IDS = 1000
XP = "default/xp~00000001"
COINS = "studio/coins~00000002"
COINS_2 = f"{COINS}/main/2"
COINS_SEQ = 142  # of the last input that its snapshot covers
COINS_RECORDS = [(COINS_SEQ + 1 + 10 * n, COINS_SEQ + 10 + 10 * n) for n in range(6)]
PERIODS = [f"{XP}/daily/1", f"{XP}/main/1", f"{XP}/main/2", COINS_2]  # those with data, sorted
PEPPER = b"pepper of thirty-two bytes, kept."

_prefixes = itertools.count()

T = TypeVar("T")


class Place(NamedTuple):
    """A store that lives as long as the test: its URL, and ways to hurt it."""

    url: str
    backend: Backend
    kind: str


def place(kind: str, folder: Path, request: pytest.FixtureRequest) -> Place:
    """A new, empty place for a store. kind: sqlite | redis | cluster (of Redis)."""
    if kind == "sqlite":
        return Place(f"sqlite:{folder}", SqliteBackend(folder), kind)
    server: RedisServer | RedisCluster = request.getfixturevalue(f"shared_{kind}")
    backend = RedisBackend(server.url, f"tools{next(_prefixes)}", server.command)
    return Place(backend.url, backend, kind)


@pytest.fixture(scope="session")
def written_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that `write` filled; to be copied."""
    folder = tmp_path_factory.mktemp("written") / "data"

    asyncio.run(_fill(f"sqlite:{folder}"))
    return folder


@pytest.fixture(params=["sqlite", "redis"])
def full(request: pytest.FixtureRequest, tmp_path: Path, written_once: Path) -> Place:
    """A place with what `write` writes."""
    return filled(request.param, tmp_path / "full", request)


def filled(kind: str, folder: Path, request: pytest.FixtureRequest) -> Place:
    """The same for a test that asks for its kind. Copies of SQLite stores share their identity."""
    made = place(kind, folder, request)
    if kind == "sqlite":
        shutil.copytree(request.getfixturevalue("written_once"), folder)
    else:
        asyncio.run(_fill(made))
    return made


async def _fill(where: Place | str) -> None:
    async with opened(where) as store:
        await write(store)


@asynccontextmanager
async def opened(where: Place | str) -> AsyncIterator[Store]:
    store = open_store(where if isinstance(where, str) else where.url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


class StillClock:
    """Always noon."""

    def now_ms(self) -> int:
        return NOON_MS


def submission(number: int, player: int | None = None, with_id: bool = True) -> list[Any]:
    """An input: the score `number` for player p<number % 20>, or another one."""
    who = f"p{number % 20 if player is None else player}"
    return [SUBMIT, NOON_MS, who, number, 0, None, f"s{number}" if with_id else None, None]


async def activation(store: Store, chain_id: str, record: PeriodRecord, rules: Rules) -> Activation:
    """The period, loaded, with the right to write."""
    clock: Any = StillClock()
    made = Activation(store, clock, chain_id, record, rules, SEEN_IDS)
    await made.load()
    return made


def record_of(serial: int, **fields: Any) -> PeriodRecord:
    """Period 1 of a chain begins at noon; each lasts an hour."""
    start_ms = NOON_MS + (serial - 1) * HOUR_MS
    made = PeriodRecord(serial, f"hour-{serial}", start_ms, start_ms + HOUR_MS, False, 0, 0, start_ms)
    return made._replace(**fields)


def board_of(board_id: str, aggregation: str, windows: list[str]) -> Board:
    """board_id: like `XP`."""
    tenant_id, _, rest = board_id.partition("/")
    name, _, uid = rest.partition("~")
    written = {"leaderboard_id": name, "scoring": {"aggregation": aggregation}, "windows": windows}
    return Board(tenant_id, uid, Definition.model_validate(written), 1, NOON_MS, NOON_MS)


async def write(store: Store, *, small: bool = True) -> None:
    """Fill an empty store. small: buckets and segments of a few rows, so that there are many parts."""
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(period_module, "BUCKET_ENTRIES", 2)
            patch.setattr(seen_ids_module, "ID_SEGMENT", 8)
        documents = await _xp(store)
        documents += await _coins(store)
    epoch = await store.take_ownership("supervisor")
    await store.commit([*documents, *_people()], owner="supervisor", epoch=epoch)


async def _xp(store: Store) -> list[Change]:
    board = board_of(XP, "best", ["daily"])
    rules = Rules.of(board.definition)
    first = await activation(store, f"{XP}/main", record_of(1), rules)
    await first.submit([submission(n) for n in range(30)], 0)
    await first.submit([[REMOVE, NOON_MS, "p3"]], 0)
    second = await activation(store, f"{XP}/main", record_of(2), rules)
    await second.inherit_ids(first)
    await first.seal()
    sealed = {"entries": first.period.total, "submissions": first.period.submissions}
    closed = first.record._replace(sealed=True, last_seq=first.period.seq, **sealed)
    await second.submit([submission(n) for n in range(100, 110)], 0)
    await second.snapshot()
    for n in range(110, 113):
        await second.submit([submission(n)], 0)
    third = await activation(store, f"{XP}/main", record_of(3), rules)
    daily = await activation(store, f"{XP}/daily", record_of(1), rules)
    for n in range(3):
        await daily.submit([submission(n, with_id=False)], 0)
    main = [closed, second.record, third.record]
    return [
        Change("leaderboards", "default/xp", pack_board(board)),
        *(period_change(f"{XP}/main", record) for record in main),
        period_change(f"{XP}/daily", daily.record),
        Change("homes", XP, b"period-1"),
    ]


async def _coins(store: Store) -> list[Change]:
    board = board_of(COINS, "sum", [])
    rules = Rules.of(board.definition)
    coins = await activation(store, f"{COINS}/main", record_of(2), rules)
    await coins.submit([submission(n) for n in range(140)], 0)
    await coins.snapshot()
    for player in (1, 5):  # so that later snapshots write some parts and keep others
        await coins.submit([submission(200 + player, player)], 0)
        await coins.snapshot()
    assert coins.period.seq == COINS_SEQ
    for first_seq, last_seq in COINS_RECORDS:
        await coins.submit([submission(1000 + seq) for seq in range(first_seq, last_seq + 1)], 0)
    return [
        Change("leaderboards", "studio/coins", pack_board(board)),
        period_change(f"{COINS}/main", record_of(1, sealed=True)),
        period_change(f"{COINS}/main", coins.record),
        Change("homes", COINS, b"period-1"),
    ]


def period_change(chain_id: str, record: PeriodRecord) -> Change:
    return Change("periods", f"{chain_id}/{record.key}", bytes(msgpack.packb(list(record))))


def _people() -> list[Change]:
    key = Key("k_1", "default", "root", frozenset(["platform"]), "00" * 32, "active", None, None, NOON_MS)
    answer = [NOON_MS, "digest", 201, {"leaderboard_id": "xp"}]
    profiles = [
        Change("profiles", f"default/p{n}", bytes(msgpack.packb({"player_id": f"p{n}", "roles": []})))
        for n in range(7)
    ]
    return [
        Change("tenants", "default", pack_tenant(Tenant("default", "default", "active", None, NOON_MS))),
        Change("tenants", "studio", pack_tenant(Tenant("studio", "Studio", "active", "hunter2", NOON_MS))),
        Change("keys", "k_1", pack_key(key)),
        Change("idempotency", f"default/{'ab' * 32}", bytes(msgpack.packb(answer))),
        Change("secrets", "pepper", PEPPER),
        *profiles,
    ]


async def commit(store: Store, *changes: Change) -> None:
    """Change documents as the next server would."""
    epoch = await store.take_ownership("supervisor")
    await store.commit(list(changes), owner="supervisor", epoch=epoch)


async def everything(store: Store, collections: tuple[str, ...]) -> dict[str, Any]:
    """All that a store holds but epochs: documents, and of each period seq, parts and records."""
    held: dict[str, Any] = {name: await store.scan(name) for name in collections}
    for period_id in await store.list_periods():
        seq, parts, records = 0, {}, []
        async for item in store.recover(period_id):
            if isinstance(item, Recovered):
                seq = item.seq
            elif isinstance(item, Part):
                parts[item.name] = item.body
            else:
                records.append(item._replace(epoch=0))
        held[period_id] = (seq, parts, records)
    return held


def no_progress(what: str, done: int, total: int) -> None:
    assert done <= total or total == 0


def within(where: Place | str, work: Callable[[Store], Awaitable[T]]) -> T:
    """Do something with the store, from a test that is not a coroutine: the command line has its own loop."""

    async def run() -> T:
        async with opened(where) as store:
            return await work(store)

    return asyncio.run(run())
