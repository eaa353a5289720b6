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

DIGITS = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?$"  # local date and time, without an offset

PAGE_PERIOD: Schema = {
    "period_key": said(STRING, "For example `2026-W47`; unique in its window."),
    "window": WINDOW,
    "state": {"type": "string", "enum": ["pending", "active", "closing", "closed"]},
    "starts_at": or_null(INSTANT),
    "ends_at": or_null(INSTANT),
    "local_starts_at": said(
        {"type": ["string", "null"], "pattern": DIGITS},
        "Only with timezone `player`: the start in local time of each player, such as `2026-05-24T00:00:00`. "
        "`starts_at` is when UTC+14 reaches it. Null: players whose date is earlier count in it, too.",
    ),
    "local_ends_at": said(
        {"type": ["string", "null"], "pattern": DIGITS},
        "Only with timezone `player`: the end in local time of each player. `ends_at` is when UTC-12 passes "
        "it.",
    ),
}
LOCAL = ("local_starts_at", "local_ends_at")  # fields of it that may be absent
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
BEHIND: Schema = said(
    {"type": "array", "items": STRING},
    "Leaderboards that are computed from this and have not taken it yet; they follow by themselves.",
)


def occurred_at_shape(what: str) -> Schema:
    """Of a time that a client gives."""
    return or_null(
        INSTANT,
        f"{what}; it counts for the period of that time. Defaults to now. Up to 60 s ahead of the server's "
        "clock counts as now; more is refused.",
    )


def document_shapes() -> dict[str, Schema]:
    """The components that stand for them."""
    return {"PagePeriod": answer(PAGE_PERIOD, LOCAL), "Entry": answer(ENTRY)}
