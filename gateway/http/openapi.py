"""Routes as data, and the OpenAPI 3.1 document made from them.

A `Route` is everything that is known about a route: where it lies, who may call it, what it takes, what it
answers. The door registers the routes with aiohttp, checks keys and parameters by them, and `document`
describes them; so a route that is not described does not exist. Routes and shapes stand in `gateway/api`, a
resource in one place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gateway.http.access import READ_SCOPES, OwnPlayer
from gateway.http.call import Call
from gateway.http.code_samples import Request, code_samples
from gateway.http.codec import JSON, MSGPACK
from gateway.http.parameters import Parameter
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import STRING, Schema, answer, closed, ref, said
from gateway.http.shared_parameters import Shared
from lbactors.core.errors import ERROR_STATUS
from lbactors.core.ids import PATTERNS_IN_WORDS

Endpoint = Callable[[Call], Awaitable[web.StreamResponse]]

# Codes that any route with a key may answer, beside its own.
KEY_CODES = ("unauthenticated", "forbidden", "tenant_not_found")
BODY_CODES = ("malformed_body", "body_too_large", "unsupported_media_type", "validation_failed")
ANY_CODES = ("malformed_body", "validation_failed", "period_loading", "storage_unavailable")

_STATUS_TEXT = {
    400: "The request cannot be read.",
    401: "No valid key.",
    403: "The key may not do this.",
    404: "Not found.",
    409: "Not possible in the current state.",
    412: "The version has changed since you read it.",
    413: "The body is too large.",
    415: "The body's media type or encoding is not supported.",
    422: "A field or parameter is invalid; `details` names it.",
    429: "The server is busy and took nothing. Try again after `Retry-After`.",
    503: "Not available at the moment. Try again after `Retry-After`.",
}


@dataclass(frozen=True, slots=True)
class Body:
    """A request body. `schema` names a component or is a schema; `required` false: may be absent."""

    schema: str | Schema
    example: Any
    required: bool = True
    more_examples: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer. `media_type` None: JSON or MessagePack by `Accept`, of the named component."""

    status: int
    description: str
    schema: str | Schema
    example: Any = None
    media_type: str | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """`operation_id`: of the OpenAPI document; generated clients name their functions by it, so it stays.

    `scopes`: any one of them is needed; none: no key is. `always`: served while draining too.

    `within_s`: how long a request may take, where that is not the setting `request_seconds`.

    `own_player`: where the route names a player for whom a key that is bound to that player may call it;
    None: no bound key may, unless by a scope for reading (`access.Caller.check_bound`). `private`: what is
    read is a player's own, so a scope for reading opens it to no bound key of another player.

    `python`, `sample_query`: for the example calls of the document (`gateway.http.code_samples.Request`).

    `logged`: an administrative act, logged at info. `etag`: the answer has an ETag, and If-None-Match gives
    304.
    """

    method: str
    path: str
    endpoint: Endpoint
    operation_id: str
    tag: str
    summary: str
    answer: Answer
    description: str = ""
    scopes: tuple[str, ...] = ()
    own_player: OwnPlayer | None = None
    private: bool = False
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    codes: tuple[str, ...] = ()
    python: str = ""
    sample_query: Mapping[str, Any] = field(default_factory=dict)
    always: bool = False
    logged: bool = False
    etag: bool = False
    within_s: float | None = None
    query: dict[str, Parameter] = field(init=False)
    path_parameters: tuple[Parameter, ...] = field(init=False)
    defaults: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        query = {p.name: p for p in self.parameters if p.where == "query"}
        object.__setattr__(self, "query", query)
        object.__setattr__(self, "defaults", {p.name: p.default for p in query.values()})
        object.__setattr__(self, "path_parameters", tuple(p for p in self.parameters if p.where == "path"))

    def all_codes(self) -> tuple[str, ...]:
        """Every error code that this route answers (but for internal_error, which is a bug)."""
        codes = list(ANY_CODES) + list(self.codes)
        if self.scopes:
            codes += KEY_CODES
        if self.body is not None:
            codes += BODY_CODES
        return tuple(dict.fromkeys(codes))


@dataclass(frozen=True, slots=True)
class Resource:
    """What a resource adds to the API: its routes, and its shapes as components of the OpenAPI document."""

    routes: Callable[[Shared], tuple[Route, ...]]
    shapes: Callable[[GatewaySettings], dict[str, Schema]]


# The document ---------------------------------------------------------------------------------------------


def document(
    routes: Iterable[Route], schemas: Mapping[str, Schema], info: Mapping[str, Any], tags: Mapping[str, str]
) -> dict[str, Any]:
    """The OpenAPI document. `schemas`: the components by name; `tags`: descriptions by name, in order."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    found = {
        "openapi": "3.1.0",
        "info": dict(info),
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": words} for name, words in tags.items()],
        "paths": paths,
        "components": {
            "schemas": dict(schemas),
            "headers": _HEADERS,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`Authorization: Bearer <key>`. A platform key may add `X-Tenant-Id`.",
                },
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "The same key, for clients that need `Authorization` for something else.",
                },
            },
        },
    }
    return {**found, **{part: _with_patterns_in_words(found[part]) for part in ("paths", "components")}}


def _with_patterns_in_words(node: Any) -> Any:
    """The same, where what a known pattern says stands in the description beside it."""
    if isinstance(node, list):
        return [_with_patterns_in_words(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    found = {name: _with_patterns_in_words(inner) for name, inner in node.items()}
    words = PATTERNS_IN_WORDS.get(node["pattern"]) if isinstance(node.get("pattern"), str) else None
    if words:
        sentence = f"{words[0].upper()}{words[1:]}."
        found["description"] = " ".join(filter(None, (node.get("description"), sentence)))
    return found


def common_shapes() -> dict[str, Schema]:
    """The envelope of errors (API section 1), and a body without fields."""
    return {
        "Error": answer(
            {
                "error": answer(
                    {
                        "code": {"type": "string", "enum": list(ERROR_STATUS)},
                        "message": said(STRING, "For people; it may change."),
                        "status": said({"type": "integer"}, "The HTTP status."),
                        "details": {"type": "array", "items": ref("ErrorDetail")},
                    }
                )
            },
            description="Every error has this form, including unknown routes and internal errors.",
        ),
        "Empty": closed({}),
        "ErrorDetail": answer(
            {
                "loc": said(
                    {"type": "array", "items": {"type": ["string", "integer"]}},
                    "Path of the field, starting with `body`, `query`, `path` or `header`.",
                ),
                "msg": STRING,
            }
        ),
    }


def _operation(route: Route, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "tags": [route.tag],
        "summary": route.summary,
        "description": _description(route),
        "security": [{"bearer": []}, {"apiKey": []}] if route.scopes else [],
        "parameters": [_parameter(p) for p in route.parameters],
        "responses": _responses(route),
        "x-codeSamples": code_samples(_sample(route, schemas)),
    }
    if route.scopes:
        operation["x-scopes"] = list(route.scopes)
    if route.body is not None:
        content: dict[str, Any] = {"schema": _schema(route.body.schema)}
        examples = {"example": route.body.example, **route.body.more_examples}
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
        operation["requestBody"] = {
            "required": route.body.required,
            "content": {JSON: content, MSGPACK: {"schema": content["schema"]}},
        }
    return operation


def _sample(route: Route, schemas: Mapping[str, Schema]) -> Request:
    """An example of a request to the route."""
    answer: Schema | None = None
    if route.answer.media_type in (None, JSON):
        answer = schemas[route.answer.schema] if isinstance(route.answer.schema, str) else route.answer.schema
        for option in answer.get("anyOf", ())[:1]:
            answer = schemas[option["$ref"].rpartition("/")[2]]
    return Request(
        route.method,
        route.path,
        bool(route.scopes),
        {parameter.name: parameter.example for parameter in route.path_parameters},
        route.sample_query,
        route.body.example if route.body is not None and route.body.example != {} else None,
        route.python,
        answer,
    )


def _description(route: Route) -> str:
    needs = " or ".join(f"`{scope}`" for scope in route.scopes)
    parts = [route.description, f"Scope: {needs}.{_bound(route)}" if needs else "Needs no key."]
    return "\n\n".join(part for part in parts if part)


def _bound(route: Route) -> str:
    """What a key that is bound to a player may do here."""
    reading = frozenset() if route.private else READ_SCOPES & frozenset(route.scopes)
    if len(reading) == len(route.scopes):
        return ""
    if route.own_player is None:
        return " Not available to keys that are bound to a player."
    by_other = " without `rankings:read`" if reading else ""
    return f" A key that is bound to a player{by_other} works for that player only."


def _parameter(parameter: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "required": parameter.where == "path",
        "schema": parameter.schema,
    }
    if parameter.where == "query":
        found["allowEmptyValue"] = True  # it counts as absent
    if parameter.example is not None:
        found["example"] = parameter.example
    return found


def _responses(route: Route) -> dict[str, Any]:
    answer = route.answer
    headers = ["X-Request-Id", *answer.headers]
    if route.etag:
        headers.append("ETag")
    found: dict[str, Any] = {"description": answer.description, "headers": _header_references(headers)}
    if answer.status != 204:
        found["content"] = _content(answer)
    responses: dict[str, Any] = {str(answer.status): found}
    if route.etag:
        responses["304"] = {
            "description": "Not modified: you have this answer already (`If-None-Match`).",
            "headers": _header_references(["X-Request-Id", "ETag"]),
        }
    by_status: dict[int, list[str]] = {}
    for code in route.all_codes():
        by_status.setdefault(ERROR_STATUS[code], []).append(code)
    for status, codes in sorted(by_status.items()):
        headers = ["X-Request-Id"]
        if status in (429, 503):
            headers.append("Retry-After")
        if status == 401:
            headers.append("WWW-Authenticate")
        responses[str(status)] = {
            "description": f"{_STATUS_TEXT[status]} Codes: {', '.join(f'`{code}`' for code in codes)}.",
            "headers": _header_references(headers),
            "content": {media_type: {"schema": _schema("Error")} for media_type in (JSON, MSGPACK)},
        }
    return responses


def _content(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": _schema(answer.schema)}
    if answer.media_type is not None:
        return {answer.media_type: content}
    packed = dict(content)
    if answer.example is not None:
        content["example"] = answer.example
    return {JSON: content, MSGPACK: packed}


def _schema(schema: str | Schema) -> Schema:
    return {"$ref": f"#/components/schemas/{schema}"} if isinstance(schema, str) else schema


def _header_references(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(description: str, schema: Schema, required: bool = True) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": schema}


_HEADERS: dict[str, Any] = {
    "X-Request-Id": _header(
        "The request's id: yours, if you sent one of 1 to 128 visible ASCII characters.",
        {"type": "string", "minLength": 1, "maxLength": 128},
    ),
    "ETag": _header(
        "Identifies this version of the answer; send it as `If-None-Match` or `If-Match`.", {"type": "string"}
    ),
    "Location": _header("Path of the new resource, or the path to go to.", {"type": "string"}),
    "Retry-After": _header("Seconds to wait.", {"type": "integer", "minimum": 0}),
    "WWW-Authenticate": _header("How to authenticate.", {"type": "string"}),
}
