"""Who is ranked on a leaderboard, and who may read it: the part of a definition that goes by profiles.

A player belongs to a list of players, roles and tags if any of the three names it; three empty lists mean
everyone. Roles and tags are compared as *labels*, texts that tell the two kinds apart and that can be part of
a document's id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

MOST_PLAYERS = 5000  # in one list: it travels with the definition
MOST_LABELS = 64

Label = Annotated[str, Field(min_length=1, max_length=64)]
PlayerId = Annotated[str, Field(min_length=1, max_length=128)]


class AudienceList(BaseModel):
    """Players by id, role or tag."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    players: Annotated[list[PlayerId], Field(max_length=MOST_PLAYERS)] = Field(
        default_factory=list, description="Ids of players."
    )
    roles: Annotated[list[Label], Field(max_length=MOST_LABELS)] = Field(
        default_factory=list, description="Players whose profile has one of these roles."
    )
    tags: Annotated[list[Label], Field(max_length=MOST_LABELS)] = Field(
        default_factory=list, description="Players whose profile has one of these tags."
    )

    @property
    def is_everyone(self) -> bool:
        return not (self.players or self.roles or self.tags)

    @property
    def labels(self) -> frozenset[str]:
        """Of the roles and tags that it names."""
        return labels_of(self.roles, self.tags)

    def renamed(self, player_id: str, new_id: str) -> AudienceList:
        """The same with another id in the place of a player's; never empty if this is not."""
        players = [new_id if listed == player_id else listed for listed in self.players]
        return self.model_copy(update={"players": players})

    def has(self, player_id: str, labels: Collection[str]) -> bool:
        """Whether a player with these labels belongs."""
        return self.is_everyone or player_id in self.players or not self.labels.isdisjoint(labels)


class Audience(BaseModel):
    """Who is ranked, and who may read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    rank: AudienceList = Field(
        default=AudienceList(),
        description="Who is ranked; three empty lists mean everyone. The entries of other players are kept, "
        "but not ranked or counted. A change of the lists or of a profile takes effect in all open periods.",
    )
    view: AudienceList = Field(
        default=AudienceList(),
        description="Who may read the rankings; three empty lists mean everyone. It applies to keys that are "
        "bound to a player, and to requests with `X-Player-Id`.",
    )
    include_test_players: bool = Field(
        default=False,
        description="Rank players whose profile says `test`. Otherwise they are not ranked, even if "
        "`rank.players` lists them.",
    )

    def names(self, player_id: str) -> bool:
        return player_id in self.rank.players or player_id in self.view.players

    def renamed(self, player_id: str, new_id: str) -> Audience:
        """See `AudienceList.renamed`."""
        changed = {"rank": self.rank.renamed(player_id, new_id), "view": self.view.renamed(player_id, new_id)}
        return self.model_copy(update=changed)


def labels_of(roles: Iterable[str], tags: Iterable[str]) -> frozenset[str]:
    """The labels of a profile with these roles and tags, or of a list that names them."""
    return frozenset([*(role_label(role) for role in roles), *(tag_label(tag) for tag in tags)])


def role_label(role: str) -> str:
    return f"role/{quote(role, safe='')}"


def tag_label(tag: str) -> str:
    return f"tag/{quote(tag, safe='')}"


class RankAudience(NamedTuple):
    """Who is ranked, as period actors need it. `players` and `labels` both empty: everyone."""

    players: frozenset[str] = frozenset()
    labels: tuple[str, ...] = ()
    include_test_players: bool = False

    @classmethod
    def of(cls, audience: Audience) -> RankAudience:
        listed = audience.rank
        return cls(frozenset(listed.players), tuple(sorted(listed.labels)), audience.include_test_players)

    @property
    def is_everyone(self) -> bool:
        """Whether only test players may be left out."""
        return not (self.players or self.labels)

    def to_wire(self) -> Sequence[Any]:
        return sorted(self.players), self.labels, self.include_test_players

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> RankAudience:
        players, labels, include_test_players = wire
        return cls(frozenset(players), tuple(labels), include_test_players)
