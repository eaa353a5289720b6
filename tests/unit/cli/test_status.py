"""`lbactors status`, against the fake server."""

from __future__ import annotations

from tests.support.command import ok, ok_json, run
from tests.support.fake_api import FakeApi


def lines(*arguments: str) -> list[str]:
    return [" ".join(line.split()) for line in ok("status", *arguments).splitlines()]


def test_processes_with_their_memory_and_load(api: FakeApi) -> None:
    shown = lines()
    assert {"ready yes", "leaderboards 1", "gateway.memory 90.0 MiB", "supervisor.epoch 4"} <= set(shown)
    assert "trouble.1 bad record" in shown
    assert shown[-2:] == [
        "period-1 7 64.0 MiB 1 min 40 s 1 0 1 34 1 2 5.2 yes",
        "period-2 - - not running 0 0 0 0 0 0 0 -",
    ]


def test_periods_are_named_as_users_know_them(api: FakeApi) -> None:
    assert lines("--periods")[-2:] == [
        "period-1 default xp main a serving 30 90 -",
        "period-1 default xp main b loading 4 0 -",
    ]


def test_leaderboards_behind_their_logs_are_named(api: FakeApi) -> None:
    assert not any(line.startswith("behind") for line in lines())
    api.main_follows = {"state": "behind", "rows_read": 900, "rows": 1000, "behind_seconds": 2.6}
    name = {"tenant_id": "default", "leaderboard_id": "xp"}
    api.late_projections = {"behind": 12, "leaderboards": [{**name, **api.main_follows}] * 11}
    api.late_projections["leaderboards"][0] = {**name, **api.main_follows, "state": "filling"}
    shown = lines("--periods")
    assert {
        "behind.1 xp of tenant default: filling, 900 of 1000 rows",
        "behind.10 xp of tenant default: 100 rows behind, 3 s",
        "behind.more 2",
    } <= set(shown)
    assert shown[-2] == "period-1 default xp main a serving 30 90 100 rows behind, 3 s"


def test_logs_have_a_table_of_their_own(api: FakeApi) -> None:
    log = {"tenant_id": "default", "uid": "u", "epoch": 1, "operations": 5}
    api.hosted_logs = [
        {**log, "metric": "coins", "state": "serving", "rows": 1042, "waiting": 3},
        {**log, "metric": None, "state": "loading", "rows": 7, "waiting": 0},
        {**log, "metric": "gems", "state": "asleep", "rows": None, "waiting": 0},
    ]
    assert "period-1 7 64.0 MiB 1 min 40 s 1 3 1 34 2 5 5.2 yes" in lines()
    assert lines("--periods")[-3:] == [
        "actor tenant log state rows waiting",
        "period-1 default metric coins serving 1042 3",
        "period-1 default events loading 7 0",
    ]


def test_json_has_what_the_server_answers(api: FakeApi) -> None:
    found = ok_json("status")
    assert set(found) == {"health", "ready", "status"} and found["status"] == api.status_answer()


def test_without_a_key_that_may_see_actors(api: FakeApi) -> None:
    assert ok_json("status", "--key", "lb_wrong")["status"] is None
    assert "ready yes" in lines("--key", "lb_wrong")


def test_a_server_that_is_not_ready_says_why(api: FakeApi) -> None:
    api.ready = False
    result = run("status")
    assert result.exit_code == 1 and "disk full" in result.stdout
