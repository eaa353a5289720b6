"""What is asked of the supervisor while it is away: held until its successor is there, but not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.model import Submission
from lbactors.service.service import AdminAnswer, Idempotency
from lbactors.wire.commands import CreateLeaderboard
from lbactors.wire.rpc import OLDEST, VERSION, RpcClient
from tests.support.supervisor.in_process import Server

NOON_MS = 1_795_003_200_000  # 2026-11-18T12:00:00Z
LOOKS = 50


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    # What was in use is not noted: else it depends on the machine's load who runs after a restart.
    monkeypatch.setattr("lbactors.supervisor.rebalancing.BALANCE_LOOKS", 10**9)
    async with Server(tmp_path / "data", NOON_MS) as server:
        await make(server, "before")
        yield server


async def make(server: Server, name: str) -> AdminAnswer:
    definition = {"leaderboard_id": name}
    return await server.service.admin(CreateLeaderboard(definition), "default")


async def refusal(asked: Any) -> tuple[str, str]:
    with pytest.raises(ApiError) as raised:
        await asked
    return raised.value.code, raised.value.message


async def kill_the_supervisor(server: Server) -> None:
    """And wait until the gateway knows."""
    catalogue = server.service.catalogue
    await server.cluster.processes["supervisor"].end()
    async with asyncio.timeout(10):
        while await catalogue.supervisor_back(0):  # noqa: ASYNC110 - seen by a failed watch, without an event
            await asyncio.sleep(0.001)


async def unanswered(task: asyncio.Task[Any]) -> bool:
    """Whether it still waits after everything else had many turns."""
    for _ in range(LOOKS):
        await asyncio.sleep(0)
    return not task.done()


async def test_commands_and_status_wait_for_the_successor(server: Server) -> None:
    await kill_the_supervisor(server)
    made = asyncio.create_task(make(server, "after"))
    status = asyncio.create_task(server.service.status())
    assert await unanswered(made)
    assert await unanswered(status)
    assert (await server.service.ready())["supervisor"] == "away", "readiness does not wait"
    server.cluster.restart("supervisor")
    assert (await made).status == 201
    assert (await status)["supervisor"]["pid"]
    assert [b.leaderboard_id for b in server.service.catalogue.boards("default")] == ["after", "before"]


async def test_the_wait_has_an_end_and_nothing_was_done(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbactors.service.supervisor_client.BACK_WITHIN_S", 0.05)
    await kill_the_supervisor(server)
    code, message = await refusal(make(server, "never"))
    assert code == "storage_unavailable"
    assert message.startswith("nothing was changed, the supervisor is away: supervisor "), "and why"
    assert (await refusal(server.service.status()))[0] == "storage_unavailable"
    server.cluster.restart("supervisor")
    assert await server.service.catalogue.supervisor_back(10)
    assert (await make(server, "never")).status == 201, "a new one, not one that exists already"


async def test_a_command_that_was_sent_is_not_sent_again(server: Server) -> None:
    """The supervisor dies after its commit and before its answer."""

    async def lost(name: str, method: str, payload: bytes, reply: bytes) -> bool:
        return method != "command"

    server.cluster.on_reply = lost
    code, message = await refusal(make(server, "done"))
    assert (code, message) == ("storage_unavailable", "the supervisor is away; the outcome is unknown")
    assert server.service.catalogue.board("default", "done") is not None


async def test_a_command_with_a_key_is_sent_again(server: Server) -> None:
    """The same death; the successor knows the key, and answers as its predecessor would have."""
    answered = 0

    async def lost(name: str, method: str, payload: bytes, reply: bytes) -> bool:
        nonlocal answered
        answered += method == "command"
        if method == "command" and answered == 1:
            await server.cluster.crash("supervisor")
        return method != "command" or answered > 1

    server.cluster.on_reply = lost
    definition = {"leaderboard_id": "once"}
    key = Idempotency("key", "digest")
    made = await server.service.admin(CreateLeaderboard(definition), "default", key)
    assert (made.status, made.body["version"], answered) == (201, 1, 2)


async def test_scores_go_on_without_it(server: Server) -> None:
    board = server.service.catalogue.board("default", "before")
    assert board is not None
    await kill_the_supervisor(server)
    submission = Submission("p", 1, 0, None, None, None, None)
    (answer,) = await server.service.submit(board, [submission], server.now_ms(), "full")
    assert not isinstance(answer, ApiError)
    server.cluster.restart("supervisor")


async def test_dormant_chains_that_get_no_home_are_asked_for_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever keeps the supervisor from it: no reader is told of a bug, and nothing is lost track of."""
    await server.stop()
    await server.start()
    cluster, service = server.cluster, server.service
    board = service.catalogue.board("default", "before")
    assert board is not None and not cluster.period_actors() and service.catalogue.dormant
    with monkeypatch.context() as patch:

        def head_away(*_: Any) -> Any:
            raise RuntimeError("Ray's head is away")

        patch.setattr(cluster, "period_actor", head_away)
        code, _ = await refusal(service.page(board, "main", "current", 0, 10))
        assert code == "period_loading"
        submission = Submission("p", 1, 0, None, None, None, None)
        (refused,) = await service.submit(board, [submission], server.now_ms(), "full")
        assert isinstance(refused, ApiError) and refused.code == "period_loading", "nothing was taken"
    (answer,) = await service.submit(board, [submission], server.now_ms(), "full")
    assert not isinstance(answer, ApiError)


async def test_an_actor_is_reported_again_after_a_report_that_failed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbactors.service.router.REPORT_PAUSE_S", 0)
    board = server.service.catalogue.board("default", "before")
    assert board is not None
    reported: list[str] = []
    enough = asyncio.Event()

    def report(name: str) -> None:
        reported.append(name)
        if len(reported) == 1:
            raise RuntimeError("Ray's head is away")
        enough.set()

    monkeypatch.setattr(server.supervisor, "report", report)
    name = server.service.catalogue.home(board.board_uid)
    assert name is not None
    await server.cluster.processes[name].end()
    async with asyncio.timeout(10):
        while not enough.is_set():
            await refusal(server.service.page(board, "main", "current", 0, 10))
            await asyncio.sleep(0)
    assert reported[:2] == [name, name]
    server.cluster.restart(name)


async def test_a_gateway_of_a_release_that_actors_do_not_serve_is_told_why(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rolling upgrade in the wrong order: a clear 503 at once, and the other gateways go on."""
    submission = Submission("p", 1, 0, None, None, None, None)
    service = await server.gateway()
    board = service.catalogue.board("default", "before")
    assert board is not None
    try:
        with monkeypatch.context() as patch:
            patch.setattr("lbactors.service.router.RpcClient", partial(RpcClient, version=VERSION + 1))
            for _ in range(3):
                async with asyncio.timeout(2):
                    (refused,) = await service.submit(board, [submission], server.now_ms(), "full")
                    read = await refusal(service.page(board, "main", "current", 0, 10))
                assert isinstance(refused, ApiError) and refused.status == 503
                assert (refused.code, refused.message) == read and refused.code == "period_loading"
                assert f"speaks version {VERSION + 1} of" in refused.message
                assert f"serves versions {OLDEST} to {VERSION}:" in refused.message
    finally:
        await service.close()
    (taken,) = await server.service.submit(board, [submission], server.now_ms(), "full")
    assert not isinstance(taken, ApiError)
