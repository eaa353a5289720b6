"""Metrics and events through the client: what is sent, and sent again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from lbactors.client import ApiError, Client
from lbactors.client.sources import BATCH_EVENT_BYTES
from tests.support.fake_api import KEY, FakeApi


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as api:
        yield api


@pytest.fixture
async def client(api: FakeApi) -> AsyncIterator[Client]:
    async with Client(api.url, KEY, patience_s=5) as made:
        yield made


async def test_a_row_of_a_lost_answer_counts_once(api: FakeApi, client: Client) -> None:
    api.lose_answer()
    answer = await client.award("coins", "maya", 50)
    assert (answer["duplicate"], answer["balance"], len(api.logs.rows)) == (True, 50, 1)


async def test_kinds_and_absent_fields(api: FakeApi, client: Client) -> None:
    await client.award("coins", "maya", 0, metadata={"a": 1}, occurred_at="2026-11-18T12:00:00Z")
    await client.deduct("coins", "maya", 3, pending=True, subscore=0, submission_id="mine")
    await client.set_balance("coins", "maya", 7)
    first, second, third = (request[3] for request in api.requests)
    assert set(first) == {"player_id", "score", "kind", "metadata", "occurred_at", "submission_id"}
    assert second == {
        "player_id": "maya",
        "score": 3,
        "kind": "deduct",
        "state": "pending",
        "subscore": 0,
        "submission_id": "mine",
    }
    assert (third["kind"], third["score"]) == ("set", 7)


async def test_rows_that_pass_are_sent_again(api: FakeApi, client: Client) -> None:
    api.waiting_codes["noor"] = ["overloaded"]
    api.logs.behind = ["xp"]
    rows = [{"player_id": name, "score": 1} for name in ("maya", "noor", "lou")]
    answer = await client.write_rows("coins", [*rows, {"player_id": "x", "score": float("nan")}], "full")
    assert (answer["accepted"], answer["rejected"], answer["behind"]) == (3, 1, ["xp"])
    assert [result["index"] for result in answer["results"]] == [0, 1, 2]
    assert [error["index"] for error in answer["errors"]] == [3]
    ids = [[row["submission_id"] for row in request[3]["submissions"]] for request in api.requests]
    assert ids[1] == ids[0][1:2] and len(set(ids[0])) == 3


async def test_no_rows_and_no_events(api: FakeApi, client: Client) -> None:
    assert await client.write_rows("coins", []) == {
        "accepted": 0,
        "rejected": 0,
        "errors": [],
        "results": [],
        "behind": [],
    }
    nothing = {"accepted": 0, "duplicates": 0, "rejected": 0, "errors": [], "behind": []}
    assert await client.send_events([]) == nothing
    assert await client.send_events([], "full") == {**nothing, "results": []}
    assert api.requests == []


async def test_events_keep_their_ids(api: FakeApi, client: Client) -> None:
    api.waiting_codes["noor"] = ["storage_unavailable"]
    events = [{"event_id": f"e-{name}", "event_type": "won", "player_id": name} for name in ("maya", "noor")]
    answer = await client.send_events(events)
    assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (2, 0, 0)
    assert "results" not in answer
    again = await client.send_events([*events, {"event_type": "won", "player_id": "lou"}], "full")
    assert (again["accepted"], again["duplicates"]) == (3, 2)
    assert [result["event_id"] for result in again["results"]][:2] == ["e-maya", "e-noor"]


async def test_events_go_in_requests_that_the_server_takes(api: FakeApi, client: Client) -> None:
    small = [{"event_id": f"s-{i}", "event_type": "won", "player_id": "maya"} for i in range(1001)]
    await client.send_events(small)
    assert [len(request[3]["events"]) for request in api.requests] == [1000, 1]
    large = [
        {**event, "event_id": f"l-{i}", "attrs": {"text": "x" * 60_000}}
        for i, event in enumerate(small[:100])
    ]
    before = len(api.requests)
    answer = await client.send_events([*large, {"player_id": "maya"}])
    sizes = [len(request[3]["events"]) for request in api.requests[before:]]
    assert sum(sizes) == 101 and max(sizes) * 60_000 <= BATCH_EVENT_BYTES
    assert (answer["accepted"], [error["index"] for error in answer["errors"]]) == (100, [100])


async def test_a_mapping_is_no_list(client: Client) -> None:
    with pytest.raises(TypeError, match="events must be a list of objects"):
        await client.send_events({"event_id": "e"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="submissions must be a list of objects"):
        await client.write_rows("coins", "abc")  # type: ignore[arg-type]


async def test_settling_can_be_repeated(api: FakeApi, client: Client) -> None:
    api.lose_answer()
    assert (await client.complete_transaction("coins", "tx-1"))["state"] == "completed"
    first, second = (request[2]["Idempotency-Key"] for request in api.requests)
    assert first == second


async def test_errors_are_raised(api: FakeApi, client: Client) -> None:
    api.fail(409, "insufficient_balance")
    with pytest.raises(ApiError) as caught:
        await client.deduct("coins", "maya", 5)
    assert (caught.value.status, caught.value.code) == (409, "insufficient_balance")
