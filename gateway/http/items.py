"""Items of a request's list: how a whole list is judged, and what several kinds of items have in common.

Idea: one pydantic pass judges the structure (fields, strings, ids) of a whole list at once, in compiled
code. Only if it finds something are the items judged one by one, so that a bad item rejects itself alone
and the usual batch costs one call. What depends on the key, the clock or a leaderboard (bounds, overrides,
times) and the numbers, whose normal form pydantic does not know, follow in one plain loop: about 1 µs an
item.

`null` counts as absent in every optional field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from gateway.http.codec import encode_object
from lbactors.core.errors import ApiError, detail, invalid, invalid_from
from lbactors.core.ids import NO_CONTROL_CHARACTERS
from lbactors.core.instants import parse_instant
from lbactors.core.numbers import MAX_EXACT_INTEGER, check_number

AHEAD_MS = 60_000
"""How far `occurred_at` may lie ahead of the server's clock. Such a time counts as now."""
CONFLICT = "idempotency_conflict"

Loc = tuple[str | int, ...]
Item = dict[str, Any]
T = TypeVar("T")
S = TypeVar("S")


class Refusal(Exception):
    """Why an item is refused: the field and the path inside it, a finding, a code. Not where the item is."""

    def __init__(self, field: str, finding: str, code: str = "validation_failed", path: Loc = ()) -> None:
        super().__init__(finding)
        self.path: Loc = (field, *path)
        self.finding = finding
        self.code = code

    def as_error(self, *loc: str | int) -> ApiError:
        """The error for an item that stands there."""
        where = (*loc, *self.path)
        return ApiError(
            self.code, f"{'.'.join(map(str, where))}: {self.finding}", [detail(self.finding, *where)]
        )


# Lists ----------------------------------------------------------------------------------------------------


def items_in(body: Any, field: str, most: int, *, bare: bool) -> tuple[list[Any], Loc]:
    """The list in a body and where it stands: in the one field of an object; bare: or the body itself."""
    loc: Loc = ("body",)
    if type(body) is dict:
        unknown = next((name for name in body if name != field), None)
        if unknown is not None:
            raise invalid(f"unknown field beside {field!r}", "body", unknown)
        if field not in body and not bare:
            raise invalid("is required", "body", field)
        loc = ("body", field)
        body = body.get(field)
    elif not bare:
        raise invalid(f"must be an object with the field {field!r}", "body")
    if type(body) is not list:
        raise invalid(f"must be a list of {field}", *loc)
    if len(body) > most:
        raise invalid(f"must have at most {most} items", *loc)
    return body, loc


class Structure:
    """What fields an item has, and of what types: validators of a closed TypedDict and of a list of them,
    made where the names in it are known.
    """

    def __init__(self, one: TypeAdapter[Any], many: TypeAdapter[Any]) -> None:
        self._one = one
        self._many = many

    def check(self, item: Item, *loc: str | int) -> None:
        """ApiError 422 if the structure of the item, which stands there, is wrong."""
        try:
            self._one.validate_python(item)
        except ValidationError as error:
            raise invalid_from(error, *loc) from None

    def wrong(self, items: list[Any], loc: Loc) -> dict[int, ApiError]:
        """Items whose structure is wrong, by index."""
        try:
            self._many.validate_python(items)
        except ValidationError:
            pass
        else:
            return {}
        found: dict[int, ApiError] = {}
        for index, item in enumerate(items):
            try:
                self.check(item, *loc, index)
            except ApiError as error:
                found[index] = error
        return found


def read_each(
    items: list[Any], indexes: Iterable[int], read: Callable[[Item, S, int], T], standard: S, loc: Loc
) -> tuple[list[T], list[int], dict[int, ApiError]]:
    """What `read` makes of the items at `indexes`, whose structure is right; their indexes; refusals."""
    found: list[T] = []
    sources: list[int] = []
    refused: dict[int, ApiError] = {}
    for index in indexes:
        try:
            found.append(read(items[index], standard, index))
            sources.append(index)
        except Refusal as refusal:
            refused[index] = refusal.as_error(*loc, index)
    return found, sources, refused


def tag_of_items(items: Iterable[Item], idempotency_key: str | None, body_tag: int) -> int:
    """What all ids of these items go with (`lbactors.core.seen_ids`): the body, where all are made from the
    `Idempotency-Key`; 0 where some have an id of their own, which may come again in another body.
    """
    if idempotency_key is None or any(item.get("submission_id") is not None for item in items):
        return 0
    return body_tag


def failure_of_all(errors: list[tuple[int, ApiError]], total: int, *, keyed: bool) -> ApiError | None:
    """The error that stands for the request as a whole: where each of `total` items failed for the same
    passing reason (429, 503), so that a client's retry treats them together; and where the request's
    `Idempotency-Key` (keyed: it had one) came before with another body.
    """
    if not errors or len(errors) != total:
        return None
    first = errors[0][1]
    whole = first.status in (429, 503) or (keyed and first.code == CONFLICT)
    return first if whole and all(error.code == first.code for _, error in errors) else None


# Fields ---------------------------------------------------------------------------------------------------


def identifier_field(max_length: int) -> Any:
    """What an id must be, for `Annotated[str, …]` in a shape."""
    return Field(min_length=1, max_length=max_length, pattern=NO_CONTROL_CHARACTERS)


def own_player(player_id: str, bound_to: str) -> None:
    """Refuses an item of another player than the one that the key is bound to."""
    if player_id != bound_to:
        raise Refusal("player_id", f"this key may write for player {bound_to!r} only", "forbidden")


def number_in(value: Any, field: str) -> int | float:
    """A number in its normal form."""
    if type(value) is int and -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER:
        return value
    try:
        found: int | float = check_number(value)
        return found
    except PydanticCustomError as error:
        raise Refusal(field, error.message()) from None


def occurred_at_in(text: str, now_ms: int) -> int | None:
    """When it happened, in ms since the epoch; None for the arrival."""
    try:
        at_ms = parse_instant(text)
    except ValueError as error:
        raise Refusal("occurred_at", str(error)) from None
    if at_ms > now_ms + AHEAD_MS:
        raise Refusal("occurred_at", f"lies more than {AHEAD_MS // 1000} s ahead of the server's clock")
    return at_ms if at_ms <= now_ms else None


def object_in(value: Any, *path: str) -> bytes:
    """An object as compact JSON."""
    field, *inner = path
    if type(value) is not dict:
        raise Refusal(field, "must be an object or null", path=tuple(inner))
    try:
        return encode_object(value)
    except ApiError as error:
        found = error.details[0]
        raise Refusal(field, found["msg"], path=(*inner, *found["loc"])) from None


def metadata_in(value: Any, most_bytes: int) -> bytes:
    """`metadata`: an object of limited size."""
    encoded = object_in(value, "metadata")
    if len(encoded) > most_bytes:
        raise Refusal("metadata", f"must have at most {most_bytes} bytes of JSON")
    return encoded
