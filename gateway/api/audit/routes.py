"""Routes of the audit log."""

from __future__ import annotations

from gateway.api.audit import examples as example
from gateway.api.audit import handlers
from gateway.http.openapi import Answer, Route
from gateway.http.parameters import identifier, instant, text
from gateway.http.shared_parameters import Shared


def routes(s: Shared) -> tuple[Route, ...]:
    """Who did what."""
    player = identifier("player_id", "Only what concerns this player.", s.settings.id_length, "query")
    return (
        Route(
            "GET",
            "/v1/audit",
            handlers.search,
            "audit_search",
            "Moderation",
            "Search the audit log, newest first",
            Answer(200, "A page of records.", "AuditListing", example.AUDIT),
            "Every act that changed something in the tenant acted in: who, when, what, why. Kept "
            "for `--audit-retain-days`. A record of an entry that was removed, edited or restored says in "
            "`details.outcome` what came of it; one without that was interrupted.",
            scopes=("leaderboards:write", "keys:write", "platform"),
            parameters=(
                text(
                    "act",
                    "Only these acts: `leaderboard.update`, or `leaderboard` for all of that kind.",
                    max_length=64,
                ),
                text("target", "Only with this target (the id of a leaderboard, key…).", max_length=200),
                player,
                instant("since", "Only from this instant on."),
                instant("until", "Only before this instant."),
                s.limit,
                s.cursor,
            ),
            python="audit(player_id=, limit=)",
            sample_query={"player_id": "p1", "limit": 10},
        ),
    )
