"""The table of routes: every route of the gateway, and nothing beside it.

One module for each part; `routes` puts them together. Order matters for speed alone: aiohttp tries the
routes of a prefix one after the other, so the hot ones come first.
"""

from __future__ import annotations

from typing import Any

from gateway.metrics import package_version
from gateway.openapi import Route
from gateway.operations import Reference
from gateway.settings import GatewaySettings
from gateway.table import administration, held, leaderboards, moderation, rewards, scores, webhooks
from gateway.table.shared import shared_parameters

TAGS = {
    "Scores": "Submitting scores, one or many.",
    "Rankings": "Reading pages, entries and distributions.",
    "Leaderboards": "Definitions of leaderboards.",
    "Periods": "The periods of a leaderboard's windows.",
    "Rewards": "What players won when a period closed, and claims.",
    "Players": "Profiles, and erasure.",
    "Review": "Submissions that plugins held until somebody decides.",
    "Webhooks": "Events of periods and rewards, sent to your servers.",
    "Moderation": "Hidden players; entries edited and restored; the audit log.",
    "Administration": "Tenants, keys and the state of the server.",
    "Operations": "For load balancers, Prometheus and people.",
}

INFO: dict[str, Any] = {
    "title": "lbactors",
    "version": package_version(),
    "description": """Leaderboards for games.

**Bodies** are JSON, or MessagePack (`Content-Type` and `Accept: application/msgpack`), of the same
shapes; requests may be gzip-compressed. Names are `snake_case`. An unknown field or query parameter is an
error.

**Times** come in as RFC 3339 with an offset or `Z`, and go out in UTC with milliseconds.

**Numbers**: scores are doubles. Integers within ±2^53 are exact and stay integers; larger integers
written as integers, NaN and infinities are refused.

**Tenants**: the key decides. A platform key acts in `default`, or in the tenant that `X-Tenant-Id` names.

**Errors** have one envelope, `{"error": {"code", "message", "status", "details"}}`, everywhere. After 429
and 503 wait for `Retry-After`. A score answered with an error was not applied, except after
`storage_unavailable` and a lost connection, where the outcome is unknown: send the same `submission_id`
again.

**Repeats**: scores have a `submission_id`. Other POSTs take `Idempotency-Key`: a repeat gets the first
answer. On a score route `Idempotency-Key: K` stands for the ids `K:0`, `K:1`… of its items.

**HEAD** works wherever GET does. Every answer carries `X-Request-Id`.""",
}


def routes(settings: GatewaySettings, reference: Reference) -> tuple[Route, ...]:
    """All routes, hot ones first."""
    shared = shared_parameters(settings)
    return (
        *scores.scores(shared),
        *scores.rankings(shared),
        *leaderboards.leaderboards(shared),
        *leaderboards.periods(shared),
        *moderation.moderation_of_entries(shared),
        *moderation.moderation_of_players(shared),
        *leaderboards.players(shared),
        *rewards.reward_routes(shared),
        *held.reviews(shared),
        *webhooks.webhooks(shared),
        *moderation.audit_log(shared),
        *administration.administration(shared),
        *administration.unkeyed(settings, reference),
    )
