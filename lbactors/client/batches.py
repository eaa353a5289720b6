"""Long lists in several requests: each item with an id, and what could not be taken for the moment again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from lbactors.client.transport import NOT_TAKEN, Pauses, Transport, new_id
from lbactors.client.types import Json

# Codes of single items in a batch that pass by themselves; the ids make sending them again safe.
PASSING_CODES = NOT_TAKEN | {"storage_unavailable"}


class ListRoute(NamedTuple):
    """A route that takes lists. field: of the body, that has the list. id_field: what makes an item safe to
    repeat. most_items, most_bytes: what one request takes at most; most_bytes 0: that is not looked at.
    """

    path: str
    field: str
    id_field: str
    most_items: int
    most_bytes: int = 0


async def send_all(
    transport: Transport, route: ListRoute, items: Sequence[Mapping[str, Any]], results: str, empty: Json
) -> Json:
    """All answers as one, by the indexes of `items`: numbers are added up, lists are put together. empty: the
    answer for no items at all, which is filled.

    Items that the server could not take for the moment are sent again, after the others, as long as patience
    lasts. An item that cannot be written as JSON is rejected alone. ApiError, Unreachable.
    """
    if isinstance(items, Mapping | str):
        raise TypeError(f"{route.field} must be a list of objects")
    run = new_id()
    merged = empty
    for start, batch in _batches(list(items), route):
        pending = []
        for i, item in enumerate(batch, start):
            if (wrong := _unsendable(item)) is None:
                pending.append((i, {route.id_field: f"{run}:{i}", **item}))
            else:
                merged["errors"].append({"index": i, "code": "validation_failed", "message": wrong})
                merged["rejected"] += 1
        pauses = Pauses(transport.patience_s)
        while pending:
            sent = {route.field: [item for _, item in pending]}
            answer: Json = await transport.json("POST", route.path, params={"results": results}, body=sent)
            passing = [e for e in answer["errors"] if e["code"] in PASSING_CODES]
            if passing and not await pauses.wait():
                passing = []
            again = {error["index"] for error in passing}
            for name, value in answer.items():
                if name == "behind":
                    merged[name] += [one for one in value if one not in merged[name]]
                elif isinstance(value, list):
                    merged.setdefault(name, []).extend(
                        {**row, "index": pending[row["index"]][0]}
                        for row in value
                        if row["index"] not in again
                    )
                else:
                    merged[name] = merged.get(name, 0) + value
            merged["rejected"] -= len(again)
            pending = [pending[index] for index in sorted(again)]
    for name in ("errors", "results"):
        merged.get(name, []).sort(key=lambda row: row["index"])
    return merged


def _batches(items: list[Any], route: ListRoute) -> Iterator[tuple[int, list[Any]]]:
    """The items of each request, with the index of the first."""
    if not route.most_bytes:
        for start in range(0, len(items), route.most_items):
            yield start, items[start : start + route.most_items]
        return
    start, size = 0, 0
    for index, item in enumerate(items):
        length = _length(item)
        if index > start and (index - start >= route.most_items or size + length > route.most_bytes):
            yield start, items[start:index]
            start, size = index, 0
        size += length
    if start < len(items):
        yield start, items[start:]


def _length(item: Any) -> int:
    """Bytes of an item as JSON; 0 if it cannot be written."""
    try:
        return len(orjson.dumps(item))
    except TypeError:
        return 0


def _unsendable(item: Any) -> str | None:
    """Why an item cannot be written as JSON, so that it is rejected alone; None if it can."""
    if not isinstance(item, Mapping):
        return "must be an object"
    for name in ("score", "subscore"):
        if isinstance(value := item.get(name), float) and not math.isfinite(value):
            return f"{name}: must be a finite number"
    return None
