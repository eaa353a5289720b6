"""What pydantic finds wrong with an input, in the API's words: what must stand there instead.

pydantic speaks of Python ("Input should be a valid tuple"); who sent JSON needs to read of objects, lists and
the values that are allowed. A finding without a sentence here keeps pydantic's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from lbactors.core.ids import PATTERNS_IN_WORDS

_TEXTS = {
    "missing": "is required",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "bool_type": "must be true or false",
    "string_too_short": "is too short: the least length is {min_length}",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have more items: at least {min_length}",
    "too_long": "must have at most {max_length} items",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}

# Words of other systems, and of everyday speech, that no spelling leads to ours.
_MEANT = {
    "add": ("sum",),
    "all_time": ("permanent",),
    "day": ("daily",),
    "forever": ("permanent", "all_time"),
    "highest": ("best",),
    "increment": ("sum",),
    "last": ("latest",),
    "none": ("permanent",),
    "permanent": ("all_time",),
    "season": ("range",),
    "set": ("latest",),
    "total": ("sum",),
}
_QUOTED = re.compile("'([^']*)'")


def text_of(finding: ErrorDetails, model: type[BaseModel] | None = None) -> str:
    """One finding of `ValidationError.errors()`, with its context and input. model: what was validated."""
    kind, context = finding["type"], finding.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown field{_place_for(finding['loc'], model)}"
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        words = PATTERNS_IN_WORDS.get(pattern)
        return f"must be {words}" if words else f"must match {pattern}"
    if kind not in _TEXTS:
        return str(finding["msg"]).removeprefix("Value error, ")
    text = _TEXTS[kind].format_map(context)
    return text + did_you_mean(finding["input"], _QUOTED.findall(text)) if kind == "literal_error" else text


def did_you_mean(written: object, allowed: Iterable[str]) -> str:
    """A question to append to a message: the allowed word that was probably meant; empty if none is near."""
    if not isinstance(written, str) or len(written) > 64:
        return ""
    words, word = list(allowed), written.strip().lower().replace("-", "_").replace(" ", "_")
    near = [meant for meant in _MEANT.get(word, ()) if meant in words]
    if len(word) > 1:
        near += [w for w in words if w.startswith(word) or word.startswith(w) or w.endswith(f"_{word}")]
        near += get_close_matches(word, words, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _place_for(loc: tuple[str | int, ...], model: type[BaseModel] | None) -> str:
    """Where an unknown field belongs, or which field was probably meant, or which there are."""
    for part in loc[:-1]:
        model = _models(model).get(str(part))
    if model is None:
        return ""
    name = str(loc[-1])
    for field, inner in _models(model).items():
        if name in inner.model_fields:
            return f'; it belongs in `{field}`: {{"{field}": {{"{name}": …}}}}'
    return did_you_mean(name, model.model_fields) or f"; must be one of {', '.join(model.model_fields)}"


def _models(model: type[BaseModel] | None) -> dict[str, type[BaseModel]]:
    """The fields of a model that are models themselves."""
    if model is None:
        return {}
    types = ((name, info.annotation) for name, info in model.model_fields.items())
    return {name: t for name, t in types if isinstance(t, type) and issubclass(t, BaseModel)}
