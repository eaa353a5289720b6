"""Submissions, periods, boards, entries: the plain tuples that cross every boundary of the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lbactors.core import ids
from lbactors.core.definition import Definition
from lbactors.core.rank_keys import Standing
from lbactors.core.zones import EARLIEST_MS


class Submission(NamedTuple):
    """One requested change, validated, as it travels to the period actor (times in ms, metadata as JSON)."""

    player_id: str
    score: int | float | None
    subscore: int | float
    metadata: bytes | None
    submission_id: str | None
    occurred_at_ms: int | None
    aggregation: str | None


class PeriodRecord(NamedTuple):
    """A period as the store remembers it: document `<chain_id>/<key>` of the collection `periods`.

    `serial` counts the periods of a chain from 1 and names the journal (`<chain_id>/<serial>`), so a key
    may change (a new timeframe) while the entries stay. `starts_at_ms` None: no beginning. What happens to
    it, and in which state it is, says `lbactors.core.lifecycle`.

    A player-local period also has bounds in digits (`lbactors.core.zones`), one at least; `starts_at_ms` and
    `ends_at_ms` are then the instants at which the first zone reaches them and the last one passes them.
    `local_starts_at_ms` None: players who have not reached the others' date yet are in it, too.
    """

    serial: int
    key: str
    starts_at_ms: int | None
    ends_at_ms: int | None
    sealed: bool
    entries: int
    submissions: int
    opened_at_ms: int
    last_seq: int = 0
    forced: bool = False  # closed by hand: takes no late submissions
    stage: int = 0  # how far its life was carried out, a `lifecycle.Stage`
    ids_owed: bool = False  # closed while there was no period after it that could take its submission ids
    reopened: int = 0  # how often its end was taken back
    end_terms: Sequence[object] | None = None  # the definition at its end, see `lifecycle.EndTerms`
    rewarded: bool = False  # rewards were promised when it was closed: if they ended since, no others follow
    keeps_rewards: bool = False  # computed anew after its rewards were granted: those stay, no others follow
    local_starts_at_ms: int | None = None
    local_ends_at_ms: int | None = None

    def to_wire(self) -> Sequence[Any]:
        """As it is stored and sent. The last six fields are there only where they say something."""
        if self.is_local:
            return self
        if self.keeps_rewards:
            return self[:-2]
        return self[:-3] if self.reopened or self.end_terms is not None or self.rewarded else self[:-6]

    @property
    def is_local(self) -> bool:
        """Whether its bounds are digits in each player's own zone."""
        return self.local_starts_at_ms is not None or self.local_ends_at_ms is not None

    def contains(self, at_ms: int, digits_ms: int | None = None) -> bool:
        """Whether an instant lies in [start, end), and of a player-local period, whether the digits that a
        zone shows then (None: UTC) lie in its own.
        """
        if self.starts_at_ms is not None and at_ms < self.starts_at_ms:
            return False
        if self.ends_at_ms is not None and at_ms >= self.ends_at_ms:
            return False
        digits_ms = at_ms if digits_ms is None else digits_ms
        if self.local_starts_at_ms is not None and digits_ms < self.local_starts_at_ms:
            return False
        return self.local_ends_at_ms is None or digits_ms < self.local_ends_at_ms

    def is_behind(self, at_ms: int, digits_ms: int | None = None) -> bool:
        """Whether it is over at an instant, for a zone that shows these digits (None: UTC)."""
        if self.local_ends_at_ms is not None:
            return (at_ms if digits_ms is None else digits_ms) >= self.local_ends_at_ms
        return self.ends_at_ms is not None and at_ms >= self.ends_at_ms

    def is_ahead(self, at_ms: int, digits_ms: int | None = None) -> bool:
        """Whether it has not begun at an instant, for a zone that shows these digits (None: UTC)."""
        if self.starts_at_ms is not None and at_ms < self.starts_at_ms:
            return True
        if self.local_starts_at_ms is None:
            return False
        return (at_ms if digits_ms is None else digits_ms) < self.local_starts_at_ms

    @property
    def next_starts_at_ms(self) -> int | None:
        """When the period that follows without a gap begins."""
        if self.forced or self.local_ends_at_ms is None:
            return self.ends_at_ms
        return self.local_ends_at_ms - EARLIEST_MS

    @property
    def order(self) -> tuple[float, int]:
        """Its place among the periods of a chain: by their ends, then by serial. Player-local ones overlap,
        and one that was begun anew in the middle has a higher serial than one after it.
        """
        ends_ms = self.ends_at_ms if self.local_ends_at_ms is None else self.local_ends_at_ms
        return float("inf") if ends_ms is None else ends_ms, self.serial


# What the catalogue knows ---------------------------------------------------------------------------------


class Tenant(NamedTuple):
    """Owner of leaderboards and keys; document `<tenant_id>` of the collection `tenants`."""

    tenant_id: str
    name: str
    status: str  # active | disabled
    hmac_secret: str | None
    created_at_ms: int


class Key(NamedTuple):
    """An API key without the key: document `<key_id>` of the collection `keys`."""

    key_id: str
    tenant_id: str
    name: str
    scopes: frozenset[str]
    key_hash: str  # hex SHA-256 of the whole key text
    status: str  # active | disabled | deleted
    expires_at_ms: int | None
    player_id: str | None
    created_at_ms: int


class FillTerms(NamedTuple):
    """What a projection is computed under, beside its definition. `generation` rises with every change that
    calls for a rebuild of the open periods. `pauses`: [from, to) in ms when it took no rows; to None: still.
    """

    generation: int = 1
    pauses: tuple[tuple[int, int | None], ...] = ()

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> FillTerms:
        generation, pauses, *_ = wire
        return cls(generation, tuple((begin, end) for begin, end in pauses))


class Board(NamedTuple):
    """A leaderboard as it stands: document `<tenant_id>/<leaderboard_id>` of the collection `leaderboards`.

    `uid` tells apart leaderboards that had the same id one after the other, so a purged one leaves no trace.
    """

    tenant_id: str
    uid: str
    definition: Definition
    version: int
    created_at_ms: int
    updated_at_ms: int
    fill: FillTerms = FillTerms()

    @property
    def leaderboard_id(self) -> str:
        return self.definition.leaderboard_id

    @property
    def windows(self) -> tuple[str, ...]:
        """`main` and the further windows."""
        return ("main", *self.definition.windows)

    @property
    def board_uid(self) -> str:
        """Its name among those that are hosted: the unit of placement."""
        return ids.board_uid(self.tenant_id, self.leaderboard_id, self.uid)

    def chain_id(self, window: str) -> str:
        """Name of one window's chain of periods."""
        return ids.chain_id(self.tenant_id, self.leaderboard_id, self.uid, window)


# What period actors answer --------------------------------------------------------------------------------


class PeriodView(NamedTuple):
    """A period as readers see it. `state` is by the actor's clock at the time of the answer. Digits: see
    `PeriodRecord`.
    """

    serial: int
    key: str
    window: str
    state: str
    starts_at_ms: int | None
    ends_at_ms: int | None
    next_starts_at_ms: int | None
    entries: int
    submissions: int
    local_starts_at_ms: int | None = None
    local_ends_at_ms: int | None = None

    @property
    def is_local(self) -> bool:
        """Whether its bounds are digits in each player's own zone (`lbactors.core.zones`)."""
        return self.local_starts_at_ms is not None or self.local_ends_at_ms is not None

    def is_after(self, at_ms: int, digits_ms: int) -> bool:
        """Whether it begins after an instant, at which a player's zone shows these digits."""
        if self.local_starts_at_ms is not None and digits_ms < self.local_starts_at_ms:
            return True
        return self.starts_at_ms is not None and at_ms < self.starts_at_ms

    def to_wire(self) -> Sequence[Any]:
        """As it travels. The last two fields are there only where they say something."""
        return self if self.is_local else self[:-2]


class Row(NamedTuple):
    """One entry in an answer. `rank` None: not ranked. `metadata`: JSON bytes or None. `change` None:
    the period before cannot be read.
    """

    rank: int | None
    player_id: str
    score: int | float
    subscore: int | float
    metadata: bytes | None
    submissions: int
    first_at_ms: int
    updated_at_ms: int
    change: str | None


class Reading(NamedTuple):
    """Entries of one period at one seq. `offset` is 0-based, of the first row in the total order.

    `matched`: rows inside the asked score range (None without one). `missing`: players looked up in vain.
    `spread`: a distribution, where that was asked for. `edges`: the standings of the first row and of the
    last, by which a page is continued; empty without rows, and where the rows are no part of the order.
    """

    period: PeriodView
    total: int
    as_of_seq: int
    rows: list[Row]
    offset: int
    matched: int | None = None
    missing: tuple[str, ...] = ()
    spread: dict[str, Any] | None = None
    edges: tuple[Standing, ...] = ()


class Outcome(NamedTuple):
    """What became of one submission in one window's period. Ranks are None unless asked for. `skipped`: the
    code of why a further window passed it over.
    """

    window: str
    period_key: str
    player_id: str
    applied: bool
    score: int | float | None
    subscore: int | float | None
    previous_score: int | float | None
    rank: int | None
    previous_rank: int | None
    seq: int
    duplicate: bool
    skipped: str | None = None

    @classmethod
    def passed_over(cls, window: str, player_id: str, why: str) -> Outcome:
        """Of a further window whose period is over or not open."""
        return cls(window, "", player_id, False, None, None, None, None, None, 0, False, why)

    @classmethod
    def unseen_repeat(cls, window: str, player_id: str) -> Outcome:
        """Of a repeat, in a further window that can show no period now."""
        return cls(window, "", player_id, False, None, None, None, None, None, 0, True)
