"""What the rows of a log are worth on a leaderboard: inputs for its periods, made once for all windows that
read the same page.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from lbactors.core.inputs import OCCURRED, SUBMIT, Input
from lbactors.core.log_inputs import AWARD, EVENT, ROW, SETTLE, Event, LogInput, Row, Settle
from lbactors.core.numbers import Number
from lbactors.core.projection import Projection
from lbactors.core.scoring import Scoring
from lbactors.core.subject import Subject
from lbactors.period_actor.log_reader import LogPage


class Scores(NamedTuple):
    """Columns of one length: of each row that counts its seq, when it was acknowledged, and the input that
    came of it, whose time is when it happened (SUBMIT: as acknowledged). profiles: of their players.
    """

    seqs: list[int]
    acked_ms: list[int]
    inputs: list[Input]
    profiles: list[bytes | None]

    @property
    def has_times(self) -> bool:
        """Whether any row says when it happened."""
        return any(item[0] == OCCURRED for item in self.inputs)


def scores_of(page: LogPage, projection: Projection, scoring: Scoring) -> Scores:
    """Of a page. Nothing that a row holds makes this raise."""
    if scoring.source == "events":
        return _of_events(page, projection)
    return _of_rows(page, projection, scoring)


def _of_rows(page: LogPage, projection: Projection, scoring: Scoring) -> Scores:
    found = Scores([], [], [], [])
    is_filtered = bool(scoring.filters)
    is_bounded = scoring.score_min is not None or scoring.score_max is not None
    earned, is_sum = scoring.basis == "earned", scoring.aggregation == "sum"
    for seq, item in enumerate(page.items, page.first_seq):
        kind = item[0]
        if kind == ROW:
            row: Row | Settle = Row(*item)
            if row[4]:  # it is pending
                continue
        elif kind == SETTLE:
            row = Settle(*item)
            if not row[4]:  # it was rejected
                continue
        else:
            continue
        if earned:
            if row.kind != AWARD:
                continue
            score = row.amount
        else:
            score = row.delta if is_sum else row.balance
        if is_filtered and not projection.takes(Subject(metadata=row.metadata, profile=row.profile)):
            continue
        if is_bounded and not projection.allows(score):
            continue
        _add(found, seq, row.at_ms, row.player_id, score, row.subscore, row.metadata, row.occurred_at_ms)
        found.profiles.append(row.profile)
    return found


def _of_events(page: LogPage, projection: Projection) -> Scores:
    found = Scores([], [], [], [])
    types = projection.event_types
    for seq, item in enumerate(page.items, page.first_seq):
        if item[0] != EVENT or item[3] not in types:
            continue
        event = Event(*item)
        points = projection.points(event.event_type, subject_of(event))
        if points is None:
            continue
        _add(found, seq, event.at_ms, event.player_id, points, 0, None, event.occurred_at_ms)
        found.profiles.append(event.profile)
    return found


def _add(
    found: Scores,
    seq: int,
    acked_ms: int,
    player_id: str,
    score: Number,
    subscore: Number,
    metadata: bytes | None,
    occurred_at_ms: int | None,
) -> None:
    found.seqs.append(seq)
    found.acked_ms.append(acked_ms)
    if occurred_at_ms is None:
        found.inputs.append([SUBMIT, acked_ms, player_id, score, subscore, metadata, None, None])
    else:
        found.inputs.append([OCCURRED, occurred_at_ms, player_id, score, subscore, metadata, None, None, 0])


def subject_of(event: Event) -> Subject:
    """What rules look at."""
    return Subject(attrs=event.attrs, actor_metadata=event.actor_metadata, profile=event.profile)


def event_of(item: LogInput) -> Event | None:
    """The event that an input is; None if it is none (any more)."""
    return Event(*item) if item[0] == EVENT else None


def points_of(event: Event, projection: Projection) -> Number | None:
    """What an event is worth; None if it does not count."""
    return projection.points(event.event_type, subject_of(event))


@lru_cache(maxsize=1024)
def zone_in(profile: bytes | None) -> str:
    """The zone that a row's profile names; empty for none."""
    return Subject(profile=profile).timezone or ""
