"""Where chains live: the period actors, what each of them should host, and what it does host.

Part of the supervisor. Every step can be repeated: an actor that is away hears what it should host when it
is back, and one that was asked twice does it once (a spec has a version). A ping tells who an actor is now,
and what it lacks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Protocol

import msgpack
import structlog

from lbactors import planner
from lbactors.model import ApiError
from lbactors.period_actor import VALUE, digest, pack, value_of
from lbactors.routes import INCARNATIONS
from lbactors.supervised import ActorState, ChainState
from persistence.store import Change, StoreError

PING_S = 1.0
CALL_TIMEOUT_S = 30.0
PING_TIMEOUT_S = 5.0
MOVES_AT_ONCE = 8
RATE_S = 10.0  # a chain's rate is an average that forgets within about so long
REBALANCE_LOOKS = 5  # pings between two looks at who lives where
WARM_ENTRIES = 10_000  # a period of so many takes tens of ms to load: not when the first player asks for it

log = structlog.get_logger("supervisor")

Keep = Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]


class Actors(Protocol):
    """Where actors come from (`lbactors.cluster.Cluster`)."""

    def cores(self) -> int: ...

    def period_actor(self, name: str, settings: dict[str, Any]) -> Any: ...

    def kill(self, ref: Any) -> None: ...


class Hosting:
    """See the module's docstring. chains: all of the supervisor's, by id. keep: runs something beside.
    publish: tells gateways. commit: makes documents durable, then tells gateways.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        cluster: Actors,
        chains: dict[str, ChainState],
        keep: Keep,
        publish: Callable[[Iterable[tuple[str, str, bytes | None]]], None],
        commit: Callable[[list[Change]], Awaitable[None]],
    ) -> None:
        self.settings = settings
        self.cluster = cluster
        self.chains = chains
        self.actors: dict[str, ActorState] = {}
        self._keep = keep
        self._publish = publish
        self._commit = commit
        self._warm: dict[str, list[str]] = {}  # what the store knows to be awake and large, by actor

    def restore(self) -> None:
        """Know again which chain lives where, from the chains' homes."""
        for name in sorted({c.home for c in self.chains.values() if c.home}):
            self.actor(name).chains.update(c.chain_id for c in self.chains.values() if c.home == name)

    def all_hosted(self) -> bool:
        """Whether every chain that has periods is where it should be, as it should be."""
        return all(
            c.home and self.actors[c.home].hosted.get(c.chain_id, -1) >= c.version
            for c in self.chains.values()
            if c.records
        )

    def settle(self, chain: ChainState) -> Change:
        """Choose a home for a chain; the change that makes it known."""
        budget = self._budget()
        name = planner.place(self._tenancies(), budget)
        if name is None:
            name = self._new_name()
        actor = self.actor(name)
        actor.chains.add(chain.chain_id)
        chain.home = name
        self.start_spares()
        return Change("homes", chain.chain_id, name.encode())

    def _new_name(self) -> str:
        return next(f"period-{n}" for n in range(1, len(self.actors) + 2) if f"period-{n}" not in self.actors)

    def _tenancies(self) -> dict[str, list[planner.Tenancy]]:
        known = (
            self.chains
        )  # a chain that is just being made is not among them yet, and has its place already
        return {
            name: [known[c].tenancy() if c in known else planner.Tenancy(c, 0.0, False) for c in actor.chains]
            for name, actor in self.actors.items()
        }

    def actor(self, name: str) -> ActorState:
        actor = self.actors.get(name)
        if actor is None:
            ref = self.cluster.period_actor(name, self.settings)
            actor = self.actors[name] = ActorState(ref)
        return actor

    def _budget(self) -> int:
        """Period actors that may run at once (law 9)."""
        return max(self.cluster.cores() * int(self.settings["actors_per_core"]), 1)

    def start_spares(self) -> None:
        budget = self._budget()
        idle = sum(1 for a in self.actors.values() if not a.chains)
        for n in range(1, budget + 1):
            if idle >= self.settings["spare_actors"] or len(self.actors) >= budget:
                return
            if f"period-{n}" not in self.actors:
                self.actor(f"period-{n}")
                idle += 1

    async def call(self, actor: ActorState, method: str, value: Any) -> Any:
        """Call a period actor. ApiError period_loading if it is away."""
        from lbactors.cluster import ActorGone

        try:
            return msgpack.unpackb(await actor.ref.call(method, pack(value), timeout_s=CALL_TIMEOUT_S))
        except (ActorGone, TimeoutError) as error:
            self._keep(self.probe(actor.ref.name))
            raise ApiError("period_loading", f"{actor.ref.name} is away: {error}") from error

    async def host(self, chains: list[ChainState], *, wait: bool) -> None:
        """Tell actors what to host. An actor that is away hears it when it is back."""
        by_home: dict[str, list[ChainState]] = {}
        for chain in chains:
            by_home.setdefault(chain.home, []).append(chain)
        for home, group in by_home.items():
            actor = self.actors[home]
            versions = {c.chain_id: c.version for c in group}
            specs = [c.spec().to_wire() for c in group]
            try:
                replies = await self.call(actor, "host", [specs, wait])
            except ApiError:
                continue
            for chain, reply in zip(group, replies, strict=True):
                if reply[0] == VALUE:
                    actor.hosted[chain.chain_id] = versions[chain.chain_id]

    async def read(self, chain: ChainState, ref: str, kind: str, args: list[Any]) -> list[Any]:
        """A read of a chain, as `Chain.read` answers it; loads the period if need be. ApiError."""
        actor = self.actors[chain.home]
        return list(value_of(await self.call(actor, "load", [chain.chain_id, ref, kind, args])))

    async def release(self, chains: list[ChainState], *, save: bool) -> None:
        """Have actors let go of chains."""
        for chain in chains:
            actor = self.actors.get(chain.home)
            if actor is None:
                continue
            actor.chains.discard(chain.chain_id)
            actor.hosted.pop(chain.chain_id, None)
            await self.call(actor, "release", [[chain.chain_id], save])

    async def probe(self, name: str, *, join: bool = False) -> None:
        """Ask an actor who it is; if it is new or lacks anything, tell it what to host. join: wait for the
        answer that somebody else is waiting for already.
        """
        from lbactors.cluster import ActorGone

        actor = self.actors.get(name)
        if actor is not None and actor.lock.locked() and join:
            async with actor.lock:
                return
        if actor is None or actor.lock.locked():
            return
        async with actor.lock:
            try:
                ping = msgpack.unpackb(await actor.ref.call("ping", timeout_s=PING_TIMEOUT_S))
            except ActorGone as error:
                actor.last_ping = {}
                if error.for_good and not self.settings.get("stopping"):
                    log.error("period actor is dead for good; a new one is made", actor=name)
                    actor.ref = self.cluster.period_actor(name, self.settings)
                return
            except TimeoutError:
                return
            if ping["incarnation"] != actor.incarnation:
                actor.incarnation = ping["incarnation"]
                actor.hosted.clear()
                self._publish([(INCARNATIONS, name, actor.incarnation.encode())])
            actor.last_ping = ping
            self._observe(actor, ping)
            wanted = [c for c in (self.chains.get(i) for i in actor.chains) if c is not None and c.records]
            if ping["hosted"] == [len(wanted), digest((c.chain_id, c.version) for c in wanted)]:
                actor.hosted = {c.chain_id: c.version for c in wanted}
                return
            try:
                actor.hosted = msgpack.unpackb(await actor.ref.call("hosted", timeout_s=PING_TIMEOUT_S))
            except (ActorGone, TimeoutError):
                return
            missing = [c for c in wanted if actor.hosted.get(c.chain_id, -1) < c.version]
            stray = [c for c in actor.hosted if c not in actor.chains]
            if missing:
                await self.host(missing, wait=False)
            if stray and not actor.is_emptied:
                await self.call(actor, "release", [stray, False])

    def _observe(self, actor: ActorState, ping: dict[str, Any]) -> None:
        """Note what a ping tells of chains: how far they are, whether they are awake, how busy."""
        now_s = time.monotonic()
        elapsed_s = max(now_s - actor.observed_at_s, 0.001)
        weight = min(elapsed_s / RATE_S, 1.0)
        actor.observed_at_s = now_s
        for chain_id in actor.chains:
            chain = self.chains.get(chain_id)
            if chain is None or chain_id not in actor.hosted:
                continue
            row = ping["chains"].get(chain_id)
            if row is None:
                if chain.awake or chain.rate_per_s:
                    chain.awake, chain.rate_per_s, chain.entries = False, 0.0, 0
                continue
            _, periods, _, work = row
            chain.awake = any(state != "asleep" for _, state, *_ in periods)
            chain.entries = sum(period[3] for period in periods)
            rate_per_s = max(work - chain.work, 0) / elapsed_s
            chain.rate_per_s += (rate_per_s - chain.rate_per_s) * weight
            chain.work = work
            for *_, serial, seq in periods:
                chain.saw(serial, seq)

    async def watch(self) -> None:
        looks = 0
        while True:
            for name in list(self.actors):
                self._keep(self.probe(name))
            await asyncio.sleep(PING_S)
            looks += 1
            if looks % REBALANCE_LOOKS == 0:
                try:
                    await self._remember_warm()
                    await self._rebalance()
                except (ApiError, StoreError) as error:
                    log.warning("homes stay as they are", error=str(error))

    def described(self, name: str, *, with_chains: bool) -> dict[str, Any]:
        """An actor for operators: its last ping, how busy it is, and its chains, those that sleep too."""
        actor = self.actors[name]
        chains = [c for c in (self.chains.get(i) for i in sorted(actor.chains)) if c is not None]
        awake = actor.last_ping.get("chains", {})
        return {
            **actor.last_ping,
            "name": name,
            "placed": len(chains),
            "awake": sum(c.awake for c in chains),
            "rate_per_s": round(sum(c.rate_per_s for c in chains), 1),
            "reserved": planner.is_reserved([c.tenancy() for c in chains]),
            "chains": {c.chain_id: awake.get(c.chain_id, [c.version, [], 0, 0]) for c in chains}
            if with_chains
            else {},
        }

    # Balance --------------------------------------------------------------------------------------------

    async def _rebalance(self) -> None:
        """Make the most urgent change of homes that the planner sees."""
        from lbactors.cluster import ActorGone

        move = planner.next_move(self._tenancies(), self._budget())
        if move is None:
            return
        chains = [self.chains[c] for c in move.chain_ids if c in self.chains]
        to = move.to if move.to is not None else self._new_name()
        log.info("chains move", chains=len(chains), first=chains[0].chain_id, home=move.home, to=to)
        try:
            # It runs, and has its store, before anything moves there.
            await self.actor(to).ref.call("endpoint", timeout_s=CALL_TIMEOUT_S)
        except (ActorGone, TimeoutError) as error:
            log.warning("chains do not move yet", to=to, error=str(error))
            return
        self.actors[move.home].is_emptied = True
        try:
            for start in range(0, len(chains), MOVES_AT_ONCE):
                some = chains[start : start + MOVES_AT_ONCE]
                await asyncio.gather(*(self._move(c, move.home, to) for c in some))
        finally:
            self.actors[move.home].is_emptied = False

    async def _move(self, chain: ChainState, home: str, to: str) -> None:
        """Drain, save and let go; then persist and publish the new home; then serve there.

        Meanwhile gateways are told that the chain is not there, and wait for its new home. Whatever dies in
        between: the home that the store knows is where it will be loaded again.
        """
        async with chain.lock:
            if chain.home != home or self.chains.get(chain.chain_id) is not chain:
                return
            awake = chain.awake
            source, target = self.actors[home], self.actors[to]
            source.chains.discard(chain.chain_id)  # so that the next ping does not have it hosted again
            try:
                await self.call(source, "release", [[chain.chain_id], True])
            except ApiError:
                source.chains.add(chain.chain_id)  # it is away: it will be loaded there, when it is back
                raise
            source.hosted.pop(chain.chain_id, None)
            chain.home = to
            target.chains.add(chain.chain_id)
            chain.awake = awake
            await self._commit([Change("homes", chain.chain_id, to.encode())])
            await self.host([chain], wait=False)

    async def _remember_warm(self) -> None:
        """Keep in the store which chains are awake and large: those are loaded first after a restart."""
        changes = []
        for name, actor in self.actors.items():
            chains = (self.chains.get(c) for c in sorted(actor.chains))
            warm = [c.chain_id for c in chains if c is not None and c.awake and c.entries >= WARM_ENTRIES]
            if warm != self._warm.get(name, []):
                self._warm[name] = warm
                changes.append(Change("warm", name, pack(warm) if warm else None))
        if changes:
            await self._commit(changes)

    def restore_warm(self, documents: Iterable[tuple[str, bytes]]) -> None:
        """At the supervisor's start: only what was awake and large is loaded at once, all else on demand."""
        self._warm = {name: msgpack.unpackb(body) for name, body in documents}
        warm = {chain_id for chain_ids in self._warm.values() for chain_id in chain_ids}
        for chain in self.chains.values():
            chain.awake = chain.chain_id in warm

    async def stop(self) -> None:
        """Every period saved, every actor let go."""

        async def one(actor: ActorState) -> None:
            try:
                await actor.ref.call("stop", timeout_s=CALL_TIMEOUT_S)
            except Exception as error:  # the journal has everything; a slow actor must not hold up the end
                log.warning("period actor did not stop in time", actor=actor.ref.name, error=repr(error))
            self.cluster.kill(actor.ref)

        await asyncio.gather(*(one(actor) for actor in self.actors.values()))
