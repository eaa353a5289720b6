"""Liveness, readiness, metrics and the state of the server over HTTP."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.gateway.fake_service import FakeService
from tests.support.gateway.http_client import Http

PAGE = "/v1/leaderboards/xp/rankings"
SCORES = "/v1/leaderboards/xp/scores"


async def test_status(http: Http) -> None:
    assert (await http.get("/v1/status")).body["ready"] is True


async def test_operations_need_no_key(http: Http) -> None:
    anyone = http.with_key(None)
    assert (await anyone.get("/healthz")).body == {"status": "ok"}
    assert (await anyone.get("/readyz")).body["ready"] is True
    assert (await anyone.get("/openapi.json")).body["openapi"] == "3.1.0"
    docs = await anyone.get("/docs")
    assert docs.media_type == "text/html" and "default-src 'none'" in docs.headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_bare_address_leads_to_the_reference(http: Http, service: FakeService, method: str) -> None:
    anyone = http.with_key(None)
    answer = await anyone.send(method, "/")
    assert (answer.status, answer.headers["Location"]) == (302, "/docs")
    assert (await anyone.get(answer.headers["Location"])).media_type == "text/html"
    metrics = (await anyone.get("/metrics")).raw.decode()
    assert f'lbactors_http_requests_total{{method="{method}",route="/",status="302"}} 1.0' in metrics
    assert "unmatched" not in metrics
    assert (await anyone.post("/", {})).code == "method_not_allowed"


async def test_not_ready(http: Http, service: FakeService) -> None:
    service.readiness = {"ready": False, "storage": "ok", "supervisor": "away", "periods": {"loading": 2}}
    answer = await http.get("/readyz")
    assert (answer.status, answer.code) == (503, "period_loading")
    assert {"loc": ["periods"], "msg": "loading 2"} in answer.body["error"]["details"]
    service.at_ms += 1000
    service.readiness = {"ready": False, "storage": "disk full"}
    assert (await http.get("/readyz")).code == "storage_unavailable"


async def test_readiness_is_made_once_a_second(http: Http, service: FakeService) -> None:
    anyone = http.with_key(None)
    for seconds in range(1, 4):
        answers = await asyncio.gather(*(anyone.get("/readyz") for _ in range(20)))
        assert {answer.status for answer in answers} == {200}
        service.at_ms += 999
        await anyone.get("/readyz")
        assert service.readiness_made == seconds
        service.at_ms += 1
    service.at_ms -= 86_400_000  # a clock that is set back does not hold an old answer
    await anyone.get("/readyz")
    assert service.readiness_made == 4


async def test_metrics_are_made_once_a_second(http: Http, service: FakeService) -> None:
    anyone = http.with_key(None)
    first = (await anyone.get("/metrics")).raw
    await http.get("/nowhere")
    assert (await anyone.get("/metrics")).raw == first
    service.at_ms += 1000
    assert b'route="unmatched",status="404"} 1.0' in (await anyone.get("/metrics")).raw


async def test_metrics(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    await http.post(SCORES, [{"player_id": "secret-player", "score": 1}, {"player_id": "p2"}])
    await http.get("/nowhere")
    await http.send("TRACE", PAGE)
    text = (await http.with_key(None).get("/metrics")).raw.decode()
    route = "/v1/leaderboards/{leaderboard_id}/scores"
    assert f'lbactors_http_requests_total{{method="POST",route="{route}",status="200"}} 1.0' in text
    assert 'route="unmatched",status="404"} 1.0' in text and 'method="other"' in text
    assert 'lbactors_submissions_total{result="accepted"} 1.0' in text
    assert 'lbactors_submissions_total{result="rejected"} 1.0' in text
    assert "lbactors_http_requests_in_flight 1.0" in text and "lbactors_build_info{version=" in text
    assert "secret-player" not in text and "xp" not in text
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert all(name.startswith("lbactors_") for name in names)


async def test_leaderboards_behind_their_logs_are_measured(http: Http, service: FakeService) -> None:
    async def series(name: str) -> dict[str, float]:
        service.at_ms += 1000
        text = (await http.with_key(None).get("/metrics")).raw.decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith(name))
        return {labels.removeprefix(name): float(value) for labels, _, value in lines}

    late = {"tenant_id": "a", "leaderboard_id": "xp", "state": "behind", "rows_read": 900, "rows": 1000}
    service.behind = {"behind": 1, "leaderboards": [{**late, "behind_seconds": 2.5}]}
    labels = '{leaderboard="xp",tenant="a"}'
    assert await series("lbactors_projections_behind") == {"": 1}
    assert await series("lbactors_projection_lag_rows") == {labels: 100}
    assert await series("lbactors_projection_lag_seconds") == {labels: 2.5}
    service.behind = {"behind": 0, "leaderboards": []}
    assert await series("lbactors_projections_behind") == {"": 0}
    assert await series("lbactors_projection_lag_rows") == {}
    service.behind = None  # the supervisor is away
    assert str(await series("lbactors_projections_behind")) == "{'': nan}"
