"""Routes of players: profiles, and erasure (end of API section 5)."""

from __future__ import annotations

from gateway.api.players import examples as example
from gateway.api.players import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import text
from gateway.http.shared_parameters import Shared
from lbactors.service.supervisor_client import ERASURE_TIMEOUT_S

IF_MATCH = text("If-Match", "The ETag of the profile to change.", "header")


def routes(s: Shared) -> tuple[Route, ...]:
    """Profiles and erasure."""
    document = Answer(200, "The profile.", "PlayerProfile", headers=("ETag",))
    return (
        Route(
            "GET",
            "/v1/players/{player_id}",
            handlers.get,
            "players_get",
            "Players",
            "Read a profile",
            document,
            "A key that is bound to another player sees `hidden_until: null`.",
            scopes=("rankings:read", "players:write"),
            own_player="path",
            parameters=(s.player, s.if_none_match),
            codes=("player_not_found",),
            etag=True,
            python="player(player_id)",
        ),
        Route(
            "PUT",
            "/v1/players/{player_id}",
            handlers.put,
            "players_put",
            "Players",
            "Write a profile",
            document,
            "All fields but `hidden_until` are replaced. Hiding is one record, whichever way it is written: "
            "an instant hides the player until then as `POST .../hide` does, null (or one that has passed) "
            "shows the player again as `POST .../unhide` does, and without the field nothing of it changes. "
            "A key that is bound to a player may not change it.",
            scopes=("players:write",),
            own_player="path",
            parameters=(s.player, IF_MATCH),
            body=Body("Profile", example.PROFILE),
            codes=("version_mismatch",),
            python="put_player(player_id, body)",
        ),
        Route(
            "PATCH",
            "/v1/players/{player_id}",
            handlers.patch,
            "players_patch",
            "Players",
            "Change a profile",
            document,
            "What is absent stays. `attributes` are merged member by member (RFC 7396), lists are replaced; "
            "null gives a field its default, takes a member of `attributes` away, and shows a hidden player "
            "again. A player without a profile gets one.",
            scopes=("players:write",),
            own_player="path",
            parameters=(s.player, IF_MATCH),
            body=Body("ProfilePatch", example.PROFILE_PATCH),
            codes=("version_mismatch",),
            python="update_player(player_id, body)",
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
            own_player="path",
            parameters=(s.player,),
            codes=("player_not_found", "overloaded"),
            logged=True,
            within_s=ERASURE_TIMEOUT_S,
            python="erase_player(player_id)",
        ),
    )
