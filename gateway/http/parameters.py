"""Parameters of a route: what a path segment, a query parameter or a header may be, and how its text is read.

Idea: a `Parameter` holds its JSON schema and its parser side by side, made by one function (`integer`,
`choice`…) from the same limits. The OpenAPI document prints the schema, the door calls the parser: they
cannot differ.

Reading is strict: an unknown query parameter, one given twice and one that its parser refuses are a 422
that names it. One without a value (`?period=`, as forms and URL builders write what was not filled in) counts
as absent, whatever it is: no parser ever sees an empty text. There is no pydantic here, because a read must
not cost more than the reading (a query of three parameters: 3 µs).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from pydantic_core import PydanticCustomError

from lbactors.core.definition import check_identifier
from lbactors.core.errors import ApiError, invalid
from lbactors.core.ids import LEADERBOARD_ID, NO_CONTROL_CHARACTERS, PATTERNS_IN_WORDS
from lbactors.core.instants import parse_instant
from lbactors.core.numbers import check_number
from lbactors.core.zones import valid_timezone

Where = Literal["path", "query", "header"]

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_METRIC = re.compile(LEADERBOARD_ID)
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

# JSON Schema cannot tell an integer that is written as one from a double: the limit is in words.
NUMBER_SCHEMA: dict[str, Any] = {
    "type": "number",
    "description": "A finite double. Integers within ±2^53 are exact; larger integers are refused.",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """`parse` gets the decoded text and raises ValueError with a finding; `default`: if it is absent."""

    name: str
    where: Where
    description: str
    schema: dict[str, Any]
    parse: Callable[[str], Any]
    default: Any = None
    example: Any = None

    def described(self, description: str) -> Parameter:
        """The same parameter with other words."""
        return replace(self, description=description)


def integer(name: str, description: str, low: int, high: int, default: int) -> Parameter:
    """A query parameter: a decimal integer in low..high."""

    def parse(text: str) -> int:
        if not _INTEGER.fullmatch(text):
            raise ValueError("must be an integer")
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"must lie within {low}..{high}")
        return value

    schema = {"type": "integer", "minimum": low, "maximum": high, "default": default}
    return Parameter(name, "query", description, schema, parse, default)


def number(
    name: str, description: str, where: Where = "query", default: int | float | None = None
) -> Parameter:
    """A JSON number, normalised as scores are."""
    schema = dict(NUMBER_SCHEMA)
    if default is not None:
        schema["default"] = default
    return Parameter(name, where, description, schema, parse_number, default, example=5100)


def parse_number(text: str) -> int | float:
    """A score as JSON writes numbers. ValueError otherwise, and for what is not finite or not exact."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError("must be a number")
    if match.group(1) or match.group(2):
        value: int | float = float(text)
    elif len(text) > 17:
        raise ValueError("an integer must lie within ±2^53")
    else:
        value = int(text)
    try:
        return check_number(value)
    except PydanticCustomError as error:
        raise ValueError(error.message()) from None


def time_zone(name: str, description: str) -> Parameter:
    """A query parameter: the IANA name of a time zone; empty without one."""
    schema = {"type": "string", "format": "time-zone"}
    return Parameter(name, "query", description, schema, valid_timezone, "", example="Europe/Rome")


def boolean(name: str, description: str, default: bool) -> Parameter:
    """A query parameter: `true` or `false`."""

    def parse(text: str) -> bool:
        if text == "true":
            return True
        if text == "false":
            return False
        raise ValueError("must be true or false")

    return Parameter(name, "query", description, {"type": "boolean", "default": default}, parse, default)


def choice(name: str, description: str, values: tuple[str, ...], default: str | None) -> Parameter:
    """A query parameter: one of the values."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return text

    schema: dict[str, Any] = {"type": "string", "enum": list(values)}
    if default is not None:
        schema["default"] = default
    return Parameter(name, "query", description, schema, parse, default)


def text(
    name: str,
    description: str,
    where: Where = "query",
    default: str | None = None,
    max_length: int | None = None,
    example: str | None = None,
    **schema: Any,
) -> Parameter:
    """Any text (up to a length); what it means is judged by the handler. `schema` adds to the JSON schema."""

    def parse(value: str) -> str:
        if max_length is not None and len(value) > max_length:
            raise ValueError(f"must have at most {max_length} characters")
        return value

    properties: dict[str, Any] = {"type": "string", **schema}
    if max_length is not None and "pattern" not in schema:
        properties["maxLength"] = max_length
    if default is not None:
        properties["default"] = default
    return Parameter(name, where, description, properties, parse, default, example)


def instant(name: str, description: str) -> Parameter:
    """A query parameter: an RFC 3339 instant, as ms since the epoch."""
    schema = {"type": "string", "format": "date-time"}
    return Parameter(name, "query", description, schema, parse_instant, example="2026-11-18T12:00:00Z")


def identifier(name: str, description: str, max_length: int, where: Where = "path") -> Parameter:
    """A player id."""

    def parse(value: str) -> str:
        try:
            return check_identifier(value, max_length)
        except PydanticCustomError as error:
            raise ValueError(error.message()) from None

    return Parameter(name, where, description, identifier_schema(max_length), parse, example="p1")


def metric() -> Parameter:
    """The name of a metric, in the path."""

    def parse(value: str) -> str:
        if not _METRIC.fullmatch(value):
            raise ValueError(f"must be {PATTERNS_IN_WORDS[LEADERBOARD_ID]}")
        return value

    schema = {"type": "string", "pattern": LEADERBOARD_ID}
    return Parameter("metric", "path", "Name of a metric.", schema, parse, example="coins")


def identifier_schema(max_length: int) -> dict[str, Any]:
    """JSON schema of what `model.check_identifier` takes."""
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": max_length,
        "pattern": NO_CONTROL_CHARACTERS,
    }


# Reading --------------------------------------------------------------------------------------------------


def check_target(raw_target: str) -> None:
    """Refuses a request target that is not percent-encoded UTF-8, before aiohttp decodes it leniently."""
    if _BAD_PERCENT.search(raw_target):
        raise ApiError(
            "malformed_body", "the URL is not percent-encoded: a '%' must be followed by two hex digits"
        )
    try:
        unquote_to_bytes(raw_target).decode()
    except UnicodeError:
        raise ApiError("malformed_body", "the URL is not percent-encoded UTF-8") from None


def read_query(
    raw_query: str, declared: Mapping[str, Parameter], defaults: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Values of all declared query parameters. `raw_query` has passed `check_target`."""
    if not raw_query:
        return defaults
    values: dict[str, Any] = {}
    for pair in raw_query.split("&"):
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            name, value = _decoded(name), _decoded(value)
        parameter = declared.get(name)
        if parameter is None:
            if not pair:
                continue
            known = f"; this route takes {', '.join(declared)}" if declared else "; this route takes none"
            raise invalid(f"unknown query parameter{known}", "query", name)
        if not value:
            continue
        if name in values:
            raise invalid("may be given once", "query", name)
        try:
            values[name] = parameter.parse(value)
        except ValueError as error:
            raise invalid(str(error), "query", name) from None
    return {**defaults, **values}


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode()
