"""From the items of a request to `Submission`s: what a score must look like, item by item.

Idea: one pydantic pass judges the structure (fields, strings, ids) of a whole list at once, in compiled
code. Only if it finds something are the items judged one by one, so that a bad item rejects itself alone
and the usual batch costs one call. What depends on the leaderboard, the key or the clock (bounds,
overrides, times) and the numbers, whose normal form pydantic does not know, follow in one plain loop: about
1 µs an item.

`null` counts as absent in every optional field. `metadata` is an object or null, and is stored as compact
JSON.
"""

from __future__ import annotations

from typing import Annotated, Any, Required

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from gateway.access import Caller
from gateway.codec import encode_object
from gateway.parameters import identifier_schema
from gateway.settings import GatewaySettings
from lbactors.model import (
    MAX_EXACT_INTEGER,
    ApiError,
    Board,
    Submission,
    check_number,
    detail,
    invalid,
    invalid_from,
)
from lbactors.timeframe import parse_instant

AHEAD_MS = 60_000
"""How far `occurred_at` may lie ahead of the server's clock."""
AGGREGATIONS = ("best", "latest", "sum", "min", "max", "count")

Loc = tuple[str | int, ...]
Item = dict[str, Any]


class Standard:
    """What the submissions of one request are held against, for one leaderboard."""

    __slots__ = (
        "aggregation",
        "arrived_at_ms",
        "idempotency_key",
        "may_override",
        "player_id",
        "score_max",
        "score_min",
    )

    def __init__(self, board: Board, caller: Caller, arrived_at_ms: int, idempotency_key: str | None) -> None:
        scoring = board.definition.scoring
        self.aggregation: str = scoring.aggregation
        self.score_min = scoring.score_min
        self.score_max = scoring.score_max
        self.player_id = caller.player_id
        self.may_override = "leaderboards:write" in caller.scopes
        self.arrived_at_ms = arrived_at_ms
        self.idempotency_key = idempotency_key


class SubmissionReader:
    """Reads submissions by the limits of the settings. Makes its validators once."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._metadata_bytes = settings.metadata_bytes
        schema = identifier_schema(settings.id_length)
        identifier = Annotated[
            str, Field(min_length=1, max_length=settings.id_length, pattern=schema["pattern"])
        ]

        class Plain(TypedDict, total=False):
            __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]

            player_id: Required[identifier]
            score: Any
            subscore: Any
            metadata: Any
            submission_id: identifier | None
            occurred_at: str | None
            aggregation: str | None

        class OfBoard(Plain, total=False):
            leaderboard_id: Required[str]

        self._plain = TypeAdapter(Plain), TypeAdapter(list[Plain])
        self._of_board = TypeAdapter(OfBoard), TypeAdapter(list[OfBoard])

    def one(self, item: Item, standard: Standard) -> Submission:
        """The submission in a body that is one object. ApiError 422 or 403."""
        try:
            self._plain[0].validate_python(item)
        except ValidationError as error:
            raise invalid_from(error, "body") from None
        return self._judged(item, standard, 0, ("body",))

    def structure(self, items: list[Any], loc: Loc, *, of_boards: bool) -> dict[int, ApiError]:
        """Items whose structure is wrong, by index. `of_boards`: each names its leaderboard."""
        one, many = self._of_board if of_boards else self._plain
        try:
            many.validate_python(items)
        except ValidationError:
            pass
        else:
            return {}
        wrong: dict[int, ApiError] = {}
        for index, item in enumerate(items):
            try:
                one.validate_python(item)
            except ValidationError as error:
                wrong[index] = invalid_from(error, *loc, index)
        return wrong

    def judged(self, item: Item, standard: Standard, index: int, loc: Loc) -> Submission | ApiError:
        """The submission in an item whose structure is right, or why it is refused."""
        try:
            return self._judged(item, standard, index, (*loc, index))
        except ApiError as error:
            return error

    def _judged(self, item: Item, standard: Standard, index: int, loc: Loc) -> Submission:
        get = item.get
        player_id: str = item["player_id"]
        if standard.player_id is not None and player_id != standard.player_id:
            raise ApiError("forbidden", f"this key may write for player {standard.player_id!r} only")
        aggregation = get("aggregation")
        if aggregation is not None:
            if aggregation not in AGGREGATIONS:
                raise invalid(f"must be one of {', '.join(AGGREGATIONS)}", *loc, "aggregation")
            if not standard.may_override:
                raise ApiError(
                    "forbidden",
                    "aggregation: needs a key with the scope leaderboards:write",
                    [detail("needs the scope leaderboards:write", *loc, "aggregation")],
                )
        score = get("score")
        if score is not None:
            if type(score) is not int or not -MAX_EXACT_INTEGER <= score <= MAX_EXACT_INTEGER:
                score = _number(score, *loc, "score")
            if standard.score_min is not None and score < standard.score_min:
                raise invalid(f"must not be less than {standard.score_min}", *loc, "score")
            if standard.score_max is not None and score > standard.score_max:
                raise invalid(f"must not exceed {standard.score_max}", *loc, "score")
        elif (aggregation or standard.aggregation) != "count":
            raise invalid("is required", *loc, "score")
        subscore = get("subscore")
        if subscore is None:
            subscore = 0
        elif type(subscore) is not int or not -MAX_EXACT_INTEGER <= subscore <= MAX_EXACT_INTEGER:
            subscore = _number(subscore, *loc, "subscore")
        metadata = get("metadata")
        if metadata is not None:
            metadata = self._metadata(metadata, *loc, "metadata")
        occurred_at = get("occurred_at")
        if occurred_at is not None:
            occurred_at = _occurred_at_ms(occurred_at, standard.arrived_at_ms, *loc, "occurred_at")
        submission_id = get("submission_id")
        if submission_id is None and standard.idempotency_key is not None:
            submission_id = f"{standard.idempotency_key}:{index}"
        return Submission(player_id, score, subscore, metadata, submission_id, occurred_at, aggregation)

    def _metadata(self, value: Any, *loc: str | int) -> bytes:
        if type(value) is not dict:
            raise invalid("must be an object or null", *loc)
        encoded = encode_object(value, *loc)
        if len(encoded) > self._metadata_bytes:
            raise invalid(f"must have at most {self._metadata_bytes} bytes of JSON", *loc)
        return encoded


def _number(value: Any, *loc: str | int) -> int | float:
    try:
        return check_number(value)
    except PydanticCustomError as error:
        raise invalid(error.message(), *loc) from None


def _occurred_at_ms(text: str, now_ms: int, *loc: str | int) -> int:
    try:
        at_ms = parse_instant(text)
    except ValueError as error:
        raise invalid(str(error), *loc) from None
    if at_ms > now_ms + AHEAD_MS:
        raise invalid(f"lies more than {AHEAD_MS // 1000} s ahead of the server's clock", *loc)
    return at_ms
