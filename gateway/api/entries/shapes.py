"""Shapes of changed entries."""

from __future__ import annotations

from gateway.http.document_shapes import ENTRY
from gateway.http.model_shapes import model_shape
from gateway.http.parameters import NUMBER_SCHEMA, identifier_schema
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import COUNT, STRING, WINDOW, Schema, answer, or_null, ref, said
from lbactors.documents.entry_edits import EditBody, EntryBody, ImportBody, RestoreBody


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of edits, and of entries before and after."""
    entry: Schema = {
        "allOf": [answer({"window": WINDOW, "period_key": STRING}), ref("Entry")],
    }
    entries: Schema = {"type": "array", "items": entry}
    imported = model_shape(
        EntryBody,
        replaced={
            "player_id": identifier_schema(settings.id_length),
            "score": NUMBER_SCHEMA,
            "subscore": NUMBER_SCHEMA,
        },
    )
    any_item = said({}, "An entry. An invalid one is rejected without affecting the others.")
    return {
        "EntryEdit": model_shape(EditBody, replaced={"score": NUMBER_SCHEMA}),
        "EditedEntries": answer({"before": entries, "after": entries}),
        "ImportInput": model_shape(
            ImportBody,
            replaced={
                "entries": {
                    "type": "array",
                    "maxItems": settings.batch_items,
                    "items": {"anyOf": [imported, any_item]},
                    "description": "Equal scores rank in the order of this list.",
                }
            },
        ),
        "Imported": answer(
            {
                "period_key": or_null(STRING, "Null if no entry was valid."),
                "imported": COUNT,
                "unchanged": said(COUNT, "Entries that were already there, identical."),
                "dropped": said(COUNT, "Entries that fell outside `max_entries` at once."),
                "rejected": COUNT,
                "errors": {"type": "array", "items": ref("ItemError")},
            }
        ),
        "RestoreInput": model_shape(RestoreBody),
        "RestoredEntries": answer({"restored": entries}),
        "RemovedEntries": answer(
            {
                "removed": {
                    "type": "array",
                    "items": answer({"window": WINDOW, "period_key": STRING, **ENTRY}),
                }
            }
        ),
    }
