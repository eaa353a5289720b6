"""From the items of a request to `Submission`s: what a score must look like (`gateway.http.items`).

`metadata` is an object or null, and is stored as compact JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Required

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict

from gateway.http.access import Caller
from gateway.http.items import (
    Item,
    Loc,
    Refusal,
    Structure,
    identifier_field,
    metadata_in,
    number_in,
    occurred_at_in,
    own_player,
    read_each,
    tag_of_items,
)
from gateway.http.settings import GatewaySettings
from lbactors.core.errors import ApiError
from lbactors.core.model import Board, Submission
from lbactors.core.numbers import MAX_EXACT_INTEGER

AGGREGATIONS = ("best", "latest", "sum", "min", "max", "count")


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
        """See `tag_of_items`."""
        return tag_of_items(items, self.idempotency_key, self.body_tag)


class SubmissionReader:
    """Reads submissions by the limits of the settings. Makes its validators once."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._metadata_bytes = settings.metadata_bytes
        identifier = Annotated[str, identifier_field(settings.id_length)]

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

        self._plain = Structure(TypeAdapter(Plain), TypeAdapter(list[Plain]))
        self._of_board = Structure(TypeAdapter(OfBoard), TypeAdapter(list[OfBoard]))

    def one(self, item: Item, standard: Standard) -> Submission:
        """The submission in a body that is one object. ApiError 422 or 403."""
        self._plain.check(item, "body")
        try:
            return self._judged(item, standard, 0)
        except Refusal as refusal:
            raise refusal.as_error("body") from None

    def structure(self, items: list[Any], loc: Loc, *, of_boards: bool) -> dict[int, ApiError]:
        """Items whose structure is wrong, by index. `of_boards`: each names its leaderboard."""
        return (self._of_board if of_boards else self._plain).wrong(items, loc)

    def several(
        self, items: list[Any], indexes: list[int], standard: Standard, loc: Loc
    ) -> tuple[list[Submission], list[int], dict[int, ApiError]]:
        """Submissions of the items at `indexes` (their structure is right), their indexes, and refusals."""
        return read_each(items, indexes, self._judged, standard, loc)

    def _judged(self, item: Item, standard: Standard, index: int) -> Submission:
        get = item.get
        player_id: str = item["player_id"]
        if standard.player_id is not None:
            own_player(player_id, standard.player_id)
        aggregation = get("aggregation")
        if aggregation is not None:
            if aggregation not in AGGREGATIONS:
                raise Refusal("aggregation", f"must be one of {', '.join(AGGREGATIONS)}")
            if not standard.may_override:
                raise Refusal("aggregation", "needs a key with the scope leaderboards:write", "forbidden")
        score = get("score")
        if score is not None:
            if type(score) is not int or not -MAX_EXACT_INTEGER <= score <= MAX_EXACT_INTEGER:
                score = number_in(score, "score")
            if standard.score_min is not None and score < standard.score_min:
                raise Refusal("score", f"must not be less than {standard.score_min}")
            if standard.score_max is not None and score > standard.score_max:
                raise Refusal("score", f"must not exceed {standard.score_max}")
        elif (aggregation or standard.aggregation) != "count":
            raise Refusal("score", "is required")
        subscore = get("subscore")
        if subscore is None:
            subscore = 0
        elif type(subscore) is not int or not -MAX_EXACT_INTEGER <= subscore <= MAX_EXACT_INTEGER:
            subscore = number_in(subscore, "subscore")
        metadata = get("metadata")
        if metadata is not None:
            metadata = metadata_in(metadata, self._metadata_bytes)
        occurred_at = get("occurred_at")
        if occurred_at is not None:
            occurred_at = occurred_at_in(occurred_at, standard.arrived_at_ms)
        submission_id = get("submission_id")
        if submission_id is None and standard.idempotency_key is not None:
            submission_id = f"{standard.idempotency_key}:{index}"
        return Submission(player_id, score, subscore, metadata, submission_id, occurred_at, aggregation)
