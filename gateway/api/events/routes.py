"""Routes of events (API section 9)."""

from __future__ import annotations

from dataclasses import replace

from gateway.api.events import examples as example
from gateway.api.events import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import choice
from gateway.http.shared_parameters import BOARD, Shared


def routes(s: Shared) -> tuple[Route, ...]:
    """Events."""
    return (
        Route(
            "POST",
            "/v1/events",
            handlers.send,
            "events_send",
            "Events",
            "Send events",
            Answer(
                200,
                "How many events were accepted and rejected, and why.",
                "EventsOutcome",
                example.EVENTS_OUTCOME,
            ),
            "Writes to the tenant's log of events, from which leaderboards are computed by their rules. An "
            "invalid event is rejected without affecting the others, and the answer is 200, unless all "
            "events failed for the same temporary reason. The answer waits for the leaderboards for a moment "
            "and names those that are `behind`.",
            scopes=("scores:write",),
            own_player="items",
            parameters=(
                choice(
                    "results",
                    "`full` adds to the answer what leaderboards made of each accepted event.",
                    handlers.RESULTS,
                    "none",
                ),
            ),
            body=Body("Events", example.EVENTS),
            codes=("idempotency_conflict", "overloaded"),
            python="send_events(events)",
        ),
        Route(
            "POST",
            f"{BOARD}/rules/test",
            handlers.test_rules,
            "events_test_rules",
            "Events",
            "Try out a leaderboard's rules",
            Answer(200, "What the event would be worth, and why.", "RulesTested", example.TESTED),
            "Only for leaderboards with `scoring.source` `events`. Nothing is written, and the event counts "
            "nowhere. `event_id` and `player_id` may be left out; of a player who is named, the stored "
            "profile has a say, so the key also needs `rankings:read` or `players:write`.",
            scopes=("leaderboards:read",),
            own_player="items",
            private=True,
            parameters=(replace(s.board, example="match-wins"),),
            body=Body("RulesTest", example.TEST),
            codes=("leaderboard_not_found",),
            python="test_rules(leaderboard_id, event)",
        ),
    )
