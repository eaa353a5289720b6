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
            "Hide (ban) a player",
            Answer(200, "The player is hidden.", "HiddenPlayer", example.HIDDEN),
            "Hides the player in all leaderboards, until a given time or permanently (a shadow ban). The "
            "player's entries are kept and still take scores, but appear on no page and count in no total "
            "or rank; the player's own entry has `rank: null`. When the time is over, the entries return "
            "to their ranks within a second. Closed periods do not change. A tenant can have at most 10 "
            "000 hidden players.",
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
            "Unhide a player",
            Answer(
                200, "The player is no longer hidden.", "HiddenPlayer", {**example.HIDDEN, **example.SHOWN}
            ),
            "Ends the hiding, however it began: it is the same record as `hidden_until` in the profile.",
            scopes=scopes,
            parameters=(s.player, s.idempotency_key),
            body=Body("UnhideInput", {"reason": "appeal granted"}, required=False),
            codes=("idempotency_conflict",),
            logged=True,
            python="unhide_player(player_id, reason=)",
        ),
    )
