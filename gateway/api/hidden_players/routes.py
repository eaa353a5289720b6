"""Routes of hidden players."""

from __future__ import annotations

from gateway.api.hidden_players import examples as example
from gateway.api.hidden_players import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.shared_parameters import Shared


def routes(s: Shared) -> tuple[Route, ...]:
    """Hidden players. To be registered before the routes of profiles: `hidden` is no player here."""
    scopes = ("players:write",)
    return (
        Route(
            "GET",
            "/v1/hidden-players",
            handlers.hidden,
            "moderation_hidden",
            "Moderation",
            "List hidden players",
            Answer(200, "A page of players, by id.", "HiddenListing", example.HIDDEN_LISTING),
            scopes=scopes,
            parameters=(s.limit, s.offset, s.cursor, s.if_none_match),
            etag=True,
            python="hidden_players(limit=)",
            sample_query={"limit": 10},
        ),
        Route(
            "POST",
            "/v1/players/{player_id}/hide",
            handlers.hide,
            "moderation_hide",
            "Moderation",
            "Hide a player",
            Answer(200, "Until when the player is hidden.", "HiddenPlayer", example.HIDDEN),
            "In all leaderboards, until an instant or for good. Entries are kept and take scores, but are on "
            "no page, in no total and in no rank; the player's own entry reads with `rank: null`. When the "
            "time is over (within a second) they are back at their places. Closed periods stay as they are. "
            "At most 10 000 players of a tenant.",
            scopes=scopes,
            parameters=(s.player, s.idempotency_key),
            body=Body("HideInput", example.HIDE, required=False),
            codes=("idempotency_conflict",),
            logged=True,
            python="hide_player(player_id, until=, reason=)",
        ),
        Route(
            "POST",
            "/v1/players/{player_id}/unhide",
            handlers.unhide,
            "moderation_unhide",
            "Moderation",
            "Show a hidden player again",
            Answer(200, "The player is not hidden.", "HiddenPlayer", {**example.HIDDEN, **example.SHOWN}),
            "Whatever hid the player. The profile's `hidden_until` is the same record.",
            scopes=scopes,
            parameters=(s.player, s.idempotency_key),
            body=Body("UnhideInput", {"reason": "appeal granted"}, required=False),
            codes=("idempotency_conflict",),
            logged=True,
            python="unhide_player(player_id, reason=)",
        ),
    )
