"""A chain's open periods: kept loaded while they are used, asleep when they are not.

An open period that nobody writes to or reads costs a record and no more: it sleeps. Whoever needs it wakes
it; it takes an epoch, loads and serves. One that is not used for a while, and whose state a snapshot shows,
goes to sleep again: nothing is refused for that, since the last look and letting go are one step. So a
studio's thousands of small leaderboards fit into a few processes.

An awake period has a task, its guard: it loads the activation; when that loses its journal, it puts a
successor in its place; it ends when another activation elsewhere took over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import structlog

from lbactors.core.errors import ApiError
from lbactors.core.model import PeriodRecord
from lbactors.period_actor.activation import Activation
from persistence.store import Fenced, StoreCorrupt, StoreError, StoreWentBack

RETRY_S = (0.05, 0.1, 0.2, 0.5)  # pauses between attempts to load; the last one repeats
WENT_BACK_RETRY_S = 2.0  # between looks at a store that lost what it had acknowledged
AWAKE_WITHIN_S = 2.0  # whoever wakes a period waits so long at most, and is told `period_loading` then

log = structlog.get_logger("chain")


async def _pause(attempt: int) -> None:
    """Wait before the next attempt; `attempt` counts those that failed before this one."""
    await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])


class OpenPeriods:
    """Those of one chain, in their order (`PeriodRecord.order`). `new` makes an activation for a record;
    `settle` journals what it must know before it is read (rules that changed meanwhile); `gone` is called
    when another one took over.
    """

    def __init__(
        self,
        new: Callable[[PeriodRecord], Activation],
        settle: Callable[[Activation], Awaitable[None]],
        gone: Callable[[], None],
    ) -> None:
        self._new = new
        self._settle = settle
        self._gone = gone
        self._all: list[Activation] = []
        self._tasks: dict[int, asyncio.Task[None]] = {}  # serial -> its guard
        self._stopped = False
        self._news = asyncio.Event()  # set, and replaced, whenever a period's state may have changed

    def __iter__(self) -> Iterator[Activation]:
        return iter(self._all)

    def __reversed__(self) -> Iterator[Activation]:
        return reversed(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: int) -> Activation:
        return self._all[index]

    def find(self, serial: int) -> Activation | None:
        return next((a for a in self._all if a.record.serial == serial), None)

    @property
    def is_stopped(self) -> bool:
        """Whether all were let go of."""
        return self._stopped

    @property
    def is_awake(self) -> bool:
        """Whether any is."""
        return any(a.state != "asleep" for a in self._all)

    # Coming and going -----------------------------------------------------------------------------------

    def add(self, record: PeriodRecord, *, awake: bool) -> None:
        activation = self._new(record)
        self._all.append(activation)
        self.sort()
        if awake:
            activation.on_demand = True
            self._guard(activation)
        else:
            activation.deactivate()

    def sort(self) -> None:
        """Put them in order, after their bounds were changed."""
        self._all.sort(key=lambda a: a.record.order)

    def remove(self, activation: Activation) -> None:
        """Give up an activation that was sealed."""
        self._end(activation)

    def forget(self, activation: Activation) -> None:
        """Let go without a trace: a period opened ahead that the schedule no longer has."""
        self._end(activation)
        activation.discard()

    def _end(self, activation: Activation) -> None:
        serial = activation.record.serial
        self._all.remove(activation)
        task = self._tasks.pop(serial, None)
        if task is not None:
            task.cancel()
        self._notify()

    def stop(self) -> None:
        """Let go of all at once; what is journaled is safe."""
        self._stopped = True
        for task in self._tasks.values():
            task.cancel()
        for activation in self._all:
            activation.discard()
        self._notify()

    def _notify(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    # Asleep and awake -----------------------------------------------------------------------------------

    def wake(self, activation: Activation) -> None:
        """Begin to load an activation that sleeps."""
        if activation.state == "asleep":
            activation.activate()
            self._guard(activation)

    def is_waking(self, activation: Activation) -> bool:
        """Whether it sleeps, or was woken and is not ready yet: worth a moment's wait."""
        return activation.state == "asleep" or activation.on_demand

    async def ensure_awake(self, serial: int, *, to_write: bool = False) -> Activation:
        """A period that is loaded, woken if it slept; to_write: and not one that only waits for a successor.
        ApiError period_loading if that takes long, period_closed if it is no open period any more.
        """
        deadline_s = asyncio.get_running_loop().time() + AWAKE_WITHIN_S
        while not self._stopped:
            activation = self.find(serial)
            if activation is None:
                raise ApiError("period_closed", "the period was closed meanwhile")
            if not self.is_waking(activation) and not (to_write and activation.state == "suspended"):
                return activation
            self.wake(activation)
            left_s = deadline_s - asyncio.get_running_loop().time()
            if left_s <= 0:
                break
            news = self._news
            try:
                async with asyncio.timeout(left_s):
                    await news.wait()
            except TimeoutError:
                break
        raise ApiError("period_loading", "the period is being loaded")

    async def sleep_idle(self, older_than_ms: int) -> None:
        """Put to sleep those that nobody used since then."""
        for activation in list(self._all):
            if activation.state != "serving" or activation.last_used_ms >= older_than_ms:
                continue
            try:
                await activation.snapshot()
            except StoreError as error:
                log.warning("snapshot failed", period=activation.period_id, error=str(error))
                continue
            idle = activation.is_at_rest and activation.last_used_ms < older_than_ms
            if idle and activation in self._all:
                self._put_to_sleep(activation)

    def _put_to_sleep(self, activation: Activation) -> None:
        serial = activation.record.serial
        self._tasks.pop(serial).cancel()
        sleeping = self._new(activation.record)
        sleeping.floor_seq = max(sleeping.floor_seq, activation.period.seq)
        sleeping.deactivate()
        activation.release()
        self._all[self._all.index(activation)] = sleeping
        self._notify()

    # Staying loaded -------------------------------------------------------------------------------------

    def _guard(self, activation: Activation) -> None:
        self._tasks[activation.record.serial] = asyncio.create_task(self._keep_loaded(activation))

    async def _keep_loaded(self, activation: Activation) -> None:
        """Load an activation; when it loses its journal, load its successor; end when another took over."""
        current = loading = activation
        attempt = 0
        while not self._stopped:
            try:
                if loading is current:
                    await loading.load()
                else:
                    await loading.take_over(current)
            except Fenced:
                self._gone()
                return
            except StoreCorrupt as error:
                log.error("period does not load", period=loading.period_id, error=str(error))
                current.on_demand = False  # waiting will not help
                self._notify()
                return
            except StoreError as error:
                if isinstance(error, StoreWentBack):
                    log.error("the store went back", period=loading.period_id, error=str(error))
                    current.inherit_reason(loading)
                    current.on_demand = False  # waiting will not help
                    self._notify()
                    await asyncio.sleep(WENT_BACK_RETRY_S)
                else:
                    await _pause(attempt)
                attempt += 1
                fresh = self._new(current.record)
                if current is loading:  # nothing readable yet
                    fresh.inherit_reason(loading)
                    fresh.on_demand = current.on_demand
                    fresh.floor_seq = max(fresh.floor_seq, current.floor_seq)
                    self._replace(current, fresh)
                    current = fresh
                loading = fresh
                continue
            if loading is not current:
                self._replace(current, loading)
                current.discard()
                current = loading
            attempt = 0
            await self._settle_patiently(current)
            current.on_demand = False
            self._notify()
            await current.ended.wait()
            if current.state == "gone":
                self._gone()
                return
            loading = self._new(current.record)

    async def _settle_patiently(self, activation: Activation) -> None:
        attempt = 0
        while activation.state == "serving":
            try:
                await self._settle(activation)
                return
            except ApiError:
                await _pause(attempt)
                attempt += 1

    def _replace(self, old: Activation, new: Activation) -> None:
        new.record = old.record
        self._all = [new if a is old else a for a in self._all]
        self._notify()

    async def wait_loaded(self) -> None:
        """Wait until every open period that is awake serves, or cannot."""
        for activation in list(self._all):
            serial = activation.record.serial
            task = self._tasks.get(serial)
            while task and not task.done():
                now = self.find(serial)
                if now is None or (now.state != "loading" and not (now.state == "serving" and now.on_demand)):
                    break
                news = asyncio.create_task(self._news.wait())
                await asyncio.wait([task, news], timeout=0.02, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()

    def check(self) -> None:
        """Assert every invariant; called throughout the tests. It holds whenever another task runs."""
        if self._stopped:
            return
        order = [a.record.order for a in self._all]
        assert order == sorted(set(order)), f"open periods out of order: {order}"
        guarded = sorted(a.record.serial for a in self._all if a.state != "asleep")
        assert sorted(self._tasks) == guarded, f"guards of {sorted(self._tasks)}, awake are {guarded}"
        for activation in self._all:
            assert activation.state != "sealed", f"{activation.period_id} is closed, and among the open ones"
            activation.check()
