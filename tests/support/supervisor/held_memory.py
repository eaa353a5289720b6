"""A supervisor in memory, as far as held submissions need one: real commands, documents in a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lbactors.actor_settings import ActorSettings
from lbactors.core.model import Board
from lbactors.supervisor.command_plan import CommandPlan
from lbactors.supervisor.commands.reviews import ReviewCommands
from lbactors.supervisor.reviews import Reviews
from lbactors.supervisor.state import SupervisorState
from persistence.store import Change
from tests.support.actor_settings import actor_settings


class HeldMemory:
    """It is its own store and its own clock; `at_ms` is the time. `commits`: how many there were."""

    def __init__(self, at_ms: int, held_limit: int = 4) -> None:
        self.at_ms = at_ms
        store: Any = self
        self.state = SupervisorState(actor_settings(held_limit=held_limit), store, 1)
        self.state.clock = store
        self.boards = self.state.boards
        self.documents: dict[str, bytes] = {}
        self.commits = 0
        self.forget()

    @property
    def settings(self) -> ActorSettings:
        return self.state.settings

    @settings.setter
    def settings(self, settings: ActorSettings) -> None:
        self.state.settings = settings

    def forget(self) -> None:
        """As after a restart."""
        self.reviews = Reviews(self.state)
        self.commands = ReviewCommands(self.state, self.reviews)

    def now_ms(self) -> int:
        return self.at_ms

    def add(self, board: Board) -> Board:
        self.boards[f"{board.tenant_id}/{board.leaderboard_id}"] = board
        return board

    async def run(self, command: str, tenant_id: str, /, **args: Any) -> CommandPlan:
        """Carry out a command."""
        planned: CommandPlan = await getattr(self.commands, command)(tenant_id, None, **args)
        self.commit(planned.changes)
        return planned

    def commit(self, changes: Sequence[Change]) -> None:
        self.commits += bool(changes)
        for collection, doc_id, body in changes:
            assert collection == "held"
            if body is None:
                self.documents.pop(doc_id, None)
            else:
                self.documents[doc_id] = body

    async def get(self, collection: str, doc_ids: Sequence[str]) -> list[bytes | None]:
        return [self.documents.get(doc_id) for doc_id in doc_ids]

    async def scan(
        self, collection: str, *, prefix: str = "", after: str = "", limit: int = 0
    ) -> list[tuple[str, bytes]]:
        names = sorted(n for n in self.documents if n.startswith(prefix) and n > after)
        return [(name, self.documents[name]) for name in names[: limit or None]]
