"""Events (API section 9): taking them, and trying out what a leaderboard's rules make of one.

Events come in lists alone, with a verdict for each item, as scores do (`gateway.api.scores.handlers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from aiohttp import web

from gateway.http.access import Caller
from gateway.http.call import Call
from gateway.http.documents import Document, error_item
from gateway.http.items import failure_of_all, items_in
from gateway.http.log_rows import RowStandard
from lbactors.core.errors import ApiError, detail, invalid
from lbactors.core.log_model import EventOutcome, Matched
from lbactors.core.projection import Projection
from lbactors.core.subject import Subject

RESULTS = ("none", "full")
PROFILE_SCOPES = ("rankings:read", "players:write")  # as `GET /v1/players/{player_id}` needs


async def send(call: Call) -> web.Response:
    """`POST /v1/events`."""
    body = await call.body()
    items, loc = items_in(body, "events", call.settings.events_per_request, bare=False)
    standard = RowStandard(call.caller.player_id, call.service.now_ms())
    rows, sources, refused = call.gateway.events.several(items, standard, loc)
    verdicts: Sequence[EventOutcome | ApiError] = ()
    behind: Sequence[str] = ()
    full = call.query["results"] == "full"
    if rows:
        try:
            verdicts, behind = await call.service.logs.append_events(
                call.tenant_id, rows, standard.arrived_at_ms, matched=full
            )
        except ApiError as error:
            verdicts = [error] * len(rows)
    found: dict[int, EventOutcome | ApiError] = {**refused, **dict(zip(sources, verdicts, strict=True))}
    errors = sorted((index, v) for index, v in found.items() if isinstance(v, ApiError))
    taken = sorted((index, v) for index, v in found.items() if not isinstance(v, ApiError))
    call.gateway.metrics.log_rows("event", len(taken), len(errors))
    failure = failure_of_all(errors, len(items), keyed=False)
    if failure is not None:
        raise failure
    answer: Document = {
        "accepted": len(taken),
        "duplicates": sum(outcome.duplicate for _, outcome in taken),
        "rejected": len(errors),
        "errors": [error_item(index, error) for index, error in errors],
        "behind": call.seen(behind),
    }
    if full:
        answer["results"] = [
            {"index": index, "event_id": items[index]["event_id"], "matched": _matched(call, outcome.matched)}
            for index, outcome in taken
        ]
    return call.answer(answer)


async def test_rules(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/rules/test`. It writes nothing, so a key that may read the
    definition may try it out, too. The stored profile of the event's player has a say: who names one must be
    allowed to read it.
    """
    board = await call.board()
    event = call.gateway.events.tested(_event(await call.body()), call.service.now_ms(), "body", "event")
    scoring = board.definition.scoring
    if scoring.source != "events":
        message = f"leaderboard {board.leaderboard_id!r} has no rules: its source is {scoring.source!r}"
        raise invalid(message, "path", "leaderboard_id")
    profile = None
    if event.player_id:
        _check_may_read(call.caller, event.player_id)
        profile = await call.service.profile(call.tenant_id, event.player_id)
    subject = Subject(
        attrs=event.attrs,
        actor_metadata=event.actor_metadata,
        profile=None if profile is None else orjson.dumps(profile),
    )
    return call.answer(Projection.of(scoring).explain(event.event_type, subject))


def _event(body: Any) -> Any:
    """The event in a body."""
    if type(body) is not dict:
        raise invalid("must be an object", "body")
    for name in body:
        if name != "event":
            raise invalid("unknown field beside 'event'", "body", name)
    if "event" not in body:
        raise invalid("is required", "body", "event")
    return body["event"]


def _check_may_read(caller: Caller, player_id: str) -> None:
    """403 where a caller may not read the profile of a player."""
    where = ("body", "event", "player_id")
    if caller.player_id not in (None, player_id):
        message = f"this key may act for player {caller.player_id!r} only"
    elif caller.player_id is None and caller.scopes.isdisjoint(PROFILE_SCOPES):
        message = f"the player's profile needs a key with the scope {' or '.join(PROFILE_SCOPES)}"
    else:
        return
    raise ApiError("forbidden", f"{'.'.join(where)}: {message}", [detail(message, *where)])


def _matched(call: Call, found: Sequence[Matched]) -> list[Any]:
    """The leaderboards that gave points, as far as there are any for the caller."""
    seen = set(call.seen([one.leaderboard_id for one in found]))
    return [
        {
            "leaderboard_id": one.leaderboard_id,
            "points": one.points,
            "windows": [{"window": w.window, "score": w.score, "rank": w.rank} for w in one.windows],
        }
        for one in found
        if one.leaderboard_id in seen
    ]
