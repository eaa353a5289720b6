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

from collections.abc import Iterable
from typing import Annotated, Any, Required

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from gateway.http.access import Caller
from gateway.http.codec import encode_object
from gateway.http.parameters import identifier_schema
from gateway.http.settings import GatewaySettings
from lbactors.core.errors import ApiError, detail, invalid_from
from lbactors.core.instants import parse_instant
from lbactors.core.model import Board, Submission
from lbactors.core.numbers import MAX_EXACT_INTEGER, check_number

AHEAD_MS = 60_000
"""How far `occurred_at` may lie ahead of the server's clock. Such a time counts as now."""
AGGREGATIONS = ("best", "latest", "sum", "min", "max", "count")

Loc = tuple[str | int, ...]
Item = dict[str, Any]


class Standard:
    """What the submissions of one request are held against, for one leaderboard."""

    __slots__ = (
        "aggregation",
        "arrived_at_ms",
        "body_tag",
        "idempotency_key",
        "may_override",
        "player_id",
        "score_max",
        "score_min",
    )

    def __init__(
        self,
        board: Board,
        caller: Caller,
        arrived_at_ms: int,
        idempotency_key: str | None,
        body_tag: int = 0,
    ) -> None:
        scoring = board.definition.scoring
        self.aggregation: str = scoring.aggregation
        self.score_min = scoring.score_min
        self.score_max = scoring.score_max
        self.player_id = caller.player_id
        self.may_override = "leaderboards:write" in caller.scopes
        self.arrived_at_ms = arrived_at_ms
        self.idempotency_key = idempotency_key
        self.body_tag = body_tag

    def tag(self, items: Iterable[Item]) -> int:
        """What all ids of these items go with (`lbactors.core.seen_ids`): the body, where all are made from
        the `Idempotency-Key`; 0 where some have an id of their own, which may come again in another body.
        """
        if self.idempotency_key is None or any(item.get("submission_id") is not None for item in items):
            return 0
        return self.body_tag


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
        try:
            return self._judged(item, standard, 0)
        except _Refusal as refusal:
            raise refusal.as_error("body") from None

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

    def several(
        self, items: list[Any], indexes: list[int], standard: Standard, loc: Loc
    ) -> tuple[list[Submission], list[int], dict[int, ApiError]]:
        """Submissions of the items at `indexes` (their structure is right), their indexes, and refusals."""
        submissions: list[Submission] = []
        sources: list[int] = []
        refused: dict[int, ApiError] = {}
        for index in indexes:
            try:
                submissions.append(self._judged(items[index], standard, index))
                sources.append(index)
            except _Refusal as refusal:
                refused[index] = refusal.as_error(*loc, index)
        return submissions, sources, refused

    def _judged(self, item: Item, standard: Standard, index: int) -> Submission:
        get = item.get
        player_id: str = item["player_id"]
        if standard.player_id is not None and player_id != standard.player_id:
            raise _Refusal(
                "player_id", f"this key may write for player {standard.player_id!r} only", "forbidden"
            )
        aggregation = get("aggregation")
        if aggregation is not None:
            if aggregation not in AGGREGATIONS:
                raise _Refusal("aggregation", f"must be one of {', '.join(AGGREGATIONS)}")
            if not standard.may_override:
                raise _Refusal("aggregation", "needs a key with the scope leaderboards:write", "forbidden")
        score = get("score")
        if score is not None:
            if type(score) is not int or not -MAX_EXACT_INTEGER <= score <= MAX_EXACT_INTEGER:
                score = _number(score, "score")
            if standard.score_min is not None and score < standard.score_min:
                raise _Refusal("score", f"must not be less than {standard.score_min}")
            if standard.score_max is not None and score > standard.score_max:
                raise _Refusal("score", f"must not exceed {standard.score_max}")
        elif (aggregation or standard.aggregation) != "count":
            raise _Refusal("score", "is required")
        subscore = get("subscore")
        if subscore is None:
            subscore = 0
        elif type(subscore) is not int or not -MAX_EXACT_INTEGER <= subscore <= MAX_EXACT_INTEGER:
            subscore = _number(subscore, "subscore")
        metadata = get("metadata")
        if metadata is not None:
            metadata = self._metadata(metadata)
        occurred_at = get("occurred_at")
        if occurred_at is not None:
            occurred_at = _occurred_at_ms(occurred_at, standard.arrived_at_ms)
        submission_id = get("submission_id")
        if submission_id is None and standard.idempotency_key is not None:
            submission_id = f"{standard.idempotency_key}:{index}"
        return Submission(player_id, score, subscore, metadata, submission_id, occurred_at, aggregation)

    def _metadata(self, value: Any) -> bytes:
        if type(value) is not dict:
            raise _Refusal("metadata", "must be an object or null")
        try:
            encoded = encode_object(value)
        except ApiError as error:
            found = error.details[0]
            raise _Refusal("metadata", found["msg"], path=tuple(found["loc"])) from None
        if len(encoded) > self._metadata_bytes:
            raise _Refusal("metadata", f"must have at most {self._metadata_bytes} bytes of JSON")
        return encoded


class _Refusal(Exception):
    """Why an item is refused: the field and the path inside it, a finding, a code. Not where the item is."""

    def __init__(self, field: str, finding: str, code: str = "validation_failed", path: Loc = ()) -> None:
        super().__init__(finding)
        self.path: Loc = (field, *path)
        self.finding = finding
        self.code = code

    def as_error(self, *loc: str | int) -> ApiError:
        where = (*loc, *self.path)
        return ApiError(
            self.code, f"{'.'.join(map(str, where))}: {self.finding}", [detail(self.finding, *where)]
        )


def _number(value: Any, field: str) -> int | float:
    try:
        return check_number(value)
    except PydanticCustomError as error:
        raise _Refusal(field, error.message()) from None


def _occurred_at_ms(text: str, now_ms: int) -> int | None:
    """When it happened; None for the arrival."""
    try:
        at_ms = parse_instant(text)
    except ValueError as error:
        raise _Refusal("occurred_at", str(error)) from None
    if at_ms > now_ms + AHEAD_MS:
        raise _Refusal("occurred_at", f"lies more than {AHEAD_MS // 1000} s ahead of the server's clock")
    return at_ms if at_ms <= now_ms else None
