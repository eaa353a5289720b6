"""What takes rows out of logs: erasing a player, deleting a tenant, and age. On both stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.log_model import NO_BALANCE, EventRow, RowOutcome
from lbactors.documents.entities import COLLECTIONS
from lbactors.period_actor import log_upkeep, log_writes
from lbactors.period_actor.log_chain import LogChain
from lbactors.tools.repair import Repair, Trouble
from lbactors.tools.verify import ERROR, verify
from persistence.store import StoreUnavailable
from tests.support.stored import no_progress, opened, place
from tests.support.supervisor.local_logs import LocalLogs, row
from tests.support.supervisor.local_supervisor import LocalServer, killed, noticed

GONE = "gone-soon-4711"
SECRET = b'{"secret":"of gone-soon-4711"}'
PROFILE = b'{"tags":["known to be gone-soon-4711"]}'
DAY_MS = 24 * 3600 * 1000
EARNERS = {
    "leaderboard_id": "earners",
    "windows": [],
    "scoring": {"source": "metric", "metric": "coins", "aggregation": "sum"},
}


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return place(request.param, tmp_path / "data", request).url


@pytest.fixture
async def server(tmp_path: Path, store_url: str) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data", store_url=store_url) as server:
        yield server


@pytest.fixture
def logs(server: LocalServer) -> LocalLogs:
    return LocalLogs(server)


def event(event_id: str, player_id: str) -> EventRow:
    told = (SECRET, SECRET, PROFILE) if player_id == GONE else (b"{}", None, None)
    return EventRow(event_id, "match", player_id, None, *told)


async def play(server: LocalServer, logs: LocalLogs) -> None:
    """Rows of two players, some together in one record; a pending and a settled one; a projection."""
    await server.command("create_leaderboard", definition=EARNERS)
    await logs.write("coins", row(GONE, 5, metadata=SECRET, profile=PROFILE), row("stays", 7))
    await logs.write("coins", row(GONE, 3, state="pending", metadata=SECRET))
    await logs.settle("coins", 3)
    await logs.write("coins", row("stays", 1), row(GONE, 2, kind="deduct"), row("stays", 2, state="pending"))
    await logs.write("coins", row(GONE, 9, state="pending"))
    await logs.events(event("e1", GONE), event("e2", "stays"), event("e3", GONE))
    await logs.read_by("earners", "coins")
    assert await server.page("earners") == [(1, GONE, 8), (2, "stays", 8)]


async def named_in(server: LocalServer, logs: LocalLogs) -> list[str]:
    """Where the store names the player."""
    found = [where for where, body in (await logs.stored_bytes()).items() if GONE.encode() in body]
    for name in COLLECTIONS:
        rows = await server.supervisor.state.store.scan(name)
        found += [f"{name} {i}" for i, body in rows if GONE in i or GONE.encode() in body]
    files = [path for path in server.folder.iterdir() if GONE.encode() in path.read_bytes()]
    return found + [path.name for path in files]


async def errors(server: LocalServer) -> list[str]:
    verified = await verify(server.supervisor.state.store, 1000, no_progress)
    return [f"{f.place}: {f.text}" for f in verified.findings if f.severity == ERROR or f.kind != "keeping"]


async def assert_gone(server: LocalServer, logs: LocalLogs) -> None:
    assert await named_in(server, logs) == []
    assert await logs.balance("coins", GONE) == NO_BALANCE
    assert await logs.transactions("coins", GONE) == []
    for seq in (1, 3, 6, 8):
        with pytest.raises(ApiError, match="no transaction"):
            await logs.transaction("coins", seq)


# Erasure --------------------------------------------------------------------------------------------------


async def test_an_erased_player_is_in_no_log(server: LocalServer, logs: LocalLogs) -> None:
    await play(server, logs)
    others = await logs.transactions("coins", "stays")
    balance = await logs.balance("coins", "stays")
    assert await named_in(server, logs)
    answer = await server.command("erase_player", player_id=GONE)
    assert answer["erased_entries"] == 1
    await assert_gone(server, logs)
    with pytest.raises(ApiError) as refused:
        await logs.settle("coins", 8)
    assert refused.value.code == "transaction_not_found", "no pending row is left"
    assert await logs.transactions("coins", "stays") == others == await logs.transactions("coins")
    assert [row.seq for row in others] == [7, 5, 2]
    assert await logs.balance("coins", "stays") == balance
    assert (await logs.settle("coins", 7)).balance == 10
    await logs.read_by("earners", "coins")
    assert await server.page("earners") == [(1, "stays", 10)]
    await killed(server)
    await noticed(server)
    await assert_gone(server, logs)
    assert await logs.transactions("coins", "stays") != []
    assert await errors(server) == []


async def test_a_leaderboard_made_later_does_not_have_the_player(
    server: LocalServer, logs: LocalLogs
) -> None:
    await play(server, logs)
    await server.command("erase_player", player_id=GONE)
    await server.command("create_leaderboard", definition={**EARNERS, "leaderboard_id": "later"})
    await logs.read_by("later", "coins")
    assert await server.page("later") == [(1, "stays", 8)]


async def test_who_plays_again_begins_anew(server: LocalServer, logs: LocalLogs) -> None:
    await play(server, logs)
    await server.command("erase_player", player_id=GONE)
    (found,) = await logs.write("coins", row(GONE, 4))
    assert isinstance(found, RowOutcome) and (found.balance, found.earned) == (4, 4)
    (found,) = await logs.write("coins", row(GONE, 5, kind="deduct"))
    assert isinstance(found, ApiError) and found.code == "insufficient_balance"
    balance = await logs.balance("coins", GONE)
    assert (balance.balance, balance.earned, balance.transactions) == (4, 4, 1)
    assert [t.amount for t in await logs.transactions("coins", GONE)] == [4]
    await logs.read_by("earners", "coins")
    assert await server.page("earners") == [(1, "stays", 8), (2, GONE, 4)]
    await server.command("erase_player", player_id=GONE)
    await assert_gone(server, logs)


async def test_a_leaderboard_that_has_not_read_the_rows_does_not_read_them(
    server: LocalServer, logs: LocalLogs
) -> None:
    await play(server, logs)
    for number in range(20):
        await logs.write("coins", row(GONE, 1, metadata=SECRET), row("stays", 1))
        if number == 10:
            reading = asyncio.create_task(logs.read_by("earners", "coins"))
    await server.command("erase_player", player_id=GONE)
    await reading
    await logs.read_by("earners", "coins")
    assert await server.page("earners") == [(1, "stays", 28)]
    await assert_gone(server, logs)


async def test_rows_that_come_during_an_erasure_stay(
    server: LocalServer, logs: LocalLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are new: the player is not known any more when they are judged."""
    await play(server, logs)
    saved, written = log_upkeep._saved, []

    async def save_and_write(chain: Any) -> Any:
        if "/coins~" in chain.spec.chain_id and not written:
            written.append(True)
            written.extend(await logs.write("coins", row(GONE, 4)))
        return await saved(chain)

    monkeypatch.setattr(log_upkeep, "_saved", save_and_write)
    await server.command("erase_player", player_id=GONE)
    assert isinstance(written[1], RowOutcome) and (written[1].balance, written[1].earned) == (4, 4)
    assert [t.seq for t in await logs.transactions("coins", GONE)] == [written[1].seq]
    assert (await logs.balance("coins", GONE)).balance == 4
    monkeypatch.undo()
    await server.command("erase_player", player_id=GONE)
    await assert_gone(server, logs)


async def test_a_row_that_waits_beside_an_erasure_is_judged_by_what_that_leaves(
    server: LocalServer, logs: LocalLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await play(server, logs)
    board_id = logs.board("coins").board_uid
    (actor,) = [a.actor for a in server.actors.by_name.values() if board_id in a.actor.leaderboards]
    board, chain = actor.leaderboards[board_id], actor.chains[f"{board_id}/main"]
    assert isinstance(chain, LogChain)
    append, waiting, opened = chain.store.append, asyncio.Event(), asyncio.Event()

    async def held(*args: Any) -> None:
        waiting.set()
        await opened.wait()
        await append(*args)

    monkeypatch.setattr(chain.store, "append", held)
    first = asyncio.create_task(logs.write("coins", row("stays", 1)))
    await waiting.wait()
    erasing = asyncio.create_task(log_writes.erase_account(board, chain, GONE))
    async with asyncio.timeout(20):
        while board.writer.weight < 1:  # noqa: ASYNC110 - it has no event for it
            await asyncio.sleep(0)
        after = asyncio.create_task(logs.write("coins", row(GONE, 4)))
        while board.writer.weight < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
    opened.set()
    await asyncio.gather(first, erasing)
    (found,) = await after
    assert isinstance(found, RowOutcome) and (found.balance, found.earned) == (4, 4)
    assert (await logs.balance("coins", GONE)).balance == 4


STEPS = ["erase_account", "_saved", "_overwrite", "forget_account", "_saved"]


@pytest.mark.parametrize("done", range(len(STEPS)))
@pytest.mark.parametrize("dies", [True, False])
async def test_an_erasure_that_was_interrupted_is_completed_by_a_repeat(
    server: LocalServer, logs: LocalLogs, monkeypatch: pytest.MonkeyPatch, done: int, dies: bool
) -> None:
    """After each of its steps, in the log of a metric; the actor is killed or goes on."""
    await play(server, logs)
    taken: list[str] = []

    def breaking(name: str, really: Any) -> Any:
        async def step(*args: Any) -> Any:
            chain = args[0] if name.startswith("_") else args[1]
            if "/coins~" not in chain.spec.chain_id:
                return await really(*args)
            if len(taken) == done:
                raise StoreUnavailable("as told")
            taken.append(name)
            return await really(*args)

        return step

    for module, names in (
        (log_upkeep, ("_saved", "_overwrite")),
        (log_writes, ("erase_account", "forget_account")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, breaking(name, getattr(module, name)))
    with pytest.raises(ApiError) as refused:
        await server.command("erase_player", player_id=GONE)
    assert refused.value.status == 503
    assert taken == STEPS[:done]
    monkeypatch.undo()
    if dies:
        await killed(server)
        await noticed(server)
    assert [t.seq for t in await logs.transactions("coins", "stays")] == [7, 5, 2]
    await server.command("erase_player", player_id=GONE)
    await assert_gone(server, logs)
    assert await server.page("earners") == [(1, "stays", 8)]
    assert await errors(server) == []


async def test_an_erasure_that_died_between_two_records_goes_on(
    server: LocalServer, logs: LocalLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await play(server, logs)
    monkeypatch.setattr(log_upkeep, "REWRITTEN_AT_ONCE", 1)
    chain_id = logs.board("coins").chain_id("main")
    hosting = [a.actor.chains for a in server.actors.by_name.values() if chain_id in a.actor.chains]
    store = hosting[0][chain_id].store
    rewrite, calls = store.rewrite, []

    async def once(*args: Any) -> None:
        if calls:
            raise StoreUnavailable("as told")
        calls.append(args)
        await rewrite(*args)

    monkeypatch.setattr(store, "rewrite", once)
    with pytest.raises(ApiError):
        await server.command("erase_player", player_id=GONE)
    monkeypatch.undo()
    await killed(server)
    await noticed(server)
    await server.command("erase_player", player_id=GONE)
    await assert_gone(server, logs)
    assert await errors(server) == []


# Purging --------------------------------------------------------------------------------------------------


async def test_a_tenant_that_is_deleted_takes_its_logs_along(server: LocalServer) -> None:
    logs = LocalLogs(server, "studio")
    for again in (False, True):
        await server.command("create_tenant", tenant={"tenant_id": "studio", "name": "Studio"})
        await server.command("create_leaderboard", "studio", definition=EARNERS)
        assert await logs.transactions("coins") == []
        assert await logs.balance("coins", "p1") == NO_BALANCE
        (found,) = await logs.write("coins", row("p1", 5, submission_id="a"))
        assert isinstance(found, RowOutcome) and not found.duplicate, f"again: {again}"
        await logs.write("gems", row("p1", 5))
        await logs.events(event("e1", "p1"))
        await server.command("delete_tenant", tenant_id="studio")
        async with asyncio.timeout(20):
            while await left_of_tenant(server):  # noqa: ASYNC110 - the store has no event for it
                await asyncio.sleep(0.02)
        assert await errors(server) == []


async def left_of_tenant(server: LocalServer) -> list[str]:
    store = server.supervisor.state.store
    found = [period_id for period_id in await store.list_periods() if period_id.startswith("studio/")]
    for name in COLLECTIONS:
        if name not in ("audit", "keys"):
            found += [f"{name} {i}" for i, _ in await store.scan(name) if i.startswith("studio")]
    return found


# Age ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def forgetful(tmp_path: Path, store_url: str) -> AsyncIterator[LocalServer]:
    """Keeps rows for three days, and events for one."""
    days = {"metric_retain_days": 3, "event_retain_days": 1}
    async with LocalServer(tmp_path / "data", store_url=store_url, **days) as server:
        yield server


async def trimmed(server: LocalServer) -> None:
    """Every actor is looked at, then old rows go."""
    for name in list(server.supervisor.hosting.actors):
        await server.supervisor.hosting.probe(name)
    await server.supervisor.logs.trim()


async def play_for_days(server: LocalServer, logs: LocalLogs, days: int) -> None:
    """Each day a row of 10^day (its seq is 2 * day + 1) and a pending one, and an event."""
    for day in range(days):
        if day:
            server.clock.move(DAY_MS)
        await logs.write("coins", row("maya", 10**day))
        await logs.write(
            "coins", row("maya", 1, state="pending", submission_id=f"later-{day}", metadata=SECRET)
        )
        await logs.events(event(f"e{day}", "maya"))


async def test_old_rows_go_and_balances_stay(forgetful: LocalServer) -> None:
    server, logs = forgetful, LocalLogs(forgetful)
    await play_for_days(server, logs, 6)  # the last three days are those of 3, 4 and 5, and half of 2
    balance = await logs.balance("coins", "maya")
    assert (balance.balance, balance.pending, balance.transactions) == (111111, 6, 12)
    server.clock.move(DAY_MS // 2)
    await trimmed(server)
    store = server.supervisor.state.store
    assert await store.first_seq(logs.log_id("coins")) == 7
    assert await store.first_seq(logs.log_id(None)) == 6
    assert await logs.balance("coins", "maya") == balance
    for player_id in ("maya", None):
        assert [t.seq for t in await logs.transactions("coins", player_id)] == [12, 11, 10, 9, 8, 7]
    with pytest.raises(ApiError) as refused:
        await logs.transaction("coins", 5)
    assert refused.value.code == "transaction_not_found"
    assert (await logs.transaction("coins", 7)).amount == 1000
    await server.command("create_leaderboard", definition=EARNERS)
    await logs.read_by("earners", "coins")
    assert await server.page("earners") == [(1, "maya", 111000)]
    await killed(server)
    await noticed(server)
    assert await logs.balance("coins", "maya") == balance
    assert [t.seq for t in await logs.transactions("coins")][-1] == 7
    assert await errors(server) == []
    await trimmed(server)
    assert await store.first_seq(logs.log_id("coins")) == 7, "nothing is older since"


async def test_a_row_that_waits_longer_than_rows_are_kept_is_settled_all_the_same(
    forgetful: LocalServer,
) -> None:
    server, logs = forgetful, LocalLogs(forgetful)
    await server.command("create_leaderboard", definition=EARNERS)
    await play_for_days(server, logs, 6)
    await logs.read_by("earners", "coins")
    server.clock.move(DAY_MS // 2)
    before = await logs.transaction("coins", 2)
    await trimmed(server)
    await killed(server)
    await noticed(server)
    assert await logs.transaction("coins", 2) == before
    assert (before.state, before.submission_id, before.metadata) == ("pending", "later-0", SECRET)
    assert (await logs.settle("coins", 2)).balance == 111112
    await logs.settle("coins", 4, complete=False)
    for seq in (2, 4):
        with pytest.raises(ApiError) as refused:
            await logs.settle("coins", seq)
        assert refused.value.code == "transaction_not_found"
    balance = await logs.balance("coins", "maya")
    assert (balance.balance, balance.pending) == (111112, 4)
    await logs.read_by("earners", "coins")
    assert await server.page("earners") == [(1, "maya", 111112)]
    assert await errors(server) == []


async def test_a_leaderboard_that_is_behind_holds_rows_back(
    forgetful: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, logs = forgetful, LocalLogs(forgetful)
    await server.command("create_leaderboard", definition=EARNERS)
    await play_for_days(server, logs, 2)
    await logs.read_by("earners", "coins")
    board = server.supervisor.state.boards["default/earners"]
    chain_id = board.chain_id("main")
    (hosting,) = [a.actor.chains for a in server.actors.by_name.values() if chain_id in a.actor.chains]
    follower: Any = hosting[chain_id].follower
    after, may_read = follower.reader.after, asyncio.Event()

    async def read_later(seq: int, known: int = 0) -> Any:
        await may_read.wait()
        return await after(seq, known)

    monkeypatch.setattr(follower.reader, "after", read_later)  # it has read the rows of two days
    server.clock.move(DAY_MS)
    await play_for_days(server, logs, 6)
    server.clock.move(30 * DAY_MS)
    follower.told(await logs.last_seq("coins"))
    await trimmed(server)
    store = server.supervisor.state.store
    assert await store.first_seq(logs.log_id("coins")) == 5
    may_read.set()
    await logs.read_by("earners", "coins")
    assert await server.page("earners") == [(1, "maya", 111122)]
    await trimmed(server)
    assert await logs.transactions("coins") == []
    assert (await logs.balance("coins", "maya")).balance == 111122
    assert await errors(server) == []


async def test_a_leaderboard_of_which_nobody_knows_how_far_it_is_holds_rows_back(
    forgetful: LocalServer,
) -> None:
    server, logs = forgetful, LocalLogs(forgetful)
    await server.command("create_leaderboard", definition=EARNERS)
    await play_for_days(server, logs, 5)
    board = server.supervisor.state.boards["default/earners"]
    chain = server.supervisor.state.chains[board.chain_id("main")]
    server.supervisor.hosting.actors[chain.home].last_ping = None
    await server.supervisor.logs.trim()
    assert await server.supervisor.state.store.first_seq(logs.log_id("coins")) == 1


# A log that lost its end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("repaired", [True, False])
async def test_a_leaderboard_that_has_read_more_than_there_is_begins_anew(
    tmp_path: Path, store_url: str, repaired: bool
) -> None:
    """By a repair, or because the store lost it: the rows that come under the same seqs are other ones."""
    async with LocalServer(tmp_path / "data", store_url=store_url) as server:
        logs = LocalLogs(server)
        await server.command("create_leaderboard", definition=EARNERS)
        for number in range(5):
            await logs.write("coins", row(f"p{number}", 5 - number))
        await logs.read_by("earners", "coins")
        assert len(await server.page("earners")) == 5
        log_id = logs.log_id("coins")
        await killed(server)  # before it saves anything
    async with opened(store_url) as store:
        if repaired:
            repair = Repair(store, 1000, no_progress)
            await repair.find()
            ahead = tuple([doc_id async for doc_id in repair._ahead(log_id, 3)])
            assert ahead == ("default/earners",)
            await repair.cut(Trouble("", [], log_id, cut_seq=3, ahead=ahead))
        else:
            await store.cut(log_id, await store.take_epoch(log_id), 3)
        verified = await verify(store, 1000, no_progress)
        found = [f.kind for f in verified.findings if f.severity == ERROR]
        assert found == ([] if repaired else ["place"])
    async with LocalServer(tmp_path / "data", store_url=store_url) as server:
        logs = LocalLogs(server)
        if repaired:  # no place tells any more that the log was cut
            await logs.write("coins", row("new", 9), row("new", 9), row("new", 9))
        else:
            await logs.read_by("earners", "coins")
            await logs.write("coins", row("new", 27))
        await logs.read_by("earners", "coins")
        expected = [(1, "new", 27), (2, "p0", 5), (3, "p1", 4), (4, "p2", 3)]
        assert await server.page("earners") == expected
        assert await errors(server) == []
