"""The commands of `webhooks` against the fake server, and their words against the API's."""

from __future__ import annotations

from typing import Any

import pytest

from lbactors.cli import webhooks
from lbactors.documents.events import TYPES
from lbactors.documents.webhooks import STATES
from tests.support.command import ok, ok_json, refused, run
from tests.support.fake_api import NOW, FakeApi


def sent(api: FakeApi) -> tuple[str, Any]:
    """The last request."""
    method, path, _, body = api.requests[-1]
    return f"{method} {path}", body


def test_the_words_are_those_of_the_api() -> None:
    assert webhooks.EVENTS == TYPES and set(webhooks.STATES) == set(STATES)


def test_webhooks_are_listed_and_shown(api: FakeApi) -> None:
    lines = ok("webhooks", "list").splitlines()
    assert lines[0].split() == ["webhook", "url", "events", "leaderboards", "status", "why"]
    assert lines[1].split() == ["wh_1", "https://x.example/", "all", "xp", "active", "-"]
    shown = ok("webhooks", "show", "wh_1")
    assert "whsec_" not in shown
    assert "events all" in " ".join(shown.split()) and "leaderboard_ids xp" in " ".join(shown.split())
    assert ok_json("webhooks", "show", "wh_1")["webhook_id"] == "wh_1"


def test_a_webhook_is_created_and_its_secret_shown(api: FakeApi) -> None:
    words = ["--event", "period.closed", "--event", "reward.granted", "--leaderboard", "xp"]
    result = run("webhooks", "create", "https://x.example/", *words, "--description", "mail")
    assert "whsec_bmV3" in result.stdout and "cannot be shown again" in result.stderr
    fields = {"events": ["period.closed", "reward.granted"], "leaderboard_ids": ["xp"], "description": "mail"}
    assert sent(api) == ("POST /v1/webhooks", {"url": "https://x.example/", **fields})
    assert ok_json("webhooks", "create", "https://x.example/")["secret"] == "whsec_bmV3"
    assert sent(api)[1] == {"url": "https://x.example/"}


def test_a_webhook_is_changed_and_deleted(api: FakeApi) -> None:
    ok("webhooks", "update", "wh_1", "--to", "https://y.example/", "--event", "all", "--leaderboard", "all")
    changes = {"url": "https://y.example/", "events": None, "leaderboard_ids": None}
    assert sent(api) == ("PATCH /v1/webhooks/wh_1", changes)
    assert run("webhooks", "update", "wh_1").exit_code == 2
    assert ok("webhooks", "disable", "wh_1") == "wh_1 is now disabled\n"
    assert sent(api)[1] == {"status": "disabled"}
    assert ok("webhooks", "enable", "wh_1") == "wh_1 is now active\n"
    assert "whsec_" in ok("webhooks", "rotate", "wh_1", "--previous", "0")
    assert sent(api) == ("POST /v1/webhooks/wh_1/rotate-secret", {"previous_valid_seconds": 0})
    assert ok("webhooks", "delete", "wh_1", "--yes") == "Deleted wh_1\n"
    assert sent(api)[0] == "DELETE /v1/webhooks/wh_1"
    assert run("webhooks", "delete", "wh_1").exit_code == 2


def test_a_test_waits_for_the_answer(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "LOOK_S", 0)
    api.delivery_answers = [None, None, *api.delivery_answers]
    assert "delivered" in ok("webhooks", "test", "wh_1")
    assert [path.split()[0] for path in api.paths()] == ["POST", "GET", "GET"]
    api.delivery_answers = [{"at": NOW, "status": 500, "error": "HTTP 500", "duration_ms": 3}]
    result = run("webhooks", "test", "wh_1")
    assert result.exit_code == 1 and "HTTP 500" in result.stdout


def test_deliveries_are_listed_and_shown(api: FakeApi) -> None:
    lines = ok("webhooks", "deliveries", "wh_1", "--state", "failed", "--limit", "3").splitlines()
    assert lines[0].split()[:5] == ["delivery", "type", "leaderboard", "occurred", "state"]
    assert lines[1].split()[:3] == ["dlv_1", "period.closed", "xp"] and "HTTP 204" in lines[1]
    path, _, query = api.paths()[-1].partition("?")
    assert path == "GET /v1/webhooks/wh_1/deliveries" and set(query.split("&")) == {"state=failed", "limit=3"}
    assert "dlv_1" in ok("webhooks", "deliveries", "wh_1", "dlv_1")
    assert sent(api)[0] == "GET /v1/webhooks/wh_1/deliveries/dlv_1"


def test_deliveries_are_sent_again(api: FakeApi) -> None:
    assert ok("webhooks", "replay", "wh_1", "dlv_1") == "Sending dlv_1 again\n"
    assert sent(api)[0] == "POST /v1/webhooks/wh_1/deliveries/dlv_1/replay"
    told = ok("webhooks", "replay", "wh_1", "--failed")
    assert told == "Sending 3 again; 1 more remain, because too many are pending\n"
    assert sent(api) == ("POST /v1/webhooks/wh_1/deliveries/replay", {"state": "failed"})
    for words in ((), ("dlv_1", "--failed")):
        assert run("webhooks", "replay", "wh_1", *words).exit_code == 2


def test_a_refusal_is_one_line(api: FakeApi) -> None:
    api.fail(404, "webhook_not_found")
    assert "webhook_not_found" in refused(1, "webhooks", "show", "wh_2")
