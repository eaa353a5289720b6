"""The fields of a definition that say how it is shown: kept as written, limited, translated."""

from __future__ import annotations

from typing import Any

import pytest

from lbactors.core.definition import Definition
from lbactors.core.errors import ApiError
from lbactors.core.presentation import (
    EXTERNAL_BYTES,
    LANGUAGES,
    TRANSLATIONS_BYTES,
    WIDGET_PART_BYTES,
    Display,
    Translation,
    languages,
)
from lbactors.supervisor.command_plan import parse
from lbactors.supervisor.commands.leaderboards import merged

FULL: dict[str, Any] = {
    "display": {
        "columns": [{"column": "rank", "visible": True, "order": 1}, {"column": "score"}],
        "score_label": "Points",
        "top_n": 100,
        "show_rank": True,
        "show_score": False,
        "icon_url": "https://cdn.example.com/icon.png",
        "image_url": None,
        "color": "#ff8800",
    },
    "translations": {"it": {"name": "Settimana", "score_label": "Punti"}, "pt-BR": {"description": ""}},
    "display_order": -3,
    "public": False,
    "preview": True,
    "widget": {
        "enabled": True,
        "whitelisted_domains": ["game.example"],
        "theme": {"dark": {"accent": "#000"}},
        "size": {"width": None},
        "button": {},
    },
    "external": {"vendor": {"isActive": True, "items": [1, 2.5, None]}},
}
EMPTY: dict[str, Any] = {
    "display": {},
    "translations": {},
    "display_order": 0,
    "public": True,
    "preview": False,
    "widget": {},
    "external": {},
}


def definition(**fields: Any) -> Definition:
    return parse(Definition, {"leaderboard_id": "xp", **fields})


def shown(made: Definition) -> dict[str, Any]:
    """The fields of this part of a definition, as answers have them."""
    return {name: value for name, value in made.model_dump(mode="json").items() if name in EMPTY}


def text_of_bytes(size: int) -> dict[str, str]:
    """An object that has so many bytes as JSON."""
    return {"a": "x" * (size - len('{"a":""}'))}


# As written -----------------------------------------------------------------------------------------------


def test_what_was_written_comes_back() -> None:
    made = definition(**FULL)
    assert shown(made) == FULL
    assert definition(**made.model_dump(mode="json", exclude={"leaderboard_id"})) == made
    assert shown(definition()) == EMPTY


@pytest.mark.parametrize("part", ["display", "widget"])
def test_a_null_that_was_written_is_not_an_absent_field(part: str) -> None:
    name = "color" if part == "display" else "theme"
    absent, null = definition(), definition(**{part: {name: None}})
    assert shown(null)[part] == {name: None}
    assert absent != null and null == definition(**{part: {name: None}})
    assert definition(display={}).display != definition().widget


def test_models_are_equal_by_their_fields() -> None:
    assert Display(top_n=1) == Display(top_n=1) != Display(top_n=2)


# Limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"display": None}, ["display"]),
        ({"display": {"columns": {}}}, ["display", "columns"]),
        ({"display": {"columns": [{"column": "c"}] * 51}}, ["display", "columns"]),
        ({"display": {"columns": [{"visible": True}]}}, ["display", "columns", 0, "column"]),
        ({"display": {"columns": [{"column": ""}]}}, ["display", "columns", 0, "column"]),
        ({"display": {"columns": [{"column": "c", "visible": 1}]}}, ["display", "columns", 0, "visible"]),
        ({"display": {"columns": [{"column": "c", "order": 1.5}]}}, ["display", "columns", 0, "order"]),
        ({"display": {"columns": [{"column": "c", "width": 5}]}}, ["display", "columns", 0, "width"]),
        ({"display": {"score_label": ""}}, ["display", "score_label"]),
        ({"display": {"top_n": 0}}, ["display", "top_n"]),
        ({"display": {"show_rank": "yes"}}, ["display", "show_rank"]),
        ({"display": {"icon_url": "/" * 2049}}, ["display", "icon_url"]),
        ({"display": {"image_url": "javascript:alert(1)"}}, ["display", "image_url"]),
        ({"display": {"color": "x" * 65}}, ["display", "color"]),
        ({"display": {"colour": "red"}}, ["display", "colour"]),
        ({"translations": []}, ["translations"]),
        ({"translations": {"it": None}}, ["translations", "it"]),
        ({"translations": {"it": {"name": ""}}}, ["translations", "it", "name"]),
        ({"translations": {"it": {"name": "x" * 201}}}, ["translations", "it", "name"]),
        ({"translations": {"it": {"title": "x"}}}, ["translations", "it", "title"]),
        ({"translations": {"": {}}}, ["translations"]),
        ({"translations": {"it\n": {}}}, ["translations"]),
        ({"translations": {"it IT": {}}}, ["translations"]),
        ({"translations": {"a" * 9: {}}}, ["translations"]),
        ({"translations": {"it" + "-a" * 17: {}}}, ["translations"]),
        ({"translations": {"pt-BR": {}, "PT_br": {}}}, ["translations"]),
        ({"translations": {f"a-{n}": {} for n in range(LANGUAGES + 1)}}, ["translations"]),
        ({"translations": {f"a-{n}": {"description": "x" * 2000} for n in range(33)}}, ["translations"]),
        ({"display_order": None}, ["display_order"]),
        ({"display_order": 1.5}, ["display_order"]),
        ({"display_order": 2**53 + 1}, ["display_order"]),
        ({"public": None}, ["public"]),
        ({"public": "no"}, ["public"]),
        ({"preview": 1}, ["preview"]),
        ({"widget": {"enabled": "yes"}}, ["widget", "enabled"]),
        ({"widget": {"whitelisted_domains": "game.example"}}, ["widget", "whitelisted_domains"]),
        ({"widget": {"whitelisted_domains": ["a"] * 51}}, ["widget", "whitelisted_domains"]),
        ({"widget": {"whitelisted_domains": [""]}}, ["widget", "whitelisted_domains", 0]),
        ({"widget": {"theme": "dark"}}, ["widget", "theme"]),
        ({"widget": {"size": text_of_bytes(WIDGET_PART_BYTES + 1)}}, ["widget", "size"]),
        ({"widget": {"button": {"a": 2**70}}}, ["widget", "button"]),
        ({"widget": {"api_key": "k"}}, ["widget", "api_key"]),
        ({"external": []}, ["external"]),
        ({"external": text_of_bytes(EXTERNAL_BYTES + 1)}, ["external"]),
        ({"ranking": {"top_only": 0}}, ["ranking", "top_only"]),
        ({"ranking": {"top_only": 1.0}}, ["ranking", "top_only"]),
        ({"ranking": {"positive_only": None}}, ["ranking", "positive_only"]),
    ],
)
def test_what_is_refused_is_named(fields: dict[str, Any], loc: list[str | int]) -> None:
    with pytest.raises(ApiError) as caught:
        definition(**fields)
    assert [detail["loc"] for detail in caught.value.details] == [["body", *loc]]


@pytest.mark.parametrize(
    "fields",
    [
        {"display": {"columns": [{"column": "c"}] * 50}},
        {"translations": {f"a-{n}": {} for n in range(LANGUAGES)}},
        {"translations": {"zh-Hant-TW": {"name": "x" * 200, "description": "x" * 2000}, "pt_BR": {}}},
        {"display_order": -(2**53)},
        {"widget": {"whitelisted_domains": ["a" * 253] * 50}},
        {"widget": {name: text_of_bytes(WIDGET_PART_BYTES) for name in ("theme", "size", "button")}},
        {"external": text_of_bytes(EXTERNAL_BYTES)},
    ],
)
def test_the_limits_themselves_pass(fields: dict[str, Any]) -> None:
    assert shown(definition(**fields)) == EMPTY | fields


def test_translations_have_a_limit_together() -> None:
    with pytest.raises(ApiError, match=str(TRANSLATIONS_BYTES)):
        definition(translations={f"a-{n}": {"description": "ü" * 2000} for n in range(20)})


# Patches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patch", "part", "expected"),
    [
        ({"display": {"top_n": 3}}, "display", FULL["display"] | {"top_n": 3}),
        ({"display": {"columns": []}}, "display", FULL["display"] | {"columns": []}),
        ({"display": {"color": None}}, "display", FULL["display"] | {"color": None}),
        ({"display": {}}, "display", FULL["display"]),
        ({"display": None}, "display", {}),
        ({"widget": {"theme": {"a": 1}}}, "widget", FULL["widget"] | {"theme": {"a": 1}}),
        ({"widget": None}, "widget", {}),
        (
            {"translations": {"it": {"name": "Nuova"}, "de": {"name": "Neu"}}},
            "translations",
            {
                "it": {"name": "Nuova", "score_label": "Punti"},
                "pt-BR": {"description": ""},
                "de": {"name": "Neu"},
            },
        ),
        ({"translations": {"it": None, "fr": None}}, "translations", {"pt-BR": {"description": ""}}),
        (
            {"translations": {"it": {"name": None}}},
            "translations",
            {"it": {"name": None, "score_label": "Punti"}, "pt-BR": {"description": ""}},
        ),
        ({"translations": None}, "translations", {}),
        ({"external": {"other": 1}}, "external", {"other": 1}),
        ({"external": None}, "external", {}),
        ({"public": True}, "public", True),
    ],
)
def test_a_patch(patch: dict[str, Any], part: str, expected: Any) -> None:
    before = definition(**FULL)
    after = merged(before, patch)
    assert shown(after) == FULL | {part: expected}
    assert merged(after, patch) == after
    assert shown(before) == FULL


@pytest.mark.parametrize(
    ("patch", "loc"),
    [
        ({"display": []}, ["display"]),
        ({"translations": {"it": "Nuova"}}, ["translations", "it"]),
        ({"translations": {"IT": {}}}, ["translations"]),
        ({"widget": {"whitelisted_domains": ["a"] * 51}}, ["widget", "whitelisted_domains"]),
        ({"public": None}, ["public"]),
    ],
)
def test_a_patch_that_is_refused(patch: dict[str, Any], loc: list[str]) -> None:
    with pytest.raises(ApiError) as caught:
        merged(definition(**FULL), patch)
    assert [detail["loc"] for detail in caught.value.details] == [["body", *loc]]


# Languages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "found"),
    [
        ("it", ["it"]),
        ("IT", ["it"]),
        ("it-IT", ["it"]),
        ("it_IT", ["it"]),
        ("zh-hant-tw", ["zh-Hant-TW", "zh"]),
        ("zh-Hans", ["zh"]),
        ("pt-BR", ["pt_BR"]),
        ("pt", []),
        ("ita", []),
        ("", []),
        ("-", []),
        ("../..", []),
    ],
)
def test_the_closest_language_comes_first(lang: str, found: list[str]) -> None:
    known = {tag: Translation() for tag in ("zh", "it", "zh-Hant-TW", "pt_BR")}
    assert languages(known, lang) == found


def test_each_text_falls_back_by_itself() -> None:
    made = definition(
        name="Week",
        description="Seven days",
        display={"score_label": "Points", "top_n": 3},
        translations={
            "it": {"name": "Settimana", "score_label": "Punti"},
            "it-CH": {"name": "Settimana svizzera", "description": "", "score_label": None},
        },
    )

    def texts(lang: str) -> tuple[str, str, str | None]:
        there = made.in_language(lang)
        assert there.display.top_n == 3 and there.translations == made.translations
        return there.name, there.description, there.display.score_label

    assert texts("it-CH") == ("Settimana svizzera", "", "Punti")
    assert texts("it-IT") == ("Settimana", "Seven days", "Punti")
    assert texts("de") == ("Week", "Seven days", "Points")
    assert made.in_language("de") is made


def test_a_translated_label_is_shown_where_there_was_none() -> None:
    made = definition(translations={"it": {"score_label": "Punti"}}).in_language("it")
    assert shown(made)["display"] == {"score_label": "Punti"}
