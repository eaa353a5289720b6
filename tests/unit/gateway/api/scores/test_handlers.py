"""Submitting: one, many, many for several leaderboards; what reaches the service, and what is answered."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from lbactors.core.errors import ApiError
from lbactors.core.instants import format_instant
from lbactors.core.model import Board, Outcome, Submission
from tests.support.gateway.fake_service import NOW_MS, FakeService
from tests.support.gateway.http_client import MSGPACK, Http

SCORES = "/v1/leaderboards/xp/scores"


@pytest.fixture
def board(service: FakeService) -> Board:
    return service.add_board("xp")


async def verdicts(http: Http, items: Any, **query: Any) -> list[str]:
    """Code of every item of a batch, '' for an accepted one."""
    answer = await http.post(SCORES, items, **query)
    assert answer.status == 200
    codes = [""] * (answer.body["accepted"] + answer.body["rejected"])
    for error in answer.body["errors"]:
        codes[error["index"]] = error["code"]
    assert codes.count("") == answer.body["accepted"]
    return codes


# One ------------------------------------------------------------------------------------------------------


async def test_one(http: Http, service: FakeService, board: Board) -> None:
    body = {
        "player_id": "p1",
        "score": 5100,
        "subscore": 3,
        "metadata": {"level": 7},
        "submission_id": "m-77:p1",
        "occurred_at": "2026-11-18T12:59:59.750+01:00",
        "aggregation": "latest",
    }
    answer = await http.post(SCORES, body)
    assert answer.body == {
        "period_key": "2026-W47",
        "player_id": "p1",
        "applied": True,
        "score": 5100,
        "subscore": 3,
        "previous_score": None,
        "rank": 1,
        "previous_rank": None,
        "seq": 1,
    }
    expected = Submission("p1", 5100, 3, b'{"level":7}', "m-77:p1", NOW_MS - 250, "latest")
    assert service.submitted == [[expected]]
    assert (await http.post(SCORES, body)).body["duplicate"] is True


async def test_further_windows(http: Http, service: FakeService) -> None:
    service.add_board("wide", windows=["daily", "weekly"])
    answer = await http.post("/v1/leaderboards/wide/scores", {"player_id": "p1", "score": 1})
    windows = answer.body["windows"]
    assert [item["window"] for item in windows] == ["daily", "weekly"]
    assert set(windows[0]) == set(answer.body) - {"windows"} | {"window"}


async def test_msgpack(http: Http, service: FakeService, board: Board) -> None:
    body = msgpack.packb({"player_id": "p1", "score": 2.5, "metadata": {"a": [1]}})
    answer = await http.post(SCORES, body, {"Content-Type": MSGPACK, "Accept": MSGPACK})
    assert (answer.media_type, answer.body["score"]) == (MSGPACK, 2.5)
    assert service.submitted[0][0].metadata == b'{"a":[1]}'


@pytest.mark.parametrize(
    ("written", "score"),
    [
        ("5", 5),
        ("5.0", 5),
        ("-0.0", 0),
        ("1e2", 100),
        ("0.5", 0.5),
        ("1.5e300", 1.5e300),
        ("9007199254740992", 2**53),
    ],
)
async def test_scores_have_a_normal_form(
    http: Http, service: FakeService, board: Board, written: str, score: float
) -> None:
    for body in (b'{"player_id":"p1","score":%s}', b'[{"player_id":"p1","score":%s}]'):
        assert (await http.post(SCORES, body % written.encode())).status == 200
    assert len(service.submitted) == 2
    for (submission,) in service.submitted:
        assert submission.score == score and type(submission.score) is type(score)


BAD_ITEMS: list[tuple[str, str]] = [
    ('{"score":1}', "player_id"),
    ('{"player_id":"","score":1}', "player_id"),
    ('{"player_id":"a\\u0000b","score":1}', "player_id"),
    ('{"player_id":"a\\u0085b","score":1}', "player_id"),
    ('{"player_id":"' + "a" * 129 + '","score":1}', "player_id"),
    ('{"player_id":7,"score":1}', "player_id"),
    ('{"player_id":null,"score":1}', "player_id"),
    ('{"player_id":"p"}', "score"),
    ('{"player_id":"p","score":null}', "score"),
    ('{"player_id":"p","score":"5"}', "score"),
    ('{"player_id":"p","score":true}', "score"),
    ('{"player_id":"p","score":[1]}', "score"),
    ('{"player_id":"p","score":1e400}', "score"),
    ('{"player_id":"p","score":9007199254740993}', "score"),
    ('{"player_id":"p","score":100000000000000000000000}', "score"),
    ('{"player_id":"p","score":1,"subscore":-1e999}', "subscore"),
    ('{"player_id":"p","score":1,"subscore":"1"}', "subscore"),
    ('{"player_id":"p","score":1,"metadata":[1]}', "metadata"),
    ('{"player_id":"p","score":1,"metadata":"x"}', "metadata"),
    ('{"player_id":"p","score":1,"metadata":{"a":1e400}}', "metadata"),
    ('{"player_id":"p","score":1,"metadata":{"a":18446744073709551616}}', "metadata"),
    ('{"player_id":"p","score":1,"metadata":{"a":"' + "x" * 64 + '"}}', "metadata"),
    ('{"player_id":"p","score":1,"submission_id":""}', "submission_id"),
    ('{"player_id":"p","score":1,"submission_id":5}', "submission_id"),
    ('{"player_id":"p","score":1,"occurred_at":"2026-11-18"}', "occurred_at"),
    ('{"player_id":"p","score":1,"occurred_at":"2026-11-18T12:00:00"}', "occurred_at"),
    ('{"player_id":"p","score":1,"occurred_at":1795003200000}', "occurred_at"),
    ('{"player_id":"p","score":1,"occurred_at":"2026-11-18T12:01:00.001Z"}', "occurred_at"),
    ('{"player_id":"p","score":1,"aggregation":"mean"}', "aggregation"),
    ('{"player_id":"p","score":1,"points":2}', "points"),
]


@pytest.mark.parametrize(("item", "field"), BAD_ITEMS)
async def test_bad_submissions(http: Http, service: FakeService, board: Board, item: str, field: str) -> None:
    answer = await http.post(SCORES, item.encode())
    assert (answer.status, answer.code, answer.loc[:2]) == (422, "validation_failed", ["body", field])
    batch = f'[{{"player_id":"ok","score":1}},{item},{{"player_id":"ok2","score":1}}]'
    assert service.submitted == []
    answer = await http.post(SCORES, batch.encode())
    assert (answer.status, answer.body["accepted"], answer.body["rejected"]) == (200, 2, 1)
    (error,) = answer.body["errors"]
    assert (error["index"], error["code"]) == (1, "validation_failed")
    assert error["details"][0]["loc"][:3] == ["body", 1, field]
    assert [s.player_id for s in service.submitted[0]] == ["ok", "ok2"]


async def test_null_counts_as_absent(http: Http, service: FakeService, board: Board) -> None:
    absent = dict.fromkeys(("subscore", "metadata", "submission_id", "occurred_at", "aggregation"))
    assert (await http.post(SCORES, {"player_id": "p", "score": 1, **absent})).status == 200
    assert service.submitted == [[Submission("p", 1, 0, None, None, None, None)]]


@pytest.mark.parametrize("ahead_ms", [1, 60_000])
async def test_an_occurred_at_a_little_ahead_counts_as_now(
    http: Http, service: FakeService, board: Board, ahead_ms: int
) -> None:
    body = {"player_id": "p", "score": 1, "occurred_at": format_instant(NOW_MS + ahead_ms)}
    assert (await http.post(SCORES, body)).status == 200
    assert [s.occurred_at_ms for s in service.submitted[0]] == [None], "the arrival, by the server's clock"


async def test_bounds_of_the_definition(http: Http, service: FakeService) -> None:
    service.add_board("xp", scoring={"score_min": 0, "score_max": 10})
    scores = [-1, 0, 10, 10.5]
    items = [{"player_id": "p", "score": score} for score in scores]
    assert await verdicts(http, items) == ["validation_failed", "", "", "validation_failed"]
    assert (await http.post(SCORES, items[0])).loc == ["body", "score"]


async def test_count_needs_no_score(http: Http, service: FakeService, board: Board) -> None:
    service.add_board("kills", scoring={"aggregation": "count"})
    assert (await http.post("/v1/leaderboards/kills/scores", {"player_id": "p"})).status == 200
    assert (
        await http.post("/v1/leaderboards/kills/scores", {"player_id": "p", "aggregation": "sum"})
    ).status == 422
    assert (await http.post(SCORES, {"player_id": "p", "aggregation": "count"})).status == 200


async def test_aggregation_override_needs_a_scope(http: Http, service: FakeService, board: Board) -> None:
    service.add_key("w", "scores:write")
    item = {"player_id": "p", "score": 1, "aggregation": "sum"}
    answer = await http.with_key("w").post(SCORES, item)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert await verdicts(http.with_key("w"), [item, {"player_id": "p", "score": 1}]) == ["forbidden", ""]
    assert (await http.post(SCORES, item)).status == 200


async def test_player_bound_keys(http: Http, service: FakeService, board: Board) -> None:
    service.add_key(
        "mine", "scores:write", "players:write", "leaderboards:write", "keys:write", player_id="p1"
    )
    mine = http.with_key("mine")
    own, other = {"player_id": "p1", "score": 1}, {"player_id": "p2", "score": 1}
    assert (await mine.post(SCORES, own)).status == 200
    answer = await mine.post(SCORES, other)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert await verdicts(mine, [other, own]) == ["forbidden", ""]
    assert (await mine.send("DELETE", "/v1/leaderboards/xp/players/p2")).status == 403
    assert (await mine.send("PUT", "/v1/players/p2", {})).status == 403
    assert (await mine.send("PUT", "/v1/players/p1", {})).status == 200
    for method, path in (
        ("POST", "/v1/leaderboards"),
        ("PATCH", "/v1/leaderboards/xp"),
        ("POST", "/v1/keys"),
    ):
        assert (await mine.send(method, path, {})).status == 403, path


@pytest.mark.parametrize("status", ["inactive", "archived"])
async def test_inactive_leaderboards(http: Http, service: FakeService, status: str) -> None:
    service.add_board("xp", status=status)
    item = {"player_id": "p", "score": 1}
    for body in (item, [item]):
        answer = await http.post(SCORES, body)
        assert (answer.status, answer.code) == (409, "leaderboard_inactive")
    answer = await http.post("/v1/scores", [{"leaderboard_id": "xp", **item}])
    assert [error["code"] for error in answer.body["errors"]] == ["leaderboard_inactive"]
    assert (await http.send("DELETE", "/v1/leaderboards/xp/players/p")).status == 409
    assert service.submitted == []


@pytest.mark.parametrize(
    ("scoring", "origin"),
    [
        ({"source": "metric", "metric": "coins"}, "metric 'coins'"),
        ({"source": "events", "rules": [{"event_type": "match", "points_expression": "1"}]}, "events"),
    ],
)
async def test_leaderboards_that_are_computed_from_a_log(
    http: Http, service: FakeService, scoring: dict[str, Any], origin: str
) -> None:
    service.add_board("xp", scoring=scoring)
    service.add_board("other")
    item = {"player_id": "p", "score": 1}
    for body in (item, [item], {"submissions": [item]}):
        answer = await http.post(SCORES, body)
        assert (answer.status, answer.code) == (409, "leaderboard_not_writable")
        message = f"leaderboard 'xp' is computed from {origin}, and takes no scores of its own"
        assert answer.body["error"]["message"] == message
    several = [{"leaderboard_id": name, **item} for name in ("xp", "other", "xp")]
    answer = await http.post("/v1/scores", several)
    assert (answer.status, answer.body["accepted"]) == (200, 1)
    refused = [(error["index"], error["code"]) for error in answer.body["errors"]]
    assert refused == [(0, "leaderboard_not_writable"), (2, "leaderboard_not_writable")]
    entries = {"entries": [item]}
    imported = await http.post("/v1/leaderboards/xp/entries/import", entries)
    assert (imported.status, imported.code) == (409, "leaderboard_not_writable")
    assert len(service.submitted) == 1


async def test_entries_of_computed_leaderboards_are_moderated(http: Http, service: FakeService) -> None:
    board = service.add_board("xp", scoring={"source": "metric", "metric": "coins"})
    service.add_scores(board, {"p": 5})
    entry = "/v1/leaderboards/xp/players/p"
    assert (await http.send("PATCH", entry, {"score": 4, "reason": "lag"})).status == 200
    assert (await http.send("DELETE", entry)).status == 200
    assert (await http.post(f"{entry}/restore")).status == 200


# Many -----------------------------------------------------------------------------------------------------


async def test_batch_forms(http: Http, service: FakeService, board: Board) -> None:
    items = [{"player_id": f"p{i}", "score": i} for i in range(3)]
    for body in (items, {"submissions": items}):
        answer = await http.post(SCORES, body)
        assert answer.body == {"accepted": 3, "rejected": 0, "errors": [], "results": []}
    assert (await http.post(SCORES, [])).body == {"accepted": 0, "rejected": 0, "errors": [], "results": []}


async def test_results(http: Http, service: FakeService, board: Board) -> None:
    items = [{"player_id": "p1", "score": 1}, {"player_id": "p2"}, {"player_id": "p3", "score": 3}]
    answer = await http.post(SCORES, items, results="ranks")
    assert answer.body["results"] == [{"index": 0, "rank": 1}, {"index": 2, "rank": 1}]
    answer = await http.post(SCORES, items, results="full")
    assert [item["index"] for item in answer.body["results"]] == [0, 2]
    single = await http.post(SCORES, items[0])
    assert set(answer.body["results"][0]) == set(single.body) | {"index"}
    assert (await http.post(SCORES, items, results="all")).loc == ["query", "results"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        (b"5", ["body"]),
        (b'"x"', ["body"]),
        (b"null", ["body"]),
        (b'{"submissions": {}}', ["body", "submissions"]),
        (b'{"submissions": null}', ["body", "submissions"]),
        (b'{"submissions": [], "x": 1}', ["body", "x"]),
        (b"[" + b"1," * 50 + b"1]", ["body"]),
    ],
)
async def test_bodies_that_are_no_batch(http: Http, board: Board, body: bytes, loc: list[str]) -> None:
    answer = await http.post(SCORES, body)
    assert (answer.status, answer.code, answer.loc) == (422, "validation_failed", loc)


async def test_items_of_any_kind(http: Http, board: Board) -> None:
    items = [5, None, [], "x", {}, {"player_id": "p", "score": 1}]
    assert await verdicts(http, items) == ["validation_failed"] * 5 + [""]
    answer = await http.post(SCORES, {"submissions": [5]})
    assert answer.body["errors"][0]["details"][0]["loc"] == ["body", "submissions", 0]


async def test_empty_body_is_malformed(http: Http, board: Board) -> None:
    answer = await http.post(SCORES, b"")
    assert (answer.status, answer.code) == (400, "malformed_body")


async def test_idempotency_key(http: Http, service: FakeService, board: Board) -> None:
    key = {"Idempotency-Key": "K"}
    await http.post(SCORES, {"player_id": "p", "score": 1}, key)
    item = {"player_id": "p", "score": 1}
    items = [item, {"player_id": "p"}, {**item, "submission_id": "own"}, item]
    await http.post(SCORES, items, key)
    ids = [[s.submission_id for s in submissions] for submissions in service.submitted]
    assert ids == [["K:0"], ["K:0", "own", "K:3"]]
    for bad in ("a b", "x" * 121):
        answer = await http.post(SCORES, items, {"Idempotency-Key": bad})
        assert (answer.status, answer.loc) == (422, ["header", "Idempotency-Key"])


async def test_what_the_service_refuses(http: Http, service: FakeService, board: Board) -> None:
    submit = service.submit

    async def refuse_second(*args: Any) -> list[list[Outcome] | ApiError]:
        verdicts = await submit(*args)
        verdicts[1:2] = [ApiError("period_closed", "too late")]
        return verdicts

    service.submit = refuse_second  # type: ignore[method-assign]
    items = [{"player_id": f"p{i}", "score": i} for i in range(3)]
    assert await verdicts(http, items) == ["", "period_closed", ""]


@pytest.mark.parametrize("code", ["period_loading", "overloaded", "storage_unavailable"])
async def test_passing_errors(http: Http, service: FakeService, board: Board, code: str) -> None:
    service.add_board("other")
    service.fail = error = ApiError(code, "later")
    item = {"player_id": "p", "score": 1}
    for body in (item, [item, item]):
        answer = await http.post(SCORES, body)
        assert (answer.status, answer.code) == (error.status, code)
        assert answer.headers["Retry-After"] == "1"
    assert await verdicts(http, [item, {}]) == [code, "validation_failed"]
    to_both = [{"leaderboard_id": "xp", **item}, {"leaderboard_id": "other", **item}]
    assert (await http.post("/v1/scores", to_both)).status == error.status


async def test_final_errors_of_all_items_are_no_status(
    http: Http, service: FakeService, board: Board
) -> None:
    service.fail = ApiError("period_closed", "over")
    assert await verdicts(http, [{"player_id": "p", "score": 1}]) == ["period_closed"]
    assert (await http.post(SCORES, {"player_id": "p", "score": 1})).status == 409


async def test_several_leaderboards(http: Http, service: FakeService, board: Board) -> None:
    service.add_board("kills", scoring={"aggregation": "count"})
    items = [
        {"leaderboard_id": "xp", "player_id": "a", "score": 1},
        {"leaderboard_id": "kills", "player_id": "b"},
        {"leaderboard_id": "none", "player_id": "c", "score": 1},
        {"player_id": "d", "score": 1},
        {"leaderboard_id": "xp", "player_id": "e"},
        {"leaderboard_id": "xp", "player_id": "f", "score": 2},
        {"leaderboard_id": 7, "player_id": "g", "score": 2},
    ]
    answer = await http.post("/v1/scores", items, {"Idempotency-Key": "K"}, results="ranks")
    assert (answer.body["accepted"], answer.body["rejected"]) == (3, 4)
    assert [(e["index"], e["code"]) for e in answer.body["errors"]] == [
        (2, "leaderboard_not_found"),
        (3, "validation_failed"),
        (4, "validation_failed"),
        (6, "validation_failed"),
    ]
    assert [result["index"] for result in answer.body["results"]] == [0, 1, 5]
    sent = {tuple((s.player_id, s.submission_id) for s in group) for group in service.submitted}
    assert sent == {(("a", "K:0"), ("f", "K:5")), (("b", "K:1"),)}
    assert service.catalogue.synced == 1


async def test_unknown_leaderboard(http: Http, service: FakeService) -> None:
    answer = await http.post(SCORES, {"player_id": "p", "score": 1})
    assert (answer.status, answer.code) == (404, "leaderboard_not_found")
    assert service.catalogue.synced == 1


async def test_a_full_batch(http: Http, service: FakeService, board: Board) -> None:
    items = [{"player_id": f"p{i}", "score": i} for i in range(50)]
    assert (await http.post(SCORES, json.dumps(items).encode())).body["accepted"] == 50
