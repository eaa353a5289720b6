"""Routes that change the entries of open periods."""

from __future__ import annotations

from gateway.api.entries import examples as example
from gateway.api.entries import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import text
from gateway.http.shared_parameters import BOARD, SUBMIT_CODES, Shared

REASON = text("reason", "The reason, for the audit log.", max_length=500)
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
            "Remove a player's entry",
            Answer(200, "The removed entries.", "RemovedEntries"),
            "Removes the entry from the current period of every window, or of one. A removed entry can be "
            "restored. The removal is recorded in the audit log.",
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
            "Changes the entry in the current period of every window where the player has one, or of one "
            "window. The score is set regardless of the aggregation and of the limits for submissions. "
            "Among equal scores, the player ranks as if the score had been reached now. `subscore` and "
            "`metadata` keep their values if you leave them out.",
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
            Answer(200, "The restored entries.", "RestoredEntries"),
            "Restores the entry that was last removed from the current period of every window, or of one, "
            "exactly as it was. Each period keeps the last 1000 removed entries. 409 `entry_exists` if the "
            "player has a new entry by now.",
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
            Answer(
                200,
                "How many entries were imported, and why the others were not.",
                "Imported",
                example.IMPORTED,
            ),
            "Writes entries into the current period of a window exactly as given: score, subscore, "
            "metadata, number of submissions and times, regardless of the aggregation and of the limits "
            "for submissions. Equal scores rank in the order of the list. An entry is written only if the "
            "player has none, so a repeat changes nothing, however late: an identical entry counts as "
            "`unchanged`; a different one stays and the item is rejected with `entry_exists`; if the entry "
            "was removed, the item is rejected with `entry_removed`. With `replace` the item is written in "
            "these cases too. An invalid item is rejected without affecting the others. Plugins do not "
            "judge imported entries; the import is recorded in the audit log. A leaderboard that is computed "
            "from a metric or from events takes none: 409 `leaderboard_not_writable`.",
            scopes=scopes,
            parameters=(s.board, s.window),
            body=Body("ImportInput", example.IMPORT),
            codes=(
                "leaderboard_not_found",
                "leaderboard_not_writable",
                "period_not_found",
                "period_closed",
                "entry_exists",
                "entry_removed",
            ),
            logged=True,
            python="import_entries(leaderboard_id, entries)",
        ),
    )
