"""The OpenAPI document is valid, agrees with the routes, the examples and the models, and hides nothing.
Which routes a key that is bound to a player reaches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from aiohttp import web
from jsonschema.validators import Draft202012Validator
from pydantic import BaseModel

from gateway.api.table import INFO, TAGS, components
from gateway.app import ROUTES, build_app
from gateway.http import openapi
from gateway.http.settings import GatewaySettings
from lbactors.core.definition import SCOPES, Definition, RankingRules
from lbactors.core.errors import ERROR_STATUS
from lbactors.core.ids import PATTERNS_IN_WORDS
from lbactors.core.log_model import MetricRow, RowState
from lbactors.core.model import Row, Submission
from lbactors.core.reward_rules import RewardRules, Tier
from lbactors.core.scoring import Scoring, ScoringRule
from lbactors.core.timeframe import Timeframe
from lbactors.documents.entities import (
    KeyBody,
    KeyPatch,
    PeriodBody,
    ProfileBody,
    RebuildBody,
    TenantBody,
    TenantPatch,
)
from lbactors.documents.entry_edits import EditBody, RestoreBody
from lbactors.documents.hidden_players import HideBody, UnhideBody
from lbactors.documents.reviews import review_of
from lbactors.documents.webhooks import ReplayBody, RotateBody, WebhookBody, WebhookPatch
from lbactors.wire.commands import HoldSubmissions
from tests.support.gateway.fake_service import NOW_MS, PERIOD_KEY, FakeService
from tests.support.gateway.http_client import Http

COMPONENTS = components(GatewaySettings())


@pytest.fixture(scope="module")
def application() -> web.Application:
    return build_app(FakeService(), GatewaySettings())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def document(application: web.Application) -> dict[str, Any]:
    return openapi.document(application[ROUTES], COMPONENTS, INFO, TAGS)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({"components": document["components"], **schema})


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(document).validate()


def test_every_route_is_described_and_every_description_is_a_route(
    application: web.Application, document: dict[str, Any]
) -> None:
    registered = set()
    for route in application.router.routes():
        assert route.resource is not None
        path = re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.resource.canonical)
        registered.add((route.method, path))
    described = {(method, path) for method, path, _ in operations(document)}
    assert {pair for pair in registered if pair[0] != "HEAD"} == described
    assert {path for method, path in registered if method == "HEAD"} == {
        path for method, path in described if method == "GET"
    }


def test_operations_are_complete(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"] and operation["tags"][0] in TAGS, where
        in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path)), where
        names = [(p["in"], p["name"]) for p in operation["parameters"]]
        assert len(set(names)) == len(names), where
        assert all(p["description"] for p in operation["parameters"]), where
        empty = [p["name"] for p in operation["parameters"] if p.get("allowEmptyValue")]
        assert empty == [p["name"] for p in operation["parameters"] if p["in"] == "query"], where
        assert ("requestBody" in operation) == (method in ("POST", "PUT", "PATCH")), where
        keyed = path.startswith("/v1/")
        assert bool(operation["security"]) is keyed is bool(operation.get("x-scopes")), where
        assert {"400", "422", "503"} <= set(operation["responses"]), where
        assert ("401" in operation["responses"]) is keyed, where


def test_references_resolve_and_all_components_are_used(document: dict[str, Any]) -> None:
    found = set(references(document))
    for reference in found:
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    kinds = [(kind, name) for kind in ("schemas", "headers") for name in document["components"][kind]]
    assert {f"#/components/{kind}/{name}" for kind, name in kinds} == found


def test_schemas_are_schemas() -> None:
    for schema in COMPONENTS.values():
        Draft202012Validator.check_schema(schema)


def patterns(node: Any) -> Iterator[dict[str, Any]]:
    """Schemas with a pattern."""
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from patterns(child)
    if isinstance(node, dict) and isinstance(node.get("pattern"), str):
        yield node


def test_every_pattern_is_described_in_words(document: dict[str, Any]) -> None:
    found = list(patterns([document["paths"], document["components"]]))
    assert len(found) > 20
    for schema in found:
        assert schema["description"], schema
        words = PATTERNS_IN_WORDS.get(schema["pattern"])
        assert words is None or words[1:] in schema["description"], schema
    assert {schema["pattern"] for schema in found} >= set(PATTERNS_IN_WORDS)


def test_examples_conform(document: dict[str, Any]) -> None:
    checked = 0
    for method, path, operation in operations(document):
        contents = [response.get("content", {}) for response in operation["responses"].values()]
        contents.append(operation.get("requestBody", {}).get("content", {}))
        for content in contents:
            for media in content.values():
                examples = [found["value"] for found in media.get("examples", {}).values()]
                if "example" in media:
                    examples.append(media["example"])
                for value in examples:
                    errors = list(validator(document, media["schema"]).iter_errors(value))
                    assert not errors, f"{method} {path}: {errors}"
                    checked += 1
    assert checked > 25


def test_every_error_code_can_be_met(application: web.Application) -> None:
    met = {code for route in application[ROUTES] for code in route.all_codes()}
    nowhere = {"route_not_found", "method_not_allowed"}  # answers to what is no route
    bugs_and_limits_that_are_off = {"internal_error", "rate_limited"}
    assert set(ERROR_STATUS) - met == nowhere | bugs_and_limits_that_are_off


MODELS: list[tuple[str, type[BaseModel]]] = [
    ("Definition", Definition),
    ("Timeframe", Timeframe),
    ("Scoring", Scoring),
    ("ScoringPatch", Scoring),
    ("ScoringRule", ScoringRule),
    ("Ranking", RankingRules),
    ("RewardRules", RewardRules),
    ("RewardTier", Tier),
    ("PeriodInput", PeriodBody),
    ("RebuildInput", RebuildBody),
    ("Profile", ProfileBody),
    ("TenantInput", TenantBody),
    ("TenantPatch", TenantPatch),
    ("KeyInput", KeyBody),
    ("KeyPatch", KeyPatch),
    ("WebhookInput", WebhookBody),
    ("WebhookPatch", WebhookPatch),
    ("SecretRotation", RotateBody),
    ("ReplayInput", ReplayBody),
    ("HideInput", HideBody),
    ("UnhideInput", UnhideBody),
    ("EntryEdit", EditBody),
    ("RestoreInput", RestoreBody),
]


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_schemas_agree_with_the_models_that_judge(name: str, model: type[BaseModel]) -> None:
    schema, derived = COMPONENTS[name], model.model_json_schema()
    assert set(schema["properties"]) == set(derived["properties"])
    assert set(schema.get("required", ())) == set(derived.get("required", ()))
    assert schema["additionalProperties"] is derived["additionalProperties"] is False
    for field, described in schema["properties"].items():
        if "default" in described:
            default = model.model_fields[field].get_default(call_default_factory=True)
            assert described["default"] == (list(default) if isinstance(default, tuple) else default), field
        judged = derived["properties"][field]
        inner = next((p for p in judged.get("anyOf", ()) if p.get("type") != "null"), judged)
        for keyword in ("enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"):
            if keyword in inner:
                said = next((p for p in described.get("anyOf", ()) if p != {"type": "null"}), described)
                assert said.get(keyword) == inner[keyword], (field, keyword)


def test_the_patch_has_the_fields_of_the_definition() -> None:
    assert set(COMPONENTS["DefinitionPatch"]["properties"]) == set(COMPONENTS["Definition"]["properties"])
    assert set(COMPONENTS["ProfilePatch"]["properties"]) == set(COMPONENTS["Profile"]["properties"])


STATES: tuple[RowState, ...] = ("completed", "pending", "pending")


async def test_answers_conform(http: Http, service: FakeService, document: dict[str, Any]) -> None:
    board = service.add_board("xp", windows=["daily"], metadata={"a": 1})
    service.add_scores(board, {"p1": 3, "p2": 2.5})
    tiers = [{"name": "top", "rank_from": 1, "rank_to": 1, "payload": {"gems": 5}}]
    service.rewards.grant(board, PERIOD_KEY, {"tiers": tiers}, ["p1"])
    service.removed["p9"] = Row(None, "p9", 1, 0, None, 1, NOW_MS, NOW_MS, "new")
    service.profile_of["default", "p1"] = {
        "player_id": "p1",
        "display_name": "Maya",
        "avatar_url": None,
        "attributes": {},
        "roles": [],
        "tags": [],
        "timezone": None,
        "test": False,
        "external_id": None,
        "hidden_until": None,
        "updated_at": "2026-11-18T12:00:00.000Z",
        "version": "5f0c",
    }
    service.add_key("other", "rankings:read", tenant_id="studio-z")
    webhook = service.webhooks.add("default", "wh_1", url="https://example.com/hook")
    rows = [MetricRow("p1", "award", state, 5, 0, b"{}", None, None) for state in STATES]
    await service.logs.append_rows("default", "coins", rows, NOW_MS)
    rules = [{"event_type": "match.won", "points_expression": "attrs.kills * 10"}]
    service.add_board("ruled", scoring={"source": "events", "rules": rules})
    settled = {"complete": "tx-2", "reject": "tx-3"}
    values = {
        "leaderboard_id": "xp",
        "metric": "coins",
        "player_id": "p1",
        "period_key": "current",
        "score": "2",
        "tenant_id": "studio-z",
        "key_id": "k_other",
        "webhook_id": "wh_1",
        "delivery_id": service.webhooks.deliver(webhook, 1, last=service.webhooks.answered(500, "HTTP 500")),
    }
    for held_id in ("approve", "reject"):
        held = review_of(
            board, Submission("p3", 1, 0, None, None, None, None), NOW_MS, "checks", "odd", "k_1"
        )
        item = ["default", "xp", board.uid, list(held._replace(held_id=held_id))]
        await service.admin(HoldSubmissions([item]), "")
    for method, path, operation in sorted(operations(document), key=lambda found: found[0] == "DELETE"):
        body = None
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            body = content["examples"]["example"]["value"]
        last = path.rpartition("/")[2]
        values |= {"held_id": last, "transaction_id": settled.get(last, "tx-1")}
        target = path.format_map(values)
        if (method, path) == ("DELETE", "/v1/leaderboards/{leaderboard_id}"):
            target += "?purge=false"
            service.add_board("xp")
        if path.endswith("/rules/test"):
            target = target.replace("/xp/", "/ruled/")
        if path.endswith("/restore"):
            target = target.replace("/p1/", "/p9/")
        answer = await http.send(method, target, body)
        success = next(iter(operation["responses"]))
        assert str(answer.status) == success, f"{method} {path}: {answer.body}"
        response = operation["responses"][success]
        schema = response["content"][answer.media_type]["schema"]
        shown = answer.raw.decode() if answer.media_type.startswith("text/") else answer.body
        errors = list(validator(document, schema).iter_errors(shown))
        assert not errors, f"{method} {path}: {errors}"
        assert all(header in answer.headers for header in response["headers"]), f"{method} {path}"


# What a key that is bound to a player reaches, whatever its scopes: reads of rankings and definitions, and
# these, for its own player alone. All else would show or change what is not the player's.
OWN_PLAYER = {
    "scores_submit",
    "scores_submit_to_several",
    "moderation_remove_entry",
    "players_get",
    "players_put",
    "players_patch",
    "players_erase",
    "rewards_claim",
    "metrics_write",
    "metrics_complete",
    "metrics_reject",
    "events_send",
}
# What is a player's own to read: with a key that is bound to another player, no scope opens it.
PRIVATE = {
    "metrics_balance": 403,
    "metrics_transactions": 404,
    "metrics_transaction": 404,
    "metrics_list_all": 403,
    "events_test_rules": 400,  # which player, is said in the body
}
READS = ("rankings:read", "leaderboards:read")


def target_of(path: str, player_id: str) -> str:
    values = {"leaderboard_id": "xp", "player_id": player_id, "score": "1", "metric": "coins"}
    return path.format_map({name: values.get(name, "1") for name in re.findall(r"\{(\w+)\}", path)})


async def test_bound_keys_reach_what_is_their_player_s(
    http: Http, service: FakeService, application: web.Application
) -> None:
    service.add_key("bound", *SCOPES, player_id="p1")
    service.add_key("writing", *(scope for scope in SCOPES if scope not in READS), player_id="p1")
    service.add_scores(service.add_board("xp"), {"p1": 1, "p2": 2})
    bound, writing = http.with_key("bound"), http.with_key("writing")
    for route in application[ROUTES]:
        if not route.scopes:
            continue
        own = route.operation_id in OWN_PLAYER
        mine, other = target_of(route.path, "p1"), target_of(route.path, "p2")
        read = any(scope in READS for scope in route.scopes)
        found = [(await key.send(route.method, other, b"")).status for key in (bound, writing)]
        told = route.operation_id
        if told in PRIVATE:
            assert found == [PRIVATE[told], 403], told
            if "{player_id}" in route.path:
                assert (await bound.send(route.method, mine)).status == 404, told
        elif own and "{transaction_id}" in route.path:
            assert found == [404, 404], told  # the door is open; whose it is, the log knows
        elif own and "{player_id}" not in route.path:
            assert found == [400, 400], told  # the door is open; which player, is said in the body
        elif read:
            assert found[0] != 403 and found[1] == 403, told
        else:
            assert found == [403, 403], told
        if own and "{player_id}" in route.path:
            assert (await writing.send(route.method, mine, b"")).status != 403, told


async def test_how_others_are_moderated_is_not_for_players(http: Http, service: FakeService) -> None:
    service.add_key("bound", "rankings:read", "players:write", player_id="p1")
    for player_id in ("p1", "p2"):
        await http.send("PUT", f"/v1/players/{player_id}", {"hidden_until": "2026-12-01T00:00:00Z"})
    bound = http.with_key("bound")
    assert (await http.get("/v1/players/p2")).body["hidden_until"] is not None
    assert (await bound.get("/v1/players/p1")).body["hidden_until"] is not None
    assert (await bound.get("/v1/players/p2")).body["hidden_until"] is None
    assert (await bound.get("/v1/hidden-players")).status == 403
