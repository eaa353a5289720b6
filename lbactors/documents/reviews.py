"""Submissions that wait for a review: how they are stored and shown."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, NamedTuple

import msgpack
import orjson

from lbactors.core.ids import board_uid
from lbactors.core.instants import format_instant
from lbactors.core.model import Board, Submission
from lbactors.core.packing import pack
from persistence.store import Change, Store

COLLECTION = "held"
HELD, APPROVING, APPROVED, REJECTED = "held", "approving", "approved", "rejected"
Outcome = dict[str, Any]


class Review(NamedTuple):
    """A held submission. Times in ms; `metadata` is JSON text; the plugin says the `reason`, the reviewer a
    `note`.

    `attempts`: approvals begun whose outcome is not known; `outcome`: of the approval, as clients see it.
    """

    held_id: str
    player_id: str
    score: int | float | None
    subscore: int | float
    metadata: str | None
    submission_id: str
    occurred_at_ms: int | None
    aggregation: str | None
    arrived_at_ms: int
    plugin: str
    reason: str
    key_id: str
    state: str = HELD
    attempts: int = 0
    changed_at_ms: int = 0
    note: str | None = None
    outcome: Outcome | None = None

    def submission(self) -> Submission:
        """What is sent to the periods: as it came, for the time at which it came."""
        metadata = None if self.metadata is None else self.metadata.encode()
        at_ms = self.arrived_at_ms if self.occurred_at_ms is None else self.occurred_at_ms
        return Submission(
            self.player_id, self.score, self.subscore, metadata, self.submission_id, at_ms, self.aggregation
        )


def review_of(
    board: Board, submission: Submission, arrived_at_ms: int, plugin: str, reason: str, key_id: str
) -> Review:
    """A submission as it is to be held. Its held_id follows from its submission id, if it has one."""
    if submission.submission_id is None:
        held_id = f"h_{secrets.token_hex(12)}"
    else:
        name = f"{place_of(board)}{submission.submission_id}"
        held_id = f"h_{hashlib.sha256(name.encode()).hexdigest()[:24]}"
    metadata = None if submission.metadata is None else submission.metadata.decode()
    return Review(
        held_id,
        submission.player_id,
        submission.score,
        submission.subscore,
        metadata,
        submission.submission_id or f"held:{held_id}",
        submission.occurred_at_ms,
        submission.aggregation,
        arrived_at_ms,
        plugin,
        reason,
        key_id,
    )


def review_json(held: Review, leaderboard_id: str) -> dict[str, Any]:
    """As reviewers see it."""
    occurred_at_ms = held.occurred_at_ms
    return {
        "held_id": held.held_id,
        "leaderboard_id": leaderboard_id,
        "state": held.state,
        "player_id": held.player_id,
        "score": held.score,
        "subscore": held.subscore,
        "metadata": None if held.metadata is None else orjson.loads(held.metadata),
        "submission_id": held.submission_id,
        "occurred_at": None if occurred_at_ms is None else format_instant(occurred_at_ms),
        "aggregation": held.aggregation,
        "arrived_at": format_instant(held.arrived_at_ms),
        "plugin": held.plugin,
        "reason": held.reason,
        "key_id": held.key_id,
        "note": held.note,
    }


def place_of(board: Board) -> str:
    """What the ids of a leaderboard's documents begin with."""
    return f"{board_uid(board.tenant_id, board.leaderboard_id, board.uid)}/"


def open_id(place: str, held_id: str) -> str:
    return f"{place}h/{held_id}"


def decided_id(place: str, held_id: str) -> str:
    return f"{place}d/{held_id}"


def document_id(place: str, held: Review) -> str:
    """Under which id a held submission is kept."""
    make = open_id if held.state in (HELD, APPROVING) else decided_id
    return make(place, held.held_id)


def unpack_review(body: bytes) -> Review:
    return Review(*msgpack.unpackb(body))


def put_review(doc_id: str, held: Review) -> Change:
    return Change(COLLECTION, doc_id, pack(held))


async def read_reviews(store: Store, board: Board) -> list[Review]:
    """Those of a leaderboard that wait to be decided, oldest first. StoreError."""
    rows = await store.scan(COLLECTION, prefix=f"{place_of(board)}h/")
    return sorted(
        (unpack_review(body) for _, body in rows), key=lambda held: (held.arrived_at_ms, held.held_id)
    )
