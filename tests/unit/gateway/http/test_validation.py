"""Submissions before plugins: accepted, refused, held; plugins that fail, are slow, do not end."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.app import GATEWAY, build_app
from gateway.http import validation
from gateway.http.metrics import Metrics
from gateway.http.settings import GatewaySettings
from lbactors.core.errors import ApiError
from lbactors.core.instants import format_instant
from lbactors.core.model import Submission
from lbactors.plugins import VALIDATE, Context, Hold, Plugins, Refuse, SubmittedScore
from tests.support.gateway.fake_service import NOW_MS, ROOT_KEY, FakeService
from tests.support.gateway.http_client import Http
from tests.support.gateway.judged import SCORES, Judge, by_score, plugins_of, send, served, waiting


@pytest.fixture
def http(judged_http: Http) -> Http:
    return judged_http


def counted(http: Http) -> dict[str, float]:
    """Metrics of plugins and submissions, by name and labels, without times."""
    app: Any = http.client.app
    text: str = app[GATEWAY].metrics.exposition().decode()
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    wanted = ("lbactors_plugin_calls_total", "lbactors_plugin_slow_calls_total", "lbactors_submissions_total")
    return {name: float(value) for name, value in lines if name.startswith(wanted)}


# Verdicts -------------------------------------------------------------------------------------------------


async def test_without_the_hook_there_is_no_validation(service: FakeService) -> None:
    app = build_app(service, GatewaySettings(), Plugins((), {}))  # type: ignore[arg-type]
    assert app[GATEWAY].validation is None


async def test_one_accepted_one_refused_one_held(http: Http, service: FakeService) -> None:
    accepted = await send(http, 5)
    assert (accepted.body["rank"], "held" in accepted.body) == (1, False)
    refused = await send(http, 5000, "p2")
    assert (refused.status, refused.code) == (422, "submission_refused")
    assert refused.body["error"]["message"] == "impossible"
    held = await send(http, 500, "p3")
    held_id = held.body.pop("held_id")
    assert held.status == 200 and held.body.pop("held") is True and held.body.pop("applied") is False
    assert held.body.pop("player_id") == "p3" and set(held.body.values()) == {None}
    assert [s.player_id for batch in service.submitted for s in batch] == ["p1"]
    (item,) = await waiting(http)
    assert item["held_id"] == held_id and item["submission_id"] == f"held:{held_id}"
    assert (item["plugin"], item["reason"], item["key_id"]) == ("judge0", "suspicious", f"k_{ROOT_KEY}")
    assert item["arrived_at"] == format_instant(NOW_MS) and item["state"] == "held"


async def test_a_batch(http: Http, service: FakeService) -> None:
    items = [{"player_id": f"p{i}", "score": score} for i, score in enumerate((1, 200, 3000, 4, 500))]
    answer = await http.post(SCORES, [*items, {"player_id": "p9"}])
    assert [answer.body[name] for name in ("accepted", "rejected", "held")] == [4, 2, 2]
    found = {error["index"]: error["code"] for error in answer.body["errors"]}
    assert found == {2: "submission_refused", 5: "validation_failed"} and answer.body["results"] == []
    assert [[s.player_id for s in batch] for batch in service.submitted] == [["p0", "p3"]]
    assert {item["player_id"] for item in await waiting(http)} == {"p1", "p4"}
    assert service.held_memory.commits == 1


async def test_results_of_a_batch(http: Http) -> None:
    items = [{"player_id": "p1", "score": 7}, {"player_id": "p2", "score": 700, "submission_id": "a"}]
    ranks = (await http.post(SCORES, items, results="ranks")).body["results"]
    held_id = ranks[1]["held_id"]
    assert ranks == [{"index": 0, "rank": 1}, {"index": 1, "rank": None, "held": True, "held_id": held_id}]
    full = (await http.post(SCORES, items, results="full")).body["results"]
    assert full[1]["held_id"] == held_id and full[1]["applied"] is False and full[0]["rank"] == 1


async def test_several_leaderboards_at_once(http: Http, service: FakeService) -> None:
    service.add_board("deaths")
    items = [
        {"leaderboard_id": board, "player_id": "p1", "score": score}
        for board, score in (("xp", 1), ("deaths", 200), ("xp", 2000), ("xp", 300))
    ]
    answer = await http.post("/v1/scores", items)
    assert [answer.body[name] for name in ("accepted", "rejected", "held")] == [3, 1, 2]
    assert len(await waiting(http)) == 1


async def test_what_a_plugin_is_shown(service: FakeService) -> None:
    seen: list[Any] = []

    def judge(tenant_id: str, leaderboard_id: str, submission: SubmittedScore, context: Context) -> None:
        seen.append((tenant_id, leaderboard_id, submission, context))
        context.definition.metadata["touched"] = True

    board = service.add_board("xp", scoring={"score_max": 9000}, metadata={"a": 1})
    async with served(service, judge) as http:
        fields = {"subscore": 2, "metadata": {"level": 7}, "submission_id": "m-1", "aggregation": "latest"}
        await send(http, 5, occurred_at="2026-11-18T11:00:00Z", **fields)
        await send(http, 6)
    tenant_id, leaderboard_id, submission, context = seen[0]
    assert (tenant_id, leaderboard_id) == ("default", "xp")
    expected = SubmittedScore("p1", 5, 2, {"level": 7}, "m-1", NOW_MS - 3_600_000, "latest")
    assert submission == expected and seen[1][2].metadata is None
    assert context.key_id == f"k_{ROOT_KEY}" and context.arrived_at_ms == NOW_MS
    assert context.definition.scoring.score_max == 9000 and seen[1][3].definition is context.definition
    assert board.definition.metadata == {"a": 1}  # what a plugin changes is its own


async def test_a_definition_that_changed_is_shown(service: FakeService) -> None:
    seen: list[Any] = []
    service.add_board("xp")
    async with served(service, lambda *given: seen.append(given[3].definition.name)) as http:
        await send(http, 1)
        await http.send("PATCH", "/v1/leaderboards/xp", {"name": "new"})
        await send(http, 1)
    assert seen == ["xp", "new"]


async def test_of_several_plugins_a_refusal_counts_then_a_doubt(service: FakeService) -> None:
    asked: list[int] = []

    def holds(*_: Any) -> Any:
        asked.append(0)
        return Hold("first")

    def judges(_tenant: str, _board: str, submission: SubmittedScore, _context: Context) -> Any:
        asked.append(1)
        return Refuse("second") if submission.score == 1 else Hold("other")

    service.add_board("xp")
    async with served(service, holds, judges) as http:
        assert (await send(http, 1)).code == "submission_refused"
        assert (await send(http, 2)).body["held"] is True
        assert [item["reason"] for item in await waiting(http)] == ["first"]
    assert asked == [0, 1, 0, 1]


# Held, and again ------------------------------------------------------------------------------------------


async def test_the_same_submission_again_is_held_once(http: Http) -> None:
    first = await send(http, 500, submission_id="m-1")
    again = await send(http, 500, submission_id="m-1")
    by_header = await http.post(SCORES, {"player_id": "p1", "score": 500}, {"Idempotency-Key": "k"})
    by_header_again = await http.post(SCORES, {"player_id": "p1", "score": 500}, {"Idempotency-Key": "k"})
    assert first.body == again.body and by_header.body == by_header_again.body != first.body
    assert {item["submission_id"] for item in await waiting(http)} == {"m-1", "k:0"}


async def test_too_many_held_are_429_and_the_others_taken(http: Http) -> None:
    answer = await http.post(SCORES, [{"player_id": f"p{i}", "score": 500} for i in range(6)])
    assert (answer.body["held"], answer.body["rejected"]) == (4, 2)
    assert {error["code"] for error in answer.body["errors"]} == {"overloaded"}
    refused = await send(http, 500, "p7")
    assert (refused.status, refused.code) == (429, "overloaded")
    assert (await send(http, 5)).status == 200


async def test_the_supervisor_is_away(http: Http, service: FakeService) -> None:
    accepted = {"player_id": "p1", "score": 5}
    service.held_memory.run = _away  # type: ignore[method-assign]
    assert (await send(http, 500)).code == "storage_unavailable"
    answer = await http.post(SCORES, [accepted, {"player_id": "p2", "score": 500}])
    assert [error["code"] for error in answer.body["errors"]] == ["storage_unavailable"]
    assert answer.body["accepted"] == 1


async def _away(*_: Any, **__: Any) -> Any:
    raise ApiError("storage_unavailable", "away")


# Plugins that fail, are slow, do not end ------------------------------------------------------------------


def broken(*_: Any) -> Any:
    raise ZeroDivisionError("a bug")


@pytest.mark.parametrize("judge", [broken, lambda *_: True, lambda *_: Hold(5)])  # type: ignore[arg-type]
async def test_a_failure_accepts_unless_set_otherwise(service: FakeService, judge: Judge) -> None:
    service.add_board("xp")
    with capture_logs() as logs:
        async with served(service, judge, by_score) as http:
            assert (await send(http, 5)).body["rank"] == 1
            assert (await send(http, 5000)).code == "submission_refused"  # the other plugin is asked
            assert counted(http)['lbactors_plugin_calls_total{plugin="judge0",result="failed"}'] == 2
    line, *_ = [line for line in logs if line["event"] == "hook failed"]  # one a second
    assert (line["plugin"], line["hook"], line["policy"]) == ("judge0", VALIDATE, "accept")
    async with served(service, judge, plugin_failure="hold") as http:
        assert (await send(http, 6)).body["held"] is True
        assert "the plugin failed" in (await waiting(http))[0]["reason"]
    async with served(service, judge, plugin_failure="refuse") as http:
        refused = await send(http, 7)
        assert (refused.status, refused.code) == (503, "period_loading") and "judge0" in str(refused.body)


async def test_counted_by_what_became_of_them(http: Http) -> None:
    await http.post(SCORES, [{"player_id": "p1", "score": score} for score in (1, 2, 200, 3000)])
    found = counted(http)
    calls = "lbactors_plugin_calls_total"
    assert found[f'{calls}{{plugin="judge0",result="accepted"}}'] == 2
    assert found[f'{calls}{{plugin="judge0",result="held"}}'] == 1
    assert found[f'{calls}{{plugin="judge0",result="refused"}}'] == 1
    for result, count in (("accepted", 2), ("held", 1), ("rejected", 1)):
        assert found[f'lbactors_submissions_total{{result="{result}"}}'] == count


async def test_a_long_list_is_judged_in_slices(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "SLICE_S", 0.0)
    service.add_board("xp")
    turns, between = [0], []

    def judge(*_: Any) -> None:
        between.append(turns[0])

    async def other() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    async with served(service, judge) as http:
        task = asyncio.create_task(other())
        await http.post(SCORES, [{"player_id": f"p{i}", "score": 1} for i in range(20)])
        task.cancel()
    assert len(between) == 20 and len(set(between)) == 20


async def test_a_slow_hook_is_logged_and_counted(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "SLOW_S", 0.0)
    monkeypatch.setattr(validation, "LOG_EVERY_S", 3600.0)
    service.add_board("xp")
    with capture_logs() as logs:
        async with served(service, lambda *_: None) as http:
            await send(http, 1)
            await send(http, 2)
            assert counted(http)['lbactors_plugin_slow_calls_total{plugin="judge0"}'] == 2
    assert [line["event"] for line in logs if line.get("plugin")] == ["slow hook"]


async def test_a_hook_that_does_not_end_is_logged(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "STUCK_S", 0.05)
    service.add_board("xp")
    told = threading.Event()

    def tell(event: str, **_: Any) -> None:
        if event == "a hook blocks this gateway":
            told.set()

    monkeypatch.setattr(validation.log, "error", tell, raising=False)

    def stuck(*_: Any) -> None:
        assert told.wait(10), "nobody noticed"

    async with served(service, stuck) as http:
        assert (await send(http, 1)).status == 200
        assert 'result="failed"' not in str(counted(http))


def test_what_a_call_costs() -> None:
    """A bound that only a mistake of another order breaks: 10 000 submissions in less than a second."""
    plugins, service = plugins_of(lambda *_: None), FakeService()
    judged = validation.Validation(plugins, "accept", service, Metrics())  # type: ignore[arg-type]
    board = service.add_board("xp")
    submissions = [Submission(f"p{i}", i, 0, None, None, None, None) for i in range(10_000)]
    began_s = time.perf_counter()
    assert asyncio.run(judged._judge("k", board, submissions, NOW_MS)) == {}
    assert time.perf_counter() - began_s < 1.0
    judged.close()
