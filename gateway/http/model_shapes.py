"""Shapes of request bodies, made from the pydantic models that judge them.

So a limit stands once, in the model, and so do its description, which is the API's, and what pydantic cannot
know (`json_schema_extra`). Written in the conventions of the API's document: a closed object, null beside the
type, a default only where it can be sent, components by their names there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.http.shapes import Schema, closed, or_null

# Names of components that are not those of their models.
COMPONENTS = {"RankingRules": "Ranking", "Tier": "RewardTier"}
_REFERENCE = "#/components/schemas/"


def model_shape(
    model: type[BaseModel],
    description: str = "",
    *,
    not_null: Collection[str] = (),
    replaced: Schema | None = None,
    **more: Any,
) -> Schema:
    """What a model takes. Its docstring is for who reads the code, so `description` says what clients see.

    not_null: fields that are to be left out rather than null, though null is taken for that. replaced: fields
    that depend on the settings. more: keywords for rules across fields.
    """
    generated = model.model_json_schema(ref_template=f"{_REFERENCE}{{model}}")
    properties = {
        name: _field(generated["properties"][name], info, name in not_null)
        for name, info in model.model_fields.items()
    }
    required = tuple(generated.get("required", ()))
    return closed({**properties, **(replaced or {})}, required, description, **more)


def _field(generated: Schema, info: FieldInfo, not_null: bool) -> Schema:
    found = dict(generated)
    default = info.get_default(call_default_factory=True) if info.default_factory else found.get("default")
    found.pop("default", None)
    options = found.pop("anyOf", None)
    found = _plain(found)
    if options is not None:
        (option,) = (_plain(option) for option in options if option != {"type": "null"})
        found = {**(option if not_null else or_null(option)), **found}
    if default is not None and _is_sendable(default, found):
        found["default"] = default
    # What the model says of its own accord stands, whatever the conventions are.
    return {**found, **(info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {})}


def _is_sendable(default: Any, schema: Schema) -> bool:
    """Not the mark for "none given", and not a model: its own shape has its defaults."""
    return not (default == "" and schema.get("minLength")) and "$ref" not in schema


def _plain(generated: Schema) -> Schema:
    """A schema without what pydantic adds for its own sake."""
    found = {key: value for key, value in generated.items() if key not in ("title", "additionalProperties")}
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if "items" in found:
        found["items"] = _plain(found["items"])
    if "$ref" in found:
        name = found["$ref"].removeprefix(_REFERENCE)
        found["$ref"] = f"{_REFERENCE}{COMPONENTS.get(name, name)}"
    return found
