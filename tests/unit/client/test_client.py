"""The client against a fake server that fails, loses answers and closes sockets on command.

Verified: which route every method calls; that a score is counted once however often it had to be sent; what
is retried, for how long, and what is not. Not verified: the server.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from lbactors.client import ApiError, Client, SyncClient, Unreachable, transport
from lbactors.client import scores as scores_module
from tests.support.client_calls import CALLS
from tests.support.fake_api import KEY, FakeApi
from tests.support.free_ports import free_port
from tests.support.repository import REPOSITORY


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as running:
        running.add_board("xp")
        running.add_board("total", scoring={"aggregation": "sum"})
        yield running


@pytest.fixture
async def client(api: FakeApi) -> AsyncIterator[Client]:
    async with Client(api.url, KEY) as made:
        yield made


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses between tries take no time here; their lengths in seconds are in this list."""
    lengths: list[float] = []

    async def sleep(seconds: float) -> None:
        lengths.append(seconds)

    monkeypatch.setattr(transport, "asyncio", SimpleNamespace(sleep=sleep))
    return lengths


TRANSPORT = {"call", "command", "close"}


async def test_every_method_calls_its_route(api: FakeApi, client: Client) -> None:
    await client.submit("total", "a/b c", 1)
    methods = {
        name
        for name, member in inspect.getmembers(Client, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    assert methods - TRANSPORT == set(CALLS)
    for name in sorted(CALLS, key=lambda name: "purge" in name):
        arguments, options, request = CALLS[name]
        before = len(api.requests)
        await getattr(client, name)(*arguments, **options)
        assert api.paths()[before:] == [request], name


async def test_the_scores_of_a_lost_answer_count_once(
    api: FakeApi, client: Client, waits: list[float]
) -> None:
    api.lose_answer()
    answer = await client.submit("total", "maya", 10)
    assert answer["duplicate"] is True
    api.lose_answer()
    await client.submit_many("total", [{"player_id": "maya", "score": 5}, {"player_id": "noor", "score": 7}])
    assert api.standings("total") == [("maya", 15), ("noor", 7)]
    assert len(waits) == 2


async def test_an_id_of_the_callers_own_is_sent(api: FakeApi, client: Client) -> None:
    for _ in range(2):
        await client.submit("total", "maya", 10, submission_id="match-77:maya")
        await client.submit_many(
            "total", [{"player_id": "noor", "score": 1, "submission_id": "match-77:noor"}]
        )
    assert api.standings("total") == [("maya", 10), ("noor", 1)]


async def test_absent_fields_are_not_sent(api: FakeApi, client: Client) -> None:
    await client.submit("xp", "maya", 0, subscore=0, metadata={"level": 7})
    body = api.requests[-1][3]
    assert set(body) == {"player_id", "score", "subscore", "metadata", "submission_id"}


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "overloaded"), (503, "period_loading"), (503, "storage_unavailable"), (502, "bad_gateway")],
)
async def test_passing_failures_are_waited_out(
    api: FakeApi, client: Client, waits: list[float], status: int, code: str
) -> None:
    api.fail(status, code, times=3)
    await client.submit("total", "maya", 10)
    assert api.standings("total") == [("maya", 10)]
    assert len({request[3]["submission_id"] for request in api.requests}) == 1
    assert 0 < waits[0] <= transport.FIRST_PAUSE_S
    assert len(waits) == 3 and waits[2] > transport.FIRST_PAUSE_S


async def test_retry_after_is_honoured(api: FakeApi, client: Client, waits: list[float]) -> None:
    api.fail(429, "rate_limited", retry_after=7)
    await client.submit("xp", "maya", 10)
    assert waits == [7]


async def test_patience_is_bounded(api: FakeApi, waits: list[float]) -> None:
    api.fail(503, "period_loading", times=2, retry_after=31)
    async with Client(api.url, KEY, patience_s=30) as client:
        with pytest.raises(ApiError) as failure:
            await client.submit("xp", "maya", 10)
    assert (failure.value.status, failure.value.code, failure.value.retry_after_s) == (
        503,
        "period_loading",
        31,
    )
    assert waits == [] and len(api.requests) == 1


async def test_other_errors_are_raised_at_once(api: FakeApi, client: Client, waits: list[float]) -> None:
    with pytest.raises(ApiError, match=r"leaderboard_not_found: no leaderboard 'nope'") as failure:
        await client.rankings("nope")
    assert failure.value.status == 404
    assert failure.value.message == "no leaderboard 'nope'"
    assert len(api.requests) == 1 and waits == []


async def test_an_answer_of_something_else(api: FakeApi, client: Client) -> None:
    api.fail_with_page(404)
    with pytest.raises(ApiError, match="http_404"):
        await client.rankings("xp")
    api.fail_with_page(200)
    with pytest.raises(ApiError, match="not as an lbactors server does"):
        await client.rankings("xp")


async def test_what_cannot_be_repeated_is_not(api: FakeApi, client: Client, waits: list[float]) -> None:
    await client.submit("xp", "maya", 10)
    api.fail(503, "storage_unavailable")
    with pytest.raises(ApiError):
        await client.delete_entry("xp", "maya")
    api.lose_answer()
    with pytest.raises(Unreachable):
        await client.update_leaderboard("xp", {"name": "X"}, if_version=1)
    api.lose_answer()
    with pytest.raises(Unreachable):
        await client.update_player("maya", {"display_name": "M"}, if_version="5f0c")
    assert api.requests[-1][2]["If-Match"] == '"5f0c"'
    api.lose_answer()
    with pytest.raises(Unreachable):
        await client.edit_entry("xp", "maya", {"score": 5}, reason="broken event")
    assert waits == []
    api.fail(429, "rate_limited")  # nothing was taken: this one may
    await client.delete_entry("xp", "maya")
    assert len(waits) == 1


async def test_a_command_keeps_its_idempotency_key(api: FakeApi, client: Client, waits: list[float]) -> None:
    api.fail(503, "storage_unavailable", times=2)
    await client.create_tenant({"tenant_id": "studio-a"})
    keys = [headers["Idempotency-Key"] for _, _, headers, _ in api.requests]
    assert len(keys) == 3 and len(set(keys)) == 1
    await client.create_tenant({"tenant_id": "studio-b"})
    assert api.requests[-1][2]["Idempotency-Key"] not in keys
    await client.lookup("xp", ["maya"])
    assert "Idempotency-Key" not in api.requests[-1][2]


async def test_long_lists_go_in_several_requests(
    api: FakeApi, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores_module, "BATCH_ITEMS", 3)
    items: list[dict[str, Any]] = [{"player_id": f"p{i}", "score": i} for i in range(8)]
    items[4]["score"] = "many"
    answer = await client.submit_many("xp", items, results="full")
    assert [len(body["submissions"]) for _, _, _, body in api.requests] == [3, 3, 2]
    assert (answer["accepted"], answer["rejected"]) == (7, 1)
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [(4, "validation_failed")]
    assert [(r["index"], r["player_id"]) for r in answer["results"]] == [
        (i, f"p{i}") for i in range(8) if i != 4
    ]


async def test_items_that_must_wait_are_sent_again(api: FakeApi, client: Client, waits: list[float]) -> None:
    api.waiting_codes = {"b": ["period_loading", "overloaded"], "c": ["validation_failed"]}
    items = [{"player_id": player, "score": 1} for player in "abcd"]
    answer = await client.submit_many("total", items, results="full")
    assert (answer["accepted"], answer["rejected"]) == (3, 1)
    assert [error["index"] for error in answer["errors"]] == [2]
    assert [(r["index"], r["player_id"]) for r in answer["results"]] == [(0, "a"), (1, "b"), (3, "d")]
    sent = [[item["player_id"] for item in body["submissions"]] for _, _, _, body in api.requests]
    assert sent == [["a", "b", "c", "d"], ["b"], ["b"]]
    assert len(waits) == 2


async def test_what_json_cannot_hold_is_refused_here(api: FakeApi, client: Client) -> None:
    sent = len(api.requests)
    with pytest.raises(ValueError, match=r"body\.score must be a finite number"):
        await client.submit("xp", "p1", float("nan"))
    with pytest.raises(TypeError, match="list of objects"):
        await client.submit_many("xp", {"player_id": "p1", "score": 1})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="64-bit"):
        await client.submit("xp", "p1", 10**20)
    with pytest.raises(TypeError, match="list of player ids"):
        await client.lookup("xp", "p1")
    assert len(api.requests) == sent


async def test_an_item_that_json_cannot_hold_is_rejected_alone(api: FakeApi, client: Client) -> None:
    items: list[Any] = [{"player_id": "p1", "score": 1}, {"player_id": "p2", "score": -1e999}, 3]
    answer = await client.submit_many("xp", (item for item in [*items, items[0]]))  # type: ignore[arg-type]
    assert (answer["accepted"], answer["rejected"]) == (2, 2)
    assert [(e["index"], e["message"]) for e in answer["errors"]] == [
        (1, "score: must be a finite number"),
        (2, "must be an object"),
    ]


@pytest.mark.parametrize(
    "options", [{"timeout_s": 0}, {"timeout_s": float("nan")}, {"patience_s": -1}, {"connections": 0}]
)
def test_options_out_of_bounds(options: Any) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be a finite number"):
        Client(**options)


async def test_a_leaderboard_that_is_there_may_be_created(api: FakeApi, client: Client) -> None:
    wanted = {"leaderboard_id": "xp", "timeframe": "weekly"}
    with pytest.raises(ApiError, match="leaderboard_exists"):
        await client.create_leaderboard(wanted)
    assert (await client.create_leaderboard(wanted, exist_ok=True)) == await client.leaderboard("xp")
    assert (await client.create_leaderboard({"leaderboard_id": "new"}, exist_ok=True))["version"] == 1


async def test_tls_with_a_server_that_has_none(api: FakeApi) -> None:
    async with Client(api.url.replace("http://", "https://"), KEY, patience_s=0) as client:
        with pytest.raises(Unreachable, match="write http:// instead of https://"):
            await client.health()


async def test_who_waits_is_told(waits: list[float], caplog: pytest.LogCaptureFixture) -> None:
    async with Client(f"http://127.0.0.1:{free_port()}", KEY, patience_s=0.001) as client:
        with pytest.raises(Unreachable):
            await client.health()
    assert [record.getMessage().partition(";")[2] for record in caplog.records] == [
        " trying again for up to 0.001 s"
    ]


async def test_all_rankings_follows_the_cursors(client: Client) -> None:
    await client.submit_many("xp", [{"player_id": f"p{i}", "score": i} for i in range(7)])
    pages = [page async for page in client.all_rankings("xp", page=3)]
    assert [[entry["score"] for entry in page["entries"]] for page in pages] == [[6, 5, 4], [3, 2, 1], [0]]


async def test_a_server_that_is_not_ready_answers(api: FakeApi, client: Client) -> None:
    api.ready = False
    assert (await client.ready())["error"]["code"] == "storage_unavailable"


async def test_a_refused_connection(waits: list[float]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with Client(url, KEY, retry_refused=False) as client:
        with pytest.raises(Unreachable, match=f"cannot connect to {url}: connection refused"):
            await client.health()
    assert waits == []


async def test_a_refused_connection_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server comes up in the pause after the first try."""
    late = FakeApi(free_port())

    async def sleep(_seconds: float) -> None:
        late.__enter__()

    monkeypatch.setattr(transport, "asyncio", SimpleNamespace(sleep=sleep))
    async with Client(f"http://127.0.0.1:{late.port}", KEY) as client:
        assert await client.health() == {"status": "ok"}
    late.__exit__()


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host", "http://", ""])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        Client(url)


async def test_address_and_key_come_from_the_environment(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LBACTORS_URL", api.url)
    monkeypatch.setenv("LBACTORS_KEY", KEY)
    async with Client() as client:
        await client.submit("xp", "maya", 10)
    assert api.requests[-1][2]["Authorization"] == f"Bearer {KEY}"


async def test_arguments_win_over_the_environment(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBACTORS_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("LBACTORS_KEY", "lb_other")
    async with Client(api.url, KEY) as client, Client(api.url, "") as without_key:
        await client.submit("xp", "maya", 10)
        assert api.requests[-1][2]["Authorization"] == f"Bearer {KEY}"
        await without_key.health()
        assert "Authorization" not in api.requests[-1][2]


def test_without_arguments_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBACTORS_URL", "")
    monkeypatch.delenv("LBACTORS_KEY", raising=False)
    client = Client()
    assert client.transport.url == transport.DEFAULT_URL
    assert "Authorization" not in client.transport.headers


# Clients that nobody closed --------------------------------------------------------------------------------


def heard(caught: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What users are warned of, by lbactors and aiohttp, in order; the log must say the same."""
    gc.collect()
    messages = [(warning.category, str(warning.message)) for warning in caught]
    ours = [(kind, text) for kind, text in messages if "unclosed lbactors" in text or "Unclosed" in text]
    assert all(kind is ResourceWarning for kind, _ in ours)
    assert [record.getMessage() for record in caplog.records] == [text for _, text in ours]
    return [text for _, text in ours]


UNCLOSED = "unclosed lbactors Client: use `async with Client(...)` or `await client.close()`"
UNCLOSED_SYNC = "unclosed lbactors SyncClient: use `with SyncClient(...)` or `client.close()`"


async def test_an_unclosed_client_names_the_fix(
    api: FakeApi, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(api.url, KEY)
    await client.health()
    del client
    assert heard(recwarn, caplog) == [UNCLOSED]


def test_an_unclosed_client_of_a_loop_that_ended_names_the_fix(
    api: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> Client:
        client = Client(api.url, KEY)
        await client.health()
        return client

    with pytest.warns(ResourceWarning) as caught:
        client = asyncio.run(work())
        del client
        gc.collect()
    told = [str(warning.message) for warning in caught]
    assert told[0] == UNCLOSED
    # Python itself warns of the socket that its loop left open. aiohttp is silent.
    assert all(text.startswith(("unclosed transport", "unclosed <socket")) for text in told[1:])
    assert [record.getMessage() for record in caplog.records] == [UNCLOSED]


def test_an_unclosed_sync_client_names_the_fix(
    api: FakeApi, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    client = SyncClient(api.url, KEY)
    client.health()
    del client
    assert heard(recwarn, caplog) == [UNCLOSED_SYNC]


@pytest.mark.parametrize("make", [Client, SyncClient])
async def test_a_client_that_was_not_used_needs_no_closing(
    make: Any, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    make("http://127.0.0.1:1", KEY)
    with pytest.raises(ValueError, match="not an http"):
        make("nonsense")
    assert heard(recwarn, caplog) == []


def test_a_script_that_forgets_to_close_is_told_on_stderr(api: FakeApi) -> None:
    """With Python's defaults, as the interpreter ends."""
    program = "from lbactors.client import SyncClient\nclient = SyncClient()\nclient.health()"
    environment = {**os.environ, "LBACTORS_URL": api.url, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, UNCLOSED_SYNC + "\n")
