"""Section 7 without the console: health, metrics, the OpenAPI document and the page that shows it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jsonschema.validators import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families

from tests.support.api.boards import MakeBoard, unique
from tests.support.api.client import Api, eventually

ROUTES: dict[str, set[str]] = {
    "/v1/leaderboards": {"get", "post"},
    "/v1/leaderboards/{}": {"get", "patch", "delete"},
    "/v1/leaderboards/{}/periods": {"get", "post"},
    "/v1/leaderboards/{}/periods/{}": {"get"},
    "/v1/leaderboards/{}/periods/current/close": {"post"},
    "/v1/leaderboards/{}/scores": {"post"},
    "/v1/leaderboards/{}/periods/{}/rebuild": {"post"},
    "/v1/scores": {"post"},
    "/v1/metrics": {"get"},
    "/v1/metrics/{}": {"post"},
    "/v1/metrics/{}/players/{}": {"get"},
    "/v1/metrics/{}/transactions": {"get"},
    "/v1/metrics/{}/transactions/{}": {"get"},
    "/v1/metrics/{}/transactions/{}/complete": {"post"},
    "/v1/metrics/{}/transactions/{}/reject": {"post"},
    "/v1/events": {"post"},
    "/v1/leaderboards/{}/rules/test": {"post"},
    "/v1/leaderboards/{}/rankings": {"get"},
    "/v1/leaderboards/{}/rankings/lookup": {"post"},
    "/v1/leaderboards/{}/rankings/at/{}": {"get"},
    "/v1/leaderboards/{}/players/{}": {"get", "delete"},
    "/v1/leaderboards/{}/players/{}/around": {"get"},
    "/v1/leaderboards/{}/distribution": {"get"},
    "/v1/players/{}": {"put", "delete"},
    "/v1/players/{}/entries": {"get"},
    "/v1/keys": {"get", "post"},
    "/v1/keys/{}": {"patch", "delete"},
    "/v1/tenants": {"get", "post"},
    "/v1/tenants/{}": {"get", "patch", "delete"},
}


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    reply = api.call("GET", "/openapi.json")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("application/json")
    document: dict[str, Any] = reply.json
    return document


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_key(api: Api, path: str) -> None:
    assert api.call("GET", path, key=None).status == 200
    assert api.call("GET", path).status == 200


def test_metrics_are_prometheus_text_and_need_no_key(api: Api, make_board: MakeBoard) -> None:
    make_board().submit("p1", 1)
    reply = api.call("GET", "/metrics", key=None)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(reply.json)}
    assert families
    for family in families.values():
        assert family.documentation, f"{family.name} has no HELP"
        assert family.type != "unknown", f"{family.name} has no TYPE"


def test_metrics_hold_no_secret(api: Api) -> None:
    assert api.key is not None
    assert api.key not in api.call("GET", "/metrics").json


def test_the_status_lists_logs_apart_and_says_how_far_they_were_read(api: Api, make_board: MakeBoard) -> None:
    metric = unique("coins")
    assert api.call("POST", f"/v1/metrics/{metric}", {"player_id": "p1", "score": 5}).status == 200
    board = make_board(scoring={"source": "metric", "metric": metric, "aggregation": "sum"})
    assert api.call("POST", f"/v1/metrics/{metric}", {"player_id": "p1", "score": 7}).status == 200
    actors = api.call("GET", "/v1/status").json["actors"]
    logs = [log for actor in actors for log in actor["logs"] if log["metric"] == metric]
    assert [(log["state"], log["rows"], log["waiting"]) for log in logs] == [("serving", 2, 0)]
    assert not [b for actor in actors for b in actor["leaderboards"] if b["leaderboard_id"] == metric]

    def has_read_all() -> bool:
        status = api.call("GET", "/v1/status").json
        boards = [b for actor in status["actors"] for b in actor["leaderboards"]]
        (window,) = next(b["windows"] for b in boards if b["leaderboard_id"] == board.id)
        behind = {b["leaderboard_id"] for b in status["projections"]["leaderboards"]}
        live = {"state": "live", "rows_read": 2, "rows": 2, "behind_seconds": 0}
        return window["follows"] == live and board.id not in behind

    eventually(has_read_all, "the leaderboard has read its log")


def test_the_document_is_openapi(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.\d+\.\d+", document["openapi"])
    assert document["info"]["title"] and document["info"]["version"]


def test_the_document_lists_every_route(document: dict[str, Any]) -> None:
    listed: dict[str, set[str]] = {}
    for path, item in document["paths"].items():
        listed.setdefault(re.sub(r"\{[^}]*\}", "{}", path), set()).update(item)
    missing = {path: methods - listed.get(path, set()) for path, methods in ROUTES.items()}
    assert not {path: methods for path, methods in missing.items() if methods}


def test_operations_of_the_document_are_told_apart(document: dict[str, Any]) -> None:
    operations = [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in ("get", "put", "post", "patch", "delete")
    ]
    ids = [operation["operationId"] for _, _, operation in operations if "operationId" in operation]
    assert len(set(ids)) == len(ids)
    for path, method, operation in operations:
        assert operation["responses"], f"{method} {path} has no responses"
        declared = {parameter.get("name") for parameter in operation.get("parameters", [])}
        declared |= {parameter.get("name") for parameter in document["paths"][path].get("parameters", [])}
        in_components = any("$ref" in parameter for parameter in operation.get("parameters", []))
        assert in_components or set(re.findall(r"\{([^}]*)\}", path)) <= declared, f"{method} {path}"


def test_references_of_the_document_resolve(document: dict[str, Any]) -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                target: Any = document
                assert node["$ref"].startswith("#/"), node["$ref"]
                for step in node["$ref"][2:].split("/"):
                    target = target[step.replace("~1", "/").replace("~0", "~")]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)


def test_the_bare_address_leads_to_the_docs(api: Api) -> None:
    for method in ("GET", "HEAD"):
        reply = api.call(method, "/", key=None)
        assert reply.status in (302, 307) and reply.headers["location"] == "/docs", method


@pytest.mark.parametrize(("path", "component"), [("/v1/status", "Status"), ("/readyz", "Readiness")])
def test_the_state_of_the_server_conforms(
    api: Api, make_board: MakeBoard, document: dict[str, Any], path: str, component: str
) -> None:
    """Of a real server, with real actors: objects with names, integers where there are numbers."""
    make_board(windows=["daily"]).submit("p1", 1)
    shape = {"components": document["components"], "$ref": f"#/components/schemas/{component}"}
    Draft202012Validator(shape).validate(api.get(path))


def test_status_names_leaderboards_and_windows(api: Api, make_board: MakeBoard) -> None:
    board = make_board(windows=["daily"])
    board.submit("p1", 1)
    status = api.get("/v1/status")
    assert status["gateway"]["resident_bytes"] > 2**24 < status["supervisor"]["resident_bytes"]
    assert type(status["supervisor"]["epoch"]) is int and "~" not in str(status)
    (actor,) = [a for a in status["actors"] if board.id in {b["leaderboard_id"] for b in a["leaderboards"]}]
    (shown,) = [b for b in actor["leaderboards"] if b["leaderboard_id"] == board.id]
    assert shown["tenant_id"] == "default"
    for window in shown["windows"]:
        (period,) = window["periods"]
        assert (window["awake"], period["entries"], period["seq"]) == (True, 1, 1), window
        assert type(period["epoch"]) is int and period["epoch"] >= 1
    assert {w["window"] for w in shown["windows"]} == {"main", "daily"}


def test_docs_load_nothing_from_elsewhere(api: Api) -> None:
    reply = api.call("GET", "/docs")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/html")
    page = reply.json
    loaded = re.findall(
        r"<(?:script|link|img|iframe|source|video|audio|embed)\b[^>]*?\b(?:src|href)\s*=\s*[\"']?([^\"'\s>]+)",
        page,
    )
    loaded += re.findall(r"url\(\s*[\"']?([^\"')]+)", page) + re.findall(r"@import\s+[\"']([^\"']+)", page)
    external = [address for address in loaded if re.match(r"(?i)(https?:)?//", address)]
    assert not external
    for address in loaded:
        if address.startswith("/"):
            assert api.call("GET", address).status == 200, address


def test_a_name_cannot_break_the_log_or_the_headers(api: Api) -> None:
    """A request id with odd characters is answered, and never splits a header."""
    reply = api.call("GET", "/v1/leaderboards", headers={"X-Request-Id": unique("r") + ";x=%0d%0a"})
    assert reply.status == 200


def test_long_urls_are_answers(api: Api) -> None:
    api.refuses({400, 404, 422}, "GET", "/v1/leaderboards/" + "x" * 3000)
    api.refuses({400, 404, 422}, "GET", "/v1/leaderboards/x/rankings/at/" + "9" * 3000)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/leaderboards/%ff",
        "/v1/leaderboards/%00",
        "/v1/leaderboards/a%2Fb/rankings",
        "/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_odd_urls_are_answers(api: Api, path: str) -> None:
    api.refuses({400, 404, 422}, "GET", path)
