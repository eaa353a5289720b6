"""Shapes of what operators see."""

from __future__ import annotations

from gateway.http.settings import GatewaySettings
from gateway.http.shapes import OBJECT, Schema, answer, said


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of the state of the server."""
    return {
        "Health": answer({"status": {"type": "string", "const": "ok"}}),
        "Readiness": answer(
            {"ready": {"type": "boolean", "const": True}}, description="And what was looked at, by name."
        ),
        "Status": said(OBJECT, "Actors, their periods and load; supervisor; store."),
        "OpenApi": said(OBJECT, "An OpenAPI 3.1 document."),
    }
