"""What an activation can hold the state of: a leaderboard's period, or a log.

Both are deterministic state machines with a journal and snapshots; a `StateKind` says what differs where a
state is made and saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from typing_extensions import TypeVar

from lbactors.core.definition import Rules
from lbactors.core.inputs import JournalBody
from lbactors.core.log import Log, LogMeta, log_loader
from lbactors.core.period import Period
from lbactors.core.seen_ids import SeenIds
from lbactors.core.snapshot_parts import Loaded, Meta, PartsLoader, Snapshot, period_loader


class State(Protocol):
    """What an activation needs of it. seq: of the last input applied. closed: the end that was made final."""

    seq: int
    saved_seq: int
    ids: SeenIds
    rules: Any
    closed: tuple[int, int | None] | None

    def __len__(self) -> int:
        """Rows that are kept."""

    def apply(self, now_ms: int, inputs: Sequence[Any], want: Sequence[int] | None = None) -> list[Any]:
        """Apply journaled inputs in order."""

    def begin_snapshot(self) -> Snapshot | None:
        """See `lbactors.core.bucketed_state`, as for the next two."""

    def next_parts(self, rows: int) -> dict[str, bytes]:
        """Serialise further parts."""

    def end_snapshot(self, committed: bool) -> None:
        """The snapshot is durable, or given up."""

    def check(self) -> None:
        """Assert every invariant."""


S = TypeVar("S", bound=State, default=Period)


class StateKind(Protocol[S]):
    """keeps_journal: whether records stay when a snapshot covers them."""

    @property
    def keeps_journal(self) -> bool:
        """See the class."""

    def empty(self, rules: Rules, seen_ids_limit: int) -> S:
        """The state before the first input."""

    def begun(self, first: JournalBody, seen_ids_limit: int) -> S:
        """The same for the replay of a whole journal. ValueError if that cannot be its first record."""

    def loader(self, seen_ids_limit: int) -> PartsLoader[Any]:
        """For the parts of a snapshot."""

    def loaded(self, found: Loaded[Any]) -> S:
        """What they show, for the replay of the journal after it."""

    def finish(self, state: S) -> None:
        """The replay is over."""


class PeriodKind:
    """Of leaderboards. A replay ranks at its end."""

    keeps_journal = False

    def empty(self, rules: Rules, seen_ids_limit: int) -> Period:
        return Period(rules, seen_ids_limit)

    def begun(self, first: JournalBody, seen_ids_limit: int) -> Period:
        if first.rules is None:
            raise ValueError("the first record of a period has no rules")
        return Period.unranked(first.rules, seen_ids_limit)

    def loader(self, seen_ids_limit: int) -> PartsLoader[Meta]:
        return period_loader(seen_ids_limit)

    def loaded(self, found: Loaded[Meta]) -> Period:
        return Period.from_parts(found)

    def finish(self, state: Period) -> None:
        state.rank_entries()


class LogKind:
    """Of logs, whose records are what others read."""

    keeps_journal = True

    def empty(self, rules: Rules, seen_ids_limit: int) -> Log:
        return Log(seen_ids_limit)

    def begun(self, first: JournalBody, seen_ids_limit: int) -> Log:
        return Log(seen_ids_limit)

    def loader(self, seen_ids_limit: int) -> PartsLoader[LogMeta]:
        return log_loader(seen_ids_limit)

    def loaded(self, found: Loaded[LogMeta]) -> Log:
        return Log.from_parts(found)

    def finish(self, state: Log) -> None:
        """Nothing is left to do."""


PERIODS = PeriodKind()
LOGS = LogKind()
