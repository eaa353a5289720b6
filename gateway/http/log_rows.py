"""From the items of a request to rows of logs: what a row of a metric and an event must look like
(`gateway.http.items`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, Required

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from gateway.http.items import (
    Item,
    Loc,
    Refusal,
    Structure,
    identifier_field,
    metadata_in,
    number_in,
    object_in,
    occurred_at_in,
    own_player,
    read_each,
    tag_of_items,
)
from gateway.http.settings import GatewaySettings
from lbactors.core.errors import ApiError
from lbactors.core.ids import NO_CONTROL_CHARACTERS
from lbactors.core.log_model import EventRow, MetricRow, RowKind, RowState
from lbactors.core.numbers import MAX_EXACT_INTEGER

WRITTEN_STATES = ("completed", "pending")
EVENT_TYPE_LENGTH = 128


class RowStandard(NamedTuple):
    """What the rows or events of one request are held against. player_id: the one that the key is bound to.

    idempotency_key, body_tag: of the request; rows of a metric alone go by them.
    """

    player_id: str | None
    arrived_at_ms: int
    idempotency_key: str | None = None
    body_tag: int = 0

    def tag(self, items: Iterable[Item]) -> int:
        """See `tag_of_items`."""
        return tag_of_items(items, self.idempotency_key, self.body_tag)


class RowReader:
    """Reads rows of metrics by the limits of the settings. Makes its validators once."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._metadata_bytes = settings.metadata_bytes
        identifier = Annotated[str, identifier_field(settings.id_length)]

        class Row(TypedDict, total=False):
            __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]

            player_id: Required[identifier]
            score: Required[Any]
            subscore: Any
            kind: Literal["award", "deduct", "set"] | None
            state: Literal["completed", "pending"] | None
            metadata: Any
            submission_id: identifier | None
            occurred_at: str | None

        self._structure = Structure(TypeAdapter(Row), TypeAdapter(list[Row]))

    def one(self, item: Item, standard: RowStandard) -> MetricRow:
        """The row in a body that is one object. ApiError 422 or 403."""
        self._structure.check(item, "body")
        try:
            return self._judged(item, standard, 0)
        except Refusal as refusal:
            raise refusal.as_error("body") from None

    def several(
        self, items: list[Any], standard: RowStandard, loc: Loc
    ) -> tuple[list[MetricRow], list[int], dict[int, ApiError]]:
        """Rows, the indexes of their items, and why the others are refused, by index."""
        wrong = self._structure.wrong(items, loc)
        right = [index for index in range(len(items)) if index not in wrong] if wrong else range(len(items))
        rows, sources, refused = read_each(items, right, self._judged, standard, loc)
        return rows, sources, wrong | refused

    def _judged(self, item: Item, standard: RowStandard, index: int) -> MetricRow:
        get = item.get
        player_id: str = item["player_id"]
        bound_to, arrived_at_ms, key, _ = standard
        if bound_to is not None:
            own_player(player_id, bound_to)
        kind: RowKind = get("kind") or "award"
        amount = item["score"]
        if type(amount) is not int or not -MAX_EXACT_INTEGER <= amount <= MAX_EXACT_INTEGER:
            amount = number_in(amount, "score")
        if kind == "deduct" and amount <= 0:
            raise Refusal("score", "must be above 0 in a deduction")
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
            occurred_at = occurred_at_in(occurred_at, arrived_at_ms)
        submission_id = get("submission_id")
        if submission_id is None and key is not None:
            submission_id = f"{key}:{index}"
        state: RowState = get("state") or "completed"
        if occurred_at is None and get("occurred_at") is not None and state == "pending":
            occurred_at = arrived_at_ms  # not when it is completed, as if no time were given
        return MetricRow(player_id, kind, state, amount, subscore, metadata, submission_id, occurred_at)


class EventReader:
    """Reads events by the limits of the settings. Makes its validators once."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._event_bytes = settings.event_bytes
        identifier = Annotated[str, identifier_field(settings.id_length)]
        event_type = Annotated[
            str, Field(min_length=1, max_length=EVENT_TYPE_LENGTH, pattern=NO_CONTROL_CHARACTERS)
        ]

        class Actor(TypedDict, total=False):
            __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]

            metadata: Any

        class Tested(TypedDict, total=False):
            __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]

            event_id: identifier | None
            event_type: Required[event_type]
            player_id: identifier | None
            occurred_at: str | None
            attrs: Any
            actor: Actor | None

        class Event(Tested, total=False):
            event_id: Required[identifier]  # type: ignore[misc]
            player_id: Required[identifier]  # type: ignore[misc]

        self._structure = Structure(TypeAdapter(Event), TypeAdapter(list[Event]))
        self._tested = Structure(TypeAdapter(Tested), TypeAdapter(list[Tested]))

    def several(
        self, items: list[Any], standard: RowStandard, loc: Loc
    ) -> tuple[list[EventRow], list[int], dict[int, ApiError]]:
        """Events, the indexes of their items, and why the others are refused, by index."""
        wrong = self._structure.wrong(items, loc)
        right = [index for index in range(len(items)) if index not in wrong] if wrong else range(len(items))
        rows, sources, refused = read_each(items, right, self._judged, standard, loc)
        return rows, sources, wrong | refused

    def tested(self, item: Item, now_ms: int, *loc: str | int) -> EventRow:
        """An event that is only tried out, of whatever player: it may lack its id and its player, which then
        are empty. ApiError 422.
        """
        self._tested.check(item, *loc)
        try:
            return self._judged(item, RowStandard(None, now_ms), 0)
        except Refusal as refusal:
            raise refusal.as_error(*loc) from None

    def _judged(self, item: Item, standard: RowStandard, index: int) -> EventRow:
        get = item.get
        player_id = get("player_id") or ""
        if standard.player_id is not None:
            own_player(player_id, standard.player_id)
        attrs = get("attrs")
        if attrs is not None:
            attrs = object_in(attrs, "attrs")
        metadata = (get("actor") or {}).get("metadata")
        if metadata is not None:
            metadata = object_in(metadata, "actor", "metadata")
        size = len(attrs or b"") + len(metadata or b"")
        if size > self._event_bytes:
            field = "attrs" if attrs is not None and len(attrs) > self._event_bytes else "actor"
            message = f"attrs and actor.metadata together must have at most {self._event_bytes} bytes of JSON"
            raise Refusal(field, message)
        occurred_at = get("occurred_at")
        if occurred_at is not None:
            occurred_at = occurred_at_in(occurred_at, standard.arrived_at_ms)
        event_id = get("event_id") or ""
        return EventRow(event_id, item["event_type"], player_id, occurred_at, attrs, metadata)
