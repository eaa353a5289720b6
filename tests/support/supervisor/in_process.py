"""A whole server in one process and without Ray: the real supervisor, period actors, store and service.

`Cluster` stands where `lbactors.cluster.Cluster` does. Its actors are plain objects; a call goes to whatever
process stands under a name now, as bytes, and is lost (`ActorGone`) if that one dies before it answers.
`crash` is a SIGKILL as far as one process can imitate it: everything that runs stops at its next await, and
nothing is saved. Scores and reads go over real sockets, as always.

Time stands still but for `Server.move_to`: the system's time is fixed, and the clock file holds the offset
that every clock of the server adds to it. `Server.settle` waits until nothing is left to do at this instant.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest

from gateway.server.known_store import KnownStores
from gateway.server.server import actor_settings
from gateway.server.store_claim import StoreClaim, claim_store
from lbactors.actor_settings import ActorSettings
from lbactors.clock import Clock
from lbactors.core.errors import ApiError
from lbactors.period_actor.actor import PeriodActor
from lbactors.service.service import Service
from lbactors.settings import ServerSettings
from lbactors.supervisor.actor import SupervisorActor
from lbactors.supervisor.supervisor import Supervisor
from lbactors.wire.actors import ActorGone
from persistence.store import StoreError
from tests.support.invariants import check

SETTLED_WITHIN_S = 60.0
RETRY_MS = 500  # after this time of the clock the supervisor tries again what failed
LOOK_S = 0.001
LOOKS_UNTIL_AGAIN = 5
CANCEL_AGAIN_S = 0.2

# What waits for the real time to go by, made short: the simulated time stands still meanwhile.
PAUSES = {
    "supervisor.supervisor.TICK_S": 0.002,
    "supervisor.rebalancing.PING_S": 0.05,
    "supervisor.rebalancing.RETIRE_AFTER_S": 0.3,
    "supervisor.rebalancing.GATEWAYS_LEARN_S": 0.02,
    "period_actor.actor.UPKEEP_S": 0.02,
    "period_actor.open_periods.RETRY_S": (0.002,),
}

OnReply = Callable[[str, str, bytes, bytes], Awaitable[bool]]


class Process:
    """What stands under a name: an actor, until it is dead."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.dead = asyncio.Event()
        self.calls: set[asyncio.Task[bytes]] = set()

    async def end(self) -> None:
        """Like SIGKILL: what it was doing ends where it is, and nothing is saved."""
        self.dead.set()
        tasks: set[asyncio.Task[Any]]
        while tasks := {*self.calls, *_tasks_of(self.actor)}:  # a signal cannot be caught, a cancellation can
            for task in tasks:
                task.cancel()
            done, _ = await asyncio.wait(tasks, timeout=CANCEL_AGAIN_S)
            await asyncio.gather(*done, return_exceptions=True)
        supervisor = getattr(self.actor, "supervisor", None)
        assert supervisor is None or not supervisor.state.tasks, "a killed supervisor goes on"
        rpc_server = getattr(self.actor, "rpc_server", None)
        if rpc_server is not None:
            rpc_server.close()
        store = getattr(self.actor, "_store", None) or getattr(self.actor, "store", None)
        if store is not None:
            await store.close()


def _tasks_of(actor: Any) -> set[asyncio.Task[Any]]:
    """Whatever runs beside the calls: all tasks that belong to the actor, its chains or their activations."""
    owners = [actor]
    if isinstance(actor, SupervisorActor) and actor.supervisor is not None:
        owners.append(actor.supervisor.state)
    found: set[asyncio.Task[Any]] = set()
    if isinstance(actor, PeriodActor):
        owners += [board.writer for board in actor.leaderboards.values()]
        for chain in actor.chains.values():
            owners += [chain, chain.closed, chain.open, *chain.open, *chain.closed.values()]
            owners += [chain.follower] if chain.follower is not None else []
            chain.open._stopped = True
    for owner in owners:
        for value in vars(owner).values():
            several = value.values() if isinstance(value, dict) else value
            for item in several if isinstance(value, set | list | dict) else [value]:
                if isinstance(item, asyncio.Task):
                    found.add(item)
    return {task for task in found if not task.done()}


class Ref:
    """Stands in for `lbactors.cluster.ActorRef`."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.name = name
        self._cluster = cluster

    async def call(self, method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        process = self._cluster.processes.get(self.name)
        if process is None or process.dead.is_set():
            raise ActorGone(f"{self.name} is being started")
        work = asyncio.ensure_future(getattr(process.actor, method)(*payload))
        process.calls.add(work)
        work.add_done_callback(process.calls.discard)
        try:
            async with asyncio.timeout(timeout_s):
                reply = bytes(await asyncio.shield(work))  # it goes on, whatever becomes of its caller
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if process.dead.is_set() and caller is not None and not caller.cancelling():
                raise ActorGone(f"{self.name} died") from None
            raise
        except (StoreError, ApiError) as error:
            raise ActorGone(f"{self.name}: {error}") from error
        arrives = await self._cluster.on_reply(self.name, method, b"".join(payload), reply)
        if process.dead.is_set() or not arrives:
            raise ActorGone(f"{self.name} died")
        return reply


async def _no_one(name: str, method: str, payload: bytes, reply: bytes) -> bool:
    """Nobody listens to replies, and all of them arrive."""
    return True


class Cluster:
    """Actors by name. `on_reply` is told of every answered call before its caller is; false: the reply is
    lost on its way.
    """

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self.processes: dict[str, Process] = {}
        self._makers: dict[str, Callable[[], Any]] = {}
        self._ending: set[asyncio.Future[None]] = set()
        self.on_reply: OnReply = _no_one

    def cores(self) -> int:
        return self._cores

    def _start(self, name: str, make: Callable[[], Any]) -> Ref:
        if name not in self.processes:
            self._makers[name] = make
            self.processes[name] = Process(make())
        return Ref(self, name)

    def supervisor(self, settings: ActorSettings) -> Ref:
        return self._start("supervisor", lambda: SupervisorActor(settings.to_wire(), lambda: self))

    def period_actor(self, name: str, settings: ActorSettings) -> Ref:
        return self._start(name, lambda: PeriodActor(name, settings.to_wire()))

    async def find(self, name: str) -> Ref | None:
        return Ref(self, name) if name in self.processes else None

    def kill(self, ref: Any) -> None:
        process = self.processes.pop(ref.name, None)
        if process is not None:
            process.dead.set()
            self._ending = {t for t in self._ending if not t.done()} | {asyncio.ensure_future(process.end())}

    async def crash(self, *names: str) -> None:
        """Kill processes; Ray, which would start them again, does so at once."""
        await asyncio.gather(*(self.processes[name].end() for name in names))
        self.restart(*names)

    def restart(self, *names: str) -> None:
        """What Ray does after a while for processes that ended."""
        for name in names:
            self.processes[name] = Process(self._makers[name]())

    async def lose_power(self) -> None:
        """Everything dies, and nothing starts again by itself."""
        await asyncio.gather(*(process.end() for process in self.processes.values()))
        self.processes.clear()

    def period_actors(self) -> list[str]:
        return sorted(name for name in self.processes if name != "supervisor")


class Server:
    """`async with`; then `service` is the gateway's, `clock` everybody's. settings: of `ServerSettings`."""

    def __init__(self, folder: Path, begins_ms: int, cores: int = 1, **settings: Any) -> None:
        self.settings = ServerSettings(
            data_dir=folder, clock_file=folder / "clock", log_level="error", **settings
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.cluster = Cluster(cores)
        self._patch = pytest.MonkeyPatch()
        self._stands_ms = begins_ms
        self._claim: StoreClaim
        self.service: Service
        self._services: list[Service] = []  # of all gateways

    async def __aenter__(self) -> Self:
        still = SimpleNamespace(time_ns=lambda: self._stands_ms * 1_000_000)
        self._patch.setattr("lbactors.clock.time", still)
        for name, value in PAUSES.items():
            self._patch.setattr(f"lbactors.{name}", value)
        self.clock = Clock(str(self.settings.clock_file))
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.stop()
        finally:
            self._patch.undo()

    async def start(self) -> None:
        self._claim = await claim_store(
            self.settings.store_url, KnownStores(self.settings.data_dir), accept_older=False
        )
        root_key = self.settings.root_key
        hashed = None if root_key is None else sha256(root_key.get_secret_value().encode()).hexdigest()
        ref = self._ref = self.cluster.supervisor(actor_settings(self.settings, hashed, self._claim))
        self.service = Service(self.cluster, ref, self._claim.store, self.settings)  # type: ignore[arg-type]
        await self.service.start()
        self._services = [self.service]

    async def gateway(self, ahead_ms: int = 0) -> Service:
        """A further one, whose clock is so far ahead of the others; to be closed by who asked for it."""
        service = Service(self.cluster, self._ref, self._claim.store, self.settings)  # type: ignore[arg-type]
        clock = self.clock
        service._clock = cast("Clock", SimpleNamespace(now_ms=lambda: clock.now_ms() + ahead_ms))
        await service.start()
        self._services.append(service)
        return service

    async def stop(self) -> None:
        """SIGTERM: everything saved."""
        await self.service.close()
        ref = await self.cluster.find("supervisor")
        if ref is not None:
            await ref.call("stop")
        for process in self.cluster.processes.values():
            await process.end()
        self.cluster.processes.clear()
        await self._claim.release()

    async def lose_power(self) -> None:
        """Every process dies at once; `start` begins anew on what is on disk."""
        await self.service.close()
        await self.cluster.lose_power()
        await self._claim.store.close()

    @property
    def has_supervisor(self) -> bool:
        """Whether one works now: not while its process ends (tasks end one by one, and what one was at stays
        half done) or was just started.
        """
        process = self.cluster.processes["supervisor"]
        return not process.dead.is_set() and bool(process.actor.is_working)

    @property
    def supervisor(self) -> Supervisor:
        """The last one that began."""
        found: Supervisor | None = self.cluster.processes["supervisor"].actor.supervisor
        assert found is not None
        return found

    def described(self) -> str:
        """Who lives where, for a failed test."""
        supervisor = self.supervisor
        actors = {
            name: sorted(process.actor.chains)
            for name, process in self.cluster.processes.items()
            if isinstance(process.actor, PeriodActor)
        }
        homes = {c.chain_id: (c.home, c.version, c.lock.locked()) for c in supervisor.state.chains.values()}
        hosting = supervisor.hosting
        return f"{supervisor.trouble}; {homes=}; {actors=}; {hosting.dormant=}; {list(hosting.actors)=}"

    # Time -----------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        return self.clock.now_ms()

    def move_to(self, at_ms: int) -> None:
        by_ms = at_ms - self.clock.now_ms()
        assert by_ms >= 0, "time goes forward"
        self.clock.move(by_ms)

    async def settle(self) -> None:
        """Wait until nothing is left to do at this instant. What failed (an actor was away) is tried again at
        once, since the time after which the supervisor would do so does not go by.
        """
        deadline_s = time.monotonic() + SETTLED_WITHIN_S
        looks = 0
        while left := self._left_to_do(again=looks % LOOKS_UNTIL_AGAIN == 0):
            assert time.monotonic() < deadline_s, f"not settled: {left[:5]}; {self.supervisor.trouble}"
            await asyncio.sleep(LOOK_S)
            looks += 1
        self.check()

    def check(self) -> None:
        """Assert every invariant, whatever is under way."""
        supervisor = self.supervisor if self.has_supervisor else None
        found = (process.actor for process in self.cluster.processes.values() if not process.dead.is_set())
        actors = [actor for actor in found if isinstance(actor, PeriodActor)]
        check(supervisor, actors, (service.catalogue for service in self._services))

    def _left_to_do(self, *, again: bool) -> list[str]:
        """What the supervisor is at or will be at once; `again`: have it look at what it must try again."""
        if not self.has_supervisor:
            return ["the supervisor starts"]
        supervisor = self.supervisor
        now_ms = self.now_ms()
        left = []
        for chain in list(supervisor.state.chains.values()):
            if chain.lock.locked():
                left.append(f"{chain.chain_id} is being advanced")
            elif chain.due_ms is None or chain.due_ms > now_ms + RETRY_MS:
                continue
            elif chain.due_ms <= now_ms or any(chain.plan(now_ms)[:-1]):
                left.append(f"{chain.chain_id} is due")
                if again:
                    supervisor.state.schedule(chain, now_ms)
        return left
