"""Who lives where over time: busy chains get an actor of their own, and actors that nobody needs end.

Part of the supervisor, beside `lbactors.supervisor.hosting`, which carries it out. Every few seconds it looks
at how busy the chains are, as their actors' pings tell, and asks the planner for the most urgent move. An
actor whose chains all sleep is retired: its chains go dormant, its process ends. What was in use lately is
kept in the store (the collection `warm`), so that a restart starts those actors at once and loads large
periods before anyone asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import msgpack
import structlog

from lbactors.core import placement
from lbactors.core.errors import ApiError
from lbactors.core.packing import pack
from lbactors.supervisor.chain_state import chains_of
from lbactors.supervisor.hosting import CALL_TIMEOUT_S, ActorState, Hosting
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.actors import ActorGone
from lbactors.wire.catalogue_feed import INCARNATIONS, FeedChange
from lbactors.wire.requests import Release
from persistence.store import Change, StoreError

PING_S = 1.0
BALANCE_LOOKS = 5  # pings between two looks at who lives where
RETIRE_AFTER_S = 60.0  # an actor of which nothing was awake for so long ends
WARM_ENTRIES = 10_000  # a period of so many takes tens of ms to load: not when the first player asks for it
MOVES_AT_ONCE = 8
GATEWAYS_LEARN_S = 1.0  # in which they have heard that an actor is about to end

log = structlog.get_logger("supervisor")


class Rebalancer:
    """One for each supervisor; `restore` at its start, then `watch`."""

    def __init__(self, state: SupervisorState, hosting: Hosting) -> None:
        self.state = state
        self.hosting = hosting
        self._warm: dict[str, list[str]] = {}  # what the store knows: actors in use, with their large chains

    async def restore(self) -> None:
        """Know again who lives where, and start what was in use. StoreError."""
        self._warm = {name: msgpack.unpackb(body) for name, body in await self.state.store.scan("warm")}
        large = {chain_id for chain_ids in self._warm.values() for chain_id in chain_ids}
        for chain in self.state.chains.values():
            chain.awake = chain.chain_id in large
        homes = {chain.home for chain in self.state.chains.values()}
        self.hosting.restore(name for name in self._warm if name in homes)

    async def watch(self) -> None:
        """Ping every actor; now and then look at who lives where."""
        looks = 0
        while True:
            for name in list(self.hosting.actors):
                self.state.spawn(self.hosting.probe(name))
            await asyncio.sleep(PING_S)
            looks += 1
            if looks % BALANCE_LOOKS == 0:
                try:
                    await self.remember_warm()
                    await self.rebalance()
                    await self.retire_idle()
                except (ApiError, StoreError) as error:
                    log.warning("homes stay as they are", error=str(error))
                except Exception:  # Ray's head away, say: actors are pinged on
                    log.exception("homes stay as they are")

    async def remember_warm(self) -> None:
        """Keep in the store which actors are in use, and which of their chains are large. ApiError."""
        changes = []
        for name in {*self.hosting.actors, *self._warm}:
            chains = [self.state.chains[c] for c in self.hosting.chains_of(name) if c in self.state.chains]
            awake = [c for c in chains if c.awake]
            warm = sorted(c.chain_id for c in awake if c.entries >= WARM_ENTRIES) if awake else None
            if warm != self._warm.get(name):
                changes.append(Change("warm", name, None if warm is None else pack(warm)))
                if warm is None:
                    del self._warm[name]
                else:
                    self._warm[name] = warm
        if changes:
            await self.state.commit(changes)

    # Moving ---------------------------------------------------------------------------------------------

    async def rebalance(self) -> None:
        """Make the most urgent change of homes that the planner sees. ApiError."""
        move = placement.next_move(self.hosting.board_loads(), self.hosting.budget())
        if move is None:
            return
        to = move.to if move.to is not None else self.hosting.new_name()
        board_ids = move.board_ids
        log.info("leaderboards move", boards=len(board_ids), first=board_ids[0], home=move.home, to=to)
        try:
            # It runs, and has its store, before anything moves there.
            await self.hosting.actor(to).ref.call("endpoint", timeout_s=CALL_TIMEOUT_S)
        except (ActorGone, TimeoutError) as error:
            log.warning("leaderboards do not move yet", to=to, error=str(error))
            return
        source = self.hosting.actors[move.home]
        source.is_emptied = True
        try:
            for start in range(0, len(board_ids), MOVES_AT_ONCE):
                some = board_ids[start : start + MOVES_AT_ONCE]
                await asyncio.gather(*(self._move(board_id, move.home, to) for board_id in some))
        finally:
            source.is_emptied = False
        self.hosting.start_spares()

    async def _move(self, board_id: str, home: str, to: str) -> None:
        """Drain, save and let go; then persist and publish the new home; then serve there. ApiError.

        Meanwhile gateways are told that the leaderboard is not there, and wait for its new home. Whatever
        dies in between: the home that the store knows is where it will be loaded again.
        """
        chains = chains_of(self.state.chains, board_id)
        async with contextlib.AsyncExitStack() as locked:
            for chain in chains:
                await locked.enter_async_context(chain.lock)
            source, target = self.hosting.actors.get(home), self.hosting.actors.get(to)
            if not chains or chains != chains_of(self.state.chains, board_id) or chains[0].home != home:
                return
            if source is None or target is None:
                return
            chain_ids = [chain.chain_id for chain in chains]
            source.chains.difference_update(chain_ids)  # so that no ping has them hosted there again
            awake = [chain.awake for chain in chains]
            try:
                await self.hosting.call(source, "release", Release(chain_ids, save=True))
            except ApiError:
                # It is away: they will be loaded there, when it is back.
                source.chains.update(chain.chain_id for chain in chains if self.state.knows(chain))
                raise
            for chain_id in chain_ids:
                source.hosted.pop(chain_id, None)
            if chains != chains_of(self.state.chains, board_id):
                return  # purged meanwhile
            for chain, was_awake in zip(chains, awake, strict=True):
                chain.awake = was_awake
            target.chains.update(chain_ids)
            await self.state.commit([self.state.set_home(board_id, to)])
            await self.hosting.host(chains, wait=False)

    # Going dormant --------------------------------------------------------------------------------------

    async def retire_idle(self) -> None:
        """End actors of which nothing was awake for a while, down to the spares that are asked for."""
        now_s = time.monotonic()
        for name, actor in list(self.hosting.actors.items()):
            spare = not actor.chains and len([a for a in self.hosting.actors.values() if not a.chains])
            if (
                (spare and spare <= self.state.settings.spare_actors)
                or not actor.last_ping
                or actor.is_emptied
                or self._is_awake(actor)
            ):
                actor.quiet_since_s = now_s
            elif now_s - actor.quiet_since_s >= RETIRE_AFTER_S:
                await self._retire(name, actor)

    def _is_awake(self, actor: ActorState) -> bool:
        known = (self.state.chains.get(c) for c in actor.chains)
        return any(chain is not None and chain.awake for chain in known)

    async def _retire(self, name: str, actor: ActorState) -> None:
        """Its chains go dormant, its process ends. Nobody can give them a home before it has let go."""
        async with self.hosting.homing:
            if self.hosting.actors.get(name) is not actor or self._is_awake(actor):
                return
            del self.hosting.actors[name]
            if actor.chains:
                self.hosting.dormant[name] = set(actor.chains)
                self.state.feed.publish([FeedChange(INCARNATIONS, name, b"")])
            log.info("actor ends, nobody uses it", actor=name, chains=len(actor.chains))
            try:
                await self.hosting.call(actor, "release", Release(sorted(actor.chains), save=True))
            except ApiError as error:  # the journal has everything, and the next activation's epoch is higher
                log.warning("period actor did not let go in time", actor=name, error=str(error))
        await asyncio.sleep(GATEWAYS_LEARN_S)  # nobody may be on his way to it when it ends
        try:
            await actor.ref.call("stop", timeout_s=CALL_TIMEOUT_S)
        except Exception as error:
            log.warning("period actor did not stop in time", actor=name, error=repr(error))
        self.hosting.cluster.kill(actor.ref)
