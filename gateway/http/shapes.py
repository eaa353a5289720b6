"""The vocabulary that the schemas are written in."""

from __future__ import annotations

from typing import Any

from lbactors.core.definition import WINDOWS

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
INSTANT: Schema = {"type": "string", "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}
RANK: Schema = {"type": ["integer", "null"], "minimum": 1}
OBJECT: Schema = {"type": "object"}
LABELS: Schema = {
    "type": "array",
    "maxItems": 64,
    "items": {"type": "string", "minLength": 1, "maxLength": 64},
}
WINDOW: Schema = {"type": "string", "enum": list(WINDOWS)}
FURTHER_WINDOW: Schema = {"type": "string", "enum": list(WINDOWS[1:])}
CHANGE: Schema = {"type": "string", "enum": ["up", "down", "same", "new"]}


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def said(schema: Schema, description: str, **more: Any) -> Schema:
    """A schema with a description and other keywords."""
    return {**schema, "description": description, **more}


def or_null(schema: Schema, description: str = "") -> Schema:
    """The schema, or null."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        found: Schema = {**schema, "type": [schema["type"], "null"]}
    else:
        found = {"anyOf": [schema, {"type": "null"}]}
    return said(found, description) if description else found


def closed(properties: Schema, required: tuple[str, ...] = (), description: str = "", **more: Any) -> Schema:
    """An object of a request: no other fields."""
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    if required:
        found["required"] = list(required)
    return said(found, description) if description else found


def answer(properties: Schema, optional: tuple[str, ...] = (), description: str = "") -> Schema:
    """An object of an answer: all fields but the optional ones are always there."""
    required = [name for name in properties if name not in optional]
    found: Schema = {"type": "object", "properties": properties, "required": required}
    return said(found, description) if description else found


def listing(item: str) -> Schema:
    """A page of a listing."""
    return answer(
        {
            "items": {"type": "array", "items": ref(item)},
            "total": said(COUNT, "Total number of items."),
            "next_cursor": or_null(
                STRING, "Send it as `cursor` to read the next page; null on the last page."
            ),
        }
    )
