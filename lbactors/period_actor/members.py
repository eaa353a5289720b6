"""Who has the roles and tags that a tenant's audiences name, and who is a test player, as a period actor
knows it; and who is therefore outside an audience.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from lbactors.core.audience import RankAudience
from lbactors.wire.requests import TEST_LABEL, MemberList

_NOBODY: frozenset[str] = frozenset()


class Members:
    """Of one tenant. `by_label`: label -> players. `version`: the supervisor's."""

    def __init__(self) -> None:
        self.by_label: dict[str, set[str]] = {}
        self.version = 0

    def take(self, told: MemberList) -> set[str]:
        """What the supervisor tells; the players whose labels changed. An older version changes nothing."""
        if told.version <= self.version:
            return set()
        self.version = told.version
        changed: set[str] = set()
        if told.is_complete:
            old, self.by_label = self.by_label, {label: set(ids) for label, ids in told.by_label.items()}
            for label in old.keys() | self.by_label.keys():
                changed |= old.get(label, _NOBODY) ^ self.by_label.get(label, _NOBODY)
            return changed
        for player_id, labels in told.changes:
            changed.add(player_id)
            for label in labels:
                self.by_label.setdefault(label, set()).add(player_id)
            for label in self.by_label.keys() - set(labels):
                self.by_label[label].discard(player_id)
        return changed

    @property
    def test_players(self) -> Set[str]:
        return self.by_label.get(TEST_LABEL, _NOBODY)

    def may_leave_out(self, audience: RankAudience) -> bool:
        """Whether anybody may be outside: else there is nothing to look up for a player."""
        return not audience.is_everyone or (bool(self.test_players) and not audience.include_test_players)

    def left_out(self, audience: RankAudience, player_ids: Iterable[str]) -> Set[str]:
        """Those of some players who are outside; by operations on sets, since batches come through here."""
        players = set(player_ids)
        left = set() if audience.include_test_players else players & self.test_players
        if not audience.is_everyone:
            inside = players & audience.players
            for label in audience.labels:
                inside |= players & self.by_label.get(label, _NOBODY)
            left |= players - inside
        return left

    def leave_out(self, audience: RankAudience, player_id: str) -> bool:
        """Whether a player is outside. O(labels of the audience)."""
        if player_id in self.test_players and not audience.include_test_players:
            return True
        if audience.is_everyone or player_id in audience.players:
            return False
        return not any(player_id in self.by_label.get(label, _NOBODY) for label in audience.labels)
