"""Every method of the client answers with the type of its route in the OpenAPI document.

Not verified: that the server answers so, which the tests of the API hold against the same document.
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from lbactors.client import Client, types
from tests.support.client_calls import CALLS
from tests.support.repository import REPOSITORY as ROOT

DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))

# Answers without fields of their own in the document, or that may be errors.
UNTYPED = {"metrics", "ready", "status"}
# One route, and which of its answers the method can get.
SOME_OF_THEM = {
    "submit": {"Outcome", "HeldOutcome"},
    "submit_many": {"BatchOutcome"},
    "award": {"RowOutcome"},
    "deduct": {"RowOutcome"},
    "set_balance": {"RowOutcome"},
    "write_rows": {"RowsOutcome"},
}


def schemas_of(request: str) -> set[str]:
    """Names of the schemas that the route of a request answers with."""
    method, _, target = request.partition(" ")
    path = target.partition("?")[0]

    def names(schema: dict[str, Any]) -> Iterator[str]:
        name = schema["$ref"].rpartition("/")[2]
        alternatives = DOCUMENT["components"]["schemas"][name].get("anyOf")
        if alternatives is None:
            yield name
        else:
            for one in alternatives:
                yield from names(one)

    found: list[tuple[int, set[str]]] = []  # of `/periods/{key}` and `/periods/current`, the latter
    for pattern, operations in DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path) and method.lower() in operations:
            answers = operations[method.lower()]["responses"]
            (good,) = [answer for status, answer in answers.items() if status < "300"]
            schemas = {*names(good["content"]["application/json"]["schema"])}
            found.append((pattern.count("{"), schemas))
    return min(found, key=lambda one: one[0])[1]


@pytest.mark.parametrize("name", sorted(CALLS.keys() - UNTYPED))
def test_a_method_answers_with_the_type_of_its_route(name: str) -> None:
    returned = typing.get_type_hints(getattr(Client, name))["return"]
    expected = schemas_of(CALLS[name][2])
    if name in SOME_OF_THEM:
        assert SOME_OF_THEM[name] <= expected
        expected = SOME_OF_THEM[name]
    assert {one.__name__ for one in typing.get_args(returned) or (returned,)} == expected


def test_keys_that_may_be_absent_are_marked() -> None:
    assert types.Outcome.__optional_keys__ == {"windows", "duplicate"}
    assert "rank" in types.Outcome.__required_keys__
    assert not types.Timeframe.__optional_keys__  # a definition is answered with all of its fields
