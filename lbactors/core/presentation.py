"""How a leaderboard is to be shown: the fields of a definition that clients read and that rank nothing.

These models keep what was written: a field that is left out is left out in every answer too, and one that was
null is null. So a console can tell what its author set from what it may choose itself.

`languages` finds the translations for a language tag by falling back from the longer tag to the shorter one,
as RFC 4647 does for a look-up: `zh-Hant-TW`, `zh-Hant`, `zh`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from lbactors.core.ids import LANGUAGE_TAG
from lbactors.core.numbers import MAX_EXACT_INTEGER

COLUMNS = 50
DOMAINS = 50
LANGUAGES = 100
TRANSLATIONS_BYTES = 65_536  # of all languages, as compact JSON: definitions travel to every gateway
WIDGET_PART_BYTES = 4096
EXTERNAL_BYTES = 16_384
LANGUAGE_CHARACTERS = 35

Text = Annotated[str, Field(min_length=1, max_length=200)]


def _url(value: str) -> str:
    """No `javascript:`, for those who put it into a page. ValueError."""
    if not value.lower().startswith(("http://", "https://", "/")):
        raise ValueError("must be an http:// or https:// URL, or a path that begins with /")
    return value


Url = Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(_url)]


class AsWritten(BaseModel):
    """An object that is answered with the fields that were written, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name in self.model_fields_set}

    def __eq__(self, other: object) -> bool:
        """A field that is null is not one that is absent: answers differ."""
        same = isinstance(other, AsWritten) and self.model_fields_set == other.model_fields_set
        return same and super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]


def _list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class DisplayColumn(AsWritten):
    """A column of a table that shows the leaderboard."""

    column: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="Name of the column.")
    visible: bool | None = None
    order: Annotated[int, Field(ge=-MAX_EXACT_INTEGER, le=MAX_EXACT_INTEGER)] | None = None


class Display(AsWritten):
    """Hints for whoever draws the leaderboard; the server does nothing with them."""

    columns: (
        Annotated[tuple[DisplayColumn, ...], BeforeValidator(_list), Field(max_length=COLUMNS)] | None
    ) = Field(default=None, description="PATCH replaces the whole list.")
    score_label: Text | None = Field(
        default=None, description="What a score is called, such as `Points`. `?lang=` translates it."
    )
    top_n: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        default=None,
        description="How many entries to show. For ranks that nobody may read: `ranking.top_only`.",
    )
    show_rank: bool | None = None
    show_score: bool | None = None
    icon_url: Url | None = None
    image_url: Url | None = None
    color: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="In your own notation, such as `#ff8800`."
    )


class Translation(AsWritten):
    """What is put in place of a definition's own texts, in one language."""

    name: Text | None = None
    description: Annotated[str, Field(max_length=2000)] | None = None
    score_label: Text | None = Field(default=None, description="Replaces `display.score_label`.")


class Widget(AsWritten):
    """Settings of an embedded widget."""

    enabled: bool | None = None
    whitelisted_domains: (
        Annotated[
            tuple[Annotated[str, Field(min_length=1, max_length=253)], ...],
            BeforeValidator(_list),
            Field(max_length=DOMAINS),
        ]
        | None
    ) = Field(default=None, description="PATCH replaces the whole list.")
    theme: dict[str, Any] | None = None
    size: dict[str, Any] | None = None
    button: dict[str, Any] | None = None

    @field_validator("theme", "size", "button")
    @classmethod
    def _small(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return value if value is None else at_most(WIDGET_PART_BYTES, value)


def at_most(most: int, value: dict[str, Any]) -> dict[str, Any]:
    """The object, if it has at most so many bytes as compact JSON; for validators."""
    try:
        size = len(orjson.dumps(value))
    except (TypeError, ValueError):
        raise PydanticCustomError("json", "must be a JSON object whose integers fit in 64 bits") from None
    if size > most:
        raise PydanticCustomError("too_large", "must not exceed {most} bytes as JSON", {"most": most})
    return value


def check_translations(value: Any) -> Any:
    """Translations before their texts are looked at: number of languages, size, and tags that differ by more
    than case. For a validator.
    """
    if not isinstance(value, dict):
        return value
    if len(value) > LANGUAGES:
        raise PydanticCustomError("languages", "must have at most {most} languages", {"most": LANGUAGES})
    known: dict[str, str] = {}
    for tag in value:
        if not isinstance(tag, str) or len(tag) > LANGUAGE_CHARACTERS or not re.fullmatch(LANGUAGE_TAG, tag):
            text = "'{tag}' is no language tag such as 'it' or 'pt-BR'"
            raise PydanticCustomError("language", text, {"tag": str(tag)[:64]})
        other = known.setdefault(_normal(tag), tag)
        if other != tag:
            text = "'{one}' and '{other}' are the same language"
            raise PydanticCustomError("language", text, {"one": other, "other": tag})
    return at_most(TRANSLATIONS_BYTES, value)


def _normal(tag: str) -> str:
    return tag.lower().replace("_", "-")


def languages(translations: Mapping[str, Translation], lang: str) -> list[str]:
    """The tags among the translations that serve a language, the closest first; none for one that is unknown,
    or is no language at all.
    """
    by_tag = {_normal(tag): tag for tag in translations}
    parts = _normal(lang).split("-")
    candidates = ("-".join(parts[:count]) for count in range(len(parts), 0, -1))
    return [by_tag[tag] for tag in candidates if tag in by_tag]
