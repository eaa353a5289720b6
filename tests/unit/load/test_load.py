"""The load generator: its HTTP, its counting, and a whole run against the fake server.

Verified: answers in pieces, errors, lost connections and rejected items are counted as what they are; every
case of the table sends what it says. Not verified: that the figures are right on a loaded machine.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from lbactors.cli import cli
from lbactors.load import load
from lbactors.load.connection import ID_MARK, Source, content_length, rejected_items
from lbactors.load.load import CASES, Case, Measured, Workload, percentile, run_case, run_load
from tests.support.command import json_fields
from tests.support.fake_api import KEY, FakeApi

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Answers = Callable[
    [int], list[bytes] | None
]  # of the n-th request: pieces of an answer; None breaks the connection
SMALL = Case("small", 2, Workload.top, target="1 request/s")


@pytest.fixture(autouse=True)
def no_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "WARM_UP_S", 0.0)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Answers], AsyncIterator[tuple[str, int]]]]:
    """`address = await serve(answers)`: a raw server that reads requests without a body."""
    servers = []

    async def start(answers: Answers) -> tuple[str, int]:
        count = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            while not reader.at_eof():
                try:
                    await reader.readuntil(b"\r\n\r\n")
                except asyncio.IncompleteReadError:
                    break
                count += 1
                pieces = answers(count)
                if pieces is None:
                    break
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)  # so that pieces travel apart
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        servers.append(server)
        address: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return address

    yield start  # type: ignore[misc]
    for server in servers:
        server.close()


async def measured(serve: Callable[..., AsyncIterator[object]], answers: Answers, **source: bool) -> Measured:
    address = await serve(answers)  # type: ignore[misc]
    return await run_case(SMALL, Source([b"GET / HTTP/1.1\r\n\r\n"], **source), address, 0.3)  # type: ignore[arg-type]


async def test_answers_in_pieces_are_whole(serve: Callable[..., AsyncIterator[object]]) -> None:
    pieces = [OK[:5], OK[5:30], OK[30:-1], OK[-1:]]
    result = await measured(serve, lambda _: pieces)
    assert result.errors == {} and result.requests_per_s > 50
    assert 0 < result.p50_ms <= result.p99_ms < 300
    assert (result.name, result.connections, result.scores_per_s, result.target) == (
        "small",
        2,
        0,
        "1 request/s",
    )


async def test_every_failure_is_counted_as_what_it_is(serve: Callable[..., AsyncIterator[object]]) -> None:
    busy = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    specials: dict[int, list[bytes] | None] = {3: [busy], 5: None, 7: [chunked], 9: [busy]}
    result = await measured(serve, lambda count: specials.get(count, [OK]))
    assert result.errors == {"503": 2, "lost": 1, "unreadable": 1}
    assert result.requests_per_s > 50


async def test_rejected_items_are_counted(serve: Callable[..., AsyncIterator[object]]) -> None:
    def answers(count: int) -> list[bytes]:
        body = b'{"accepted":8,"rejected":2}' if count == 4 else b'{"accepted":10,"rejected":0}'
        return [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)]

    result = await measured(serve, answers, batch=True)
    assert result.errors == {"rejected": 2}


async def test_a_server_that_is_not_there(unused_tcp_port: int) -> None:
    result = await run_case(SMALL, Source([b"GET / HTTP/1.1\r\n\r\n"]), ("127.0.0.1", unused_tcp_port), 0.1)
    assert set(result.errors) == {"refused"} and result.requests_per_s == 0
    assert math.isnan(result.p50_ms)


def test_requests_with_ids_are_all_different() -> None:
    source = Source([b"a" + ID_MARK, b"b" + ID_MARK], unique=iter(range(1, 10)))
    assert [source.next() for _ in range(3)] == [b"a1", b"b2", b"a3"]


def test_small_parts() -> None:
    assert [percentile([], 50) != percentile([], 50), percentile([7], 99), percentile([1, 2, 3, 4], 50)] == [
        True,
        7,
        2,
    ]
    assert percentile(list(range(1, 101)), 99) == 99
    assert content_length(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\nX: y\r\n\r\n", 45) == 17
    assert content_length(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n", 23) is None
    assert rejected_items(b'HTTP/1.1 200 OK\r\n\r\n{ "rejected" : 3 }') == 3
    assert rejected_items(b"HTTP/1.1 200 OK\r\n\r\nnonsense") == 0


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as running:
        yield running


def test_a_whole_run(api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    arguments = ["bench", "--url", api.url, "--key", KEY, "--entries", "150", "--seconds", "0.2", "--ids"]
    result = CliRunner().invoke(cli, [*arguments, "-o", str(path)])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("150 entries, 0.2 s a case")
    assert len(lines) == 2 + len(CASES)
    assert "3000 requests/s" in lines[3] and "50000 scores/s" in lines[4] and "4000 requests/s" in lines[5]
    report = json.loads(path.read_text())
    assert set(report) == json_fields("bench")
    assert [case["errors"] for case in report["cases"]] == [{}] * len(CASES)
    assert all(case["requests_per_s"] > 0 for case in report["cases"])
    assert report["cases"][2]["scores_per_s"] == pytest.approx(1000 * report["cases"][2]["requests_per_s"])
    keys = [
        headers["Idempotency-Key"] for _, path, headers, _ in api.requests if "Idempotency-Key" in headers
    ]
    assert len(set(keys)) == len(keys) > 10
    paths = {path.partition("?")[0].rpartition("/")[2].partition("-")[0] for _, path, _, _ in api.requests}
    assert {"scores", "rankings", "around", "player"} <= paths
    assert api.boards == {}  # its board is gone


def test_a_report_on_stdout(api: FakeApi) -> None:
    words = ["bench", "--url", api.url, "--key", KEY, "--tenant", "studio-a", "--entries", "100"]
    result = CliRunner().invoke(cli, [*words, "--seconds", "0.1", "--json"])
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout)) == json_fields("bench") and result.stdout.count("\n") == 1
    assert {headers.get("X-Tenant-Id") for _, _, headers, _ in api.requests} == {"studio-a"}


def test_a_run_that_cannot_begin(api: FakeApi, unused_tcp_port: int) -> None:
    for url, message in {
        "https://127.0.0.1": "plain HTTP",
        f"http://127.0.0.1:{unused_tcp_port}": "connection refused",
    }.items():
        result = CliRunner().invoke(cli, ["bench", "--url", url, "--seconds", "0.1"])
        assert result.exit_code == 1 and message in result.stderr, result.output
    result = CliRunner().invoke(cli, ["bench", "--url", api.url, "--key", "lb_wrong"])
    assert result.exit_code == 1 and "error: unauthenticated" in result.stderr


async def test_a_load_on_another_kind_of_board(api: FakeApi) -> None:
    windows = {"timeframe": {"type": "weekly"}, "windows": ["daily", "all_time"]}
    cases = await run_load(
        api.url, KEY, entries=10, seconds=0.1, say=lambda _: None, cases=[SMALL], definition=windows
    )
    assert [case.name for case in cases] == ["small"]
    made = next(
        body for method, path, _, body in api.requests if (method, path) == ("POST", "/v1/leaderboards")
    )
    assert {name: made[name] for name in windows} == windows
    assert made["scoring"] == {"aggregation": "latest"}
