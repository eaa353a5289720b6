"""Shapes of what operators see."""

from __future__ import annotations

from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    BOOLEAN,
    COUNT,
    INSTANT,
    OBJECT,
    STRING,
    WINDOW,
    Schema,
    answer,
    or_null,
    ref,
    said,
)

STATES = ("asleep", "loading", "serving", "draining", "suspended", "sealed", "gone")
EPOCH: Schema = {"type": "integer", "minimum": 0}
STORAGE = said(STRING, "`ok`, or what is wrong with the store.")
PERIODS = answer(
    {
        "serving": said(COUNT, "In memory."),
        "loading": said(COUNT, "On their way into memory, or unable to get there."),
        "asleep": said(COUNT, "Open and not in memory: the first use loads them."),
    },
    description="How many open periods there are.",
)
FOLLOWS: Schema = {
    "state": said(
        {"type": "string", "enum": ["live", "behind", "filling"]},
        "`live`: it has taken all. `behind`: it is catching up. `filling`: periods are computed anew; reads "
        "of them are answered 503.",
    ),
    "rows_read": said(COUNT, "Number of the last row that it has read."),
    "rows": said(COUNT, "Number of the last row that it knows of."),
    "behind_seconds": said(
        {"type": "number", "minimum": 0},
        "For how long the first row has waited that it has not taken, or for how long it has been reading "
        "up; 0 if there is none.",
    ),
}
RESIDENT = said(COUNT, "Memory of the process, shared pages included.")


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of the state of the server."""
    return {
        "Health": answer({"status": {"type": "string", "const": "ok"}}),
        "Readiness": answer(
            {
                "ready": {"type": "boolean", "const": True},
                "storage": STORAGE,
                "supervisor": said(
                    {"type": "string", "enum": ["ok", "away"]},
                    "`away`: scores and reads go on, changes of definitions and of periods wait.",
                ),
                "actors": said(COUNT, "Period actors, those that do not run included."),
                "periods": PERIODS,
            }
        ),
        "Status": answer(
            {
                "ready": BOOLEAN,
                "storage": STORAGE,
                "at": INSTANT,
                "gateway": answer(
                    {"pid": COUNT, "resident_bytes": RESIDENT}, description="The process that answers."
                ),
                "supervisor": answer(
                    {
                        "pid": COUNT,
                        "epoch": said(EPOCH, "Rises each time that a supervisor takes over."),
                        "started_at": INSTANT,
                        "resident_bytes": RESIDENT,
                        "trouble": said(STRING, "What it could not do last; empty if all went well."),
                    }
                ),
                "leaderboards": said(COUNT, "In all tenants."),
                "periods": PERIODS,
                "events": answer(
                    {
                        "webhooks": said(COUNT, "Registered."),
                        "pending": said(COUNT, "Deliveries that wait, retries included."),
                        "receivers_down": said(COUNT, "Receivers whose last delivery failed."),
                        "attempts": COUNT,
                        "delivered": COUNT,
                        "failed": COUNT,
                    },
                    description="Deliveries to webhooks and plugins. `attempts`, `delivered` and `failed` "
                    "count since the supervisor started.",
                ),
                "projections": answer(
                    {
                        "behind": said(COUNT, "How many there are."),
                        "leaderboards": {
                            "type": "array",
                            "items": ref("StatusProjection"),
                            "maxItems": 100,
                            "description": "Those that have most rows before them.",
                        },
                    },
                    description="Leaderboards that are computed from a metric or events and are being "
                    "filled, or have been behind for more than a second.",
                ),
                "actors": {"type": "array", "items": ref("StatusActor")},
            }
        ),
        "StatusProjection": answer({"tenant_id": STRING, "leaderboard_id": STRING, **FOLLOWS}),
        "StatusActor": answer(
            {
                "name": STRING,
                "dormant": said(
                    BOOLEAN,
                    "It does not run, because nobody used its leaderboards for a while; the first use starts "
                    "one for them.",
                ),
                "pid": or_null(COUNT, "This and what follows is null of an actor that has not answered yet."),
                "started_at": or_null(INSTANT),
                "resident_bytes": or_null(RESIDENT),
                "submissions": or_null(COUNT, "Since it started."),
                "reads": or_null(COUNT, "Since it started."),
                "trouble": {
                    "type": "array",
                    "items": said(STRING, "Why a period is not served."),
                },
                "reserved": said(
                    BOOLEAN, "It is kept for one leaderboard, which is busy or has `placement: dedicated`."
                ),
                "load_per_second": said(
                    {"type": "number", "minimum": 0}, "Submissions and reads, averaged over about 10 seconds."
                ),
                "leaderboards": {"type": "array", "items": ref("StatusLeaderboard")},
                "logs": {"type": "array", "items": ref("StatusLog")},
            },
            description="A period actor: a process that has leaderboards in memory.",
        ),
        "StatusLeaderboard": answer(
            {
                "tenant_id": STRING,
                "leaderboard_id": STRING,
                "uid": said(
                    STRING,
                    "Tells apart leaderboards that had the same id. The log, `lbactors verify` and `lbactors "
                    "repair` name a period `<tenant_id>/<leaderboard_id>~<uid>/<window>/<serial>`.",
                ),
                "waiting": said(COUNT, "Submissions that wait for the journal."),
                "windows": {"type": "array", "items": ref("StatusWindow")},
            }
        ),
        "StatusLog": answer(
            {
                "tenant_id": STRING,
                "metric": or_null(STRING, "Null: the log of the tenant's events."),
                "uid": said(
                    STRING,
                    "The log, `lbactors verify` and `lbactors repair` name it "
                    "`<tenant_id>/<metric>~<uid>/main/1`, that of events `<tenant_id>/events~<uid>/main/1`.",
                ),
                "state": said({"type": "string", "enum": list(STATES)}, "Of the log in this process."),
                "epoch": or_null(EPOCH, "Rises each time that the log is loaded. Null while it is asleep."),
                "rows": or_null(
                    COUNT, "Number of its last row; notes of the server count, too. Null while it is asleep."
                ),
                "waiting": said(COUNT, "Rows that wait for the journal."),
                "operations": said(COUNT, "Writes and reads since it came to this actor."),
            },
            description="A log of rows, from which leaderboards are computed.",
        ),
        "StatusWindow": answer(
            {
                "window": WINDOW,
                "awake": said(BOOLEAN, "Whether its open periods are in memory."),
                "closed_loaded": said(COUNT, "Closed periods in memory, for reads."),
                "operations": said(
                    COUNT,
                    "Submissions and reads since it came to this actor. The main window counts a submission "
                    "for all.",
                ),
                "periods": {
                    "type": "array",
                    "items": ref("StatusPeriod"),
                    "description": "Its open periods; empty while none of them is in memory.",
                },
                "follows": or_null(
                    answer(dict(FOLLOWS)),
                    "How far it has read its log. Null with `scoring.source` `scores`, and while it is not "
                    "in memory.",
                ),
            }
        ),
        "StatusPeriod": answer(
            {
                "period_key": STRING,
                "state": said(
                    {"type": "string", "enum": list(STATES)},
                    "Of the period in this process; `state` elsewhere goes by the clock.",
                ),
                "epoch": said(EPOCH, "Rises each time that the period is loaded for writing."),
                "entries": COUNT,
                "serial": said(COUNT, "Counts the window's periods from 1."),
                "seq": said(COUNT, "How far its journal is applied."),
            }
        ),
        "OpenApi": said(OBJECT, "An OpenAPI 3.1 document."),
    }
