"""Submissions that wait for a review: how many there are, and how they go with their player or
leaderboard.
"""

from __future__ import annotations

from lbactors.core.model import Board
from lbactors.documents.reviews import COLLECTION, place_of, unpack_review
from lbactors.supervisor.state import SupervisorState
from persistence.store import Change


class Reviews:
    """Counts what waits, by place (see `place_of`), as far as somebody asked; each place is read once."""

    def __init__(self, state: SupervisorState) -> None:
        self.state = state
        self._counts: dict[str, int] = {}

    async def count(self, place: str) -> int:
        """How many wait. StoreError."""
        count = self._counts.get(place)
        if count is None:
            count = len(await self.state.store.scan(COLLECTION, prefix=f"{place}h/"))
            self._counts[place] = count
        return count

    def add(self, place: str, by: int) -> None:
        """So many more wait (fewer, if negative)."""
        if place in self._counts:
            self._counts[place] += by

    async def erase(self, tenant_id: str, player_id: str) -> list[Change]:
        """What takes a player's submissions out, waiting and decided ones, in every leaderboard of a
        tenant.
        """
        rows = await self.state.store.scan(COLLECTION, prefix=f"{tenant_id}/")
        self._counts.clear()
        return [
            Change(COLLECTION, doc_id, None)
            for doc_id, body in rows
            if unpack_review(body).player_id == player_id
        ]

    async def purge(self, board: Board) -> list[Change]:
        """What takes everything of a leaderboard out."""
        place = place_of(board)
        self._counts.pop(place, None)
        rows = await self.state.store.scan(COLLECTION, prefix=place)
        return [Change(COLLECTION, doc_id, None) for doc_id, _ in rows]
