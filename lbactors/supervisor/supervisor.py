"""The supervisor: which leaderboards exist, which periods are open, and in which actor each chain lives.

It observes (the store's documents, the clock, what actors say that they host), plans (pure functions),
persists the plan, acts, and publishes the catalogue (law 7). Every step can be repeated, so its end at any
point costs nothing but a moment: the next one (`lbactors.supervisor.actor`) takes a higher epoch, which
fences the one before, reads the documents, and goes on. It is not on the path of a score.

What it owns: the collections `tenants`, `keys`, `leaderboards`, `periods`, `homes`, `profiles`,
`idempotency`; its parts own the others. Gateways follow the published ones (`watch`); its commands are in
`lbactors.supervisor.commands.runner`.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import os
import time
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgpack
import structlog

from lbactors.clock import Clock
from lbactors.core.errors import ApiError
from lbactors.core.model import COMPLETE, Board, PeriodRecord
from lbactors.core.packing import pack
from lbactors.documents.audit import Who
from lbactors.documents.entities import unpack_board
from lbactors.supervisor.audit import Audit
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.events.outbox import Outbox
from lbactors.supervisor.events.plugin_listeners import PluginListeners
from lbactors.supervisor.hidden_players import HiddenPlayers
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.lifecycle import Lifecycle
from lbactors.supervisor.purging import Purging
from lbactors.supervisor.rebalancing import Rebalancer
from lbactors.supervisor.rewards.granting import Rewards
from lbactors.wire.actors import Actors
from lbactors.wire.catalogue_feed import INCARNATIONS, FeedChange, News
from lbactors.wire.commands import Idempotency
from persistence.store import WENT_BACK, Change, Fenced, Store, StoreError, trouble_of

OWNER = "supervisor"
PUBLISHED = ("tenants", "keys", "leaderboards", "homes")
TICK_S = 0.2
FEED_CHANGES = 20_000  # published changes kept for gateways that lag; one further behind starts anew
WATCH_S = 10.0  # a watch without news returns after this long
PROBED_WITHIN_S = 2.0
ACTIONS_AT_ONCE = 16  # chains opened or sealed at a time, so that hundreds of boundaries do not stampede

log = structlog.get_logger("supervisor")


def _record(row: list[Any]) -> PeriodRecord:
    """A stored period. Version 0.1 kept no stage: what it had closed is complete."""
    record = PeriodRecord(*row)
    if len(row) <= PeriodRecord._fields.index("stage") and record.sealed:
        return record._replace(stage=COMPLETE)
    return record


class Supervisor:
    """What is known and done under one epoch, until it `is_over`. `begin` before use.

    settings: plain values, see `gateway.server.actor_settings`. store: open, and owned under this epoch.
    """

    def __init__(
        self, settings: dict[str, Any], cluster: Actors, store: Store, hooks: PluginListeners, epoch: int
    ) -> None:
        from lbactors.supervisor.commands.runner import CommandRunner

        self.settings = settings
        self.store = store
        self.epoch = epoch
        self.is_over = False
        self.went_back = False  # it is over because the store knew of a lower epoch alone
        self.clock = Clock(settings["clock_file"])
        self.documents: dict[str, dict[str, bytes]] = {name: {} for name in PUBLISHED}
        self.boards: dict[str, Board] = {}
        self.chains: dict[str, ChainState] = {}
        self.held_counts: dict[str, int] = {}  # see lbactors.supervisor.commands.reviews
        self.version = 0
        self.reconciled = False
        self.trouble = ""
        self._feed: deque[tuple[int, str, str, bytes | None]] = deque(maxlen=FEED_CHANGES)
        self._news = asyncio.Event()
        self._due: list[tuple[int, str]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._limit = asyncio.Semaphore(ACTIONS_AT_ONCE)
        self.hosting = Hosting(settings, cluster, self.chains, self._keep, self._publish, self.commit)
        self.balance = Rebalancer(self.hosting)
        self.closing = Lifecycle(self)
        self.events = Outbox(self)
        hooks.register(self.events)
        self.rewards = Rewards(self)
        self.purging = Purging(self)
        self.audit = Audit(self)
        self.moderation = HiddenPlayers(self)
        self.hosting.moderation = self.moderation
        self._commands = CommandRunner(self)

    async def begin(self) -> None:
        """Read the documents and begin to reconcile. StoreError, ApiError: then it is of no use."""
        for name in PUBLISHED:
            self.documents[name] = dict(await self.store.scan(name))
        for body in self.documents["leaderboards"].values():
            board = unpack_board(body)
            self.boards[f"{board.tenant_id}/{board.leaderboard_id}"] = board
        await self._load_chains()
        await self.events.load()
        await self.moderation.load()
        await self._commands.first_start()
        await self.balance.restore(self.store)
        self.events.start()
        self._keep(self._tick())
        self._keep(self.balance.watch())
        self._keep(self.audit.trim_on())
        self._keep(self.moderation.keep())
        self._keep(self.rewards.retention.run())
        self._keep(self.purging.run())
        log.info("supervisor started", epoch=self.epoch, chains=len(self.chains), pid=os.getpid())

    async def _load_chains(self) -> None:
        """Chains from the documents: records, homes, the next serial."""
        by_uid = {f"{key}~{board.uid}": board for key, board in self.boards.items()}
        for doc_id, body in await self.store.scan("periods"):
            chain_id = doc_id.rsplit("/", 1)[0]
            board_id, window = chain_id.rsplit("/", 1)
            board = by_uid.get(board_id)
            if board is None:
                continue
            chain = self.chains.get(chain_id)
            if chain is None:
                chain = self.chains[chain_id] = ChainState(board, window)
            chain.records.append(_record(msgpack.unpackb(body)))
        for board in self.boards.values():
            for window in board.windows:
                if board.chain_id(window) not in self.chains:
                    self.chains[board.chain_id(window)] = ChainState(board, window)
        for chain in self.chains.values():
            chain.records.sort(key=lambda r: r.serial)
            chain.next_serial = chain.records[-1].serial + 1 if chain.records else 1
            chain.version = self.epoch << 20  # above whatever an earlier supervisor sent
            home = self.documents["homes"].get(chain.chain_id)
            chain.home = home.decode() if home is not None else ""
            self.schedule(chain, 0)

    def _keep(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def end(self) -> None:
        """Whatever it was doing ends, or finds that it cannot commit any more."""
        self.is_over = True
        for task in list(self._tasks):
            task.cancel()
        self._news.set()

    # Persisting and publishing --------------------------------------------------------------------------

    async def commit(self, changes: list[Change]) -> None:
        """Make documents durable, then publish those that gateways follow. ApiError storage_unavailable: then
        memory may be ahead of the store, or behind it, and this supervisor is over.
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
            raise ApiError("storage_unavailable", str(error)) from error
        for collection, doc_id, body in changes:
            if collection in PUBLISHED:
                if body is None:
                    self.documents[collection].pop(doc_id, None)
                else:
                    self.documents[collection][doc_id] = body
        self.events.took(changes)
        if news := [change for change in changes if change[0] in (*PUBLISHED, "profiles")]:
            self._publish(news)

    def _publish(self, changes: Iterable[tuple[str, str, bytes | None]]) -> None:
        """Tell those who watch."""
        for change in changes:
            self.version += 1
            self._feed.append((self.version, *change))
        self._news.set()
        self._news = asyncio.Event()

    async def watch(self, epoch: int, version: int) -> News:
        """What came after a version; waits if there is no news."""
        if epoch == self.epoch and version == self.version and not self.is_over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await self._news.wait()
        oldest = self._feed[0][0] if self._feed else self.version + 1
        if epoch != self.epoch or version + 1 < oldest or version > self.version:
            everything = [FeedChange(c, i, body) for c in PUBLISHED for i, body in self.documents[c].items()]
            actors = self.hosting.actors.items()
            everything += [
                FeedChange(INCARNATIONS, n, a.incarnation.encode()) for n, a in actors if a.incarnation
            ]
            everything += [FeedChange(INCARNATIONS, n, b"") for n in self.hosting.dormant]
            return News(self.epoch, self.version, True, everything)
        changes = [FeedChange(c, i, body) for v, c, i, body in self._feed if v > version]
        return News(self.epoch, self.version, False, changes)

    async def command(
        self,
        name: str,
        tenant_id: str,
        args: dict[str, Any],
        idempotency: Idempotency | None,
        who: Who | None,
    ) -> tuple[int, dict[str, Any]]:
        """Carry out one of `lbactors.supervisor.commands.runner`; HTTP status and body. ApiError,
        StoreError.
        """
        try:
            return await self._commands.run(name, tenant_id, args, idempotency, who)
        except (ApiError, StoreError):
            raise
        except Exception:  # a bug, or Ray's head is away: memory may be ahead of the store
            log.exception("command failed", command=name)
            self.end()
            raise

    # Time -----------------------------------------------------------------------------------------------

    def schedule(self, chain: ChainState, due_ms: int | None) -> None:
        chain.due_ms = due_ms
        if due_ms is not None:
            heapq.heappush(self._due, (due_ms, chain.chain_id))

    async def _tick(self) -> None:
        """Look at every chain that is due; more than one at a time, each under its own lock."""
        running: set[str] = set()
        while not self.is_over:
            try:
                self._begin_due(running)
            except Exception as error:  # Ray's head away, say: time goes on when it is back
                log.exception("what is due waits")
                self.trouble = str(error)
            await asyncio.sleep(TICK_S)

    def _begin_due(self, running: set[str]) -> None:
        now_ms = self.clock.now_ms()
        while self._due and self._due[0][0] <= now_ms:
            due_ms, chain_id = heapq.heappop(self._due)
            chain = self.chains.get(chain_id)
            if chain is None or chain.due_ms != due_ms or chain_id in running:
                continue
            running.add(chain_id)
            task = self._keep(self._advance_guarded(chain))
            task.add_done_callback(partial(self._advanced, running, chain))
        if not self.reconciled and not running and self.hosting.all_hosted():
            self.reconciled = True
            self.hosting.start_spares()  # not before: what has players waiting starts first

    def _advanced(self, running: set[str], chain: ChainState, _: Any) -> None:
        running.discard(chain.chain_id)
        if chain.due_ms is not None:  # what became due while it ran was passed over
            heapq.heappush(self._due, (chain.due_ms, chain.chain_id))

    async def _advance_guarded(self, chain: ChainState) -> None:
        async with self._limit, chain.lock:
            try:
                await self.advance(chain)
                self.trouble = ""
            except Exception as error:
                if not self.hosting.knows(chain):
                    return  # purged meanwhile
                if not isinstance(error, ApiError | StoreError | TimeoutError):
                    log.exception("chain not advanced", chain=chain.chain_id)
                self.trouble = f"{chain.chain_id}: {error}"
                self.schedule(chain, self.clock.now_ms() + 500)

    async def advance(self, chain: ChainState) -> None:
        """Carry out what the planner says for one chain. Called under the chain's lock."""
        while self.hosting.knows(chain):
            plan = chain.plan(self.clock.now_ms())
            changes = [self.record_change(chain, r) for r in plan.add]
            if plan.add:
                self.take_records(chain, plan.add)
            if chain.records and not chain.home:
                changes.append(self.hosting.settle(chain))
            if changes:
                await self.commit(changes)
                await self.hosting.host([chain], wait=False)
            if plan.steps and not await self.closing.carry_out(chain, plan.steps):
                self.schedule(chain, self.clock.now_ms())
                return
            handed_on = await self.closing.hand_on_ids(chain)
            if plan.delete:
                await self._delete_periods(chain, plan.delete)
            if not (plan.add or plan.steps or plan.delete or handed_on):
                self.schedule(chain, plan.due_ms)
                return

    def take_records(self, chain: ChainState, records: Iterable[PeriodRecord], *, told: bool = True) -> None:
        """Put records in the place of those of the same serial, or add them. told: the actor must hear it."""
        by_serial = {r.serial: r for r in chain.records} | {r.serial: r for r in records}
        chain.records = [by_serial[s] for s in sorted(by_serial)]
        chain.forget_floors()
        chain.next_serial = max(chain.next_serial, chain.records[-1].serial + 1)
        chain.version += told

    @staticmethod
    def record_change(chain: ChainState, record: PeriodRecord) -> Change:
        return Change("periods", f"{chain.chain_id}/{record.key}", pack(list(record)))

    async def _delete_periods(self, chain: ChainState, serials: list[int]) -> None:
        """Memory lets go last: as long as it has them, the planner asks for what failed again."""
        gone = [r for r in chain.records if r.serial in serials]
        # Journals first: were the records gone and the process died here, nobody would know of them.
        await self.store.drop_periods([f"{chain.chain_id}/{r.serial}" for r in gone])
        if not self.hosting.knows(chain):
            return  # purged meanwhile
        await self.commit([Change("periods", f"{chain.chain_id}/{r.key}", None) for r in gone])
        chain.records = [r for r in chain.records if r.serial not in serials]
        chain.version += 1
        await self.hosting.host([chain], wait=False)

    # Operations -----------------------------------------------------------------------------------------

    def report(self, name: str) -> None:
        """A gateway found an actor away, or without a chain that it should have: look at once."""
        if name in self.hosting.actors:
            self._keep(self.hosting.probe(name))

    async def rouse(self, name: str) -> None:
        """Give chains that are dormant a home. Quiet if it cannot be."""
        try:
            await self.hosting.rouse(name)
        except ApiError as error:
            log.warning("chains stay dormant", home=name, error=str(error))

    async def status(self, *, brief: bool) -> dict[str, Any]:
        """For operators: actors, their chains and periods, readiness and why not. brief: no chains."""
        probes = [asyncio.ensure_future(self.hosting.probe(n, join=True)) for n in self.hosting.actors]
        if probes:  # an actor that is being started answers later, and is shown as it was
            _, late = await asyncio.wait(probes, timeout=PROBED_WITHIN_S)
            self._tasks.update(late)
        loading, serving = 0, 0
        for actor in self.hosting.actors.values():
            for chain in actor.last_ping.chains.values() if actor.last_ping else ():
                for period in chain.periods:
                    serving += period.state == "serving"
                    loading += period.state not in ("serving", "asleep")
        storage = await trouble_of(self.store) or "ok"
        if storage == "ok":
            pings = (a.last_ping for a in self.hosting.actors.values())
            storage = next((ping.went_back for ping in pings if ping and ping.went_back), "ok")
        known = sum(not r.sealed for c in self.chains.values() for r in c.records)
        hosted = self.hosting.all_hosted()
        away = [n for n, a in self.hosting.actors.items() if a.chains and not a.last_ping]
        return {
            "ready": storage == "ok" and hosted and not loading and not away,
            "storage": storage,
            "supervisor": {"epoch": self.epoch, "pid": os.getpid(), "trouble": self.trouble},
            "periods": {
                "serving": serving,
                "loading": loading,
                "asleep": max(known - serving - loading, 0),
            },
            "leaderboards": len(self.boards),
            "events": self.events.status(),
            "actors": self.hosting.described(with_chains=not brief),
            "at": time.time(),
        }

    async def stop(self) -> None:
        """The end of the server: every period saved, every actor let go."""
        await self.events.stop()
        self.end()
        await self.hosting.stop()
