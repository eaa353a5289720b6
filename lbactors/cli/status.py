"""The command `status`: the state of the server, as `GET /v1/status` has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from lbactors.cli.connection import Server, examples, talks_to_server
from lbactors.client import ApiError
from lbactors.tables import bytes_text, duration_text, print_fields, print_table

Json = dict[str, Any]

ACTOR_COLUMNS = (
    "actor", "pid", "memory", "up", "leaderboards", "logs", "awake", "entries", "loading", "waiting",
    "load/s", "reserved",
)  # fmt: skip
PERIOD_COLUMNS = ("actor", "tenant", "leaderboard", "window", "period", "state", "entries", "seq", "log")
LOG_COLUMNS = ("actor", "tenant", "log", "state", "rows", "waiting")
BEHIND_SHOWN = 10  # leaderboards; --json has more


@click.command(
    epilog=examples(
        "lbactors status", "lbactors status --periods", "lbactors status --json | jq .ready.ready"
    )
)
@click.option(
    "--periods", "with_periods", is_flag=True, help="Also list the open periods and logs in memory."
)
@talks_to_server
def status(server: Server, with_periods: bool) -> None:
    """Show whether the server is ready, its memory and its load.

    An actor is a process that keeps leaderboards in memory. The exit code is 1 if the server is not ready.
    Actors are shown only with a key that has the scope platform. Leaderboards that are computed from a metric
    or events are named under behind if they have not taken all rows of their log.

    \b
    memory        RSS, including pages shared with other processes
    up            time since the actor started; "not running" while nobody uses its leaderboards
    leaderboards  leaderboards placed in the actor
    logs          logs of metrics and events placed in the actor
    awake         leaderboards with an open period in memory
    entries       players in those periods
    loading       periods and logs being loaded
    waiting       submissions and rows waiting for the journal
    load/s        submissions and reads per second, averaged over about 10 seconds
    reserved      kept for one leaderboard, which is busy or dedicated
    """
    answer: Json = {"health": server.client.health(), "ready": server.client.ready()}
    try:
        answer["status"] = server.client.status()
    except ApiError as error:
        if error.status not in (401, 403) and answer["ready"].get("ready"):
            raise
        answer["status"] = None

    def render() -> None:
        found = answer["status"]
        fields = {"health": answer["health"]["status"], **_readiness(answer["ready"])}
        print_fields(fields if found is None else {**fields, **_server_fields(found)})
        if found is not None and found["actors"]:
            click.echo()
            print_table(ACTOR_COLUMNS, [_actor_row(actor, found["at"]) for actor in found["actors"]])
            if with_periods:
                click.echo()
                print_table(PERIOD_COLUMNS, [row for actor in found["actors"] for row in _period_rows(actor)])
                logs = [row for actor in found["actors"] for row in _log_rows(actor)]
                if logs:
                    click.echo()
                    print_table(LOG_COLUMNS, logs)

    server.show(answer, render)
    if not answer["ready"].get("ready"):
        raise click.exceptions.Exit(1)


def _server_fields(found: Json) -> Json:
    """What stands beside readiness and above the table. Trouble is left out where there is none."""
    supervisor = found["supervisor"]
    trouble = {"trouble": supervisor["trouble"]} if supervisor["trouble"] else {}
    shown: Json = {
        "leaderboards": found["leaderboards"],
        "events": found["events"],
        "gateway": _process(found["gateway"]),
        "supervisor": {**_process(supervisor), "epoch": supervisor["epoch"], **trouble},
    }
    troubles = [why for actor in found["actors"] for why in actor["trouble"]]
    shown |= {f"trouble.{number}": why for number, why in enumerate(troubles, 1)}
    return {**shown, **_behind(found["projections"])}


def _behind(projections: Json) -> Json:
    """Who has not taken all rows, each in a line; nothing if nobody is behind."""
    boards = projections["leaderboards"][:BEHIND_SHOWN]
    shown = {
        f"behind.{number}": f"{board['leaderboard_id']} of tenant {board['tenant_id']}: {_lag(board)}"
        for number, board in enumerate(boards, 1)
    }
    more = projections["behind"] - len(boards)
    return {**shown, "behind.more": more} if more else shown


def _lag(follows: Json) -> str:
    """How far a projection is, in a few words."""
    if follows["state"] == "live":
        return "live"
    if follows["state"] == "filling":
        return f"filling, {follows['rows_read']} of {follows['rows']} rows"
    missing = follows["rows"] - follows["rows_read"]
    return f"{missing} rows behind, {follows['behind_seconds']:.0f} s"


def _process(found: Json) -> Json:
    return {"pid": found["pid"], "memory": bytes_text(found["resident_bytes"])}


def _windows(actor: Json) -> Iterator[tuple[Json, Json]]:
    """Each leaderboard with each of its windows."""
    for board in actor["leaderboards"]:
        for window in board["windows"]:
            yield board, window


def _period_rows(actor: Json) -> list[list[Any]]:
    """The open periods of an actor that are in memory."""
    return [
        [
            actor["name"], board["tenant_id"], board["leaderboard_id"], window["window"],
            period["period_key"], period["state"], period["entries"], period["seq"],
            None if window["follows"] is None else _lag(window["follows"]),
        ]
        for board, window in _windows(actor)
        for period in window["periods"]
        if period["state"] != "asleep"
    ]  # fmt: skip


def _log_rows(actor: Json) -> list[list[Any]]:
    """The logs of an actor that are in memory."""
    return [
        [
            actor["name"], log["tenant_id"], "events" if log["metric"] is None else f"metric {log['metric']}",
            log["state"], log["rows"], log["waiting"],
        ]
        for log in actor["logs"]
        if log["state"] != "asleep"
    ]  # fmt: skip


def _actor_row(actor: Json, at: str) -> list[Any]:
    """One period actor. One that has not answered yet has a name and its leaderboards alone."""
    boards, logs = actor["leaderboards"], actor["logs"]
    periods = [period for _, window in _windows(actor) for period in window["periods"]]
    memory = actor["resident_bytes"]
    return [
        actor["name"],
        actor["pid"],
        None if memory is None else bytes_text(memory),
        _up(actor, at),
        len(boards),
        len(logs),
        sum(any(window["awake"] for window in board["windows"]) for board in boards),
        sum(period["entries"] for period in periods),
        sum(loaded["state"] not in ("serving", "asleep") for loaded in [*periods, *logs]),
        sum(queue["waiting"] for queue in [*boards, *logs]),
        actor["load_per_second"],
        "yes" if actor["reserved"] else None,
    ]


def _up(actor: Json, at: str) -> str | None:
    if actor["dormant"]:
        return "not running"
    if actor["started_at"] is None:
        return None
    up = datetime.fromisoformat(at) - datetime.fromisoformat(actor["started_at"])
    return duration_text(max(0, int(up.total_seconds())))


def _readiness(ready: Json) -> Json:
    """Readiness as fields, also where it is an error: `{"ready": False, "storage": "…"}`."""
    if "error" not in ready:
        return ready
    error = ready["error"]
    found = {".".join(map(str, item["loc"])): item["msg"] for item in error.get("details", [])}
    return {"ready": False, "why": error["message"], **found}
