"""Routes of the audit log."""

from __future__ import annotations

from gateway.api.audit import examples as example
from gateway.api.audit import handlers
from gateway.http.openapi import Answer, Route
from gateway.http.parameters import identifier, instant, text
from gateway.http.shared_parameters import Shared


def routes(s: Shared) -> tuple[Route, ...]:
    """Who did what."""
    player = identifier("player_id", "Only records about this player.", s.settings.id_length, "query")
    return (
        Route(
            "GET",
            "/v1/audit",
            handlers.search,
            "audit_search",
            "Moderation",
            "Search the audit log, newest first",
            Answer(200, "A page of records.", "AuditListing", example.AUDIT),
            "Every change in the tenant: who made it, when, what, and why. Records are kept for "
            "`--audit-retain-days`. The record of a removed, edited or restored entry has the result in "
            "`details.outcome`; without it, the change was interrupted.",
            scopes=("leaderboards:write", "keys:write", "platform"),
            parameters=(
                text(
                    "act",
                    "Only this kind of change: `leaderboard.update`, or `leaderboard` for everything about "
                    "leaderboards.",
                    max_length=64,
                ),
                text(
                    "target",
                    "Only changes to this target (the id of a leaderboard, a key, …).",
                    max_length=200,
                ),
                player,
                instant("since", "Only at or after this time."),
                instant("until", "Only before this time."),
                s.limit,
                s.cursor,
            ),
            python="audit(player_id=, limit=)",
            sample_query={"player_id": "p1", "limit": 10},
        ),
    )
