"""The supervisor: which leaderboards exist, which periods are open, and in which actor each chain lives.

It observes (the store's documents, the clock, what actors say that they host), plans (pure functions),
persists the plan, acts, and publishes the catalogue (law 7). Every step can be repeated, so its end at any
point costs nothing but a moment: the next one (`lbactors.supervisor.actor`) takes a higher epoch, which
fences the one before, reads the documents, and goes on. It is not on the path of a score.

It makes the parts, hands them each other, and keeps their time. What they share is in
`lbactors.supervisor.state`; its commands are in `lbactors.supervisor.commands.runner`.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any

import structlog

from lbactors.actor_settings import ActorSettings
from lbactors.core.errors import ApiError
from lbactors.core.ids import in_chain, in_words
from lbactors.core.instants import format_instant
from lbactors.process_memory import resident_bytes
from lbactors.supervisor.audit import Audit
from lbactors.supervisor.chain_state import ChainState, chains_of
from lbactors.supervisor.events.deliverer import Deliverer
from lbactors.supervisor.events.outbox import Outbox
from lbactors.supervisor.events.plugin_listeners import PluginListeners
from lbactors.supervisor.hidden_players import HiddenPlayers
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.labels import index_profiles
from lbactors.supervisor.lifecycle import Lifecycle
from lbactors.supervisor.logs import Logs
from lbactors.supervisor.purging import Purging
from lbactors.supervisor.rebalancing import Rebalancer
from lbactors.supervisor.reviews import Reviews
from lbactors.supervisor.rewards.claiming import Claims
from lbactors.supervisor.rewards.granting import Granting
from lbactors.supervisor.rewards.retention import RewardRetention
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.actors import Actors
from lbactors.wire.kept_answer import KeptAnswer
from persistence.store import Change, Store, StoreError, trouble_of

TICK_S = 0.2
PROBED_WITHIN_S = 2.0
ACTIONS_AT_ONCE = 16  # chains opened or sealed at a time, so that hundreds of boundaries do not stampede

log = structlog.get_logger("supervisor")


class Supervisor:
    """What is known and done under one epoch, until its state `is_over`. `begin` before use.

    It makes the parts and hands each of them what it needs. store: open, and owned under this epoch.
    """

    def __init__(
        self,
        settings: ActorSettings,
        cluster: Actors,
        store: Store,
        plugin_listeners: PluginListeners,
        epoch: int,
    ) -> None:
        self.state = state = SupervisorState(settings, store, epoch)
        self.audit = Audit(state)
        self.hidden_players = HiddenPlayers(state)
        self.reviews = Reviews(state)
        self.hosting = Hosting(state, cluster, self.hidden_players)
        self.logs = Logs(state, self.hosting)
        self.rebalancer = Rebalancer(state, self.hosting)
        self.outbox = Outbox(state)
        self.deliverer = Deliverer(state, self.outbox)
        self.claims = Claims(state)
        self.reward_retention = RewardRetention(state)
        self.granting = Granting(state, self.hosting, self.outbox, self.reward_retention)
        self.lifecycle = Lifecycle(state, self.hosting, self.outbox, self.granting)
        self.purging = Purging(state, self.hosting, self.reviews, self.reward_retention)
        plugin_listeners.register(self.outbox)
        self._started_at_ms = state.clock.now_ms()
        self.reconciled = False
        self.trouble = ""
        self.readiness = KeptAnswer(self._readiness, state.clock.now_ms)
        self._limit = asyncio.Semaphore(ACTIONS_AT_ONCE)

    async def load(self) -> None:
        """Read the documents. StoreError, ApiError: then it is of no use."""
        await self.state.load()
        await self.outbox.load()
        await self.hidden_players.load()

    async def begin(self) -> None:
        """Once all is loaded: begin to reconcile. StoreError, ApiError: then it is of no use."""
        await self.state.place_whole()
        await index_profiles(self.state)
        await self.rebalancer.restore()
        self.deliverer.start()
        for work in (
            self._tick(),
            self.rebalancer.watch(),
            self.audit.trim_on(),
            self.hidden_players.trim_on(),
            self.reward_retention.run(),
            self.purging.run(),
            self.logs.trim_on(),
        ):
            self.state.spawn(work)
        log.info("supervisor started", epoch=self.state.epoch, chains=len(self.state.chains), pid=os.getpid())

    # Time -----------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        """Look at every chain that is due; more than one at a time, each under its own lock."""
        running: set[str] = set()
        while not self.state.is_over:
            try:
                self._begin_due(running)
            except Exception as error:  # Ray's head away, say: time goes on when it is back
                log.exception("what is due waits")
                self.trouble = str(error)
            await asyncio.sleep(TICK_S)

    def _begin_due(self, running: set[str]) -> None:
        now_ms = self.state.clock.now_ms()
        while (chain := self.state.take_due(now_ms)) is not None:
            if chain.chain_id in running:
                continue
            running.add(chain.chain_id)
            task = self.state.spawn(self._advance_guarded(chain))
            task.add_done_callback(partial(self._advanced, running, chain))
        if not self.reconciled and not running and self.hosting.all_hosted():
            self.reconciled = True
            self.hosting.start_spares()  # not before: what has players waiting starts first

    def _advanced(self, running: set[str], chain: ChainState, _: Any) -> None:
        running.discard(chain.chain_id)
        self.state.schedule(chain, chain.due_ms)  # what became due while it ran was passed over

    async def _advance_guarded(self, chain: ChainState) -> None:
        async with chain.lock, self._limit:  # who waits for a lock keeps no other from its boundary
            try:
                await self.advance(chain)
                self.trouble = ""
            except Exception as error:
                if not self.state.knows(chain):
                    return  # purged meanwhile
                if not isinstance(error, ApiError | StoreError | TimeoutError):
                    log.exception("chain not advanced", chain=chain.chain_id)
                self.trouble = f"{in_words(chain.chain_id)}: {error}"
                self.state.schedule(chain, self.state.clock.now_ms() + 500)

    async def advance(self, chain: ChainState) -> None:
        """Carry out what the planner says for one chain. Called under the chain's lock."""
        while self.state.knows(chain):
            plan = chain.plan(self.state.clock.now_ms())
            changes = [self.state.record_change(chain, r) for r in plan.add]
            if plan.add:
                self.state.take_records(chain, plan.add)
            hosted = [chain]
            if chain.records and not chain.home:
                hosted = chains_of(self.state.chains, chain.board_id)
                changes += self.hosting.settle(hosted)
            if changes:
                await self.state.commit(changes)
                await self.hosting.host(hosted, wait=False)
            if plan.steps and not await self.lifecycle.carry_out(chain, plan.steps):
                self.state.schedule(chain, self.state.clock.now_ms())
                return
            handed_on = await self.lifecycle.hand_on_ids(chain)
            if plan.delete:
                await self._delete_periods(chain, plan.delete)
            if not (plan.add or plan.steps or plan.delete or handed_on):
                self.state.schedule(chain, plan.due_ms)
                return

    async def _delete_periods(self, chain: ChainState, serials: list[int]) -> None:
        """Memory lets go last: as long as it has them, the planner asks for what failed again."""
        gone = [(serial, key) for serial, key in chain.names if serial in serials]
        # Journals first: were the records gone and the process died here, nobody would know of them.
        await self.state.store.drop_periods([in_chain(chain.chain_id, serial) for serial, _ in gone])
        if not self.state.knows(chain):
            return  # purged meanwhile
        await self.state.commit([Change("periods", in_chain(chain.chain_id, key), None) for _, key in gone])
        chain.forget(serials)
        chain.version += 1
        await self.hosting.host([chain], wait=False)

    # Operations -----------------------------------------------------------------------------------------

    def report(self, name: str) -> None:
        """A gateway found an actor away, or without a chain that it should have: look at once."""
        if name in self.hosting.actors:
            self.state.spawn(self.hosting.probe(name))

    async def place(self, name: str) -> None:
        """Give chains that are dormant a home. Quiet if it cannot be."""
        try:
            await self.hosting.place(name)
        except ApiError as error:
            log.warning("chains stay dormant", home=name, error=str(error))

    async def status(self) -> dict[str, Any]:
        """`GET /v1/status`, JSON-ready, without the gateway's own part: readiness and why not, actors with
        their leaderboards and periods.
        """
        found = await self.readiness_now()
        process = {"resident_bytes": resident_bytes(), "started_at": format_instant(self._started_at_ms)}
        return {
            **found,
            "supervisor": {**found["supervisor"], **process},
            "leaderboards": len(self.state.boards),
            "events": {**self.outbox.status(), **self.deliverer.status()},
            "actors": self.hosting.described(),
        }

    async def readiness_now(self) -> dict[str, Any]:
        """Whether all is ready and why not, after asking every actor."""
        probes = [asyncio.ensure_future(self.hosting.probe(n, join=True)) for n in self.hosting.actors]
        if probes:  # an actor that is being started answers later, and is shown as it was
            _, late = await asyncio.wait(probes, timeout=PROBED_WITHIN_S)
            self.state.adopt(late)
        return await self._readiness()

    async def _readiness(self) -> dict[str, Any]:
        """The same by what actors said last: they are asked once a second anyway."""
        loading, serving = 0, 0
        for actor in self.hosting.actors.values():
            for chain in actor.last_ping.chains.values() if actor.last_ping else ():
                for period in chain.periods:
                    serving += period.state == "serving"
                    loading += period.state not in ("serving", "asleep")
        storage = await trouble_of(self.state.store) or "ok"
        if storage == "ok":
            pings = (a.last_ping for a in self.hosting.actors.values())
            storage = next((ping.went_back for ping in pings if ping and ping.went_back), "ok")
        known = sum(not r.sealed for c in self.state.chains.values() for r in c.records)
        hosted = self.hosting.all_hosted()
        away = [n for n, a in self.hosting.actors.items() if a.chains and not a.last_ping]
        return {
            "ready": storage == "ok" and hosted and not loading and not away,
            "storage": storage,
            "supervisor": {"epoch": self.state.epoch, "pid": os.getpid(), "trouble": self.trouble},
            "periods": {
                "serving": serving,
                "loading": loading,
                "asleep": max(known - serving - loading, 0),
            },
            "projections": self.hosting.projections(),
            "actors": self.hosting.names(),
            "at": format_instant(self.state.clock.now_ms()),
        }

    async def stop(self) -> None:
        """The end of the server: every period saved, every actor let go."""
        await self.deliverer.stop()
        self.state.end()
        await self.hosting.stop()
