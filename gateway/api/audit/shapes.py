"""Shapes of the audit log."""

from __future__ import annotations

from gateway.http.settings import GatewaySettings
from gateway.http.shapes import INSTANT, OBJECT, STRING, Schema, answer, listing, or_null, said


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of the audit log's records."""
    return {
        "AuditRecord": answer(
            {
                "audit_id": said(STRING, "Sorts by time."),
                "at": INSTANT,
                "act": said(STRING, "For example `leaderboard.update`, `player.hide`, `entry.edit`."),
                "target": said(STRING, "Id of what was changed: a leaderboard, a key, a tenant, …"),
                "player_id": or_null(
                    STRING, "The player the change is about; an anonymous id after an erasure."
                ),
                "reason": or_null(STRING, "The reason that the caller gave."),
                "key_id": or_null(STRING, "The key that was used; null for a change by the server itself."),
                "key_name": or_null(STRING),
                "request_id": or_null(STRING, "The `X-Request-Id` of the request."),
                "details": said(OBJECT, "Further details; never a secret."),
            }
        ),
        "AuditListing": listing("AuditRecord"),
    }
