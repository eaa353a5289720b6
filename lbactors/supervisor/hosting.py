"""Where leaderboards live, with all their chains: the period actors, what each of them should host, and what
it does host.

Part of the supervisor. Every step can be repeated: an actor that is away hears what it should host when it
is back, and one that was asked twice does it once (a spec has a version). A ping tells who an actor is now,
and what it lacks.

A process costs memory and about a hundredth of a core for nothing. Chains that nobody uses are *dormant*:
their home is the name of an actor that does not run. Whoever needs one has it placed: it gets a home in an
actor that does. When that happens, who moves and who goes dormant is decided in
`lbactors.supervisor.rebalancing`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgpack
import structlog

from lbactors.core import placement
from lbactors.core.errors import ApiError
from lbactors.core.model import Reading
from lbactors.core.packing import pack
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.hidden_players import HiddenPlayers
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.actors import Actor, ActorGone, Actors, Unanswered
from lbactors.wire.catalogue_feed import INCARNATIONS, FeedChange
from lbactors.wire.chain_spec import HostedDigest
from lbactors.wire.logs import Hold
from lbactors.wire.ping import NOT_RUNNING, ChainPing, Ping, behind_shown, leaderboards_shown, logs_shown
from lbactors.wire.reads import Query, ReadAnswer, ReadOp
from lbactors.wire.replies import NOT_HERE, VALUE, Reply
from lbactors.wire.requests import Host, Release
from persistence.store import Change

CALL_TIMEOUT_S = 30.0
PING_TIMEOUT_S = 5.0
TOLD_WITHIN_S = 5.0  # a command waits so long at most for an actor to hide a player
CHANGE_ATTEMPTS = 50  # to change an entry in a period that is loading
CHANGE_PAUSE_S = 0.1
HELD_WITHIN_S = 1.0
HOLD_MS = 2000
RATE_S = 10.0  # a chain's rate is an average that forgets within about so long
PREFIX = "period-"  # of period actors' names

log = structlog.get_logger("supervisor")


class ActorState:
    """A period actor as the supervisor knows it."""

    def __init__(self, ref: Actor) -> None:
        self.ref = ref
        self.incarnation = ""
        self.chains: set[str] = set()
        self.last_ping: Ping | None = None  # None while it is away
        self.lock = asyncio.Lock()
        self.observed_at_s = 0.0
        self.quiet_since_s = time.monotonic()  # nothing of it was awake since then
        self.moderated = 0  # version of the hidden players that it was told
        self.is_emptied = False  # chains are on their way from here
        self.hosted: dict[str, int] = {}  # chain -> version of the spec that it took


class Hosting:
    """See the module's docstring. cluster: where actors come from."""

    def __init__(self, state: SupervisorState, cluster: Actors, hidden_players: HiddenPlayers) -> None:
        self.state = state
        self.cluster = cluster
        self.hidden_players = hidden_players
        self.actors: dict[str, ActorState] = {}
        self.dormant: dict[str, set[str]] = {}  # chains of actors that do not run: nobody uses them
        self.homing = asyncio.Lock()  # held while chains become dormant or get a home again
        self.is_stopping = False  # the server ends: what dies now is not made again
        self._number = 0  # of the newest actor
        state.feed.add_source(self._incarnations)

    def _incarnations(self) -> Iterable[FeedChange]:
        """Which process each actor is, for gateways; empty where it does not run."""
        for name, actor in self.actors.items():
            if actor.incarnation:
                yield FeedChange(INCARNATIONS, name, actor.incarnation.encode())
        for name in self.dormant:
            yield FeedChange(INCARNATIONS, name, b"")

    def restore(self, awake: Iterable[str]) -> None:
        """Know again which chain lives where, from the chains' homes. awake: actors to start again at once;
        those that run go on, and the others' chains stay dormant.
        """
        running = {name for name in self.cluster.period_actors() if name.startswith(PREFIX)}
        live = running | set(awake)
        for chain in self.state.chains.values():
            if chain.home in live:
                self.actor(chain.home).chains.add(chain.chain_id)
            elif chain.home:
                self.dormant.setdefault(chain.home, set()).add(chain.chain_id)
        for name in running:
            self.actor(name)
        numbers = [name.removeprefix(PREFIX) for name in (*self.actors, *self.dormant)]
        self._number = max((int(n) for n in numbers if n.isdigit()), default=0)

    def all_hosted(self) -> bool:
        """Whether every chain that has periods is where it should be, as it should be."""
        return all(map(self.is_hosted, self.state.chains.values()))

    def is_hosted(self, chain: ChainState) -> bool:
        """Whether a chain's actor has heard how it should be now. One that has no home needs none."""
        home = chain.home
        if not home or home in self.dormant:
            return True
        return home in self.actors and self.actors[home].hosted.get(chain.chain_id, -1) >= chain.version

    def settle(self, chains: Sequence[ChainState]) -> list[Change]:
        """Have a leaderboard's chains live in its home, which is chosen once any of them has periods; the
        change that makes that known.
        """
        if not chains[0].home and not any(chain.records for chain in chains):
            return []
        changes = []
        if not chains[0].home:
            name = placement.place(self.board_loads(), self.budget()) or self.new_name()
            self.actor(name)
            changes.append(self.state.set_home(chains[0].board_id, name))
        home = chains[0].home
        place = self.actors[home].chains if home in self.actors else self.dormant.setdefault(home, set())
        place.update(chain.chain_id for chain in chains)
        self.start_spares()
        return changes

    def new_name(self) -> str:
        """One that no actor had before: a process that ends keeps its name for a while."""
        self._number += 1
        return f"{PREFIX}{self._number}"

    def board_loads(self) -> dict[str, list[placement.BoardLoad]]:
        """Which leaderboards live in which actor that runs, with their load."""
        return {name: self._loads(actor.chains) for name, actor in self.actors.items()}

    def _loads(self, chain_ids: Iterable[str]) -> list[placement.BoardLoad]:
        loads: dict[str, placement.BoardLoad] = {}
        for chain in filter(None, map(self.state.chains.get, chain_ids)):
            before = loads.get(chain.board_id, placement.BoardLoad(chain.board_id, 0.0, False))
            rate_per_s = before.rate_per_s + chain.rate_per_s
            dedicated = before.dedicated or chain.is_dedicated
            loads[chain.board_id] = placement.BoardLoad(chain.board_id, rate_per_s, dedicated)
        return list(loads.values())

    def actor(self, name: str) -> ActorState:
        actor = self.actors.get(name)
        if actor is None:
            ref = self.cluster.period_actor(name, self.state.settings)
            actor = self.actors[name] = ActorState(ref)
        return actor

    def budget(self) -> int:
        """Period actors that may run at once (law 9)."""
        return max(self.cluster.cores() * self.state.settings.actors_per_core, 1)

    def start_spares(self) -> None:
        """Have as many idle actors running as the settings ask for, within the budget."""
        idle = sum(1 for a in self.actors.values() if not a.chains)
        while idle < self.state.settings.spare_actors and len(self.actors) < self.budget():
            self.actor(self.new_name())
            idle += 1

    async def call_home(self, chain: ChainState, method: str, request: Any) -> Reply:
        """Call the actor that has a chain; a dormant chain gets one. ApiError period_loading."""
        if chain.home in self.dormant:
            await self.place(chain.home)
        actor = self.actors.get(chain.home)
        if actor is None:  # it went dormant again
            raise ApiError("period_loading", f"{chain.home} does not run")
        return Reply.from_wire(await self.call(actor, method, request))

    async def place(self, name: str) -> None:
        """Give dormant chains a home in an actor that runs, an idle one or the least loaded, which needs no
        process start; in a new one where none runs. ApiError.
        """
        async with self.homing:
            chain_ids = self.dormant.get(name)
            if chain_ids is None:
                return
            chains = [self.state.chains[c] for c in sorted(chain_ids) if c in self.state.chains]
            # Among those that run, if any does: a process start takes a second or two, and somebody waits.
            up = {n: t for n, t in self.board_loads().items() if self.actors[n].incarnation}
            to = placement.place(up, len(up)) if up else placement.place(self.board_loads(), self.budget())
            to = to or self.new_name()
            self.actor(to).chains.update(c.chain_id for c in chains)  # may fail: then they stay dormant
            del self.dormant[name]
            board_ids = dict.fromkeys(c.board_id for c in chains)
            log.info("dormant chains have a home again", chains=len(chains), home=name, to=to)
            await self.state.commit([self.state.set_home(board_id, to) for board_id in board_ids])
        self.start_spares()
        await self.host(chains, wait=False)

    async def call(self, actor: ActorState, method: str, request: Any) -> Any:
        """Call a period actor; its unpacked answer. Unanswered, which is period_loading, if it is away."""
        try:
            return msgpack.unpackb(await actor.ref.call(method, pack(request), timeout_s=CALL_TIMEOUT_S))
        except (ActorGone, TimeoutError) as error:
            self.state.spawn(self.probe(actor.ref.name))
            why = str(error) or "no answer in time"
            raise Unanswered("period_loading", f"{actor.ref.name} is away: {why}") from error

    async def host(self, chains: list[ChainState], *, wait: bool) -> None:
        """Tell actors what to host. An actor that is away hears it when it is back."""
        by_home: dict[str, list[ChainState]] = {}
        for chain in chains:
            by_home.setdefault(chain.home, []).append(chain)
        for home, group in by_home.items():
            actor = self.actors.get(home)
            if actor is None:
                continue  # dormant: they are hosted when somebody needs them
            try:
                await self.tell_who_is_hidden(actor)
                group = [c for c in group if self.state.knows(c)]  # the others were purged meanwhile
                versions = {c.chain_id: c.version for c in group}
                request = Host([c.spec() for c in group], wait, actor.moderated)
                replies = await self.call(actor, "host", request.to_wire())
            except ApiError:
                continue
            for chain, reply in zip(group, replies, strict=True):
                if Reply.from_wire(reply).status == VALUE:
                    actor.hosted[chain.chain_id] = versions[chain.chain_id]

    async def tell_who_is_hidden(self, actor: ActorState) -> None:
        """Tell an actor which players are hidden, as far as it does not know. ApiError."""
        while actor.moderated < self.hidden_players.version:
            request = self.hidden_players.changes_since(actor.moderated)
            Reply.from_wire(await self.call(actor, "moderate", request)).result()
            actor.moderated = request.version

    async def tell_all_who_is_hidden(self) -> None:
        """Tell all actors; those that are away hear it when they are back."""

        async def one(actor: ActorState) -> None:
            try:
                async with asyncio.timeout(TOLD_WITHIN_S):
                    await self.tell_who_is_hidden(actor)
            except (ApiError, TimeoutError) as error:
                log.warning("not told who is hidden", actor=actor.ref.name, error=repr(error))

        await asyncio.gather(*(one(a) for a in self.actors.values() if a.incarnation or a.hosted))

    async def change(self, chain: ChainState, method: str, request: Any) -> Any:
        """What an actor answers that changes entries of a chain, which is hosted and loaded for that if need
        be. Under the chain's lock. ApiError.
        """
        attempt = 0
        while True:
            attempt += 1
            reply = await self.call_home(chain, method, request)
            loading = reply.error is not None and reply.error.code == "period_loading"
            if attempt > CHANGE_ATTEMPTS or not (loading or reply.status == NOT_HERE):
                return reply.result()
            if not self.state.knows(chain):
                raise ApiError("leaderboard_not_found", "purged meanwhile")
            if loading:
                await asyncio.sleep(CHANGE_PAUSE_S)
            else:
                await self.host([chain], wait=True)

    async def read(self, chain: ChainState, ref: str, query: Query) -> Reading:
        """A read of a chain; loads the period if need be. ApiError."""
        reply = await self.call_home(chain, "load", ReadOp.of(chain.chain_id, ref, query).to_wire())
        return ReadAnswer.from_wire(reply.result())

    async def hold(self, chains: Iterable[ChainState]) -> int:
        """Have projections read nothing more of their logs for a moment, until they are hosted anew; a time
        that is now, or later, and after all rows that they have read. One that is away is not waited for.
        """
        now_ms = self.state.clock.now_ms()

        async def one(chain: ChainState) -> int:
            actor = self.actors.get(chain.home)
            if actor is None or not actor.incarnation:
                return 0
            try:
                async with asyncio.timeout(HELD_WITHIN_S):
                    request = Hold(chain.chain_id, HOLD_MS)
                    reply = Reply.from_wire(await self.call(actor, "hold", request))
            except (ApiError, TimeoutError):
                return 0
            return int(reply.value) if reply.status == VALUE else 0

        held = await asyncio.gather(*(one(chain) for chain in chains if chain.log_chain_id is not None))
        return max([now_ms, *(read_ms + 1 for read_ms in held)])

    async def release(self, chain_ids: list[str]) -> None:
        """Have every actor let go of purged chains, wherever they were on their way to. ApiError if one is
        away: it may still host them.
        """
        actors = list(self.actors.values())
        for placed in (*(actor.chains for actor in actors), *self.dormant.values()):
            placed.difference_update(chain_ids)

        async def one(actor: ActorState) -> None:
            await self.call(actor, "release", Release(chain_ids, save=False))
            for chain_id in chain_ids:
                actor.hosted.pop(chain_id, None)

        for failed in await asyncio.gather(*map(one, actors), return_exceptions=True):
            if failed is not None:
                raise failed

    async def probe(self, name: str, *, join: bool = False) -> None:
        """Ask an actor who it is; if it is new or lacks anything, tell it what to host. join: wait for the
        answer that somebody else is waiting for already.
        """
        actor = self.actors.get(name)
        if actor is not None and actor.lock.locked() and join:
            async with actor.lock:
                return
        if actor is None or actor.lock.locked():
            return
        async with actor.lock:
            try:
                packed = await actor.ref.call("ping", timeout_s=PING_TIMEOUT_S)
            except ActorGone as error:
                actor.last_ping = None
                if error.for_good and not self.is_stopping:
                    log.error("period actor is dead for good; a new one is made", actor=name)
                    actor.ref = self.cluster.period_actor(name, self.state.settings)
                return
            except TimeoutError:
                return
            ping = Ping.from_wire(msgpack.unpackb(packed))
            if ping.incarnation != actor.incarnation:
                actor.incarnation = ping.incarnation
                actor.hosted.clear()
                actor.moderated = 0
                self.state.feed.publish([FeedChange(INCARNATIONS, name, actor.incarnation.encode())])
            actor.last_ping = ping
            self._observe(actor, ping)
            try:
                await self.tell_who_is_hidden(actor)
            except ApiError:
                return
            wanted = [c for c in (self.state.chains.get(i) for i in actor.chains) if c is not None]
            if ping.hosted == HostedDigest.of((c.chain_id, c.version) for c in wanted):
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
                await self.call(actor, "release", Release(stray, save=False))

    def _observe(self, actor: ActorState, ping: Ping) -> None:
        """Note what a ping tells of chains: how far they are, whether they are awake, how busy."""
        now_s = time.monotonic()
        elapsed_s = max(now_s - actor.observed_at_s, 0.001)
        weight = min(elapsed_s / RATE_S, 1.0)
        actor.observed_at_s = now_s
        for chain_id in actor.chains:
            chain = self.state.chains.get(chain_id)
            if chain is None or chain_id not in actor.hosted:
                continue
            seen = ping.chains.get(chain_id)
            if seen is None:
                if chain.awake or chain.rate_per_s:
                    chain.awake, chain.rate_per_s, chain.entries = False, 0.0, 0
                chain.follow = None
                continue
            chain.awake = any(period.state != "asleep" for period in seen.periods)
            chain.entries = sum(period.entries for period in seen.periods)
            rate_per_s = max(seen.work - chain.work, 0) / elapsed_s
            chain.rate_per_s += (rate_per_s - chain.rate_per_s) * weight
            chain.work, chain.follow = seen.work, seen.follow
            for period in seen.periods:
                chain.saw(period.serial, period.seq)

    def chains_of(self, name: str) -> set[str]:
        """The chains whose home has this name."""
        actor = self.actors.get(name)
        return actor.chains if actor is not None else self.dormant.get(name, set())

    def names(self) -> list[str]:
        """Of all homes, in the order of `described`."""
        return [*sorted(self.actors), *sorted(self.dormant)]

    def described(self) -> list[dict[str, Any]]:
        """Actors for operators: the last ping, how busy each is, and its leaderboards, those that sleep too.
        Homes whose actor does not run are listed last, as dormant.
        """
        found = []
        for name in self.names():
            actor = self.actors.get(name)
            ping = actor.last_ping if actor is not None else None
            chains = [c for c in map(self.state.chains.get, sorted(self.chains_of(name))) if c is not None]
            awake = ping.chains if ping is not None else {}
            seen = {c.chain_id: awake.get(c.chain_id, ChainPing(c.version)) for c in chains}
            found.append(
                {
                    "name": name,
                    "dormant": actor is None,
                    **(ping.shown() if ping is not None else NOT_RUNNING),
                    "reserved": placement.is_reserved(self._loads(self.chains_of(name))),
                    "load_per_second": round(sum(c.rate_per_s for c in chains), 1),
                    "leaderboards": leaderboards_shown(seen),
                    "logs": logs_shown(seen),
                }
            )
        return found

    def projections(self) -> dict[str, Any]:
        """Leaderboards that are computed from logs and have not taken them, by the actors' last pings."""
        return behind_shown(a.last_ping.chains for a in self.actors.values() if a.last_ping is not None)

    def check(self) -> None:
        """Assert that every chain with a home has its place there and nowhere else; called throughout the
        tests. It holds whenever another task runs, from `restore` on; only a chain that is just being moved,
        under its lock, has no place meanwhile.
        """
        assert not self.actors.keys() & self.dormant.keys(), "an actor runs and is dormant"
        placed = {name: actor.chains for name, actor in self.actors.items()} | self.dormant
        homes: dict[str, str] = {}
        for name, chain_ids in placed.items():
            for chain_id in chain_ids:
                assert chain_id not in homes, f"{chain_id} lives in {homes[chain_id]} and in {name}"
                homes[chain_id] = name
        for chain_id, chain in self.state.chains.items():
            assert chain.chain_id == chain_id
            if not chain.lock.locked() or chain_id in homes:
                found = homes.get(chain_id, "")
                assert found == chain.home, f"{chain_id}: its home is {chain.home!r}, it lives in {found!r}"
        for name, actor in self.actors.items():
            assert actor.ref.name == name
            for chain_id, version in actor.hosted.items():
                known = self.state.chains.get(chain_id)
                assert known is None or version <= known.version, f"{chain_id} is hosted from the future"

    async def stop(self) -> None:
        """Every period saved, every actor let go."""

        async def one(actor: ActorState) -> None:
            try:
                await actor.ref.call("stop", timeout_s=CALL_TIMEOUT_S)
            except Exception as error:  # the journal has everything; a slow actor must not hold up the end
                log.warning("period actor did not stop in time", actor=actor.ref.name, error=repr(error))
            self.cluster.kill(actor.ref)

        await asyncio.gather(*(one(actor) for actor in self.actors.values()))
