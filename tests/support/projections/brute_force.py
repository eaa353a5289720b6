"""What leaderboards that are computed from logs must show, by brute force: every standing is computed anew
from all rows that were ever acknowledged, by section 9 of the API. Nothing of the server is used.

Time is known exactly, since the tests' clock stands still while something is sent. A *place* is a number that
rises with everything that happens: rows of all logs, and what moderators do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, NamedTuple

from tests.support.projections.rules import Document, Number, Rule, holds, plain

SIGNS = {"award": 1, "deduct": -1, "set": 0}


class Refused(Exception):
    """The message is the error's code."""


# Logs -----------------------------------------------------------------------------------------------------


class Counted(NamedTuple):
    """Something in a log that can count. occurred_ms: None unless it happened before it was acknowledged.
    kind: of a metric's row. change, balance: of the player's account.
    """

    place: int
    acked_ms: int
    occurred_ms: int | None
    player_id: str
    subject: Document
    event_type: str = ""
    kind: str = ""
    amount: Number = 0
    subscore: Number = 0
    metadata: Any = None
    change: Number = 0
    balance: Number = 0

    @property
    def at_ms(self) -> int:
        return self.acked_ms if self.occurred_ms is None else self.occurred_ms


def before(occurred_ms: int | None, now_ms: int) -> int | None:
    return None if occurred_ms is None or occurred_ms >= now_ms else occurred_ms


@dataclass
class Account:
    balance: Number = 0
    earned: Number = 0
    spent: Number = 0
    pending: Number = 0
    transactions: int = 0


@dataclass
class Pending:
    player_id: str
    item: Document
    occurred_ms: int | None


@dataclass
class Metric:
    """One metric. Items are the API's."""

    rows: list[Counted] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)
    pending: dict[str, Pending] = field(default_factory=dict)  # by transaction id
    ids: dict[str, str] = field(default_factory=dict)  # submission id -> player

    def account(self, player_id: str) -> Account:
        return self.accounts.get(player_id, Account())

    def write(
        self, item: Document, place: int, now_ms: int, occurred_ms: int | None, profile: Document
    ) -> bool:
        """Whether it was new. Refused."""
        player_id, submission_id = item["player_id"], item.get("submission_id")
        if submission_id in self.ids:
            if self.ids[submission_id] != player_id:
                raise Refused("idempotency_conflict")
            return False
        if item.get("state") != "pending":
            self._count(item, place, now_ms, before(occurred_ms, now_ms), profile)
        account = self.accounts.setdefault(player_id, Account())
        account.transactions += 1
        if item.get("state") == "pending":
            account.pending = plain(account.pending + SIGNS[item["kind"]] * item["score"])
        if submission_id is not None:
            self.ids[submission_id] = player_id
        return True

    def wait(self, transaction_id: str, item: Document, now_ms: int, occurred_ms: int | None) -> None:
        """A pending row that was new has this name."""
        at_ms = None if occurred_ms is None else min(occurred_ms, now_ms)
        self.pending[transaction_id] = Pending(item["player_id"], item, at_ms)

    def settle(self, transaction_id: str, complete: bool, place: int, now_ms: int, profile: Document) -> None:
        """Refused."""
        row = self.pending[transaction_id]
        if complete:
            self._count(row.item, place, now_ms, before(row.occurred_ms, now_ms), profile)
        account = self.accounts[row.player_id]
        account.pending = plain(account.pending - SIGNS[row.item["kind"]] * row.item["score"])
        del self.pending[transaction_id]

    def _count(
        self, item: Document, place: int, now_ms: int, occurred_ms: int | None, profile: Document
    ) -> None:
        player_id, kind, amount = item["player_id"], item["kind"], item["score"]
        old = self.account(player_id)
        balance = amount if kind == "set" else plain(old.balance + SIGNS[kind] * amount)
        if kind == "deduct" and balance < 0:
            raise Refused("insufficient_balance")
        account = self.accounts.setdefault(player_id, Account())
        account.earned = plain(old.earned + (amount if kind == "award" else 0))
        account.spent = plain(old.spent + (amount if kind == "deduct" else 0))
        change, account.balance = plain(balance - old.balance), balance
        metadata = item.get("metadata")
        self.rows.append(
            Counted(
                place,
                now_ms,
                occurred_ms,
                player_id,
                {"metadata": metadata, "player": profile},
                kind=kind,
                amount=amount,
                subscore=item.get("subscore", 0),
                metadata=metadata,
                change=change,
                balance=balance,
            )
        )


# Leaderboards ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Terms:
    """What of a definition decides on standings; the names are those of the API."""

    source: str
    metric: str = ""
    aggregation: str = "best"
    basis: str = "earned"
    score_min: Number | None = None
    score_max: Number | None = None
    filters: Document = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    order: str = "desc"
    subscore_order: str = "desc"
    tie_breaking: str = "first"
    rank_style: str = "ordinal"
    min_score: Number | None = None
    late_arrival: bool = False

    def score_of(self, row: Counted) -> Number | None:
        """What a row submits; None: nothing."""
        if self.source == "events":
            if not holds(self.filters, row.subject):
                return None
            matching = [r for r in self.rules if r.event_type == row.event_type]
            found = [r.points(row.subject) for r in matching if holds(r.conditions, row.subject)]
            numbers = [points for points in found if points is not None]
            score: Number = plain(float(sum(map(Fraction, numbers))))
            if not numbers:
                return None
        else:
            if self.basis == "earned" and row.kind != "award":
                return None
            if self.basis == "earned":
                score = row.amount
            else:
                score = row.change if self.aggregation == "sum" else row.balance
            if not holds(self.filters, row.subject):
                return None
        if self.score_min is not None and score < self.score_min:
            return None
        return None if self.score_max is not None and score > self.score_max else score


@dataclass(frozen=True)
class Span:
    """A period: from start (included) to end, and so long after it takes what happened inside."""

    starts_ms: int | None
    ends_ms: int | None
    grace_ms: int

    def contains(self, at_ms: int) -> bool:
        return (self.starts_ms or 0) <= at_ms and (self.ends_ms is None or at_ms < self.ends_ms)

    def takes(self, at_ms: int, acked_ms: int) -> bool:
        is_open = self.ends_ms is None or acked_ms < self.ends_ms + self.grace_ms
        return self.contains(at_ms) and is_open


class Act(NamedTuple):
    """What a moderator did to an entry: kind remove | edit | restore."""

    place: int
    at_ms: int
    kind: str
    player_id: str
    score: Number | None = None
    subscore: Number | None = None


@dataclass
class Standing:
    score: Number
    subscore: Number
    metadata: Any
    reached: int  # place of what last changed (score, subscore)
    submissions: int
    first_ms: int
    updated_ms: int


class Shown(NamedTuple):
    """An entry as a page must show it."""

    rank: int
    player_id: str
    score: Number
    subscore: Number
    metadata: Any
    submissions: int
    first_ms: int
    updated_ms: int


def counts(
    rows: Iterable[Counted],
    span: Span,
    others: Iterable[Span],
    terms: Terms,
    from_ms: int,
    pauses: Iterable[tuple[int, int | None]],
) -> list[Counted]:
    """The rows that count in a period. others: all periods of its window."""
    others, pauses, found = list(others), list(pauses), []
    for row in rows:
        if row.acked_ms < from_ms:
            continue
        if any(begin <= row.acked_ms and (end is None or row.acked_ms < end) for begin, end in pauses):
            continue
        is_late = row.occurred_ms is not None and terms.late_arrival
        if span.takes(row.at_ms, row.acked_ms) or (
            is_late
            and span.takes(row.acked_ms, row.acked_ms)
            and not any(other.takes(row.at_ms, row.acked_ms) for other in others)
        ):
            found.append(row)
    return found


def standings(rows: Iterable[Counted], acts: Iterable[Act], terms: Terms) -> dict[str, Standing]:
    """Of all players, after rows and acts in the order of their places."""
    found: dict[str, Standing] = {}
    removed: dict[str, Standing] = {}
    steps: list[Counted | Act] = sorted([*rows, *acts], key=lambda step: step.place)
    for step in steps:
        if isinstance(step, Act):
            _moderate(found, removed, step)
            continue
        score = terms.score_of(step)
        if score is not None:
            _submit(found, step, score, terms)
    return found


def _moderate(found: dict[str, Standing], removed: dict[str, Standing], act: Act) -> None:
    old = found.get(act.player_id)
    if act.kind == "restore":
        if old is None and act.player_id in removed:
            found[act.player_id] = removed.pop(act.player_id)
    elif old is None:
        return
    elif act.kind == "remove":
        removed[act.player_id] = found.pop(act.player_id)
    else:
        assert act.score is not None
        found[act.player_id] = replace(
            old,
            score=act.score,
            subscore=old.subscore if act.subscore is None else act.subscore,
            reached=act.place,
            updated_ms=max(old.updated_ms, act.at_ms),
        )


def _submit(found: dict[str, Standing], row: Counted, score: Number, terms: Terms) -> None:
    old, at_ms = found.get(row.player_id), row.at_ms
    if terms.aggregation == "count":
        score = 1
    new = Standing(score, row.subscore, row.metadata, row.place, 1, at_ms, at_ms)
    if old is None:
        found[row.player_id] = new
        return
    new.submissions, new.first_ms = old.submissions + 1, min(old.first_ms, at_ms)
    new.updated_ms = max(old.updated_ms, at_ms)
    if terms.aggregation in ("sum", "count"):
        new.score = plain(old.score + score)
    if _keeps(old, new, row, terms):
        found[row.player_id] = replace(old, submissions=new.submissions, first_ms=new.first_ms)
        return
    if (new.score, new.subscore) == (old.score, old.subscore):
        new.reached = old.reached
    found[row.player_id] = new


def _keeps(old: Standing, new: Standing, row: Counted, terms: Terms) -> bool:
    """Whether the aggregation keeps the old entry."""
    if terms.aggregation == "latest":
        return row.occurred_ms is not None and row.at_ms < old.updated_ms
    if terms.aggregation == "min":
        return new.score >= old.score
    if terms.aggregation == "max":
        return new.score <= old.score
    if terms.aggregation == "best":
        return place_of(terms)(new) >= place_of(terms)(old)
    return False


def place_of(terms: Terms) -> Callable[[Standing], tuple[Number, Number]]:
    """Sorts the better (score, subscore) first."""
    sign = 1 if terms.order == "asc" else -1
    subsign = 1 if terms.subscore_order == "asc" else -1
    return lambda standing: (sign * standing.score, subsign * standing.subscore)


def page(found: dict[str, Standing], terms: Terms) -> list[Shown]:
    """All that are ranked, in order."""
    place, direction = place_of(terms), 1 if terms.tie_breaking == "first" else -1
    ranked = {
        player_id: standing
        for player_id, standing in found.items()
        if terms.min_score is None or standing.score >= terms.min_score
    }
    order = sorted(ranked, key=lambda p: (place(ranked[p]), direction * ranked[p].reached))
    places = [place(ranked[player_id]) for player_id in order]
    rows = []
    for index, player_id in enumerate(order):
        if terms.rank_style == "ordinal":
            rank = index + 1
        elif terms.rank_style == "competition":
            rank = places.index(places[index]) + 1
        else:
            rank = sorted(set(places)).index(places[index]) + 1
        s = ranked[player_id]
        rows.append(
            Shown(rank, player_id, s.score, s.subscore, s.metadata, s.submissions, s.first_ms, s.updated_ms)
        )
    return rows
