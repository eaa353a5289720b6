"""Routes of moderation and of the audit log."""

from __future__ import annotations

from gateway import audit, moderation
from gateway import examples as example
from gateway.openapi import Answer, Body, Route
from gateway.parameters import identifier, instant, text
from gateway.table.shared import BOARD, Shared

ENTRY_CODES = ("leaderboard_not_found", "period_not_found", "period_closed", "entry_not_found")


def moderation_of_players(s: Shared) -> tuple[Route, ...]:
    """Hidden players. To be registered before the routes of profiles: `hidden` is no player here."""
    scopes = ("players:write",)
    return (
        Route(
            "GET",
            "/v1/hidden-players",
            moderation.hidden,
            "Moderation",
            "List hidden players",
            Answer(200, "A page of players, by id.", "HiddenListing", example.HIDDEN_LISTING),
            scopes=scopes,
            parameters=(s.limit, s.offset, s.cursor, s.if_none_match),
            etag=True,
        ),
        Route(
            "POST",
            "/v1/players/{player_id}/hide",
            moderation.hide,
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
        ),
        Route(
            "POST",
            "/v1/players/{player_id}/unhide",
            moderation.unhide,
            "Moderation",
            "Show a hidden player again",
            Answer(200, "The player is not hidden.", "HiddenPlayer", {**example.HIDDEN, **example.SHOWN}),
            "Whatever hid the player: the profile's `hidden_until` is taken away, too.",
            scopes=scopes,
            parameters=(s.player, s.idempotency_key),
            body=Body("UnhideInput", {"reason": "appeal granted"}, required=False),
            codes=("idempotency_conflict",),
            logged=True,
        ),
    )


def moderation_of_entries(s: Shared) -> tuple[Route, ...]:
    """Entries of open periods."""
    scopes = ("leaderboards:write",)
    return (
        Route(
            "PATCH",
            f"{BOARD}/players/{{player_id}}",
            moderation.edit_entry,
            "Moderation",
            "Edit a player's entry",
            Answer(200, "The entries before and after.", "EditedEntries"),
            "In the current period of every window in which the player has an entry, or of one. The score is "
            "set whatever the aggregation and the limits for submissions; among equals the player stands "
            "where who reached the score now would stand. `subscore` and `metadata` stay if they are absent.",
            scopes=scopes,
            parameters=(s.board, s.player, s.any_window),
            body=Body("EntryEdit", example.EDIT),
            codes=ENTRY_CODES,
            logged=True,
        ),
        Route(
            "POST",
            f"{BOARD}/players/{{player_id}}/restore",
            moderation.restore_entry,
            "Moderation",
            "Restore a player's removed entry",
            Answer(200, "The entries as they are again.", "RestoredEntries"),
            "Puts back exactly what was removed last from the current period of every window, or of one. Of "
            "each period the newest 1000 removed entries are kept. 409 `entry_exists` if the player has an "
            "entry again.",
            scopes=scopes,
            parameters=(s.board, s.player, s.any_window, s.idempotency_key),
            body=Body("RestoreInput", {"reason": "removed by mistake"}, required=False),
            codes=(*ENTRY_CODES, "entry_exists", "idempotency_conflict"),
            logged=True,
        ),
    )


def audit_log(s: Shared) -> tuple[Route, ...]:
    """Who did what."""
    player = identifier("player_id", "Only what concerns this player.", s.settings.id_length, "query")
    return (
        Route(
            "GET",
            "/v1/audit",
            audit.search,
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
        ),
    )
