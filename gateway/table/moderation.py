"""Routes of moderation and of the audit log."""

from __future__ import annotations

from dataclasses import replace

from gateway import audit
from gateway import examples as example
from gateway.openapi import Answer, Route
from gateway.parameters import identifier, instant, text
from gateway.table.shared import Shared


def moderation(s: Shared) -> tuple[Route, ...]:
    """The audit log."""
    player = identifier("player_id", "Only what concerns this player.", s.settings.id_length, "query")
    return (
        Route(
            "GET",
            "/v1/audit",
            audit.search,
            "Administration",
            "Search the audit log, newest first",
            Answer(200, "A page of records.", "AuditListing", example.AUDIT),
            "Every act that changed something in the tenant acted in: who, when, what, why. Kept "
            "for `--audit-retain-days`.",
            scopes=("leaderboards:write", "keys:write", "platform"),
            parameters=(
                text(
                    "act",
                    "Only these acts: `leaderboard.update`, or `leaderboard` for all of that kind.",
                    max_length=64,
                ),
                text("target", "Only with this target (the id of a leaderboard, key…).", max_length=200),
                replace(player, example=None),
                instant("since", "Only from this instant on."),
                instant("until", "Only before this instant."),
                s.limit,
                s.cursor,
            ),
        ),
    )
