"""The examples of calls in the OpenAPI document: each sends the request of its route, whatever the language.

`tests/api/test_code_samples.py` runs them against a server.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.api import table
from gateway.http import openapi
from gateway.http.code_samples import ADDRESS, Request, code_samples
from gateway.http.openapi import Route
from gateway.http.settings import GatewaySettings
from lbactors.client.transport import Transport

SETTINGS = GatewaySettings()
ROUTES = table.routes(SETTINGS)
DOCUMENT = openapi.document(ROUTES, table.components(SETTINGS), table.INFO, table.TAGS)
each_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation_id)


def sources(route: Route) -> dict[str, str]:
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    return {sample["label"]: sample["source"] for sample in operation["x-codeSamples"]}


def target(route: Route) -> str:
    """The path with the examples of the document's parameters."""
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    values = {p["name"]: str(p["example"]) for p in operation["parameters"] if p["in"] == "path"}
    return re.sub(r"\{(\w+)\}", lambda name: values[name[1]], route.path)


def body(route: Route) -> Any:
    return route.body.example if route.body is not None and route.body.example != {} else None


def is_in(wanted: Any, sent: Any) -> bool:
    """Whether all that is wanted was sent, with further fields perhaps."""
    if isinstance(wanted, dict):
        return all(name in sent and is_in(value, sent[name]) for name, value in wanted.items())
    if isinstance(wanted, list):
        return len(wanted) == len(sent) and all(map(is_in, wanted, sent))
    return bool(wanted == sent)


@each_route
def test_curl(route: Route) -> None:
    words = shlex.split(sources(route)["curl"].replace("\\\n", " "))
    options: dict[str, list[str]] = {"-X": [], "-H": [], "-d": []}
    url = ""
    rest = iter(words[1:])
    for word in rest:
        if word in options:
            options[word].append(next(rest))
        else:
            url = word
    parts = urlsplit(url)
    assert words[0] == "curl" and url.startswith(ADDRESS)
    assert (parts.path, options["-X"] or ["GET"]) == (target(route), [route.method])
    assert [name for name, _ in parse_qsl(parts.query)] == list(route.sample_query)
    assert [json.loads(text) for text in options["-d"]] == ([] if body(route) is None else [body(route)])
    assert ("Authorization: Bearer $LBACTORS_KEY" in options["-H"]) is bool(route.scopes)


@each_route
def test_python(route: Route, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs it with the client's own code, down to what would be sent."""
    sent: list[tuple[str, str, dict[str, Any], Any]] = []

    async def call(
        self: Transport, method: str, path: str, *, params: Any = None, body: Any = None, **more: Any
    ) -> Any:
        sent.append((method, path, {k: v for k, v in (params or {}).items() if v is not None}, body))
        return {"accepted": 0, "rejected": 0, "errors": [], "results": []}

    monkeypatch.setattr(Transport, "call", call)
    monkeypatch.setenv("LBACTORS_KEY", "lb_key")
    exec(compile(sources(route)["Python"], route.operation_id, "exec"), {})
    ((method, path, params, given),) = sent
    path, _, query = path.partition("?")
    assert (method, path) == (route.method, target(route))
    assert is_in(route.sample_query, params or dict(parse_qsl(query)))
    if isinstance(body(route), list):
        given = given["submissions"]
    assert body(route) is None or is_in(body(route), given)
    assert capsys.readouterr().out


@each_route
def test_typescript(route: Route) -> None:
    source = sources(route)["TypeScript"]
    (url,) = re.findall(r'await fetch\("([^"]+)"', source)
    parts = urlsplit(url)
    assert parts.path == target(route) and [n for n, _ in parse_qsl(parts.query)] == list(route.sample_query)
    methods = re.findall(r'^  method: "(\w+)"', source, re.MULTILINE)
    assert (methods or ["GET"]) == [route.method]
    assert ("Authorization: `Bearer ${process.env.LBACTORS_KEY}`" in source) is bool(route.scopes)
    assert ("JSON.stringify(" in source) is (body(route) is not None)


def test_most_routes_have_a_method_of_the_client() -> None:
    without = {route.operation_id for route in ROUTES if not route.python}
    assert without == {"operations_home", "operations_openapi", "operations_docs"}


def test_values_in_three_languages() -> None:
    request = Request(
        "POST",
        "/v1/things/{thing_id}",
        False,
        {"thing_id": "a/b c"},
        {"all": True, "at": "ü&x"},
        {"name": "Maya's", "none": None, "list": [1, 2.5, {"a-b": False}], "empty": {}},
        "",
        {"type": "object", "properties": {"n": {"type": ["integer", "null"]}, "s": {"const": "x"}}},
    )
    curl, python, typescript = (sample["source"] for sample in code_samples(request))
    words = shlex.split(curl.replace("\\\n", " "))
    assert words[3] == f"{ADDRESS}/v1/things/a%2Fb%20c?all=true&at=%C3%BC%26x"
    assert json.loads(words[-1]) == request.body
    assert '"none": None,\n            "list": [1, 2.5, {"a-b": False}],\n            "empty": {},' in python
    assert 'none: null,\n    list: [1, 2.5, { "a-b": false }],\n    empty: {},' in typescript
    assert 'n?: number | null; s?: "x";' in typescript
