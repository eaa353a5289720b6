"""A naive model of a leaderboard's current period, the oracle of `test_model_over_http.py`.

It keeps a dictionary of standings and sorts it anew for every question. It covers what section 2 of the API
says on aggregations, orders, ties, rank styles, `max_entries` and `min_score`, what section 5 says on ranks,
`positive_only` of section 10, and that whoever is outside the audience keeps the entry as below `min_score`;
it knows no clock, no windows and no periods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rules:
    """The part of a definition that decides on standings; the names are those of the API."""

    aggregation: str = "best"
    order: str = "desc"
    subscore_order: str = "desc"
    tie_breaking: str = "first"
    rank_style: str = "ordinal"
    max_entries: int | None = None
    min_score: float | None = None
    positive_only: bool = False

    def definition(self) -> dict[str, Any]:
        ranking: dict[str, Any] = {
            "order": self.order,
            "subscore_order": self.subscore_order,
            "tie_breaking": self.tie_breaking,
            "rank_style": self.rank_style,
        }
        if self.max_entries is not None:
            ranking["max_entries"] = self.max_entries
        if self.min_score is not None:
            ranking["min_score"] = self.min_score
        if self.positive_only:
            ranking["positive_only"] = True
        return {"scoring": {"aggregation": self.aggregation}, "ranking": ranking}


@dataclass
class Standing:
    score: float
    subscore: float
    metadata: Any
    reached: int  # number of the submission that last changed (score, subscore)


@dataclass(frozen=True)
class Outcome:
    """What the answer to one submission must say. `standing` is None where the player has no entry.
    `conflict`: it is refused, since its id is another player's.
    """

    applied: bool
    duplicate: bool
    previous_score: float | None
    standing: Standing | None
    conflict: bool = False


@dataclass
class Model:
    rules: Rules
    standings: dict[str, Standing] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)  # submission id -> player
    count: int = 0
    outside: set[str] = field(default_factory=set)  # players who are not in the audience

    def submit(
        self,
        player_id: str,
        score: float = 0,
        subscore: float = 0,
        metadata: Any = None,
        submission_id: str | None = None,
        occurred_at: str | None = None,
    ) -> Outcome:
        """occurred_at: within the periods that are open, but for an hour that is over (not for `latest`)."""
        old = self.standings.get(player_id)
        previous = old.score if old else None
        if submission_id is not None and submission_id in self.seen:
            conflict = self.seen[submission_id] != player_id
            return Outcome(False, not conflict, previous, old, conflict)
        if submission_id is not None:
            self.seen[submission_id] = player_id
        self.count += 1
        new = self._aggregated(old, Standing(score, subscore, metadata, self.count))
        if new is None:
            return Outcome(False, False, previous, old)
        self.standings[player_id] = new
        limit = self.rules.max_entries
        if limit is not None and len(self.standings) > limit:
            worst = (self._ordered(self._ranks) + self._ordered(lambda p: not self._ranks(p)))[-1]
            del self.standings[worst]
            if worst == player_id:
                return Outcome(False, False, previous, None)
        return Outcome(True, False, previous, new)

    def _aggregated(self, old: Standing | None, new: Standing) -> Standing | None:
        """The standing after the submission, or None where the rule keeps the old one."""
        rule = self.rules.aggregation
        if rule == "count":
            new.score = 1
        if old is None:
            return new
        if rule == "best" and self._place(new) >= self._place(old):
            return None
        if (rule == "min" and new.score >= old.score) or (rule == "max" and new.score <= old.score):
            return None
        if rule in ("sum", "count"):
            new.score = old.score + new.score
        if (new.score, new.subscore) == (old.score, old.subscore):
            new.reached = old.reached
        return new

    def delete(self, player_id: str) -> bool:
        return self.standings.pop(player_id, None) is not None

    def _place(self, standing: Standing) -> tuple[float, float]:
        """Sorts the better (score, subscore) first."""
        sign = 1 if self.rules.order == "asc" else -1
        subsign = 1 if self.rules.subscore_order == "asc" else -1
        return sign * standing.score, subsign * standing.subscore

    def _ordered(self, keep: Callable[[str], bool]) -> list[str]:
        direction = 1 if self.rules.tie_breaking == "first" else -1
        kept = [player_id for player_id in self.standings if keep(player_id)]
        return sorted(
            kept,
            key=lambda player_id: (
                self._place(self.standings[player_id]),
                direction * self.standings[player_id].reached,
            ),
        )

    def ranks(self, score: float) -> bool:
        """Whether an entry with this score is ranked, if the player belongs to the audience."""
        if self.rules.positive_only and score <= 0:
            return False
        return self.rules.min_score is None or score >= self.rules.min_score

    def _ranks(self, player_id: str) -> bool:
        return player_id not in self.outside and self.ranks(self.standings[player_id].score)

    def page(self) -> list[tuple[int, str]]:
        """(rank, player) of all ranked entries in order."""
        players = self._ordered(self._ranks)
        return [(self._rank(position, players), player_id) for position, player_id in enumerate(players)]

    def _rank(self, position: int, players: list[str]) -> int:
        if self.rules.rank_style == "ordinal":
            return position + 1
        better = {self._place(self.standings[player_id]) for player_id in players}
        own = self._place(self.standings[players[position]])
        if self.rules.rank_style == "dense":
            return sum(place < own for place in better) + 1
        return sum(self._place(self.standings[player_id]) < own for player_id in players) + 1

    def rank_at(self, score: float, subscore: float) -> int:
        """The rank of a new player with this score, were it ranked and kept."""
        own = self._place(Standing(score, subscore, None, 0))
        places = [self._place(standing) for p, standing in self.standings.items() if self._ranks(p)]
        if self.rules.rank_style == "dense":
            return len({place for place in places if place < own}) + 1
        shares = self.rules.rank_style == "competition" or self.rules.tie_breaking == "last"
        return sum(place < own or (place == own and not shares) for place in places) + 1
