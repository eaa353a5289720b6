"""Submissions before plugins: accepted, refused, held; plugins that fail, are slow, do not end; reviewing."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from fake_service import NOW_MS, ROOT_KEY, FakeService
from gateway_http import Answer, Http
from structlog.testing import capture_logs

from gateway.app import GATEWAY, build_app
from gateway.http import validation
from gateway.http.metrics import Metrics
from gateway.http.settings import GatewaySettings
from lbactors.model import ApiError, Submission
from lbactors.plugins import VALIDATE, Context, Hold, Plugin, Plugins, Refuse, SubmittedScore
from lbactors.timeframe import format_instant

SCORES = "/v1/leaderboards/xp/scores"
HELD = "/v1/leaderboards/xp/held"

Judge = Callable[[str, str, SubmittedScore, Context], Any]


def by_score(_tenant: str, _board: str, submission: SubmittedScore, _context: Context) -> Any:
    """Above 1000 refused, above 100 held."""
    score = submission.score or 0
    return Refuse("impossible") if score > 1000 else Hold("suspicious") if score > 100 else None


def plugins_of(*judges: Judge) -> Plugins:
    named = tuple((f"judge{number}", judge) for number, judge in enumerate(judges))
    return Plugins(tuple(Plugin(name, "1", "test", (VALIDATE,)) for name, _ in named), {VALIDATE: named})


@asynccontextmanager
async def served(service: FakeService, *judges: Judge, **settings: Any) -> AsyncIterator[Http]:
    app = build_app(service, GatewaySettings(**settings), plugins_of(*judges))  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as client:
        yield Http(client)


@pytest.fixture
async def http(service: FakeService) -> AsyncIterator[Http]:
    service.add_board("xp")
    async with served(service, by_score) as http:
        yield http


async def send(http: Http, score: float, player_id: str = "p1", **fields: Any) -> Answer:
    return await http.post(SCORES, {"player_id": player_id, "score": score, **fields})


async def waiting(http: Http, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await http.get(HELD, **query)).body["items"]
    return items


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


async def test_those_that_wait_form_the_next_command(service: FakeService) -> None:
    service.add_board("xp")
    service.held_memory.settings["held_limit"] = 1000
    begun, gate, run = asyncio.Event(), asyncio.Event(), service.held_memory.run
    calls: list[int] = []

    async def slow(command: str, tenant_id: str, /, **args: Any) -> Any:
        calls.append(len(args["items"]))
        begun.set()
        await gate.wait()
        return await run(command, tenant_id, **args)

    service.held_memory.run = slow  # type: ignore[method-assign]
    async with served(service, by_score) as http:
        queue = http.client.app[GATEWAY].validation._review_queue  # type: ignore[index,union-attr]
        sends = [asyncio.create_task(send(http, 500))]
        await begun.wait()
        sends += [asyncio.create_task(send(http, 500, f"p{i}")) for i in range(19)]
        async with asyncio.timeout(10):
            while queue._waiting < 20:  # noqa: ASYNC110 - nothing tells when a request has come so far
                await asyncio.sleep(0)
        gate.set()
        answers = await asyncio.gather(*sends)
        assert calls == [1, 19]
        assert len({answer.body["held_id"] for answer in answers}) == 20 and queue._waiting == 0


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


# Reviewing ------------------------------------------------------------------------------------------------


async def test_listing(http: Http, service: FakeService) -> None:
    service.held_memory.settings["held_limit"] = 100
    for number in range(5):
        await send(http, 500 + number, f"p{number % 2}")
    page = (await http.get(HELD, limit=2)).body
    assert (page["total"], len(page["items"])) == (5, 2)
    rest = (await http.get(HELD, limit=5, cursor=page["next_cursor"])).body
    assert len({item["held_id"] for item in page["items"] + rest["items"]}) == 5 and not rest["next_cursor"]
    assert {item["player_id"] for item in await waiting(http, player_id="p1")} == {"p1"}
    assert len(await waiting(http, player_id="p1")) == 2
    assert (await http.get("/v1/leaderboards/none/held")).code == "leaderboard_not_found"


async def test_approve(http: Http, service: FakeService) -> None:
    sent = await send(http, 500, submission_id="m-1", metadata={"level": 7})
    path = f"{HELD}/{sent.body['held_id']}/approve"
    answer = await http.post(path)
    assert answer.body["outcome"]["score"] == 500 and answer.body["outcome"]["rank"] == 1
    assert answer.body["held"]["state"] == "approved" and await waiting(http) == []
    (submitted,) = service.submitted[-1]
    assert (submitted.submission_id, submitted.occurred_at_ms) == ("m-1", NOW_MS)
    assert json.loads(submitted.metadata or b"") == {"level": 7}
    count = len(service.submitted)
    assert (await http.post(path, {})).body == answer.body and len(service.submitted) == count
    again = await send(http, 500, submission_id="m-1")
    assert again.body["duplicate"] is True  # the plugin doubts still, the reviewer does not


async def test_approve_what_its_period_does_not_take(http: Http, service: FakeService) -> None:
    sent = await send(http, 500)
    path = f"{HELD}/{sent.body['held_id']}/approve"
    submit = service.submit

    async def closed(*_: Any) -> Any:
        return [ApiError("period_closed", "too late")]

    service.submit = closed  # type: ignore[method-assign]
    assert (await http.post(path)).code == "period_closed"
    assert [item["state"] for item in await waiting(http)] == ["held"]
    service.submit = submit  # type: ignore[method-assign]
    assert (await http.post(path)).body["outcome"]["applied"] is True


async def test_approve_with_an_unknown_outcome(http: Http, service: FakeService) -> None:
    sent = await send(http, 500, submission_id="m-1")
    path = f"{HELD}/{sent.body['held_id']}"
    submit = service.submit

    async def lost(*given: Any) -> Any:
        await submit(*given)
        raise ApiError("storage_unavailable", "lost")

    service.submit = lost  # type: ignore[method-assign]
    assert (await http.post(f"{path}/approve")).status == 503
    assert [item["state"] for item in await waiting(http)] == ["approving"]
    assert (await http.post(f"{path}/reject")).code == "held_submission_decided"
    service.submit = submit  # type: ignore[method-assign]
    answer = await http.post(f"{path}/approve")
    assert answer.body["outcome"]["duplicate"] is True and answer.body["held"]["state"] == "approved"


async def test_reject(http: Http, service: FakeService) -> None:
    sent = await send(http, 500, submission_id="m-1")
    path = f"{HELD}/{sent.body['held_id']}"
    for body in ({"reason": ""}, {"reason": 5}, {"reason": "x" * 501}, {"why": "x"}):
        assert (await http.post(f"{path}/reject", body)).status == 422
    answer = await http.post(f"{path}/reject", {"reason": "no"})
    assert (answer.body["state"], answer.body["note"]) == ("rejected", "no")
    assert (await http.post(f"{path}/reject")).body == answer.body
    assert (await http.post(f"{path}/approve")).code == "held_submission_decided"
    again = await send(http, 500, submission_id="m-1")
    assert (again.code, again.body["error"]["message"]) == ("submission_refused", "no")
    assert service.submitted == [] and await waiting(http) == []


async def test_another_tenant_sees_and_decides_nothing(http: Http, service: FakeService) -> None:
    sent = await send(http, 500)
    service.add_board("xp", tenant_id="studio-z")
    service.add_key("other", "leaderboards:write", tenant_id="studio-z")
    other = http.with_key("other")
    assert await waiting(other) == []
    for act in ("approve", "reject"):
        path = f"{HELD}/{sent.body['held_id']}/{act}"
        assert (await other.post(path)).code == "held_submission_not_found"
    assert len(await waiting(http)) == 1 and service.submitted == []


async def test_who_may_review(http: Http, service: FakeService) -> None:
    sent = await send(http, 500)
    service.add_key("writer", "scores:write", "leaderboards:read")
    service.add_key("bound", "leaderboards:write", player_id="p1")
    path = f"{HELD}/{sent.body['held_id']}"
    assert (await http.with_key("writer").get(HELD)).status == 403
    for act in ("approve", "reject"):
        assert (await http.with_key("writer").post(f"{path}/{act}")).status == 403
        assert (await http.with_key("bound").post(f"{path}/{act}")).status == 403
        assert (await http.post(f"{HELD}/h_none/{act}")).code == "held_submission_not_found"
    service.add_board("quiet", status="inactive")
    assert (await http.post("/v1/leaderboards/quiet/held/h_1/approve")).code == "leaderboard_inactive"
