"""Where chains live: the period actors, what each of them should host, and what it does host.

Part of the supervisor. Every step can be repeated: an actor that is away hears what it should host when it
is back, and one that was asked twice does it once (a spec has a version). A ping tells who an actor is now,
and what it lacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

import msgpack
import structlog

from lbactors import planner
from lbactors.model import ApiError
from lbactors.period_actor import VALUE, pack
from lbactors.routes import INCARNATIONS
from lbactors.supervised import ActorState, ChainState
from persistence.store import Change

PING_S = 1.0
CALL_TIMEOUT_S = 30.0
PING_TIMEOUT_S = 5.0

log = structlog.get_logger("supervisor")

Keep = Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]


class Actors(Protocol):
    """Where actors come from (`lbactors.cluster.Cluster`)."""

    def cores(self) -> int: ...

    def period_actor(self, name: str, settings: dict[str, Any]) -> Any: ...

    def kill(self, ref: Any) -> None: ...


class Hosting:
    """See the module's docstring. chains: all of the supervisor's, by id. keep: runs something beside.
    publish: tells gateways.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        cluster: Actors,
        chains: dict[str, ChainState],
        keep: Keep,
        publish: Callable[[Iterable[tuple[str, str, bytes | None]]], None],
    ) -> None:
        self.settings = settings
        self.cluster = cluster
        self.chains = chains
        self.actors: dict[str, ActorState] = {}
        self._keep = keep
        self._publish = publish

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
        loads = {name: len(a.chains) for name, a in self.actors.items()}
        name = planner.place(loads, budget)
        if name is None:
            name = next(f"period-{n}" for n in range(1, budget + 2) if f"period-{n}" not in self.actors)
        actor = self.actor(name)
        actor.chains.add(chain.chain_id)
        chain.home = name
        self.start_spares()
        return Change("homes", chain.chain_id, name.encode())

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
            for chain_id, (_, periods, _) in ping["chains"].items():
                if chain_id in self.chains:
                    for *_, serial, seq in periods:
                        self.chains[chain_id].saw(serial, seq)
            actor.hosted = {c: v for c, v in actor.hosted.items() if c in ping["chains"]}
            missing = [
                chain
                for chain in (self.chains.get(c) for c in sorted(actor.chains))
                if chain is not None
                and chain.records
                and actor.hosted.get(chain.chain_id, -1) < chain.version
            ]
            stray = [c for c in ping["chains"] if c not in actor.chains]
            if missing:
                await self.host(missing, wait=False)
            if stray:
                await self.call(actor, "release", [stray, False])

    async def watch(self) -> None:
        while True:
            for name in list(self.actors):
                self._keep(self.probe(name))
            await asyncio.sleep(PING_S)

    async def stop(self) -> None:
        """Every period saved, every actor let go."""

        async def one(actor: ActorState) -> None:
            try:
                await actor.ref.call("stop", timeout_s=CALL_TIMEOUT_S)
            except Exception as error:  # the journal has everything; a slow actor must not hold up the end
                log.warning("period actor did not stop in time", actor=actor.ref.name, error=repr(error))
            self.cluster.kill(actor.ref)

        await asyncio.gather(*(one(actor) for actor in self.actors.values()))
