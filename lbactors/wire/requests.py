"""What the supervisor asks of a period actor, and what comes back as `Reply.value`.

Each request packs as an array of its fields (`to_wire`, where a field needs more than that). Fields are only
ever added at the end, with a default: actors of the release before read what they know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lbactors.core.model import Row
from lbactors.wire.chain_spec import ChainSpec


class Host(NamedTuple):
    """Host these chains; a `Reply` for each. wait: answer when their open periods are loaded. moderated: the
    version of the hidden players that the actor must know before.
    """

    specs: list[ChainSpec]
    wait: bool
    moderated: int = 0

    def to_wire(self) -> Sequence[Any]:
        return [spec.to_wire() for spec in self.specs], self.wait, self.moderated

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> Host:
        specs, *rest = wire
        return cls([ChainSpec.from_wire(spec) for spec in specs], *rest)


class Release(NamedTuple):
    """Let go of chains, with or without a last snapshot; a `Reply` for each."""

    chain_ids: list[str]
    save: bool


class Seal(NamedTuple):
    """Close a period; the sealed `PeriodRecord`. version: of the spec that the actor must have at least. end:
    [reopened, ends_at_ms] of the record; an actor that knows another end does nothing. log_seq: of a
    projection, up to which it must have read its log.
    """

    chain_id: str
    serial: int
    version: int
    end: Sequence[Any] | None = None
    log_seq: int = 0


class HandOn(NamedTuple):
    """Have the first open period take over the submission ids that a closed one owes it; nil."""

    chain_id: str
    version: int


class Erase(NamedTuple):
    """Forget a player in every period of a chain; the number of periods that had an entry."""

    chain_id: str
    player_id: str
    anonymous_id: str


class HiddenList(NamedTuple):
    """A tenant's hidden players. until: player id -> until_ms (None: for good)."""

    tenant_id: str
    version: int
    until: Mapping[str, int | None]


TEST_LABEL = "test"  # of test players; that of a role or tag has a `/`


class MemberList(NamedTuple):
    """A tenant's players by label (`lbactors.core.audience`): of the labels that any audience names, and of
    TEST_LABEL. is_complete: `by_label` is all of it; else `changes`: players with all such labels that they
    have now.
    """

    tenant_id: str
    version: int
    is_complete: bool
    by_label: Mapping[str, Sequence[str]]
    changes: Sequence[tuple[str, Sequence[str]]]  # lists, once they have travelled


class Moderate(NamedTuple):
    """Who is hidden everywhere, and who has which role and tag; nil. complete: the lists are all that there
    are. since: what the actor knew by the supervisor's account; one that knows less refuses.
    """

    version: int
    lists: list[HiddenList]
    complete: bool
    members: Sequence[MemberList] = ()
    since: int = 0

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> Moderate:
        found = cls(*wire)
        lists = [HiddenList(*row) for row in found.lists]
        return found._replace(lists=lists, members=[MemberList(*row) for row in found.members])


class ChangeEntry(NamedTuple):
    """Change a player's entry in the current period; an `EntryChange`.

    edit: remove | edit | restore. fields: those of `core.inputs.Edit` after the player for an edit, else
    none. zone: of the player, where periods are player-local; empty stands for UTC.
    """

    chain_id: str
    edit: str
    player_id: str
    fields: Sequence[Any] = ()
    zone: str = ""

    def to_wire(self) -> Sequence[Any]:
        """As it travels. The last field is there only where it says something."""
        return self if self.zone else self[:-1]


class ImportedEntry(NamedTuple):
    """An entry as it is to stand. metadata: JSON bytes."""

    player_id: str
    score: int | float
    subscore: int | float
    metadata: bytes | None
    submissions: int
    first_at_ms: int
    updated_at_ms: int


class Import(NamedTuple):
    """Put entries into the current period, see `core.inputs.IMPORT`; an `EntryImport`. period_key: the key
    that it must have, if not None; it names any of the player-local periods that are open. rows: of
    `ImportedEntry`s.
    """

    chain_id: str
    period_key: str | None
    rows: Sequence[Sequence[Any]]
    replace: bool


class EntryImport(NamedTuple):
    """What became of the entries of an import. unchanged: stood there already. dropped: fell outside
    `max_entries` at once. refused: index and code of each of the rest.
    """

    period_key: str
    imported: int
    unchanged: int
    dropped: int
    refused: Sequence[tuple[int, str]]


class EntryChange(NamedTuple):
    """An entry before and after it was changed; None: there is none."""

    period_key: str
    before: Row | None
    after: Row | None

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> EntryChange:
        key, before, after = wire
        return cls(key, before and Row(*before), after and Row(*after))
