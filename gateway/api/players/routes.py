"""Routes of players: profiles, and erasure (end of API section 5)."""

from __future__ import annotations

from gateway.api.players import examples as example
from gateway.api.players import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.shared_parameters import Shared
from lbactors.service.supervisor_client import ERASURE_TIMEOUT_S


def routes(s: Shared) -> tuple[Route, ...]:
    """Profiles and erasure."""
    return (
        Route(
            "GET",
            "/v1/players/{player_id}",
            handlers.get,
            "players_get",
            "Players",
            "Read a profile",
            Answer(200, "The profile.", "PlayerProfile"),
            scopes=("rankings:read", "players:write"),
            parameters=(s.player, s.if_none_match),
            codes=("player_not_found",),
            etag=True,
        ),
        Route(
            "PUT",
            "/v1/players/{player_id}",
            handlers.put,
            "players_put",
            "Players",
            "Write a profile",
            Answer(200, "The profile.", "PlayerProfile"),
            scopes=("players:write",),
            parameters=(s.player,),
            body=Body("Profile", example.PROFILE),
        ),
        Route(
            "DELETE",
            "/v1/players/{player_id}",
            handlers.erase,
            "players_erase",
            "Players",
            "Erase a player",
            Answer(200, "What was erased.", "Erased", {"player_id": "p1", "erased_entries": 3}),
            "Profile, entries, journals and archives. Closed periods keep an anonymous entry.",
            scopes=("players:write",),
            parameters=(s.player,),
            codes=("player_not_found", "overloaded"),
            logged=True,
            within_s=ERASURE_TIMEOUT_S,
        ),
    )
