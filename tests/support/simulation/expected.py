"""What every period must hold, by brute force: submissions sorted by hand into spans that were counted out.

An `ExpectedBoard` is told what was sent and when, and says what the answer must be; a list of what was taken
is all that it keeps. Standings are computed from that list anew whenever somebody asks. It knows the rules of
the API (grace, repeats, the order of equal scores) and nothing of how the service keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from lbactors.core.model import Submission
from tests.support.simulation.counted_time import Span, containing, spans

REPEATS_KNOWN_MS = 24 * 3_600_000  # so long at least a repeat is recognised

GRACE_DEFAULT_S, RETAIN_DEFAULT = 5, 10
DAY_MS = 24 * 3_600_000
DELETED_WITHIN_MS = 3_700_000  # after a period has reached its age


class Taken(NamedTuple):
    """A submission that counts, in the order of acceptance. at_ms: when it is said to have happened."""

    player_id: str
    score: int
    at_ms: int


class Standing(NamedTuple):
    rank: int
    player_id: str
    score: int
    submissions: int


class Refusal(NamedTuple):
    """With which of these codes a window may not take a submission."""

    codes: tuple[str, ...]


class ExpectedChain:
    """One window. `spans` in order, from the one that contained the board's creation on."""

    def __init__(self, frame: dict[str, Any], window: str, created_ms: int) -> None:
        self.window = window
        self.grace_ms = frame.get("late_grace_seconds", GRACE_DEFAULT_S) * 1000
        self.retain = frame.get("retain_periods", RETAIN_DEFAULT)
        self.retain_ms = frame["retain_days"] * DAY_MS
        self.late_arrival = frame.get("late_submissions") == "arrival"
        everything = spans(frame, window)
        self.spans = [s for s in everything if s.ends_at_ms is None or s.ends_at_ms > created_ms]
        self.taken: dict[str, list[Taken]] = {}
        self.forced: set[str] = set()
        self.numbers: dict[str, int] = {}  # keys of spans that occurred again

    def index_at(self, at_ms: int) -> int | None:
        return containing(self.spans, at_ms)

    def state(self, span: Span, now_ms: int) -> str:
        if span.starts_at_ms is not None and now_ms < span.starts_at_ms:
            return "pending"
        if span.ends_at_ms is None or now_ms < span.ends_at_ms:
            return "active"
        return "closing" if now_ms < self.closed_from_ms(span) else "closed"

    def kept_by_age(self, span: Span, now_ms: int) -> bool | None:
        """Whether a closed period is too young to be deleted; None: just not any more."""
        assert span.ends_at_ms is not None
        if now_ms < span.ends_at_ms + self.retain_ms:
            return True
        spread_ms = DELETED_WITHIN_MS if self.retain_ms else 0
        return None if now_ms < span.ends_at_ms + self.retain_ms + spread_ms else False

    def closed_from_ms(self, span: Span) -> int:
        assert span.ends_at_ms is not None
        return span.ends_at_ms + (0 if span.key in self.forced else self.grace_ms)

    def judge(self, occurred_at_ms: int | None, now_ms: int) -> Span | Refusal:
        """Where a submission belongs that arrives now; a time ahead of the clock counts as now."""
        if occurred_at_ms is not None and occurred_at_ms < now_ms:
            index = self.index_at(occurred_at_ms)
            if index is None:
                return Refusal(("period_closed", "period_not_open"))
            span = self.spans[index]
            state = self.state(span, now_ms)
            if state == "closed":
                return self._late(span, now_ms)
            assert state != "pending", "what has happened lies in no period that is to come"
            return span
        index = self.index_at(now_ms)
        if index is not None:
            return self.spans[index]
        later = any(s.starts_at_ms is not None and now_ms < s.starts_at_ms for s in self.spans)
        return Refusal(("period_not_open",) if later or not self.spans else ("period_closed",))

    def _late(self, span: Span, now_ms: int) -> Span | Refusal:
        """What happened in a period that is closed: refused, or taken as if it happened on arrival."""
        if self.late_arrival:
            return self.judge(None, now_ms)
        return Refusal(("period_closed",))

    def closed(self, now_ms: int) -> list[Span]:
        """Those that the clock says are closed, oldest first."""
        return [s for s in self.spans if s.ends_at_ms is not None and self.closed_from_ms(s) <= now_ms]

    def closed_last_ms(self, now_ms: int) -> int:
        """When the last of them closed; 0 if none did."""
        return max((self.closed_from_ms(s) for s in self.closed(now_ms)), default=0)

    def standings(self, key: str, aggregation: str) -> list[Standing]:
        """Everybody in rank order: higher scores first, of equals who reached his earlier."""
        scores: dict[str, tuple[int, int, int]] = {}  # player -> score, when it was reached, submissions
        newest_ms: dict[str, int] = {}
        for turn, (player_id, score, at_ms) in enumerate(self.taken.get(key, [])):
            old, reached, count = scores.get(player_id, (None, turn, 0))
            is_newest = at_ms >= newest_ms.get(player_id, at_ms)
            newest_ms[player_id] = max(at_ms, newest_ms.get(player_id, at_ms))
            new = {
                "sum": score + (old or 0),
                "count": 1 + (old or 0),
                "latest": score if old is None or is_newest else old,
                "best": score if old is None else max(score, old),
                "min": score if old is None else min(score, old),
            }[aggregation]
            scores[player_id] = (new, turn if new != old else reached, count + 1)
        order = sorted(scores, key=lambda p: (-scores[p][0], scores[p][1]))
        return [Standing(rank, p, scores[p][0], scores[p][2]) for rank, p in enumerate(order, 1)]

    def before(self, span: Span) -> Span | None:
        index = self.spans.index(span)
        return self.spans[index - 1] if index else None

    # What people change on the way ------------------------------------------------------------------------

    def force_close(self, now_ms: int) -> None:
        """The current period ends now, and the rest of its span is another one."""
        index = self.index_at(now_ms)
        assert index is not None
        span = self.spans[index]
        self.forced.add(span.key)
        base = span.key.removesuffix(f"-{self.numbers.get(span.key)}")
        rest = Span(self._numbered(base), now_ms, span.ends_at_ms)
        self.spans[index : index + 1] = [span._replace(ends_at_ms=now_ms), rest]

    def _numbered(self, key: str) -> str:
        number = 2
        while f"{key}-{number}" in {s.key for s in self.spans}:
            number += 1
        self.numbers[f"{key}-{number}"] = number
        return f"{key}-{number}"

    def redefine(self, frame: dict[str, Any], now_ms: int) -> None:
        """Another timeframe: the current period's bounds and key are computed anew, its entries stay."""
        index = self.index_at(now_ms)
        assert index is not None
        past, current = self.spans[:index], self.spans[index]
        renewed = spans(frame, self.window)
        place = containing(renewed, now_ms)
        assert place is not None
        self.spans = [*past, *renewed[place:]]
        if renewed[place].key in {s.key for s in past}:
            self.spans[index] = renewed[place]._replace(key=self._numbered(renewed[place].key))
        if current.key in self.taken:
            self.taken[self.spans[index].key] = self.taken.pop(current.key)

    def extend(self, frame: dict[str, Any], now_ms: int) -> bool:
        """The schedule, which had ended, goes on: with its last period, if that is the present one (True)."""
        renewed = spans(frame, self.window)
        place = containing(renewed, now_ms)
        assert place is not None
        last = self.spans[-1]
        assert last.ends_at_ms is not None and last.ends_at_ms <= now_ms
        if renewed[place].key == last.key:
            self.spans[-1:] = renewed[place:]
            return True
        self.spans += [s for s in renewed if (s.starts_at_ms or 0) >= last.ends_at_ms]
        return False

    def add(self, span: Span) -> None:
        """A period by hand, after all others."""
        self.spans.append(span)


class ExpectedBoard:
    """A leaderboard's windows, and the ids that were taken."""

    def __init__(self, definition: dict[str, Any], created_ms: int) -> None:
        self.id: str = definition["leaderboard_id"]
        self.frame: dict[str, Any] = definition["timeframe"]
        self.created_ms = created_ms
        self.aggregation: str = definition.get("scoring", {}).get("aggregation", "best")
        windows = ("main", *definition.get("windows", ()))
        self.chains = {w: ExpectedChain(self.frame, w, created_ms) for w in windows}
        self.ids: dict[str, tuple[int, set[str]]] = {}  # id -> when it was taken first, windows that did

    def judge(self, submission: Submission, now_ms: int) -> Refusal | dict[str, str | Refusal]:
        """Why it is refused, by the main window; or the period's key in each window that takes it, and why
        others pass it over. (What was taken before is a repeat, and taken by no window.)
        """
        verdicts = {w: c.judge(submission.occurred_at_ms, now_ms) for w, c in self.chains.items()}
        main = verdicts["main"]
        if isinstance(main, Refusal):
            return main
        return {w: v if isinstance(v, Refusal) else v.key for w, v in verdicts.items()}

    def taken_by(self, submission_id: str) -> set[str]:
        """Windows that a submission was taken by."""
        return self.ids[submission_id][1] if submission_id in self.ids else set()

    def take(self, submission: Submission, keys: dict[str, str], now_ms: int) -> None:
        assert submission.submission_id is not None
        self.ids.setdefault(submission.submission_id, (now_ms, set()))[1].update(keys)
        score = submission.score
        assert score is None or isinstance(score, int)
        at_ms = now_ms if submission.occurred_at_ms is None else min(submission.occurred_at_ms, now_ms)
        taken = Taken(submission.player_id, score or 0, at_ms)
        for window, key in keys.items():
            self.chains[window].taken.setdefault(key, []).append(taken)

    def may_repeat(self, submission_id: str, now_ms: int) -> bool:
        """Whether it is certain what a repeat is answered: it was refused, or taken not too long ago."""
        return submission_id not in self.ids or now_ms - self.ids[submission_id][0] < REPEATS_KNOWN_MS

    def boundaries(self, low_ms: int, high_ms: int) -> Iterable[tuple[int, str]]:
        """(instant, window) of all ends of periods between two instants."""
        for window, chain in self.chains.items():
            for span in chain.spans:
                if span.ends_at_ms is not None and low_ms < span.ends_at_ms < high_ms:
                    yield span.ends_at_ms, window
