"""Shapes of periods (API section 3)."""

from __future__ import annotations

from gateway.http.document_shapes import PAGE_PERIOD
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    COUNT,
    INSTANT,
    Schema,
    answer,
    closed,
    listing,
    or_null,
    ref,
    said,
)
from lbactors.model import LEADERBOARD_ID


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of its periods."""
    return {
        "Period": answer(
            {**PAGE_PERIOD, "next_starts_at": or_null(INSTANT), "entries": COUNT, "submissions": COUNT}
        ),
        "PeriodListing": listing("Period"),
        "PeriodInput": closed(
            {
                "period_key": or_null(
                    said({"type": "string", "pattern": LEADERBOARD_ID.replace(r"\Z", "$")}, ""),
                    "Default: the start instant. Not `current` or `previous`.",
                ),
                "starts_at": said(INSTANT, "Not before the end of the last period."),
                "ends_at": or_null(INSTANT, "After `starts_at`; null: until it is closed."),
            },
            ("starts_at",),
        ),
        "ClosedPeriod": answer({"closed": ref("Period"), "current": or_null(ref("Period"))}),
    }
