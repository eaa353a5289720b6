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
    "actor", "pid", "memory", "up", "leaderboards", "awake", "entries", "loading", "waiting", "load/s",
    "reserved",
)  # fmt: skip
PERIOD_COLUMNS = ("actor", "tenant", "leaderboard", "window", "period", "state", "entries", "seq")


@click.command(
    epilog=examples(
        "lbactors status", "lbactors status --periods", "lbactors status --json | jq .ready.ready"
    )
)
@click.option("--periods", "with_periods", is_flag=True, help="Also list the open periods in memory.")
@talks_to_server
def status(server: Server, with_periods: bool) -> None:
    """Show whether the server is ready, its memory and its load.

    An actor is a process that keeps leaderboards in memory. The exit code is 1 if the server is not ready.
    Actors are shown only with a key that has the scope platform.

    \b
    memory        RSS, including pages shared with other processes
    up            time since the actor started; "not running" while nobody uses its leaderboards
    leaderboards  leaderboards placed in the actor
    awake         leaderboards with an open period in memory
    entries       players in those periods
    loading       periods being loaded
    waiting       submissions waiting for the journal
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
    return {**shown, **{f"trouble.{number}": why for number, why in enumerate(troubles, 1)}}


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
        ]
        for board, window in _windows(actor)
        for period in window["periods"]
        if period["state"] != "asleep"
    ]  # fmt: skip


def _actor_row(actor: Json, at: str) -> list[Any]:
    """One period actor. One that has not answered yet has a name and its leaderboards alone."""
    boards = actor["leaderboards"]
    periods = [period for _, window in _windows(actor) for period in window["periods"]]
    memory = actor["resident_bytes"]
    return [
        actor["name"],
        actor["pid"],
        None if memory is None else bytes_text(memory),
        _up(actor, at),
        len(boards),
        sum(any(window["awake"] for window in board["windows"]) for board in boards),
        sum(period["entries"] for period in periods),
        sum(period["state"] not in ("serving", "asleep") for period in periods),
        sum(board["waiting"] for board in boards),
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
