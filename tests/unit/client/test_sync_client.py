"""`SyncClient` is `Client` without `await`: the generated methods, and what runs them.

Verified: that it has every method, with the signature and the docstring of the async one; that a type checker
knows them and their answers; iterators, threads, closing, and the refusal inside an event loop. Not verified:
what the methods do, which `test_client` has.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import threading
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lbactors.client import ApiError, Client, SyncClient
from tests.support.fake_api import KEY, FakeApi
from tests.support.repository import REPOSITORY as ROOT


def public(of_class: type) -> dict[str, Callable[..., Any]]:
    members = inspect.getmembers(of_class, inspect.isfunction)
    return {name: member for name, member in members if not name.startswith("_")}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as running:
        running.add_board("xp")
        yield running


# What is generated ----------------------------------------------------------------------------------------


def test_it_has_every_method_of_the_async_client() -> None:
    assert len(public(Client)) > 60
    assert public(SyncClient).keys() == public(Client).keys()
    assert inspect.signature(SyncClient) == inspect.signature(Client)


@pytest.mark.parametrize("name", public(Client))
def test_signature_and_docstring_are_those_of_the_async_method(name: str) -> None:
    ours, theirs = public(SyncClient)[name], public(Client)[name]
    assert inspect.signature(ours).parameters == inspect.signature(theirs).parameters
    assert ours.__doc__ == re.sub(r"\b(?:await|async) ", "", theirs.__doc__ or "") or ours.__doc__ is None
    assert bool(ours.__doc__) == bool(theirs.__doc__)
    assert not inspect.iscoroutinefunction(ours)
    returned, awaited = typing.get_type_hints(ours)["return"], typing.get_type_hints(theirs)["return"]
    if typing.get_origin(awaited) is AsyncIterator:
        assert returned == Iterator[typing.get_args(awaited)]  # type: ignore[misc]
    else:
        assert returned == awaited


def test_a_type_checker_knows_the_methods(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("""
from typing import assert_type
from lbactors.client import SyncClient
from lbactors.client.types import Entry, RankingsPage

with SyncClient(timeout_s=5.0) as client:
    answer = client.submit("xp", "maya", 5100, metadata={"level": 7})
    assert_type(answer["rank"], int | None)
    if "held" in answer:
        assert_type(answer["held_id"], str)
    for page in client.all_rankings("xp"):
        assert_type(page, RankingsPage)
        assert_type(page["entries"], list[Entry])
    client.submit("xp", 5)
    client.nonsense()
    page["nonsense"]
""")
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path))
    done = subprocess.run([*mypy, str(program)], cwd=ROOT, capture_output=True, text=True)
    errors = [line.split(": ", 2)[2] for line in done.stdout.splitlines() if "error: " in line]
    assert errors == [
        'Argument 2 to "submit" of "SyncClient" has incompatible type "int"; expected "str"  [arg-type]',
        '"SyncClient" has no attribute "nonsense"  [attr-defined]',
        'TypedDict "RankingsPage" has no key "nonsense"  [typeddict-item]',
    ]


# What runs the calls --------------------------------------------------------------------------------------


def test_calls_answer_and_raise_as_the_async_ones_do(api: FakeApi) -> None:
    with SyncClient(api.url, KEY) as client:
        client.submit_many("xp", [{"player_id": f"p{i}", "score": i} for i in range(5)])
        assert client.entry("xp", "p4")["rank"] == 1
        with pytest.raises(ApiError, match="leaderboard_not_found"):
            client.rankings("nope")


def test_pages_are_fetched_when_they_are_wanted(api: FakeApi) -> None:
    with SyncClient(api.url, KEY) as client:
        client.submit_many("xp", [{"player_id": f"p{i}", "score": i} for i in range(5)])
        pages = client.all_rankings("xp", page=2)
        assert len(api.requests) == 1
        assert [entry["player_id"] for entry in next(pages)["entries"]] == ["p4", "p3"]
        assert len(api.requests) == 2
        assert [len(page["entries"]) for page in pages] == [2, 1]


def test_a_closed_client_can_be_used_again(api: FakeApi) -> None:
    client = SyncClient(api.url, KEY)
    client.close()
    assert client.health() == {"status": "ok"}
    client.close()
    assert client.health() == {"status": "ok"}
    client.close()
    client.close()


def test_threads_take_turns(api: FakeApi) -> None:
    api.add_board("total", scoring={"aggregation": "sum"})
    start = threading.Barrier(4)
    with SyncClient(api.url, KEY) as client:

        def work() -> None:
            start.wait(10)
            for _ in range(10):
                client.submit("total", "maya", 1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert client.entry("total", "maya")["score"] == 40


async def test_inside_an_event_loop_it_names_the_async_client(
    api: FakeApi, recwarn: pytest.WarningsRecorder
) -> None:
    client = SyncClient(api.url, KEY)
    refused = pytest.raises(RuntimeError, match=r"inside a running event loop: use `async with Client\(...\)")
    with refused:
        client.health()
    with refused:
        next(client.all_rankings("xp"))
    client.close()
    assert api.requests == []
    assert [str(warning.message) for warning in recwarn] == []
