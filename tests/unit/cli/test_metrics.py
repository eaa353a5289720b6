"""The commands `metrics …`: what they ask of the fake server, and what they show."""

from __future__ import annotations

from tests.support.command import ok, ok_json, refused, run
from tests.support.fake_api import FakeApi


def test_award_deduct_and_set(api: FakeApi) -> None:
    assert "balance 50" in " ".join(ok("metrics", "award", "coins", "maya", "50").split())
    ok(
        "metrics", "deduct", "coins", "maya", "20", "--submission-id", "order-1", "--metadata", '{"a": 1}',
        "--subscore", "3", "--occurred-at", "2026-11-18T12:00:00Z", "--pending",
    )  # fmt: skip
    assert api.requests[-1][3] == {
        "player_id": "maya",
        "score": 20,
        "kind": "deduct",
        "state": "pending",
        "subscore": 3,
        "metadata": {"a": 1},
        "submission_id": "order-1",
        "occurred_at": "2026-11-18T12:00:00Z",
    }
    assert ok_json("metrics", "set", "coins", "maya", "7")["balance"] == 7
    assert ok_json("metrics", "award", "coins", "maya", "-2.5")["balance"] == 4.5
    assert api.paths()[-1] == "POST /v1/metrics/coins"


def test_who_is_behind_is_told(api: FakeApi) -> None:
    api.logs.behind = ["xp", "weekly"]
    result = run("metrics", "award", "coins", "maya", "50")
    assert result.stderr == "not taken yet by xp, weekly; they follow by themselves\n"
    assert "behind" not in result.stdout
    result = run("metrics", "award", "coins", "maya", "50", "--json")
    assert result.stderr == "" and '"behind":["xp","weekly"]' in result.stdout


def test_bad_amounts(api: FakeApi) -> None:
    for amount in ("much", "nan", "1e999"):
        assert "is not a finite number" in refused(2, "metrics", "award", "coins", "maya", amount)
    assert "Missing argument 'AMOUNT'" in refused(2, "metrics", "award", "coins", "maya")
    assert api.requests == []


def test_what_the_server_refuses(api: FakeApi) -> None:
    api.fail(409, "insufficient_balance", message="player 'maya' has 5")
    assert refused(1, "metrics", "deduct", "coins", "maya", "20") == (
        "error: insufficient_balance: player 'maya' has 5\n"
    )


def test_reads(api: FakeApi) -> None:
    ok("metrics", "award", "coins", "maya", "50")
    assert ok("metrics").splitlines()[1].split()[:3] == ["coins", "2", "1"]
    assert ok("metrics", "list", "--limit", "5").splitlines()[0].split()[0] == "metric"
    assert api.paths()[-1] == "GET /v1/metrics?limit=5"
    assert "balance 50" in " ".join(ok("metrics", "balance", "coins", "maya").split())
    lines = ok("metrics", "transactions", "coins", "--player", "maya", "--limit", "3").splitlines()
    assert lines[1].split()[:5] == ["tx-1", "maya", "award", "completed", "50"]
    assert api.paths()[-1] == "GET /v1/metrics/coins/transactions?player_id=maya&limit=3"


def test_settling(api: FakeApi) -> None:
    shown = " ".join(ok("metrics", "complete", "coins", "tx-1").split())
    assert "state completed" in shown and "balance 5" in shown
    assert ok_json("metrics", "reject", "coins", "tx-1")["state"] == "rejected"
    assert api.paths() == [
        "POST /v1/metrics/coins/transactions/tx-1/complete",
        "POST /v1/metrics/coins/transactions/tx-1/reject",
    ]
