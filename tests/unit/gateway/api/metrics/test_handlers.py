"""Rows of metrics, one and many; settling; balances and transactions; what reaches the log."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgpack
import pytest

from lbactors.core.errors import ApiError
from lbactors.core.instants import format_instant
from lbactors.core.log_model import MetricRow
from lbactors.core.seen_ids import body_tag
from tests.support.gateway.fake_service import NOW_MS, FakeService
from tests.support.gateway.http_client import MSGPACK, Http

COINS = "/v1/metrics/coins"


async def award(http: Http, player_id: str, score: float, **fields: Any) -> Any:
    answer = await http.post(COINS, {"player_id": player_id, "score": score, **fields})
    assert answer.status == 200, answer.body
    return answer.body


async def balance(http: Http, player_id: str = "p1") -> dict[str, Any]:
    body: dict[str, Any] = (await http.get(f"{COINS}/players/{player_id}")).body
    return body


# One ------------------------------------------------------------------------------------------------------


async def test_one(http: Http, service: FakeService) -> None:
    service.logs.behind = ["xp-weekly"]
    body = {
        "player_id": "p1",
        "score": 50,
        "subscore": 3,
        "metadata": {"quest": 7},
        "submission_id": "q-7:p1",
        "occurred_at": "2026-11-18T12:59:59.750+01:00",
        "kind": "award",
        "state": "completed",
    }
    answer = await http.post(COINS, body)
    assert (answer.status, answer.body) == (
        200,
        {
            "transaction_id": "tx-1",
            "seq": 1,
            "balance": 50,
            "earned": 50,
            "duplicate": False,
            "behind": ["xp-weekly"],
        },
    )
    row = MetricRow("p1", "award", "completed", 50, 3, b'{"quest":7}', "q-7:p1", NOW_MS - 250)
    assert service.logs.taken == [([row], 0)]
    again = await http.post(COINS, body)
    assert again.body == {**answer.body, "duplicate": True}


async def test_kinds(http: Http) -> None:
    assert (await award(http, "p1", 50))["balance"] == 50
    assert (await award(http, "p1", -5.5))["balance"] == 44.5
    taken = await award(http, "p1", 4.5, kind="deduct")
    assert (taken["balance"], taken["earned"]) == (40, 44.5)
    assert (await award(http, "p1", 7, kind="set"))["balance"] == 7
    shown = await balance(http)
    assert (shown["balance"], shown["earned"], shown["spent"], shown["transactions"]) == (7, 44.5, 4.5, 4)


async def test_a_deduction_needs_cover(http: Http, service: FakeService) -> None:
    await award(http, "p1", 20)
    answer = await http.post(
        COINS, {"player_id": "p1", "score": 30, "kind": "deduct", "submission_id": "order-1"}
    )
    assert (answer.status, answer.code) == (409, "insufficient_balance")
    assert "20" in answer.body["error"]["message"] and "30" in answer.body["error"]["message"]
    await award(http, "p1", 10)
    paid = await award(http, "p1", 30, kind="deduct", submission_id="order-1")  # the id was not used up
    assert (paid["balance"], paid["duplicate"]) == (0, False)


BAD_ROWS: list[tuple[str, str]] = [
    ('{"score":1}', "player_id"),
    ('{"player_id":"","score":1}', "player_id"),
    ('{"player_id":"a\\u0000b","score":1}', "player_id"),
    ('{"player_id":"' + "a" * 129 + '","score":1}', "player_id"),
    ('{"player_id":7,"score":1}', "player_id"),
    ('{"player_id":"p"}', "score"),
    ('{"player_id":"p","score":null}', "score"),
    ('{"player_id":"p","score":"5"}', "score"),
    ('{"player_id":"p","score":true}', "score"),
    ('{"player_id":"p","score":1e400}', "score"),
    ('{"player_id":"p","score":9007199254740993}', "score"),
    ('{"player_id":"p","score":0,"kind":"deduct"}', "score"),
    ('{"player_id":"p","score":-1,"kind":"deduct"}', "score"),
    ('{"player_id":"p","score":1,"subscore":"1"}', "subscore"),
    ('{"player_id":"p","score":1,"kind":"give"}', "kind"),
    ('{"player_id":"p","score":1,"kind":7}', "kind"),
    ('{"player_id":"p","score":1,"kind":["award"]}', "kind"),
    ('{"player_id":"p","score":1,"state":"rejected"}', "state"),
    ('{"player_id":"p","score":1,"state":true}', "state"),
    ('{"player_id":"p","score":1,"metadata":[1]}', "metadata"),
    ('{"player_id":"p","score":1,"metadata":{"a":18446744073709551616}}', "metadata"),
    ('{"player_id":"p","score":1,"metadata":{"a":"' + "x" * 64 + '"}}', "metadata"),
    ('{"player_id":"p","score":1,"submission_id":""}', "submission_id"),
    ('{"player_id":"p","score":1,"submission_id":5}', "submission_id"),
    ('{"player_id":"p","score":1,"occurred_at":"2026-11-18"}', "occurred_at"),
    ('{"player_id":"p","score":1,"occurred_at":1795003200000}', "occurred_at"),
    ('{"player_id":"p","score":1,"occurred_at":"2026-11-18T12:01:00.001Z"}', "occurred_at"),
    ('{"player_id":"p","score":1,"aggregation":"sum"}', "aggregation"),
    ('{"player_id":"p","score":1,"amount":2}', "amount"),
]


@pytest.mark.parametrize(("item", "field"), BAD_ROWS)
async def test_bad_rows(http: Http, service: FakeService, item: str, field: str) -> None:
    answer = await http.post(COINS, item.encode())
    assert (answer.status, answer.code, answer.loc[:2]) == (422, "validation_failed", ["body", field])
    assert service.logs.taken == []
    batch = f'[{{"player_id":"ok","score":1}},{item},{{"player_id":"ok2","score":1}}]'
    answer = await http.post(COINS, batch.encode())
    assert (answer.status, answer.body["accepted"], answer.body["rejected"]) == (200, 2, 1)
    (error,) = answer.body["errors"]
    assert (error["index"], error["code"]) == (1, "validation_failed")
    assert error["details"][0]["loc"][:3] == ["body", 1, field]
    ((rows, _),) = service.logs.taken
    assert [row.player_id for row in rows] == ["ok", "ok2"]


@pytest.mark.parametrize("name", ["", "-coins", "a b", "a/b", "münzen", "x" * 129])
async def test_bad_names_of_metrics(http: Http, name: str) -> None:
    answer = await http.post(f"/v1/metrics/{quote(name, safe='')}", {"player_id": "p1", "score": 1})
    if name:
        assert (answer.status, answer.loc) == (422, ["path", "metric"])
    else:
        assert answer.status == 404


# Many -----------------------------------------------------------------------------------------------------


async def test_many(http: Http, service: FakeService) -> None:
    service.logs.behind = ["xp"]
    rows = [
        {"player_id": "p1", "score": 5},
        {"player_id": "p1", "score": 9, "kind": "deduct"},
        "no row",
        {"player_id": "p2", "score": 2, "kind": "deduct"},
        {"player_id": "p1", "score": 3, "kind": "deduct"},
    ]
    answer = await http.post(COINS, rows)
    assert {name: answer.body[name] for name in ("accepted", "rejected", "results", "behind")} == {
        "accepted": 2,
        "rejected": 3,
        "results": [],
        "behind": ["xp"],
    }
    codes = [(error["index"], error["code"]) for error in answer.body["errors"]]
    assert codes == [(1, "insufficient_balance"), (2, "validation_failed"), (3, "insufficient_balance")]
    assert [row.amount for row in service.logs.taken[0][0]] == [5, 9, 2, 3]
    assert (await balance(http))["balance"] == 2


async def test_full_results(http: Http) -> None:
    rows = {"submissions": [{"player_id": "p1", "score": 5}, {"score": 1}, {"player_id": "p2", "score": 2.5}]}
    answer = await http.post(COINS, rows, results="full")
    assert answer.body["results"] == [
        {"index": 0, "transaction_id": "tx-1", "seq": 1, "balance": 5, "earned": 5, "duplicate": False},
        {"index": 2, "transaction_id": "tx-2", "seq": 2, "balance": 2.5, "earned": 2.5, "duplicate": False},
    ]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        (5, ["body"]),
        ("x", ["body"]),
        (None, ["body"]),
        ({"submissions": 5}, ["body", "submissions"]),
        ({"submissions": [], "more": 1}, ["body", "more"]),
        ([{"player_id": "p", "score": 1}] * 51, ["body"]),
    ],
)
async def test_bodies_that_are_no_lists(http: Http, service: FakeService, body: Any, loc: list[str]) -> None:
    answer = await http.post(COINS, b"null" if body is None else body)
    assert (answer.status, answer.code, answer.loc) == (422, "validation_failed", loc)
    assert service.logs.taken == []


async def test_an_empty_batch(http: Http, service: FakeService) -> None:
    answer = await http.post(COINS, [])
    assert (answer.status, answer.body["accepted"], answer.body["behind"]) == (200, 0, [])
    assert service.logs.taken == []


async def test_bad_parameters(http: Http) -> None:
    answer = await http.post(COINS, [], results="ranks")
    assert (answer.status, answer.loc) == (422, ["query", "results"])


@pytest.mark.parametrize("code", ["overloaded", "storage_unavailable", "period_loading"])
async def test_what_passes_is_the_status_of_all(http: Http, service: FakeService, code: str) -> None:
    for place in ("fail", "verdict"):
        setattr(service.logs, place, ApiError(code, "later"))
        for body in ({"player_id": "p1", "score": 1}, [{"player_id": "p1", "score": 1}] * 2):
            answer = await http.post(COINS, body)
            assert (answer.status, answer.code) == (ApiError(code, "").status, code)
            assert answer.headers["Retry-After"]
        mixed = await http.post(COINS, [{"player_id": "p1", "score": 1}, {}])
        assert (mixed.status, [error["code"] for error in mixed.body["errors"]]) == (
            200,
            [code, "validation_failed"],
        )
        setattr(service.logs, place, None)


async def test_msgpack(http: Http) -> None:
    body = msgpack.packb([{"player_id": "p1", "score": 2.5, "metadata": {"a": [1]}}])
    answer = await http.post(COINS, body, {"Content-Type": MSGPACK, "Accept": MSGPACK}, results="full")
    assert (answer.media_type, answer.body["results"][0]["balance"]) == (MSGPACK, 2.5)
    shown = await http.get(f"{COINS}/transactions/tx-1", {"Accept": MSGPACK})
    assert shown.body["metadata"] == {"a": [1]}


async def test_what_is_counted(http: Http) -> None:
    await http.post(COINS, [{"player_id": "p1", "score": 1}, {}])
    await http.post(COINS, {"player_id": "p1", "score": 1})
    await http.post(COINS, {"player_id": "p1", "score": 9, "kind": "deduct"})
    text = (await http.get("/metrics")).raw.decode()
    assert 'lbactors_log_rows_total{kind="row",result="accepted"} 2.0' in text
    assert 'lbactors_log_rows_total{kind="row",result="rejected"} 2.0' in text
    assert 'lbactors_log_rows_total{kind="event",result="accepted"} 0.0' in text


# Repeats --------------------------------------------------------------------------------------------------


async def test_a_key_names_rows_without_an_id(http: Http, service: FakeService) -> None:
    rows = [{"player_id": "p1", "score": 1}, {"player_id": "p1", "score": 2}]
    key = {"Idempotency-Key": "K"}
    first = await http.post(COINS, rows, key, results="full")
    again = await http.post(COINS, rows, key, results="full")
    assert [row["duplicate"] for row in again.body["results"]] == [True, True]
    assert (first.body["accepted"], again.body["accepted"], (await balance(http))["balance"]) == (2, 2, 3)
    taken, tag = service.logs.taken[0]
    assert [row.submission_id for row in taken] == ["K:0", "K:1"]  # type: ignore[union-attr]
    assert tag == body_tag(b'[{"player_id": "p1", "score": 1}, {"player_id": "p1", "score": 2}]')
    other = await http.post(COINS, rows[:1], key)
    assert (other.status, other.code) == (409, "idempotency_conflict")
    one = await http.post(COINS, {"player_id": "p1", "score": 9}, key)
    assert (one.status, one.code) == (409, "idempotency_conflict")


async def test_rows_with_ids_of_their_own_may_come_again_in_another_body(
    http: Http, service: FakeService
) -> None:
    row = {"player_id": "p1", "score": 1, "submission_id": "s-1"}
    await http.post(COINS, [row], {"Idempotency-Key": "K"})
    again = await http.post(COINS, [row, {"player_id": "p2", "score": 1}], {"Idempotency-Key": "L"})
    assert again.body["accepted"] == 2
    assert [tag for _, tag in service.logs.taken] == [0, 0]


async def test_an_id_of_another_player_is_a_conflict(http: Http) -> None:
    await award(http, "p1", 1, submission_id="s-1")
    answer = await http.post(COINS, {"player_id": "p2", "score": 1, "submission_id": "s-1"})
    assert (answer.status, answer.code) == (409, "idempotency_conflict")


async def test_bad_keys(http: Http, service: FakeService) -> None:
    answer = await http.post(COINS, {"player_id": "p1", "score": 1}, {"Idempotency-Key": "a b"})
    assert (answer.status, answer.loc) == (422, ["header", "Idempotency-Key"])
    assert service.logs.taken == []


# Settling -------------------------------------------------------------------------------------------------


async def test_completing(http: Http, service: FakeService) -> None:
    service.logs.behind = ["xp"]
    pending = await award(http, "p1", 50, state="pending")
    assert (pending["balance"], pending["earned"]) == (0, 0)
    assert (await balance(http))["pending"] == 50
    service.at_ms += 1000
    answer = await http.post(f"{COINS}/transactions/tx-1/complete")
    assert answer.body == {
        "transaction_id": "tx-1",
        "seq": 1,
        "player_id": "p1",
        "kind": "award",
        "state": "completed",
        "score": 50,
        "subscore": 0,
        "submission_id": None,
        "metadata": None,
        "occurred_at": None,
        "created_at": format_instant(NOW_MS),
        "settled_at": format_instant(NOW_MS + 1000),
        "balance": 50,
        "earned": 50,
        "behind": ["xp"],
    }
    shown = await balance(http)
    assert (shown["pending"], shown["updated_at"]) == (0, format_instant(NOW_MS + 1000))


async def test_rejecting(http: Http) -> None:
    await award(http, "p1", 50, state="pending")
    answer = await http.post(f"{COINS}/transactions/tx-1/reject", {})
    assert (answer.body["state"], answer.body["balance"]) == ("rejected", 0)
    shown = await balance(http)
    assert (shown["balance"], shown["pending"], shown["transactions"]) == (0, 0, 1)


@pytest.mark.parametrize("first", ["complete", "reject"])
@pytest.mark.parametrize("then", ["complete", "reject"])
async def test_what_is_settled_stays(http: Http, first: str, then: str) -> None:
    await award(http, "p1", 50, state="pending")
    assert (await http.post(f"{COINS}/transactions/tx-1/{first}")).status == 200
    answer = await http.post(f"{COINS}/transactions/tx-1/{then}")
    assert (answer.status, answer.code) == (409, "transaction_settled")
    await award(http, "p1", 1)
    answer = await http.post(f"{COINS}/transactions/tx-2/{then}")
    assert answer.code == "transaction_settled"  # it never was pending


async def test_a_settling_under_a_key_can_be_repeated(http: Http) -> None:
    await award(http, "p1", 50, state="pending")
    path, key = f"{COINS}/transactions/tx-1/complete", {"Idempotency-Key": "K"}
    first, again = [await http.post(path, None, key) for _ in range(2)]
    assert (first.status, first.body) == (200, again.body)
    other = await http.post(f"{COINS}/transactions/tx-1/reject", None, key)
    assert (other.status, other.code) == (409, "idempotency_conflict")


async def test_a_deduction_without_cover_stays_pending(http: Http) -> None:
    await award(http, "p1", 30, kind="deduct", state="pending")
    assert (await balance(http))["pending"] == -30
    answer = await http.post(f"{COINS}/transactions/tx-1/complete")
    assert (answer.status, answer.code) == (409, "insufficient_balance")
    await award(http, "p1", 30)
    assert (await http.post(f"{COINS}/transactions/tx-1/complete")).body["balance"] == 0


@pytest.mark.parametrize("name", ["tx-9", "tx-0", "tx-01", "tx--1", "9", "nothing", "tx-" + "9" * 30])
async def test_unknown_transactions(http: Http, name: str) -> None:
    await award(http, "p1", 1, state="pending")
    for method, path in (("POST", "/complete"), ("POST", "/reject"), ("GET", "")):
        answer = await http.send(method, f"{COINS}/transactions/{name}{path}")
        assert (answer.status, answer.code) == (404, "transaction_not_found")


async def test_settling_takes_no_fields(http: Http) -> None:
    await award(http, "p1", 1, state="pending")
    answer = await http.post(f"{COINS}/transactions/tx-1/complete", {"note": "x"})
    assert (answer.status, answer.loc) == (422, ["body", "note"])


# Reads ----------------------------------------------------------------------------------------------------


async def test_unknown_metrics(http: Http) -> None:
    for path in ("/players/p1", "/transactions", "/transactions/tx-1"):
        answer = await http.get(f"{COINS}{path}")
        assert (answer.status, answer.code) == (404, "metric_not_found")
    answer = await http.post(f"{COINS}/transactions/tx-1/complete")
    assert (answer.status, answer.code) == (404, "metric_not_found")
    assert (await http.get("/v1/metrics")).body == {"items": [], "total": 0, "next_cursor": None}


async def test_a_player_without_rows(http: Http) -> None:
    await award(http, "p1", 1)
    assert await balance(http, "p2") == {
        "metric": "coins",
        "player_id": "p2",
        "balance": 0,
        "earned": 0,
        "spent": 0,
        "pending": 0,
        "transactions": 0,
        "updated_at": None,
    }


async def test_listing(http: Http, service: FakeService) -> None:
    for name in ("gems", "coins", "xp"):
        await http.post(
            f"/v1/metrics/{name}", [{"player_id": "p1", "score": 1}, {"player_id": "p2", "score": 1}]
        )
    first = await http.get("/v1/metrics", limit=2)
    assert [item["metric"] for item in first.body["items"]] == ["coins", "gems"]
    assert first.body["items"][0] == {
        "metric": "coins",
        "players": 2,
        "transactions": 2,
        "last_at": format_instant(NOW_MS),
    }
    rest = await http.get("/v1/metrics", limit=2, cursor=first.body["next_cursor"])
    assert ([item["metric"] for item in rest.body["items"]], rest.body["total"]) == (["xp"], 3)
    assert rest.body["next_cursor"] is None
    service.add_key("elsewhere", "rankings:read", tenant_id="studio-z")
    assert (await http.with_key("elsewhere").get("/v1/metrics")).body["total"] == 0


async def test_transactions_newest_first(http: Http) -> None:
    for score in range(1, 6):
        await award(http, "p1" if score % 2 else "p2", score)
    path = f"{COINS}/transactions"
    first = await http.get(path, limit=2)
    assert ([t["score"] for t in first.body["items"]], first.body["total"]) == ([5, 4], 5)
    await award(http, "p1", 6)  # whoever pages meets each of the others once
    second = await http.get(path, limit=2, cursor=first.body["next_cursor"])
    third = await http.get(path, limit=2, cursor=second.body["next_cursor"])
    assert [t["score"] for t in second.body["items"] + third.body["items"]] == [3, 2, 1]
    assert third.body["next_cursor"] is None
    own = await http.get(path, player_id="p2")
    assert ([t["score"] for t in own.body["items"]], own.body["total"]) == ([4, 2], 2)
    other = await http.get(path, player_id="p2", cursor=first.body["next_cursor"])
    assert (other.status, other.loc) == (422, ["query", "cursor"])


@pytest.mark.parametrize(
    ("name", "value"), [("limit", 0), ("limit", 1001), ("cursor", "x"), ("offset", 1), ("player_id", "a%00")]
)
async def test_bad_pages(http: Http, name: str, value: Any) -> None:
    await award(http, "p1", 1)
    answer = await http.get(f"{COINS}/transactions?{name}={value}")
    assert (answer.status, answer.loc) == (422, ["query", name])


async def test_a_transaction(http: Http) -> None:
    await award(http, "p1", 5, metadata={"a": 1}, submission_id="s", occurred_at="2026-11-18T11:00:00Z")
    answer = await http.get(f"{COINS}/transactions/tx-1")
    assert answer.body == {
        "transaction_id": "tx-1",
        "seq": 1,
        "player_id": "p1",
        "kind": "award",
        "state": "completed",
        "score": 5,
        "subscore": 0,
        "submission_id": "s",
        "metadata": {"a": 1},
        "occurred_at": "2026-11-18T11:00:00.000Z",
        "created_at": format_instant(NOW_MS),
        "settled_at": None,
    }
    again = await http.get(f"{COINS}/transactions/tx-1", {"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304


# Keys -----------------------------------------------------------------------------------------------------


async def test_scopes(http: Http, service: FakeService) -> None:
    service.add_key("writes", "scores:write")
    service.add_key("reads", "rankings:read")
    await award(http, "p1", 1, state="pending")
    writes, reads = http.with_key("writes"), http.with_key("reads")
    row = {"player_id": "p1", "score": 1}
    assert ((await writes.post(COINS, row)).status, (await reads.post(COINS, row)).status) == (200, 403)
    for path in ("/players/p1", "/transactions", "/transactions/tx-1"):
        found = [(await key.get(f"{COINS}{path}")).status for key in (writes, reads)]
        assert found == [403, 200]
    for act in ("complete", "reject"):
        assert (await reads.post(f"{COINS}/transactions/tx-1/{act}")).status == 403
    assert (await writes.post(f"{COINS}/transactions/tx-1/complete")).status == 200


async def test_a_bound_key_is_for_its_player_alone(http: Http, service: FakeService) -> None:
    service.add_key("bound", "scores:write", "rankings:read", player_id="p1")
    service.add_board("shown")
    service.add_board("secret", public=False)
    service.logs.behind = ["secret", "shown"]
    bound = http.with_key("bound")
    for player_id in ("p1", "p2", "p1", "p2"):
        await award(http, player_id, 5, state="pending")
    assert (await award(bound, "p1", 1))["behind"] == ["shown"]
    answer = await bound.post(COINS, {"player_id": "p2", "score": 1})
    assert (answer.status, answer.code) == (403, "forbidden")
    many = await bound.post(COINS, [{"player_id": "p2", "score": 1}, {"player_id": "p1", "score": 1}])
    assert [(e["index"], e["code"]) for e in many.body["errors"]] == [(0, "forbidden")]
    assert (await bound.get(f"{COINS}/players/p2")).status == 403
    assert (await bound.get(f"{COINS}/players/p1")).body["balance"] == 2
    listed = await bound.get(f"{COINS}/transactions")
    assert ({t["player_id"] for t in listed.body["items"]}, listed.body["total"]) == ({"p1"}, 4)
    assert (await bound.get(f"{COINS}/transactions", player_id="p2")).status == 403
    assert (await bound.get(f"{COINS}/transactions/tx-1")).status == 200
    assert (await bound.get(f"{COINS}/transactions/tx-2")).code == "forbidden"
    for act, own in (("complete", "tx-1"), ("reject", "tx-3")):
        assert (await bound.post(f"{COINS}/transactions/tx-2/{act}")).code == "forbidden"
        assert (await bound.post(f"{COINS}/transactions/{own}/{act}")).status == 200
    assert (await bound.get("/v1/metrics")).status == 403
