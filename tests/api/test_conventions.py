"""Section 1: bodies, media types, MessagePack, request ids, the error envelope, unknown fields, times.

`client.judged` asserts the envelope, the content type and the request id on every answer of the whole suite;
this module provokes the answers that other modules do not.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import msgpack
import pytest

from tests.support.api.boards import MakeBoard, instant, now, unique
from tests.support.api.client import MSGPACK, Api

PACKED = {"Content-Type": MSGPACK, "Accept": MSGPACK}


def test_request_id_is_taken(api: Api) -> None:
    for path, status in (("/v1/leaderboards", 200), ("/v1/leaderboards/no-such", 404), ("/healthz", 200)):
        reply = api.call("GET", path, headers={"X-Request-Id": "given-id.1"})
        assert (reply.status, reply.headers["x-request-id"]) == (status, "given-id.1")


def test_request_id_is_made(api: Api) -> None:
    made = {api.call("GET", "/v1/leaderboards").headers["x-request-id"] for _ in range(5)}
    assert len(made) == 5


@pytest.mark.parametrize(
    "path", ["/v1/no-such-route", "/v1", "/no-such-route", "/v1/leaderboards/x/no-such", "/v2/scores"]
)
def test_unknown_route(api: Api, path: str) -> None:
    api.fails(404, "route_not_found", "GET", path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/leaderboards"),
        ("DELETE", "/v1/leaderboards"),
        ("GET", "/v1/scores"),
        ("POST", "/v1/leaderboards/x/rankings"),
        ("GET", "/v1/leaderboards/x/rankings/lookup"),
        ("GET", "/v1/leaderboards/x/periods/current/close"),
        ("POST", "/v1/players/x"),
        ("POST", "/v1/players/x/entries"),
        ("DELETE", "/v1/keys"),
        ("PUT", "/v1/tenants"),
        ("POST", "/healthz"),
    ],
)
def test_wrong_method(api: Api, method: str, path: str) -> None:
    api.fails(405, "method_not_allowed", method, path)


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
def test_unsupported_media_type(api: Api, make_board: MakeBoard, media_type: str) -> None:
    board = make_board()
    body = b'{"player_id": "p1", "score": 1}'
    api.fails(
        415, "unsupported_media_type", "POST", board.scores, raw=body, headers={"Content-Type": media_type}
    )
    api.fails(
        415,
        "unsupported_media_type",
        "POST",
        "/v1/leaderboards",
        raw=body,
        headers={"Content-Type": media_type},
    )


def test_json_with_a_charset_is_json(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    body = '{"player_id": "Zoë", "score": 1}'.encode()
    answer = api.ok(
        "POST", board.scores, raw=body, headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert answer["player_id"] == "Zoë"


def test_a_byte_order_mark_is_skipped(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    one = b'\xef\xbb\xbf{"player_id": "p1", "score": 1}'
    assert api.ok("POST", board.scores, raw=one)["player_id"] == "p1"
    assert api.ok("POST", board.scores, raw=b'\xef\xbb\xbf[{"player_id": "p2", "score": 2}]')["accepted"] == 1
    api.ok("PATCH", board.path, raw=b'\xef\xbb\xbf{"name": "marked"}')
    api.fails(400, "malformed_body", "POST", board.scores, raw=b"\xef\xbb\xbf" + one)
    api.fails(400, "malformed_body", "POST", board.scores, raw=b"\xef\xbb\xbf")


@pytest.mark.parametrize("query", ["period=", "period", "window=", "period=&window=&limit=&offset=&cursor="])
def test_an_empty_parameter_counts_as_absent(api: Api, make_board: MakeBoard, query: str) -> None:
    board = make_board()
    board.submit("p1", 1)
    assert api.get(f"{board.rankings}?{query}") == board.page()
    names = {name.partition("=")[0] for name in query.split("&")} & {"period", "window"}
    query = "&".join(f"{name}=" for name in names)
    for path in (board.player("p1"), f"{board.player('p1')}/around", f"{board.path}/distribution"):
        assert api.get(f"{path}?{query}") == api.get(path)
    assert api.get(f"{board.rankings}/at/5?{query}") == api.get(f"{board.rankings}/at/5")
    assert api.get(f"/v1/players/p1/entries?{query}") == api.get("/v1/players/p1/entries")
    found = api.ok("POST", f"{board.rankings}/lookup?{query}", {"player_ids": ["p1"]})
    assert [entry["player_id"] for entry in found["entries"]] == ["p1"]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"player_id": "p1", "score": 1',
        b'{"player_id": "p1", "score": NaN}',
        b'{"player_id": "p1", "score": Infinity}',
        b'{"player_id": "p1", "score": -Infinity}',
        b'{"player_id": "p1", "score": 1, "metadata": {"x": NaN}}',
        b'[{"player_id": "p1", "score": 1}, {"player_id": "p2", "score": NaN}]',
        b'{"player_id": "p1", "score": 1} trailing',
        b"{'player_id': 'p1', 'score': 1}",
        b'{"player_id": "p\xff", "score": 1}',
        b"\xff\xfe",
    ],
)
def test_malformed_body(api: Api, make_board: MakeBoard, raw: bytes) -> None:
    board = make_board()
    api.fails(400, "malformed_body", "POST", board.scores, raw=raw)
    assert board.page()["total"] == 0


def test_lone_surrogate_is_refused(api: Api, make_board: MakeBoard) -> None:
    """Such a string has no UTF-8 form, so it could never be returned."""
    api.refuses({400, 422}, "POST", make_board().scores, raw=b'{"player_id": "\\ud800", "score": 1}')


@pytest.mark.parametrize("body", [None, 5, "text", True], ids=["null", "number", "string", "true"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/leaderboards"),
        ("PATCH", "/v1/leaderboards/{id}"),
        ("POST", "/v1/leaderboards/{id}/scores"),
        ("POST", "/v1/leaderboards/{id}/periods"),
        ("POST", "/v1/leaderboards/{id}/rankings/lookup"),
        ("POST", "/v1/scores"),
        ("PUT", "/v1/players/shape"),
        ("POST", "/v1/keys"),
        ("POST", "/v1/tenants"),
    ],
)
def test_body_of_the_wrong_shape(api: Api, make_board: MakeBoard, method: str, path: str, body: Any) -> None:
    api.refuses({400, 422}, method, path.replace("{id}", make_board().id), body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/leaderboards", {"leaderboard_id": "unknown-field", "colour": 1}),
        (
            "POST",
            "/v1/leaderboards",
            {"leaderboard_id": "unknown-field", "timeframe": {"type": "daily", "colour": 1}},
        ),
        ("POST", "/v1/leaderboards", {"leaderboard_id": "unknown-field", "scoring": {"colour": 1}}),
        ("POST", "/v1/leaderboards", {"leaderboard_id": "unknown-field", "ranking": {"colour": 1}}),
        ("PATCH", "/v1/leaderboards/{id}", {"colour": 1}),
        ("PATCH", "/v1/leaderboards/{id}", {"ranking": {"colour": 1}}),
        ("POST", "/v1/leaderboards/{id}/scores", {"player_id": "p1", "score": 1, "colour": 1}),
        ("POST", "/v1/leaderboards/{id}/scores", {"submissions": [], "colour": 1}),
        ("POST", "/v1/leaderboards/{id}/periods", {"starts_at": "2026-01-01T00:00:00Z", "colour": 1}),
        ("POST", "/v1/leaderboards/{id}/rankings/lookup", {"player_ids": ["p1"], "colour": 1}),
        ("PUT", "/v1/players/unknown-field", {"colour": 1}),
        ("POST", "/v1/keys", {"name": "k", "scopes": ["rankings:read"], "colour": 1}),
        ("POST", "/v1/tenants", {"tenant_id": "unknown-field", "name": "t", "colour": 1}),
    ],
)
def test_unknown_field_is_an_error(
    api: Api, make_board: MakeBoard, method: str, path: str, body: Any
) -> None:
    error = api.fails(422, "validation_failed", method, path.replace("{id}", make_board().id), body)
    assert any("colour" in detail["loc"] for detail in error["details"]), error


def test_unknown_field_rejects_one_item_of_a_batch(make_board: MakeBoard) -> None:
    board = make_board()
    answer = board.batch([{"player_id": "p1", "score": 1, "colour": 1}, {"player_id": "p2", "score": 2}])
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [(0, "validation_failed")]
    assert board.ranks() == {"p2": 1}


def test_details_name_the_field(api: Api, make_board: MakeBoard) -> None:
    error = api.fails(
        422, "validation_failed", "POST", make_board().scores, {"player_id": "p1", "score": "many"}
    )
    assert ["body", "score"] in [detail["loc"] for detail in error["details"]], error


# MessagePack


def test_msgpack_both_ways(api: Api) -> None:
    leaderboard_id = unique("packed")
    made = api.ok("POST", "/v1/leaderboards", {"leaderboard_id": leaderboard_id}, status=201, headers=PACKED)
    assert made["leaderboard_id"] == leaderboard_id
    path = f"/v1/leaderboards/{leaderboard_id}"
    one = {"player_id": "p1", "score": 5100, "subscore": 3, "metadata": {"level": 7, "tag": "ü"}}
    answer = api.ok("POST", f"{path}/scores", one, headers=PACKED)
    assert (answer["score"], answer["rank"], type(answer["score"])) == (5100, 1, int)
    batch = api.ok(
        "POST", f"{path}/scores", [{"player_id": "p2", "score": 1.5}, {"player_id": "p3"}], headers=PACKED
    )
    assert (batch["accepted"], batch["rejected"], batch["errors"][0]["index"]) == (1, 1, 1)
    packed = api.ok("GET", f"{path}/rankings", headers={"Accept": MSGPACK})
    plain = api.get(f"{path}/rankings")
    assert packed == plain
    assert packed["entries"][0]["metadata"] == {"level": 7, "tag": "ü"}


def test_msgpack_in_json_out(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    answer = api.ok(
        "POST", board.scores, {"player_id": "p1", "score": 2**53}, headers={"Content-Type": MSGPACK}
    )
    assert answer["score"] == 2**53


def test_json_in_msgpack_out(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    answer = api.ok("POST", board.scores, {"player_id": "p1", "score": -7}, headers={"Accept": MSGPACK})
    assert answer["score"] == -7


def test_errors_as_msgpack(api: Api) -> None:
    api.fails(404, "leaderboard_not_found", "GET", "/v1/leaderboards/no-such", headers={"Accept": MSGPACK})
    api.fails(404, "route_not_found", "GET", "/v1/no-such-route", headers={"Accept": MSGPACK})
    api.fails(401, "unauthenticated", "GET", "/v1/leaderboards", key=None, headers={"Accept": MSGPACK})


@pytest.mark.parametrize(
    "raw",
    [
        b"\xc1",
        b"\x82\xa9player_id",
        msgpack.packb({"player_id": "p1", "score": 1}) + b"\x01",
        b"\xa2\xff\xff",
    ],
)
def test_malformed_msgpack(api: Api, make_board: MakeBoard, raw: bytes) -> None:
    api.fails(400, "malformed_body", "POST", make_board().scores, raw=raw, headers=PACKED)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), 2**53 + 1, -(2**63), b"5", "5", True])
def test_msgpack_scores_that_are_no_numbers_of_the_api(api: Api, make_board: MakeBoard, score: Any) -> None:
    raw = msgpack.packb({"player_id": "p1", "score": score})
    api.refuses({400, 422}, "POST", make_board().scores, raw=raw, headers=PACKED)


# Times


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00",
        "2026-01-01",
        "yesterday",
        "2026-02-30T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "",
        17,
    ],
)
def test_times_that_are_refused(api: Api, make_board: MakeBoard, text: Any) -> None:
    body = {"player_id": "p1", "score": 1, "occurred_at": text}
    api.fails(422, "validation_failed", "POST", make_board().scores, body)


def test_offsets_are_taken_and_times_leave_in_utc(make_board: MakeBoard) -> None:
    start = datetime(2031, 1, 1, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    frame = {"type": "range", "starts_at": start.isoformat(), "ends_at": "2031-02-01T00:00:00.250-03:00"}
    period = make_board(timeframe=frame).current()
    assert (period["starts_at"], period["ends_at"]) == (
        "2030-12-31T21:00:00.000Z",
        "2031-02-01T03:00:00.250Z",
    )


def test_entry_times_are_of_the_wire_and_plausible(make_board: MakeBoard) -> None:
    board = make_board()
    before = now() - timedelta(seconds=2)
    board.submit("p1", 1)
    board.submit("p1", 2)
    entry = board.page()["entries"][0]
    assert (
        before <= instant(entry["first_at"]) <= instant(entry["updated_at"]) <= now() + timedelta(seconds=2)
    )


def test_json_answers_are_plain_json(make_board: MakeBoard) -> None:
    """What a strict parser of another language must be able to read: no NaN, text as UTF-8."""
    board = make_board()
    board.submit("p-éß漢🎮", 1, metadata={"emoji": "🎮"})
    page = board.page()
    assert page["entries"][0]["player_id"] == "p-éß漢🎮"
    assert page["entries"][0]["metadata"] == {"emoji": "🎮"}
    assert json.loads(json.dumps(page, allow_nan=False)) == page
