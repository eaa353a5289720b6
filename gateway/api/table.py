"""The whole API: every route of the gateway, every shape, and nothing beside them.

`RESOURCES` lists them; a new one is a package beside the others and a line here. Order matters for speed
alone: aiohttp tries the routes of a prefix one after the other, so the hot ones come first.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from gateway.api import (
    audit,
    entries,
    events,
    hidden_players,
    keys,
    leaderboards,
    metrics,
    operations,
    periods,
    players,
    rankings,
    reviews,
    rewards,
    scores,
    tenants,
    webhooks,
)
from gateway.http.document_shapes import document_shapes
from gateway.http.metrics import package_version
from gateway.http.openapi import Route, common_shapes
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import Schema
from gateway.http.shared_parameters import shared_parameters

RESOURCES = (
    scores.RESOURCE,
    metrics.RESOURCE,
    events.RESOURCE,
    rankings.RESOURCE,
    entries.RESOURCE,
    leaderboards.RESOURCE,
    periods.RESOURCE,
    hidden_players.RESOURCE,
    players.RESOURCE,
    rewards.RESOURCE,
    reviews.RESOURCE,
    webhooks.RESOURCE,
    audit.RESOURCE,
    tenants.RESOURCE,
    keys.RESOURCE,
    operations.RESOURCE,
)

TAGS = {
    "Scores": "Submit scores, one or many.",
    "Metrics": "Award and deduct points and currencies, read balances, and feed leaderboards with them.",
    "Events": "Send what happens in your game; leaderboards make points of it by their rules.",
    "Rankings": "Read rankings, single entries and statistics.",
    "Leaderboards": "Create and change leaderboards and their reset schedules.",
    "Periods": "The time between two resets: list, read, create and close periods.",
    "Rewards": "What players won when a period closed, and claiming it.",
    "Players": "Player profiles, and erasing a player.",
    "Review": "The review queue: submissions that plugins held until you decide.",
    "Webhooks": "Events about periods and rewards, sent to your servers.",
    "Moderation": "Hide (ban) players, edit, restore and import entries, read the audit log.",
    "Administration": "Tenants, keys and server status.",
    "Operations": "Health checks, metrics and this reference.",
}

INFO: dict[str, Any] = {
    "title": "lbactors",
    "version": package_version(),
    "description": (files("gateway") / "static" / "introduction.md").read_text(encoding="utf-8"),
}


def routes(settings: GatewaySettings) -> tuple[Route, ...]:
    """All routes, hot ones first."""
    shared = shared_parameters(settings)
    return tuple(route for resource in RESOURCES for route in resource.routes(shared))


def components(settings: GatewaySettings) -> dict[str, Schema]:
    """All shapes, by name: the components of the OpenAPI document.

    Requests are closed (`additionalProperties: false`, unknown fields are a 422) and give every limit that
    JSON Schema can say; where a rule spans several fields, the description says it. Answers are given in
    full: all their fields are required unless a description tells when they are there.
    """
    found = {**common_shapes(), **document_shapes()}
    for resource in RESOURCES:
        found |= resource.shapes(settings)
    return found
