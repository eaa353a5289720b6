"""Schemas of moderation and of the audit log."""

from __future__ import annotations

from gateway.parameters import NUMBER_SCHEMA
from gateway.schemas.words import (
    BOOLEAN,
    INSTANT,
    OBJECT,
    STRING,
    WINDOW,
    Schema,
    answer,
    closed,
    listing,
    or_null,
    ref,
    said,
)


def moderation() -> dict[str, Schema]:
    """Of hidden players, changed entries and records of the audit log."""
    reason: Schema = {"type": "string", "minLength": 1, "maxLength": 500}
    entry: Schema = {
        "allOf": [answer({"window": WINDOW, "period_key": STRING}), ref("Entry")],
    }
    entries: Schema = {"type": "array", "items": entry}
    return {
        "HideInput": closed(
            {
                "until": or_null(INSTANT, "When the player is shown again; null or absent: never."),
                "reason": or_null(reason, "For the audit log."),
            }
        ),
        "UnhideInput": closed({"reason": or_null(reason, "For the audit log.")}),
        "HiddenPlayer": answer(
            {
                "player_id": STRING,
                "hidden": BOOLEAN,
                "until": or_null(INSTANT, "null: for good, or not hidden."),
                "reason": or_null(STRING),
                "since": or_null(INSTANT, "null for a player who is hidden by the profile alone."),
            }
        ),
        "HiddenListing": listing("HiddenPlayer"),
        "EntryEdit": closed(
            {
                "score": NUMBER_SCHEMA,
                "subscore": or_null(NUMBER_SCHEMA, "Absent or null: it stays."),
                "metadata": or_null(OBJECT, "Absent: it stays; null: none."),
                "reason": said(reason, "For the audit log."),
            },
            ("score", "reason"),
        ),
        "EditedEntries": answer({"before": entries, "after": entries}),
        "RestoreInput": closed({"reason": or_null(reason, "For the audit log.")}),
        "RestoredEntries": answer({"restored": entries}),
        "AuditRecord": answer(
            {
                "audit_id": said(STRING, "Sorts by time."),
                "at": INSTANT,
                "act": said(STRING, "Such as `leaderboard.update`, `player.hide`, `entry.edit`."),
                "target": said(STRING, "Id of the leaderboard, key, tenant… that was acted on."),
                "player_id": or_null(STRING, "The player concerned; an anonymous id after an erasure."),
                "reason": or_null(STRING, "Why, as the caller said."),
                "key_id": or_null(STRING, "The key that was used; null: the server itself."),
                "key_name": or_null(STRING),
                "request_id": or_null(STRING, "The `X-Request-Id` of the request."),
                "details": said(OBJECT, "What else is known; never a secret."),
            }
        ),
        "AuditListing": listing("AuditRecord"),
    }
