"""What all parts of a supervisor share: what the documents say, and the one way to change them.

A state belongs to one epoch. It is read from the store (`load`), and everything that is to last goes through
`commit`. When a commit fails, nobody knows what the store holds: the state `is_over`, with all tasks that
were spawned, and the next supervisor begins from the documents.

It owns the collections that gateways follow (PUBLISHED) and `periods`; parts own the others, and hear of
every commit if they ask for it (`on_commit`).
"""

from __future__ import annotations

import asyncio
import heapq
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

import msgpack
import structlog

from lbactors.actor_settings import ActorSettings
from lbactors.clock import Clock
from lbactors.core.errors import ApiError
from lbactors.core.ids import board_of_chain, chain_of, in_chain, in_tenant, window_of_chain
from lbactors.core.lifecycle import restored
from lbactors.core.model import Board, PeriodRecord, Tenant
from lbactors.core.packing import pack
from lbactors.documents.entities import unpack_board, unpack_tenant
from lbactors.documents.storage_errors import storage_unavailable
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.feed import Feed
from lbactors.wire.catalogue_feed import FeedChange
from persistence.store import WENT_BACK, Change, Fenced, Store, StoreError, scan_pages

OWNER = "supervisor"
PUBLISHED = ("tenants", "keys", "leaderboards", "logs", "homes")

log = structlog.get_logger("supervisor")

Listener = Callable[[Sequence[Change]], None]


class SupervisorState:
    """One for each supervisor. store: open, and owned under this epoch."""

    def __init__(self, settings: ActorSettings, store: Store, epoch: int) -> None:
        self.settings = settings
        self.store = store
        self.epoch = epoch
        self.clock = Clock(settings.clock_file)
        self.feed = Feed(epoch)
        self.documents: dict[str, dict[str, bytes]] = {name: {} for name in PUBLISHED}
        self.boards: dict[str, Board] = {}
        self.logs: dict[str, Board] = {}  # hosted as leaderboards are, by `ids.log_document`
        self.chains: dict[str, ChainState] = {}
        self._homes: dict[str, str] = {}  # board_uid -> name of the actor that has it
        self.is_over = False
        self.went_back = False  # it is over because the store knew of a lower epoch alone
        self._listeners: list[Listener] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._due: list[tuple[int, str]] = []
        self.feed.add_source(self._published)

    async def load(self) -> None:
        """Read the documents. StoreError."""
        for name in PUBLISHED:
            self.documents[name] = dict(await self.store.scan(name))
        for body in self.documents["leaderboards"].values():
            board = unpack_board(body)
            self.boards[in_tenant(board.tenant_id, board.leaderboard_id)] = board
        self.logs.update((name, unpack_board(body)) for name, body in self.documents["logs"].items())
        await self._load_chains()

    async def _load_chains(self) -> None:
        """Chains from the documents: records, homes, the next serial."""
        hosted = [*self.boards.values(), *self.logs.values()]
        by_uid = {board.board_uid: board for board in hosted}
        chain: ChainState | None = None
        async for page in scan_pages(self.store, "periods"):
            for doc_id, body in page:
                chain_id = chain_of(doc_id)
                if chain is None or chain.chain_id != chain_id:  # documents of a chain follow one another
                    _put_in_order(chain)
                    board = by_uid.get(board_of_chain(chain_id))
                    chain = None if board is None else self.new_chain(board, window_of_chain(chain_id))
                if chain is not None:
                    chain.records.append(restored(msgpack.unpackb(body)))
        _put_in_order(chain)
        for board in hosted:
            for window in board.windows:
                if board.chain_id(window) not in self.chains:
                    self.new_chain(board, window)
        for board_id, body in homes_by_board(self.documents["homes"]).items():
            self._homes[board_id] = body.decode()
        for chain in self.chains.values():
            chain.version = self.epoch << 20  # above whatever an earlier supervisor sent
            self.schedule(chain, 0)

    async def place_whole(self) -> None:
        """Stores written before leaderboards were placed whole have a home for each chain. ApiError."""
        homes = self.documents["homes"]
        whole = homes_by_board(homes)
        changes = [Change("homes", name, None) for name in homes if name not in whole]
        changes += [Change("homes", name, body) for name, body in whole.items() if homes.get(name) != body]
        if changes:
            log.info("leaderboards are placed whole", homes=len(whole))
            await self.commit(changes)

    def new_chain(self, board: Board, window: str) -> ChainState:
        """A chain that there was not."""
        chain = self.chains[board.chain_id(window)] = ChainState(board, window, self._homes, self.logs)
        return chain

    def set_home(self, board_id: str, name: str) -> Change:
        """Give a leaderboard a home; the change that makes it known."""
        self._homes[board_id] = name
        return Change("homes", board_id, name.encode())

    def forget_home(self, board_id: str) -> Change:
        """A leaderboard is no more."""
        self._homes.pop(board_id, None)
        return Change("homes", board_id, None)

    # Looking up -----------------------------------------------------------------------------------------

    def tenant(self, tenant_id: str) -> Tenant:
        """ApiError tenant_not_found."""
        body = self.documents["tenants"].get(tenant_id)
        if body is None:
            raise ApiError("tenant_not_found", f"no tenant '{tenant_id}'")
        return unpack_tenant(body)

    def board(self, tenant_id: str, leaderboard_id: str) -> Board:
        """ApiError leaderboard_not_found."""
        board = self.boards.get(in_tenant(tenant_id, leaderboard_id))
        if board is None:
            raise ApiError("leaderboard_not_found", f"no leaderboard '{leaderboard_id}'")
        return board

    def knows(self, chain: ChainState) -> bool:
        """Whether a chain is one of those that there are: it was not purged."""
        return self.chains.get(chain.chain_id) is chain

    # Tasks ----------------------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something beside, for as long as this state lives."""
        task = asyncio.create_task(work)
        self.adopt([task])
        return task

    def adopt(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """Have tasks that others began end with this state."""
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @property
    def tasks(self) -> frozenset[asyncio.Task[Any]]:
        """What runs beside."""
        return frozenset(self._tasks)

    def end(self) -> None:
        """Whatever is being done ends, or finds that it cannot commit any more."""
        self.is_over = True
        for task in list(self._tasks):
            task.cancel()
        self.feed.end()

    # Persisting and publishing --------------------------------------------------------------------------

    def on_commit(self, listener: Listener) -> None:
        """Have a part hear of all that was made durable, before gateways do."""
        self._listeners.append(listener)

    async def commit(self, changes: list[Change]) -> None:
        """Make documents durable, then publish those that gateways follow. ApiError storage_unavailable: then
        memory may be ahead of the store, or behind it, and this state is over.
        """
        if self.is_over:
            raise ApiError("storage_unavailable", "the supervisor begins anew")
        try:
            await self.store.commit(changes, owner=OWNER, epoch=self.epoch)
        except Fenced as error:
            if self.is_over:
                raise ApiError("storage_unavailable", "the supervisor began anew") from error
            if error.highest > self.epoch:
                log.error("another supervisor took over; this one ends", epoch=self.epoch)
                os._exit(1)
            log.error(WENT_BACK, epoch=self.epoch, highest=error.highest)
            self.went_back = True
            self.end()
            raise ApiError("storage_unavailable", f"{WENT_BACK}: {error}") from error
        except StoreError as error:
            self.end()
            raise storage_unavailable(error) from error
        for collection, doc_id, body in changes:
            if collection in PUBLISHED:
                if body is None:
                    self.documents[collection].pop(doc_id, None)
                else:
                    self.documents[collection][doc_id] = body
        for listener in self._listeners:
            listener(changes)
        if news := [
            FeedChange(*change) for change in changes if change.collection in (*PUBLISHED, "profiles")
        ]:
            self.feed.publish(news)

    def _published(self) -> Iterable[FeedChange]:
        return (FeedChange(c, i, body) for c in PUBLISHED for i, body in self.documents[c].items())

    # Periods and their time -----------------------------------------------------------------------------

    def take_records(
        self, chain: ChainState, records: Iterable[PeriodRecord], *, new_spec: bool = True
    ) -> None:
        """Put records in the place of those of the same serial, or add them. new_spec: the actor is to hear
        of it.
        """
        by_serial = {r.serial: r for r in chain.records} | {r.serial: r for r in records}
        chain.records = [by_serial[s] for s in sorted(by_serial)]
        chain.let_pass()
        chain.forget_floors()
        chain.next_serial = max(chain.next_serial, chain.records[-1].serial + 1)
        chain.version += new_spec

    @staticmethod
    def record_change(chain: ChainState, record: PeriodRecord) -> Change:
        return Change("periods", in_chain(chain.chain_id, record.key), pack(record.to_wire()))

    def schedule(self, chain: ChainState, due_ms: int | None) -> None:
        """When a chain is to be looked at again (None: not before it is changed)."""
        chain.due_ms = due_ms
        if due_ms is not None:
            heapq.heappush(self._due, (due_ms, chain.chain_id))

    def take_due(self, now_ms: int) -> ChainState | None:
        """A chain that is due; None if there is none (any more)."""
        while self._due and self._due[0][0] <= now_ms:
            due_ms, chain_id = heapq.heappop(self._due)
            chain = self.chains.get(chain_id)
            if chain is not None and chain.due_ms == due_ms:
                return chain
        return None


def _put_in_order(chain: ChainState | None) -> None:
    """A chain all of whose records were read."""
    if chain is not None:
        chain.records.sort(key=lambda r: r.serial)
        chain.next_serial = chain.records[-1].serial + 1
        chain.let_pass()


def homes_by_board(homes: Mapping[str, bytes]) -> dict[str, bytes]:
    """The home of each leaderboard, from documents by `ids.board_uid`, or (before leaderboards were placed
    whole) by chain: then that of the main window.
    """
    found = {name: body for name, body in homes.items() if name.count("/") == 1}
    for chain_id in sorted(homes.keys() - found.keys(), key=lambda i: (window_of_chain(i) != "main", i)):
        found.setdefault(board_of_chain(chain_id), homes[chain_id])
    return found
