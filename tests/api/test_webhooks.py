"""Webhooks: managed over HTTP; events of real periods reach a receiver, signed, in order, until confirmed."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
from standardwebhooks import Webhook

from tests.support.api.boards import MakeBoard, instant, unique
from tests.support.api.client import Api, eventually

WITHIN_S = 30
HOOKS = "/v1/webhooks"
URL = "http://127.0.0.1:9/never"  # the discard port: nobody is there


class Got(NamedTuple):
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class Receiver:
    """Answers 204, or the status that was set, and keeps what came."""

    def __init__(self) -> None:
        self.status = 204
        self._came: queue.Queue[Got] = queue.Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                receiver._came.put(Got({k.lower(): v for k, v in self.headers.items()}, raw))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def next(self) -> Got:
        return self._came.get(timeout=WITHIN_S)

    def empty(self) -> bool:
        return self._came.empty()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def tenant(api: Api, make_tenant: Callable[[], str]) -> Api:
    """A tenant of the test's own, since webhooks of a tenant are few."""
    return api.in_tenant(make_tenant())


def create(tenant: Api, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = tenant.ok("POST", HOOKS, {"url": URL, **fields}, status=201)
    return made


def path_of(webhook: dict[str, Any]) -> str:
    return f"{HOOKS}/{webhook['webhook_id']}"


# Managing -------------------------------------------------------------------------------------------------


def test_a_webhook_is_created_and_its_secret_shown_once(tenant: Api) -> None:
    fields = {"events": ["period.closed"], "leaderboard_ids": ["xp"], "description": "d"}
    made = create(tenant, **fields)
    assert made["secret"].startswith("whsec_")
    shown = tenant.get(path_of(made))
    assert "secret" not in shown and made == {**shown, "secret": made["secret"]}
    assert {name: shown[name] for name in fields} == fields
    assert (shown["status"], shown["disabled_reason"], shown["url"]) == ("active", None, URL)
    assert instant(shown["created_at"]) == instant(shown["updated_at"])
    assert tenant.listing(HOOKS) == [shown]


def test_defaults(tenant: Api) -> None:
    made = create(tenant)
    assert (made["events"], made["leaderboard_ids"], made["description"]) == (None, None, "")


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"url": "ftp://x.example/"}, "url"),
        ({"url": "/hook"}, "url"),
        ({"url": "https://user:password@x.example/"}, "url"),
        ({"url": "https://x.example/#part"}, "url"),
        ({"url": "https://x.example:99999/"}, "url"),
        ({"url": "https://x.example/" + "x" * 2048}, "url"),
        ({"url": 5}, "url"),
        ({"events": []}, "events"),
        ({"events": ["period.paused"]}, "events"),
        ({"leaderboard_ids": ["no spaces"]}, "leaderboard_ids"),
        ({"status": "asleep"}, "status"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_webhooks_that_are_refused(tenant: Api, fields: dict[str, Any], loc: str) -> None:
    error = tenant.fails(422, "validation_failed", "POST", HOOKS, {"url": URL, **fields})
    assert error["details"][0]["loc"][:2] == ["body", loc]
    assert tenant.listing(HOOKS) == []
    made = create(tenant)
    error = tenant.fails(422, "validation_failed", "PATCH", path_of(made), fields)
    assert error["details"][0]["loc"][:2] == ["body", loc]
    assert tenant.get(path_of(made)) == {n: v for n, v in made.items() if n != "secret"}


def test_a_url_is_required_and_cannot_be_taken_away(tenant: Api) -> None:
    tenant.fails(422, "validation_failed", "POST", HOOKS, {})
    made = create(tenant)
    for field in ("url", "description", "status"):
        tenant.fails(422, "validation_failed", "PATCH", path_of(made), {field: None})


def test_a_webhook_is_changed_and_deleted(tenant: Api) -> None:
    made = create(tenant, events=["period.opened"])
    changed = tenant.ok("PATCH", path_of(made), {"events": None, "status": "disabled", "description": "new"})
    assert (changed["events"], changed["status"], changed["description"]) == (None, "disabled", "new")
    assert tenant.get(path_of(made)) == changed
    tenant.fails(409, "webhook_disabled", "POST", f"{path_of(made)}/test")
    assert tenant.ok("DELETE", path_of(made)) == changed
    for method, rest, body in (
        ("GET", "", ()),
        ("PATCH", "", ({},)),
        ("DELETE", "", ()),
        ("POST", "/test", ()),
        ("POST", "/rotate-secret", ()),
        ("GET", "/deliveries", ()),
    ):
        tenant.fails(404, "webhook_not_found", method, path_of(made) + rest, *body)


def test_a_tenant_has_a_limited_number(tenant: Api) -> None:
    for _ in range(20):
        create(tenant)
    tenant.fails(409, "webhook_limit", "POST", HOOKS, {"url": URL})


def test_webhooks_need_the_scope_and_stay_in_their_tenant(
    api: Api, tenant: Api, make_key: Callable[..., dict[str, Any]]
) -> None:
    made = create(tenant)
    reader = api.with_key(make_key("leaderboards:read", "rankings:read", tenant_id=tenant.tenant_id)["key"])
    writer = api.with_key(make_key("leaderboards:write", tenant_id=tenant.tenant_id)["key"])
    other = api.with_key(make_key("leaderboards:write")["key"])
    reader.fails(403, "forbidden", "GET", path_of(made))
    assert writer.get(path_of(made))["webhook_id"] == made["webhook_id"]
    other.fails(404, "webhook_not_found", "GET", path_of(made))
    other.fails(404, "webhook_not_found", "DELETE", path_of(made))


def test_a_repeat_gets_the_first_answer(tenant: Api) -> None:
    headers = {"Idempotency-Key": unique("key")}
    first = tenant.ok("POST", HOOKS, {"url": URL}, status=201, headers=headers)
    assert tenant.ok("POST", HOOKS, {"url": URL}, status=201, headers=headers) == first
    assert len(tenant.listing(HOOKS)) == 1
    tenant.fails(409, "idempotency_conflict", "POST", HOOKS, {"url": f"{URL}2"}, headers=headers)


# Delivering -----------------------------------------------------------------------------------------------


def delivered(tenant: Api, webhook: dict[str, Any], delivery_id: str) -> dict[str, Any]:
    """The delivery, once it is confirmed."""
    path = f"{path_of(webhook)}/deliveries/{delivery_id}"

    def confirmed() -> dict[str, Any] | None:
        found: dict[str, Any] = tenant.get(path)
        return found if found["state"] == "delivered" else None

    return eventually(confirmed, f"{path} is delivered")


def test_a_test_event_arrives_signed(tenant: Api, receiver: Receiver) -> None:
    webhook = create(tenant, url=receiver.url, events=["period.closed"])
    sent = tenant.ok("POST", f"{path_of(webhook)}/test", status=202)
    assert (sent["type"], sent["state"], sent["leaderboard_id"]) == ("webhook.test", "pending", None)
    got = receiver.next()
    verified: Any = Webhook(webhook["secret"]).verify(got.raw, got.headers)
    assert verified == got.body and got.body["id"] == sent["event_id"] == got.headers["webhook-id"]
    assert got.body["data"] == {"webhook_id": webhook["webhook_id"]}
    found = delivered(tenant, webhook, sent["delivery_id"])
    assert (found["state"], found["attempts"], found["body"]) == ("delivered", 1, got.body)
    assert found["last_answer"]["status"] == 204 and found["last_answer"]["error"] is None
    (listed,) = tenant.listing(f"{path_of(webhook)}/deliveries", state="delivered")
    assert listed == {name: value for name, value in found.items() if name != "body"}
    assert tenant.listing(f"{path_of(webhook)}/deliveries", state="pending") == []


def test_the_secret_is_rotated(tenant: Api, receiver: Receiver) -> None:
    old = create(tenant, url=receiver.url)
    new = tenant.ok("POST", f"{path_of(old)}/rotate-secret")
    assert new["secret"] != old["secret"]
    tenant.ok("POST", f"{path_of(old)}/test", status=202)
    both = receiver.next()
    for webhook in (old, new):
        Webhook(webhook["secret"]).verify(both.raw, both.headers)
    last = tenant.ok("POST", f"{path_of(old)}/rotate-secret", {"previous_valid_seconds": 0})
    tenant.ok("POST", f"{path_of(old)}/test", status=202)
    alone = receiver.next()
    Webhook(last["secret"]).verify(alone.raw, alone.headers)
    assert len(alone.headers["webhook-signature"].split()) == 1
    tenant.fails(422, None, "POST", f"{path_of(old)}/rotate-secret", {"previous_valid_seconds": -1})


def test_a_failed_attempt_is_seen_and_a_replay_is_sent(tenant: Api, receiver: Receiver) -> None:
    receiver.status = 500
    webhook = create(tenant, url=receiver.url)
    sent = tenant.ok("POST", f"{path_of(webhook)}/test", status=202)
    receiver.next()
    path = f"{path_of(webhook)}/deliveries/{sent['delivery_id']}"
    eventually(lambda: tenant.get(path)["attempts"] >= 1, "the attempt is recorded")
    found = tenant.get(path)
    assert found["state"] == "pending" and found["last_answer"]["error"] == "HTTP 500"
    assert instant(found["next_attempt_at"]) > instant(found["last_answer"]["at"])
    receiver.status = 200
    again = tenant.ok("POST", f"{path}/replay", status=202)
    assert again["event_id"] == sent["event_id"]
    assert receiver.next().body["id"] == sent["event_id"]
    assert delivered(tenant, webhook, sent["delivery_id"])["state"] == "delivered"
    tenant.ok("POST", f"{path}/replay", status=202)  # of one that was confirmed, too
    assert receiver.next().body["id"] == sent["event_id"]
    path = f"{path_of(webhook)}/deliveries"
    tenant.fails(404, "delivery_not_found", "POST", f"{path}/dlv_none/replay")
    tenant.fails(404, "delivery_not_found", "GET", f"{path}/dlv_none")
    none = {"replayed": 0, "remaining": 0}
    assert tenant.ok("POST", f"{path}/replay", {"state": "failed"}, status=202) == none
    tenant.fails(422, "validation_failed", "POST", f"{path}/replay", {"state": "pending"})


def test_a_forced_close_is_told_in_order(tenant: Api, receiver: Receiver, make_board: MakeBoard) -> None:
    webhook = create(tenant, url=receiver.url)
    other = create(tenant, url=receiver.url, leaderboard_ids=["another"])
    board = make_board(tenant, leaderboard_id=unique("told"), timeframe={"type": "daily"})
    tenant.ok("POST", board.scores, {"player_id": "p1", "score": 7})
    closed = tenant.ok("POST", board.close)["closed"]
    told: dict[tuple[str, str], Got] = {}
    while ("period.closed", closed["period_key"]) not in told:
        got = receiver.next()
        assert got.body["leaderboard_id"] == board.id
        told[got.body["type"], got.body["data"]["period"]["period_key"]] = got
    body = told["period.closed", closed["period_key"]].body
    assert body["tenant_id"] == tenant.tenant_id
    assert body["data"]["total"] == 1
    assert [(e["rank"], e["player_id"], e["score"]) for e in body["data"]["standings"]] == [(1, "p1", 7)]
    page = tenant.get(body["data"]["standings_url"])
    assert [entry["player_id"] for entry in page["entries"]] == ["p1"]
    order = list(told)
    opened = ("period.opened", closed["period_key"])
    assert opened not in order or order.index(opened) < order.index(("period.closed", closed["period_key"]))
    for got in told.values():
        Webhook(webhook["secret"]).verify(got.raw, got.headers)
    assert tenant.listing(f"{path_of(other)}/deliveries") == []


def test_standings_show_the_ranks_that_the_rankings_show(
    tenant: Api, receiver: Receiver, make_board: MakeBoard
) -> None:
    create(tenant, url=receiver.url, events=["period.closed"])
    board = make_board(tenant, ranking={"top_only": 1})
    board.submit_all({"a": 2, "b": 1})
    board.force_close()
    data = receiver.next().body["data"]
    shown = [(entry["rank"], entry["player_id"]) for entry in data["standings"]]
    assert (data["total"], shown) == (2, [(1, "a"), (None, "b")])
    page = tenant.get(data["standings_url"])
    assert [(entry["rank"], entry["player_id"]) for entry in page["entries"]] == shown


def test_a_deleted_tenant_takes_its_webhooks_along(
    api: Api, tenant: Api, receiver: Receiver, make_board: MakeBoard
) -> None:
    webhook = create(tenant, url=receiver.url)
    tenant.ok("POST", f"{path_of(webhook)}/test", status=202)
    receiver.next()
    api.ok("DELETE", f"/v1/tenants/{tenant.tenant_id}")
    api.ok("POST", "/v1/tenants", {"tenant_id": tenant.tenant_id}, status=201)
    assert tenant.listing(HOOKS) == []
    again = create(tenant, url=receiver.url)
    board = make_board(tenant, timeframe={"type": "daily"})
    board.force_close()
    came = [receiver.next()]
    while came[-1].body["type"] != "period.closed":
        came.append(receiver.next())
    for got in came:  # those of the deleted one would have another signature
        Webhook(again["secret"]).verify(got.raw, got.headers)
    assert len({got.headers["webhook-id"] for got in came}) == len(came) and receiver.empty()


def test_the_status_counts_deliveries(api: Api, tenant: Api, receiver: Receiver) -> None:
    before = api.get("/v1/status")["events"]
    webhook = create(tenant, url=receiver.url)
    sent = tenant.ok("POST", f"{path_of(webhook)}/test", status=202)
    delivered(tenant, webhook, sent["delivery_id"])
    assert api.get("/v1/status")["events"]["webhooks"] == before["webhooks"] + 1

    def counted() -> bool:
        after = api.get("/v1/status")["events"]
        return all(after[what] > before[what] for what in ("delivered", "attempts"))

    eventually(counted, "the delivery is counted")
