"""Shapes of periods (API section 3)."""

from __future__ import annotations

from gateway.http.document_shapes import LOCAL, PAGE_PERIOD
from gateway.http.model_shapes import model_shape
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    COUNT,
    INSTANT,
    Schema,
    answer,
    listing,
    or_null,
    ref,
)
from lbactors.documents.entities import PeriodBody, RebuildBody


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of its periods."""
    return {
        "Period": answer(
            {**PAGE_PERIOD, "next_starts_at": or_null(INSTANT), "entries": COUNT, "submissions": COUNT}, LOCAL
        ),
        "PeriodListing": listing("Period"),
        "PeriodInput": model_shape(PeriodBody),
        "RebuildInput": model_shape(RebuildBody),
        "ClosedPeriod": answer({"closed": ref("Period"), "current": or_null(ref("Period"))}),
    }
