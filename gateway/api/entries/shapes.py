"""Shapes of changed entries."""

from __future__ import annotations

from gateway.http.document_shapes import ENTRY
from gateway.http.model_shapes import model_shape
from gateway.http.parameters import NUMBER_SCHEMA
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import STRING, WINDOW, Schema, answer, ref
from lbactors.documents.entry_edits import EditBody, RestoreBody


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of edits, and of entries before and after."""
    entry: Schema = {
        "allOf": [answer({"window": WINDOW, "period_key": STRING}), ref("Entry")],
    }
    entries: Schema = {"type": "array", "items": entry}
    return {
        "EntryEdit": model_shape(EditBody, replaced={"score": NUMBER_SCHEMA}),
        "EditedEntries": answer({"before": entries, "after": entries}),
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
