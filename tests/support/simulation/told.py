"""What a webhook must have been told of a board's periods over the simulated year."""

from __future__ import annotations

from typing import Any

from lbactors.core.instants import format_instant
from tests.support.simulation.counted_time import Span
from tests.support.simulation.expected import ExpectedBoard
from tests.support.supervisor.outbox import Receiver

What = tuple[str, str, str]  # type, window, key


def happened(expected: ExpectedBoard, now_ms: int, sealed_after_ms: int) -> dict[What, Span]:
    """Every step of every period of a board that was due up to now."""
    due: dict[What, Span] = {}
    for window, chain in expected.chains.items():
        for span in chain.spans:
            begun = span.starts_at_ms is None or span.starts_at_ms <= now_ms
            over = span.ends_at_ms is not None and span.ends_at_ms <= now_ms
            closed = over and chain.closed_from_ms(span) + sealed_after_ms <= now_ms
            steps = {"period.opened": begun, "period.closing": over, "period.closed": closed}
            due |= {(kind, window, span.key): span for kind, is_due in steps.items() if is_due}
    return due


def told(expected: ExpectedBoard, receiver: Receiver) -> dict[What, Any]:
    """Bodies as they came for the first time, in order; each step must have one id, however often it came."""
    bodies: dict[What, Any] = {}
    for got in receiver.got:
        if got.body["leaderboard_id"] == expected.id:
            period = got.body["data"]["period"]
            what = (got.body["type"], period["window"], period["period_key"])
            first = bodies.setdefault(what, got.body)
            assert first["id"] == got.event_id, f"{what} under two ids"
    return bodies


async def check_told(expected: ExpectedBoard, receiver: Receiver, now_ms: int, sealed_after_ms: int) -> int:
    """Each step of each period was told of under one id, a window's in the order of time, and a closing with
    what the period held. How many there were. TimeoutError if some never come.
    """
    due = happened(expected, now_ms, sealed_after_ms)
    while not due.keys() <= (bodies := told(expected, receiver)).keys():
        await receiver.until(len(receiver.got) + 1)
    for window, chain in expected.chains.items():
        times = [body["created_at"] for (_, w, _), body in bodies.items() if w == window]
        assert times == sorted(times), f"{expected.id}/{window}: not in the order of time"
        for (kind, w, key), span in due.items():
            if w != window:
                continue
            data = bodies[kind, w, key]["data"]
            assert data["period"]["ends_at"] == (span.ends_at_ms and format_instant(span.ends_at_ms))
            if kind == "period.closed":
                standings = chain.standings(key, expected.aggregation)
                shown = [(e["rank"], e["player_id"], e["score"], e["submissions"]) for e in data["standings"]]
                assert (data["total"], shown) == (len(standings), [tuple(s) for s in standings[:10]]), key
    return len(due)
