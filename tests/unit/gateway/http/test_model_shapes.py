"""Shapes of bodies say what their models say, in the conventions of the API's document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from gateway.http.model_shapes import model_shape


class Tier(BaseModel):
    name: str = "gold"


class Body(BaseModel):
    """For who reads the code."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z]{1,5}$", description="Its id.")]
    name: Annotated[str, Field(min_length=1)] = Field(default="", description="Default: the id.")
    count: Annotated[int, Field(ge=1, le=9)] | None = Field(default=None, description="How many.")
    kind: Literal["one", "two"] = "one"
    only: Literal["this"] = "this"
    words: tuple[Annotated[str, Field(max_length=3)], ...] = Field(
        default=(), json_schema_extra={"uniqueItems": True}
    )
    free: dict[str, Any] = Field(default_factory=dict)
    tier: Tier = Tier()
    other: Tier | None = Field(default=None, description="Another.")
    wanted: str | None = Field(default=None, json_schema_extra={"default": None})


TIER = {"$ref": "#/components/schemas/RewardTier"}


@pytest.mark.parametrize(
    ("field", "shape"),
    [
        ("id", {"type": "string", "pattern": "^[a-z]{1,5}$", "description": "Its id."}),
        ("name", {"type": "string", "minLength": 1, "description": "Default: the id."}),
        ("count", {"type": ["integer", "null"], "minimum": 1, "maximum": 9, "description": "How many."}),
        ("kind", {"type": "string", "enum": ["one", "two"], "default": "one"}),
        ("only", {"type": "string", "enum": ["this"], "default": "this"}),
        (
            "words",
            {
                "type": "array",
                "items": {"type": "string", "maxLength": 3},
                "default": [],
                "uniqueItems": True,
            },
        ),
        ("free", {"type": "object", "default": {}}),
        ("tier", TIER),
        ("other", {"anyOf": [TIER, {"type": "null"}], "description": "Another."}),
        ("wanted", {"type": ["string", "null"], "default": None}),
    ],
)
def test_fields(field: str, shape: dict[str, Any]) -> None:
    assert model_shape(Body)["properties"][field] == shape


def test_the_object() -> None:
    shape = model_shape(Body, "For clients.", replaced={"kind": {"const": 1}}, minProperties=1)
    properties = shape.pop("properties")
    assert shape == {
        "type": "object",
        "additionalProperties": False,
        "required": ["id"],
        "description": "For clients.",
        "minProperties": 1,
    }
    assert list(properties) == list(Body.model_fields) and properties["kind"] == {"const": 1}
    assert "description" not in model_shape(Body)


def test_fields_that_are_left_out_rather_than_null() -> None:
    count = model_shape(Body, not_null=["count"])["properties"]["count"]
    assert count == {"type": "integer", "minimum": 1, "maximum": 9, "description": "How many."}
