"""Routes that change the entries of open periods."""

from __future__ import annotations

from gateway.api.entries import examples as example
from gateway.api.entries import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import text
from gateway.http.shared_parameters import BOARD, SUBMIT_CODES, Shared

REASON = text("reason", "Why, for the audit log.", max_length=500)
ENTRY_CODES = ("leaderboard_not_found", "period_not_found", "period_closed", "entry_not_found")


def routes(s: Shared) -> tuple[Route, ...]:
    """Entries of open periods: taken out, edited, restored."""
    scopes = ("leaderboards:write",)
    return (
        Route(
            "DELETE",
            f"{BOARD}/players/{{player_id}}",
            handlers.remove_entry,
            "moderation_remove_entry",
            "Rankings",
            "Take a player's entry out",
            Answer(200, "What was taken out.", "RemovedEntries"),
            "Out of the current period of every window, or of one. What was removed can be restored. The act "
            "is in the audit log.",
            scopes=("scores:write",),
            own_player="path",
            parameters=(s.board, s.player, s.any_window, REASON),
            codes=(*SUBMIT_CODES, "entry_not_found", "period_not_found"),
            logged=True,
            python="delete_entry(leaderboard_id, player_id, reason=)",
            sample_query={"reason": "speed hack"},
        ),
        Route(
            "PATCH",
            f"{BOARD}/players/{{player_id}}",
            handlers.edit_entry,
            "moderation_edit_entry",
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
            python="edit_entry(leaderboard_id, player_id, rest, reason=)",
        ),
        Route(
            "POST",
            f"{BOARD}/players/{{player_id}}/restore",
            handlers.restore_entry,
            "moderation_restore_entry",
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
            python="restore_entry(leaderboard_id, player_id, reason=)",
        ),
        Route(
            "POST",
            f"{BOARD}/entries/import",
            handlers.import_entries,
            "moderation_import_entries",
            "Moderation",
            "Import entries",
            Answer(200, "How many were imported, and why not the others.", "Imported", example.IMPORTED),
            "Puts entries into the current period of a window exactly as they are told, whatever the "
            "aggregation and the limits for submissions: score, subscore, metadata, number of submissions "
            "and times. Equals stand in the order of the list. An entry is put where the player has none, so "
            "a repeat changes nothing, however late: one that stands there as it is told counts as "
            "`unchanged`, another one is left as it is and its item rejected with `entry_exists`, one that "
            "was removed with `entry_removed`. `replace` puts it in their place. `dropped` fell outside "
            "`max_entries` at once. A bad item is rejected alone. No plugin judges them; the audit log has a "
            "record.",
            scopes=scopes,
            parameters=(s.board, s.window),
            body=Body("ImportInput", example.IMPORT),
            codes=(
                "leaderboard_not_found",
                "period_not_found",
                "period_closed",
                "entry_exists",
                "entry_removed",
            ),
            logged=True,
            python="import_entries(leaderboard_id, entries)",
        ),
    )
