"""Events: what is taken and refused, what reaches the log, what is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import build_app
from gateway.http.settings import GatewaySettings
from lbactors.core.errors import ApiError
from lbactors.core.log_model import EventRow, Matched, MatchedWindow
from tests.support.gateway.fake_service import NOW_MS, FakeService
from tests.support.gateway.http_client import Answer, Http

EVENTS = "/v1/events"


@pytest.fixture
async def limited(service: FakeService) -> AsyncIterator[Http]:
    """With small limits."""
    app = build_app(service, GatewaySettings(events_per_request=3, event_bytes=40))  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as client:
        yield Http(client)


def event(number: int = 1, player_id: str = "p1", **fields: Any) -> dict[str, Any]:
    return {"event_id": f"e-{number}", "event_type": "match.won", "player_id": player_id, **fields}


async def send(http: Http, *events: Any, **query: Any) -> Answer:
    return await http.post(EVENTS, {"events": list(events)}, **query)


async def test_events(http: Http, service: FakeService) -> None:
    service.logs.behind = ["xp"]
    full = event(
        1,
        occurred_at="2026-11-18T12:59:59.750+01:00",
        attrs={"kills": 7},
        actor={"metadata": {"region": "eu"}},
    )
    answer = await send(http, full, event(2, attrs=None, actor=None, occurred_at=None), event(3, actor={}))
    assert (answer.status, answer.body) == (
        200,
        {"accepted": 3, "duplicates": 0, "rejected": 0, "errors": [], "behind": ["xp"]},
    )
    ((rows, _),) = service.logs.taken
    assert list(rows) == [
        EventRow("e-1", "match.won", "p1", NOW_MS - 250, b'{"kills":7}', b'{"region":"eu"}'),
        EventRow("e-2", "match.won", "p1", None, None, None),
        EventRow("e-3", "match.won", "p1", None, None, None),
    ]


async def test_repeats_count_as_accepted(http: Http) -> None:
    await send(http, event(1))
    answer = await send(http, event(1), event(2), event(2))
    assert (answer.body["accepted"], answer.body["duplicates"], answer.body["rejected"]) == (3, 2, 0)
    other = await send(http, event(1, "p2"), event(3))
    assert [(e["index"], e["code"]) for e in other.body["errors"]] == [(0, "idempotency_conflict")]


async def test_full_results(http: Http, service: FakeService) -> None:
    windows = [MatchedWindow("main", 80, 1), MatchedWindow("daily", 80.5, None)]
    service.logs.matched = [Matched("xp", 80, windows)]
    answer = await send(http, event(1), {"event_id": "bad"}, event(1), results="full")
    matched = [
        {
            "leaderboard_id": "xp",
            "points": 80,
            "windows": [
                {"window": "main", "score": 80, "rank": 1},
                {"window": "daily", "score": 80.5, "rank": None},
            ],
        }
    ]
    assert answer.body["results"] == [
        {"index": 0, "event_id": "e-1", "matched": matched},
        {"index": 2, "event_id": "e-1", "matched": []},
    ]
    assert "results" not in (await send(http, event(2), results="none")).body


BAD_EVENTS: list[tuple[dict[str, Any], str]] = [
    ({"event_id": None}, "event_id"),
    ({"event_id": ""}, "event_id"),
    ({"event_id": 7}, "event_id"),
    ({"event_id": "x" * 129}, "event_id"),
    ({"event_id": "a\u0000"}, "event_id"),
    ({"event_type": None}, "event_type"),
    ({"event_type": ""}, "event_type"),
    ({"event_type": "x" * 129}, "event_type"),
    ({"event_type": "a\nb"}, "event_type"),
    ({"event_type": ["won"]}, "event_type"),
    ({"player_id": None}, "player_id"),
    ({"player_id": ""}, "player_id"),
    ({"player_id": "p\u007f"}, "player_id"),
    ({"player_id": 5}, "player_id"),
    ({"occurred_at": "yesterday"}, "occurred_at"),
    ({"occurred_at": 1}, "occurred_at"),
    ({"occurred_at": "2026-11-18T12:01:00.001Z"}, "occurred_at"),
    ({"attrs": []}, "attrs"),
    ({"attrs": "x"}, "attrs"),
    ({"attrs": {"n": 2**64}}, "attrs"),
    ({"actor": []}, "actor"),
    ({"actor": {"metadata": 5}}, "actor"),
    ({"actor": {"id": "x"}}, "actor"),
    ({"score": 5}, "score"),
]


@pytest.mark.parametrize(("wrong", "field"), BAD_EVENTS)
async def test_bad_events(http: Http, service: FakeService, wrong: dict[str, Any], field: str) -> None:
    answer = await send(http, event(1), {**event(2), **wrong}, event(3))
    assert (answer.status, answer.body["accepted"], answer.body["rejected"]) == (200, 2, 1)
    (error,) = answer.body["errors"]
    assert (error["index"], error["code"]) == (1, "validation_failed")
    assert error["details"][0]["loc"][:4] == ["body", "events", 1, field]
    assert [row.event_id for row in service.logs.taken[0][0]] == ["e-1", "e-3"]  # type: ignore[union-attr]


@pytest.mark.parametrize("field", ["event_id", "event_type", "player_id"])
async def test_fields_that_are_required(http: Http, field: str) -> None:
    lacking = {name: value for name, value in event(2).items() if name != field}
    (error,) = (await send(http, event(1), lacking)).body["errors"]
    assert error["message"] == f"body.events.1.{field}: is required"


async def test_events_that_are_no_objects(http: Http) -> None:
    answer = await send(http, 5, None, "x", [])
    assert (answer.status, answer.body["rejected"]) == (200, 4)


@pytest.mark.parametrize(
    ("attrs", "metadata", "field"),
    [
        ({"a": "x" * 40}, {}, "attrs"),
        ({}, {"a": "x" * 40}, "actor"),
        ({"a": "x" * 20}, {"a": "x" * 20}, "actor"),
        ({"a": "x" * 32}, None, None),
        ({"a": "x" * 33}, None, "attrs"),
    ],
)
async def test_the_size_of_an_event(limited: Http, attrs: Any, metadata: Any, field: str | None) -> None:
    answer = await send(limited, event(1, attrs=attrs, actor={"metadata": metadata}))
    assert answer.body["rejected"] == (field is not None)
    for error in answer.body["errors"]:
        assert error["details"][0]["loc"] == ["body", "events", 0, field]
        assert "at most 40 bytes" in error["message"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ([], ["body"]),
        (b"5", ["body"]),
        (b"null", ["body"]),
        ({}, ["body", "events"]),
        ({"events": {}}, ["body", "events"]),
        ({"events": None}, ["body", "events"]),
        ({"events": [], "more": 1}, ["body", "more"]),
        ({"events": [event()] * 4}, ["body", "events"]),
    ],
)
async def test_bodies_that_have_no_list(
    limited: Http, service: FakeService, body: Any, loc: list[str]
) -> None:
    answer = await limited.post(EVENTS, body)
    assert (answer.status, answer.code, answer.loc) == (422, "validation_failed", loc)
    assert service.logs.taken == []


async def test_no_events(http: Http, service: FakeService) -> None:
    answer = await send(http)
    assert (answer.status, answer.body["accepted"]) == (200, 0)
    assert service.logs.taken == []


@pytest.mark.parametrize("code", ["overloaded", "storage_unavailable"])
async def test_what_passes_is_the_status_of_all(http: Http, service: FakeService, code: str) -> None:
    for place in ("fail", "verdict"):
        setattr(service.logs, place, ApiError(code, "later"))
        answer = await send(http, event(1), event(2))
        assert (answer.status, answer.code) == (ApiError(code, "").status, code)
        mixed = await send(http, event(1), {})
        assert (mixed.status, mixed.body["rejected"]) == (200, 2)
        setattr(service.logs, place, None)


async def test_what_is_counted(http: Http) -> None:
    await send(http, event(1), event(1), {})
    text = (await http.get("/metrics")).raw.decode()
    assert 'lbactors_log_rows_total{kind="event",result="accepted"} 2.0' in text
    assert 'lbactors_log_rows_total{kind="event",result="rejected"} 1.0' in text


async def test_keys(http: Http, service: FakeService) -> None:
    service.add_key("reads", "rankings:read", "leaderboards:write")
    assert (await send(http.with_key("reads"), event())).status == 403
    service.add_key("bound", "scores:write", player_id="p1")
    service.add_board("shown")
    service.add_board("secret", public=False)
    service.logs.behind = ["secret", "shown"]
    service.logs.matched = [Matched(name, 1, []) for name in ("secret", "shown")]
    answer = await send(http.with_key("bound"), event(1), event(2, "p2"), results="full")
    assert [(e["index"], e["code"]) for e in answer.body["errors"]] == [(1, "forbidden")]
    assert answer.body["behind"] == ["shown"]
    (result,) = answer.body["results"]
    assert [one["leaderboard_id"] for one in result["matched"]] == ["shown"]


# Rules tried out ------------------------------------------------------------------------------------------

TEST = "/v1/leaderboards/wins/rules/test"
RULES = [
    {"event_type": "match.won", "points_expression": "attrs.kills * 10 + 5"},
    {
        "event_type": "match.won",
        "points_expression": "player.attributes.level",
        "conditions": {"player.attributes.country": {"eq": "IT"}},
    },
]


@pytest.fixture
def wins(service: FakeService) -> FakeService:
    """The leaderboard `wins`, computed from events of the mode ranked; p1 has a profile."""
    filters = {"attrs.mode": {"eq": "ranked"}}
    service.add_board("wins", scoring={"source": "events", "rules": RULES, "filters": filters})
    attributes = {"country": "IT", "level": 3}
    service.profile_of["default", "p1"] = {
        "player_id": "p1",
        "attributes": attributes,
        "tags": [],
        "roles": [],
    }
    return service


def tried(**fields: Any) -> dict[str, Any]:
    return {"event": {"event_type": "match.won", "attrs": {"kills": 7, "mode": "ranked"}, **fields}}


async def test_rules_are_tried_out(http: Http, wins: FakeService) -> None:
    answer = await http.post(TEST, tried())
    assert answer.body == {
        "matched": True,
        "points": 75,
        "filters": {"matched": True, "why": "all of them hold"},
        "rules": [
            {"index": 0, "matched": True, "points": 75, "why": "it gives 75"},
            {"index": 1, "matched": False, "points": None, "why": answer.body["rules"][1]["why"]},
        ],
    }
    assert "player.attributes.country" in answer.body["rules"][1]["why"]
    assert wins.logs.taken == []


async def test_the_stored_profile_has_a_say(http: Http, wins: FakeService) -> None:
    answer = await http.post(TEST, tried(player_id="p1", event_id="e-1", occurred_at="2026-11-18T12:00:00Z"))
    assert (answer.body["points"], answer.body["rules"][1]["points"]) == (78, 3)
    assert (await http.post(TEST, tried(player_id="p2"))).body["points"] == 75


async def test_filters_that_do_not_hold(http: Http, wins: FakeService) -> None:
    answer = await http.post(TEST, tried(attrs={"kills": 7, "mode": "casual"}))
    assert (answer.body["matched"], answer.body["points"]) == (False, None)
    assert answer.body["filters"]["matched"] is False and "attrs.mode" in answer.body["filters"]["why"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ([], ["body"]),
        ({}, ["body", "event"]),
        ({"event": 5}, ["body", "event"]),
        ({"event": {}}, ["body", "event", "event_type"]),
        ({"event": {"event_type": ""}}, ["body", "event", "event_type"]),
        ({"event": {"event_type": "won", "points": 5}}, ["body", "event", "points"]),
        ({"event": {"event_type": "won", "attrs": []}}, ["body", "event", "attrs"]),
        ({"event": {"event_type": "won", "actor": {"metadata": 1}}}, ["body", "event", "actor", "metadata"]),
        ({"event": {"event_type": "won", "player_id": ""}}, ["body", "event", "player_id"]),
        ({"event": {"event_type": "won", "occurred_at": "now"}}, ["body", "event", "occurred_at"]),
        ({"event": {"event_type": "won"}, "more": 1}, ["body", "more"]),
    ],
)
async def test_bad_events_to_try_out(http: Http, wins: FakeService, body: Any, loc: list[Any]) -> None:
    answer = await http.post(TEST, body)
    assert (answer.status, answer.code, answer.loc) == (422, "validation_failed", loc)


async def test_leaderboards_without_rules(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    answer = await http.post("/v1/leaderboards/xp/rules/test", tried())
    assert (answer.status, answer.loc) == (422, ["path", "leaderboard_id"])
    assert "'scores'" in answer.body["error"]["message"]
    assert (await http.post(TEST, tried())).code == "leaderboard_not_found"


async def test_who_may_try_out_rules(http: Http, wins: FakeService) -> None:
    wins.add_key("console", "leaderboards:read")
    wins.add_key("reads", "leaderboards:read", "rankings:read")
    wins.add_key("bound", "leaderboards:read", player_id="p1")
    wins.add_key("writes", "scores:write", "rankings:read")
    assert (await http.with_key("writes").post(TEST, tried())).status == 403
    for name, own, other in (("console", 403, 403), ("reads", 200, 200), ("bound", 200, 403)):
        key = http.with_key(name)
        assert (await key.post(TEST, tried())).status == 200
        found = [(await key.post(TEST, tried(player_id=p))).status for p in ("p1", "p2")]
        assert found == [own, other], name
