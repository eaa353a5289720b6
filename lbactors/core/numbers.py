"""Numbers as the API takes them: IEEE doubles, with every integer up to ±2^53 exact and kept an integer.

Pure, and below every module that has a score in its shapes.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

Number = int | float

MAX_EXACT_INTEGER = 2**53  # up to here every integer is a double of its own
MIN_EXACT_INTEGER = -MAX_EXACT_INTEGER


def check_number(value: object) -> int | float:
    """A score or subscore in normal form: int where integral and exact, else float. ValueError otherwise."""
    if type(value) is int:
        if MIN_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER:
            return value
        raise PydanticCustomError("number_range", "an integer must lie within ±2^53")
    if type(value) is float:
        if value - value != 0.0:  # NaN and infinities are the doubles for which this is not zero
            raise PydanticCustomError("number_finite", "must be finite")
        return normal(value)
    raise PydanticCustomError("number_type", "must be a number")


NumberField = Annotated[Any, BeforeValidator(check_number), WithJsonSchema({"type": "number"})]


def normal(number: Number) -> Number:
    """The form in which a number is answered: an int where integral and within ±2**53, else a float.

    -0.0 becomes 0. Raises OverflowError for an int beyond the range of doubles.
    """
    if MIN_EXACT_INTEGER <= number <= MAX_EXACT_INTEGER:
        whole = int(number)
        return whole if whole == number else number
    return float(number)


# A double plus a smaller number than this stays finite: beyond the largest double the next one would be
# 2^971 away, and half of that rounds back.
OVERFLOWS_FROM = 2.0**970


def may_overflow(score: Number | None) -> bool:
    """Whether adding a score to a finite number may give one that is not."""
    return score is not None and (score >= OVERFLOWS_FROM or score <= -OVERFLOWS_FROM)


def added(one: Number, other: Number) -> Number | None:
    """A sum in normal form; None if it is not finite. Both are."""
    total = one + other
    if type(total) is int and MIN_EXACT_INTEGER <= total <= MAX_EXACT_INTEGER:
        return total
    total = float(total)
    return None if total - total != 0.0 else normal(total)
