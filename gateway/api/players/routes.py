"""Routes of players: profiles, and erasure (end of API section 5)."""

from __future__ import annotations

from gateway.api.players import examples as example
from gateway.api.players import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import text
from gateway.http.shared_parameters import Shared
from lbactors.service.supervisor_client import ERASURE_TIMEOUT_S

IF_MATCH = text(
    "If-Match",
    "The `ETag` of the profile that you read; if the profile has changed since, the answer is 412.",
    "header",
)


def routes(s: Shared) -> tuple[Route, ...]:
    """Profiles and erasure."""
    document = Answer(200, "The profile.", "PlayerProfile", headers=("ETag",))
    return (
        Route(
            "GET",
            "/v1/players",
            handlers.search,
            "players_list",
            "Players",
            "List players",
            Answer(200, "Profiles by player id.", "PlayerProfileListing", example.LISTING),
            "Lists players that have a profile. With several filters, a player must match all of them. "
            "`search` reads every profile; `tag` and `role` use an index.",
            scopes=("players:write",),
            parameters=(
                text(
                    "search",
                    "Only players whose id, display name or external id contains this text; case does not "
                    "matter.",
                    max_length=128,
                ),
                text("tag", "Only players with this tag.", max_length=64),
                text("role", "Only players with this role.", max_length=64),
                s.limit,
                s.offset,
                s.cursor,
            ),
            etag=True,
            python="list_players(search=, limit=)",
            sample_query={"search": "maya", "limit": 10},
        ),
        Route(
            "GET",
            "/v1/players/{player_id}",
            handlers.get,
            "players_get",
            "Players",
            "Read a player's profile",
            document,
            "A key that is bound to another player always sees `hidden_until: null`, `test: false` and "
            "`external_id: null`.",
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
            "Replace a player's profile",
            document,
            "Replaces all fields except `hidden_until`. A time in `hidden_until` hides the player until "
            "then, like `POST .../hide`; null or a time in the past unhides the player, like `POST "
            ".../unhide`; without the field nothing changes about it. A key that is bound to a player "
            "cannot change `hidden_until`, `roles`, `tags`, `test` or `external_id`, and keeps them if it "
            "leaves them out.",
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
            "Change a player's profile",
            document,
            "Fields that you leave out keep their values. `attributes` are merged field by field (RFC "
            "7396); lists are replaced. Null resets a field to its default, removes a field of "
            "`attributes`, and unhides a hidden player. A player without a profile gets one.",
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
            "Removes the profile, the entries, and every trace in journals and archives. Closed periods "
            "keep the entry under an anonymous id.",
            scopes=("players:write",),
            own_player="path",
            parameters=(s.player,),
            codes=("player_not_found", "overloaded"),
            logged=True,
            within_s=ERASURE_TIMEOUT_S,
            python="erase_player(player_id)",
        ),
    )
