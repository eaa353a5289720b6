"""Shapes of documents that several resources answer with (rendered by `gateway.http.documents`)."""

from __future__ import annotations

from gateway.http.parameters import NUMBER_SCHEMA
from gateway.http.shapes import (
    CHANGE,
    COUNT,
    INSTANT,
    RANK,
    STRING,
    WINDOW,
    Schema,
    answer,
    or_null,
    ref,
    said,
)

PAGE_PERIOD: Schema = {
    "period_key": said(STRING, "For example `2026-W47`; unique in its window."),
    "window": WINDOW,
    "state": {"type": "string", "enum": ["pending", "active", "closing", "closed"]},
    "starts_at": or_null(INSTANT),
    "ends_at": or_null(INSTANT),
}
ENTRY: Schema = {
    "rank": said(
        RANK,
        "Null for an entry that is not ranked (below `min_score`, not above 0 with `positive_only`, outside "
        "the audience, or of a hidden player), and beyond `top_only`.",
    ),
    "player_id": STRING,
    "display_name": or_null(STRING),
    "score": NUMBER_SCHEMA,
    "subscore": NUMBER_SCHEMA,
    "metadata": {"type": ["object", "null"]},
    "submissions": COUNT,
    "first_at": INSTANT,
    "updated_at": INSTANT,
    "change": said(
        or_null(CHANGE),
        "How the rank compares with the previous period of the same window; null while that period cannot "
        "be read, and beyond `top_only`.",
    ),
}
PAGE_HEAD: Schema = {
    "leaderboard_id": STRING,
    "period": ref("PagePeriod"),
    "total": said(COUNT, "Number of ranked entries in the period."),
    "as_of_seq": said(COUNT, "The answer includes every change up to this sequence number of the period."),
}


def document_shapes() -> dict[str, Schema]:
    """The components that stand for them."""
    return {"PagePeriod": answer(PAGE_PERIOD), "Entry": answer(ENTRY)}
