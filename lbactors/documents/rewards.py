"""How rewards are stored and shown: what a closing promised, who won it, and what was claimed.

Collection `rewards`; a chain_id is `tenant/leaderboard~uid/window`, a serial is written with ten digits:

  <chain_id>/<serial>            Promise: the rules at the closing, and how far they are carried out
  <chain_id>/<serial>/<chunk>    winners in rank order, CHUNK_WINNERS each (the last chunk has fewer), so the
                                 n-th winner is found without an index; six digits. Of a period that was
                                 reopened, those of the first closing stand before those of the next
  <chain_id>/<serial>/claims     [claimed, [claimed by tier]]
  <chain_id>/key/<period_key>    serial: finds a promise by its key when the period itself is deleted
  ~expiry/<at_ms>/<chain_id>/<serial>   which promise ends when, in order of time
  ~gone/<chain_id>               of a purged leaderboard: all of the above is to be deleted

Collection `claims`, one document for each winner, from the granting on:

  <tenant>/<player>/<leaderboard~uid>/<window>/<serial>   Claim

So a player's rewards on all boards are one range of ids, and a claim changes one small document. The player's
id is escaped (`/` and `%`), so no id is the beginning of another's range. No tenant begins with `~`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgpack
from pydantic import Field, TypeAdapter

from lbactors.core.ids import in_tenant, parse_chain, split_tenant, window_of_chain
from lbactors.core.instants import format_instant
from lbactors.core.model import PeriodRecord
from lbactors.core.reward_rules import Place, RewardRules
from lbactors.documents.entities import Written, bounds_json

CHUNK_WINNERS = 500
EXPIRY, GONE = "~expiry/", "~gone/"
LAST = "\U0010ffff"  # sorts after every character of an id


class Promise(NamedTuple):
    """What one closing promised. `rules`: a RewardRules as JSON; `place`: how far the standings were read.

    `winners` and `by_tier` count what is stored in chunks so far; `granted_at_ms` None: not yet all.
    """

    serial: int
    period_key: str
    starts_at_ms: int | None
    ends_at_ms: int | None
    order: str
    total: int
    rules: dict[str, Any]
    at_ms: int
    expires_at_ms: int
    place: Sequence[Any] | None
    winners: int
    by_tier: list[int]
    granted_at_ms: int | None
    reopened: int = 0  # how often the period was closed before; winners of these closings stand first
    local_starts_at_ms: int | None = None
    local_ends_at_ms: int | None = None

    @classmethod
    def of(cls, record: PeriodRecord, rules: RewardRules, order: str, at_ms: int) -> Promise:
        """For a period that is sealed now."""
        return cls(
            record.serial,
            record.key,
            record.starts_at_ms if record.starts_at_ms is not None else record.opened_at_ms,
            record.ends_at_ms,
            order,
            record.entries,
            rules.model_dump(mode="json"),
            at_ms,
            at_ms + rules.retain_days * 86_400_000,
            None,
            0,
            [0] * len(rules.tiers),
            None if record.entries else at_ms,
            record.reopened,
            record.local_starts_at_ms,
            record.local_ends_at_ms,
        )

    def again(self, record: PeriodRecord, order: str, at_ms: int) -> Promise:
        """For the same period when it is closed another time: by the same rules, to those who won nothing."""
        rules = RewardRules.model_validate(self.rules)
        fresh = Promise.of(record, rules, order, at_ms)
        return fresh._replace(rules=self.rules, winners=self.winners, by_tier=self.by_tier)

    @property
    def read_so_far(self) -> Place | None:
        """`place` as the rules take it."""
        return None if self.place is None else Place(*self.place)


class Winner(NamedTuple):
    """One player's share in a chunk; `tiers`: indices into the promise's rules."""

    player_id: str
    rank: int
    score: int | float
    tiers: list[int]


class Claim(NamedTuple):
    """What a player won in one period, and whether it was claimed. `claim_id`: the claimant's own word."""

    rank: int
    score: int | float
    tiers: list[int]
    chunk: int
    granted_at_ms: int
    expires_at_ms: int
    claimed_at_ms: int | None = None
    claim_id: str | None = None


def promise_id(chain_id: str, serial: int) -> str:
    return f"{chain_id}/{serial:010d}"


def chunk_id(promise: str, number: int) -> str:
    return f"{promise}/{number:06d}"


def counts_id(promise: str) -> str:
    return f"{promise}/claims"


def key_id(chain_id: str, period_key: str) -> str:
    return f"{chain_id}/key/{period_key}"


def expiry_id(chain_id: str, promise: Promise) -> str:
    return f"{EXPIRY}{promise.expires_at_ms:015d}/{promise_id(chain_id, promise.serial)}"


def player_prefix(tenant_id: str, player_id: str) -> str:
    """What the ids of a player's claims begin with."""
    return f"{tenant_id}/{player_id.replace('%', '%25').replace('/', '%2F')}/"


def claim_doc_id(chain_id: str, serial: int, player_id: str) -> str:
    tenant_id, rest = split_tenant(chain_id)
    return f"{player_prefix(tenant_id, player_id)}{rest}/{serial:010d}"


def chain_of_claim(tenant_id: str, player_id: str, doc_id: str) -> tuple[str, int]:
    """Inverts `claim_doc_id`: chain_id and serial."""
    rest, _, serial = doc_id.removeprefix(player_prefix(tenant_id, player_id)).rpartition("/")
    return in_tenant(tenant_id, rest), int(serial)


def winners_of(body: bytes) -> list[Winner]:
    """A chunk's document."""
    return [Winner(*w) for w in msgpack.unpackb(body)]


def counts_of(body: bytes | None, tiers: int) -> tuple[int, list[int]]:
    """How many rewards of a period were claimed: players, and players by tier."""
    if body is None:
        return 0, [0] * tiers
    claimed, by_tier = msgpack.unpackb(body)
    return claimed, by_tier


# Read by those who do not trust a store ---------------------------------------------------------------------

_PROMISE = TypeAdapter(Promise)
_WINNERS = TypeAdapter(list[Winner])
_COUNTS = TypeAdapter(tuple[int, list[int]])
_CLAIM = TypeAdapter(Claim)


def read_reward(doc_id: str, body: bytes) -> tuple[Any, str]:
    """A document of `rewards`, held against its shape, and the id that it belongs under. ValueError."""
    value = msgpack.unpackb(body)
    if doc_id.startswith((EXPIRY, GONE)):
        if value is not None:
            raise ValueError("not empty")
        return None, doc_id
    tenant_id, board_id, window, *rest = doc_id.split("/")
    match rest:
        case [_]:
            promise = _PROMISE.validate_python(value)
            RewardRules.model_validate(promise.rules)
            return promise, promise_id(f"{tenant_id}/{board_id}/{window}", promise.serial)
        case ["key", _] if type(value) is int:
            return value, doc_id
        case [_, "claims"]:
            return _COUNTS.validate_python(value), doc_id
        case [_, number] if number.isdigit():
            return _WINNERS.validate_python(value), doc_id
    raise ValueError("none of these")


def read_claim(doc_id: str, body: bytes) -> tuple[Claim, str]:
    """A document of `claims`, held against its shape, and the id that it belongs under. ValueError."""
    _tenant_id, _player, _board, _window, serial = doc_id.split("/")
    claim = _CLAIM.validate_python(msgpack.unpackb(body))
    return claim, f"{doc_id.rpartition('/')[0]}/{int(serial):010d}"


# As JSON --------------------------------------------------------------------------------------------------


def period_of(chain_id: str, promise: Promise) -> dict[str, Any]:
    """The period that a reward is of, as pages name theirs; it may be deleted by now."""
    return {
        "period_key": promise.period_key,
        "window": window_of_chain(chain_id),
        "state": "closed",
        **bounds_json(promise),
    }


def shares(promise: Promise, tiers: Sequence[int]) -> list[dict[str, Any]]:
    """Tiers that were won, each with its payload."""
    named = promise.rules["tiers"]
    return [{"tier": named[i]["name"], "payload": named[i]["payload"]} for i in tiers]


def claim_json(claim: Claim) -> dict[str, Any]:
    """Whether and when a reward was claimed."""
    return {
        "claimed": claim.claimed_at_ms is not None,
        "claimed_at": instant(claim.claimed_at_ms),
        "claim_id": claim.claim_id,
    }


def reward_json(chain_id: str, promise: Promise, player_id: str, claim: Claim) -> dict[str, Any]:
    """One player's reward of one period, in full."""
    return {
        "leaderboard_id": parse_chain(chain_id).leaderboard_id,
        "period": period_of(chain_id, promise),
        "player_id": player_id,
        "rank": claim.rank,
        "score": claim.score,
        "rewards": shares(promise, claim.tiers),
        "granted_at": instant(claim.granted_at_ms),
        "expires_at": instant(claim.expires_at_ms),
        **claim_json(claim),
    }


def instant(at_ms: int | None) -> str | None:
    """RFC 3339 text, or None for no time."""
    return None if at_ms is None else format_instant(at_ms)


class ClaimBody(Written):
    """What a claimant may say."""

    claim_id: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        default=None,
        description="Your own id for this claim, such as the id of a transaction.",
    )
