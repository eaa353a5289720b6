"""Events and who listens to them: the outbox.

Whoever carries out a step that others should hear of (a period opens, a reward is granted) asks `changes` for
the documents that say so, and commits them together with the step itself. So an event exists exactly if its
step happened, and it is sent until each listener has confirmed it (`lbactors.supervisor.events.deliverer`),
at least once. Listeners are a tenant's webhooks, and plugins in this process; both go through the same
outbox. Where nobody listens nothing is written.

What it owns: the collections `webhooks` and `deliveries`. It keeps no state of its own beside them: `took` is
told every change of theirs that was committed, whoever made it, and mirrors what is needed to send (webhooks,
ids of pending deliveries). A delivery whose commit has not returned is not sent.

A webhook that has too many pending deliveries is disabled, and says so: nothing is dropped in silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import count

import msgpack
import structlog

from lbactors.core.packing import pack
from lbactors.documents.events import Call, Event, Listening, event_body
from lbactors.documents.webhooks import (
    BODY,
    GENERATION,
    PENDING,
    PLUGIN,
    Delivery,
    Webhook,
    delivery_id,
    pack_delivery,
    pack_webhook,
    unpack_delivery,
    unpack_webhook,
)
from lbactors.supervisor.events.delivery_queue import Lane, queue_of
from lbactors.supervisor.state import SupervisorState
from persistence.store import Change, scan_pages

PAGE_DOCUMENTS = 1000
AT_ONCE = 8  # attempts of one listener at a time: one slow receiver must not need all that there are

log = structlog.get_logger("events")


class Outbox:
    """The supervisor's part for events. Use: `register` (plugins), `await load()`; then `wanted`
    and `changes` before a commit, `committed` after it.
    """

    def __init__(self, state: SupervisorState) -> None:
        self.state = state
        self.webhooks: dict[str, Webhook] = {}  # by listener id
        self.plugins: dict[str, Listening] = {}  # by listener id
        self.lanes: dict[str, Lane] = {}  # of every listener that is known
        self.wake = asyncio.Event()
        self.generation = 1
        self._numbers = count(1)
        self._generation_stored = False
        self._registered: dict[str, tuple[frozenset[str], Call]] = {}
        self._by_tenant: dict[str, dict[str, Webhook]] = {}
        self._limit = state.settings.webhook_pending_limit
        self.give_up_ms = int(state.settings.webhook_give_up_seconds * 1000)
        self.keep_ms = int(state.settings.webhook_keep_seconds * 1000)
        state.on_commit(self.took)

    # Starting -------------------------------------------------------------------------------------------

    def register(self, listener_id: str, types: Iterable[str], call: Call) -> None:
        """Have `call` await every event of these types, of all tenants, from its first registration on; to be
        said before `load`, at every start. An exception of it is a failed attempt, and is repeated.

        listener_id: `plugin:<name>`, the same at every start.
        """
        assert listener_id.startswith(PLUGIN) and "/" not in listener_id, listener_id
        self._registered[listener_id] = (frozenset(types), call)

    async def load(self) -> None:
        """Read webhooks and pending deliveries. StoreError, ApiError storage_unavailable."""
        known: dict[str, int] = {}
        for doc_id, body in await self.state.store.scan("webhooks"):
            if doc_id.startswith(PLUGIN):
                known[doc_id] = msgpack.unpackb(body)
            else:
                self._take_webhook(doc_id, unpack_webhook(body))
        now_ms = self.state.clock.now_ms()
        new = [Change("webhooks", name, pack(now_ms)) for name in self._registered if name not in known]
        if new:
            await self.state.commit(new)
        for name, (types, call) in self._registered.items():
            self.plugins[name] = Listening(types, call, known.get(name, now_ms))
            self.lanes[name] = Lane(AT_ONCE)
        (generation,) = await self.state.store.get("deliveries", [GENERATION])
        self.generation = 1 if generation is None else msgpack.unpackb(generation) + 1
        pages = scan_pages(self.state.store, "deliveries", prefix=f"{PENDING}/", page=PAGE_DOCUMENTS)
        async for rows in pages:
            self._take_pending(rows)
        if pending := sum(map(len, self.lanes.values())):
            log.info("deliveries pending", deliveries=pending)

    def status(self) -> dict[str, int]:
        """For operators."""
        return {
            "webhooks": len(self.webhooks),
            "pending": sum(map(len, self.lanes.values())),
            "receivers_down": sum(lane.down for lane in self.lanes.values()),
        }

    # Before and after a commit --------------------------------------------------------------------------

    def wanted(self, tenant_id: str, leaderboard_id: str, type: str, at_ms: int) -> bool:
        """Whether somebody listens to such an event, who was there at that time."""
        return any(True for _ in self._listeners(tenant_id, leaderboard_id, type, at_ms))

    def _listeners(self, tenant_id: str, leaderboard_id: str, type: str, at_ms: int) -> Iterable[str]:
        for listener, webhook in self._by_tenant.get(tenant_id, {}).items():
            if webhook.wants(leaderboard_id, type, at_ms):
                yield listener
        for listener, plugin in self.plugins.items():
            if type in plugin.types and at_ms >= plugin.created_at_ms:
                yield listener

    def changes(self, events: Iterable[Event]) -> list[Change]:
        """Documents that make events known to whoever listens, for the caller's commit. Events of one
        leaderboard are delivered in the order of these calls; commits must be made in the same order.
        """
        found: list[Change] = []
        full: set[str] = set()
        for event in events:
            for listener in self._listeners(event.tenant_id, event.leaderboard_id, event.type, event.at_ms):
                if listener in self.webhooks and self.room(listener) <= 0:
                    if listener not in full:
                        full.add(listener)
                        found.append(self._disable_full(self.webhooks[listener]))
                    continue
                found += self.delivery_changes(listener, event)
        return found

    def delivery_changes(self, listener: str, event: Event) -> list[Change]:
        """One event for one listener."""
        now_ms = self.state.clock.now_ms()
        head = Delivery(
            event.event_id, event.type, event.tenant_id, event.leaderboard_id, event.at_ms, now_ms
        )
        name = f"{listener}/{delivery_id(self.generation, next(self._numbers))}"
        found = [
            Change("deliveries", f"{PENDING}/{name}", pack_delivery(head)),
            Change("deliveries", f"{BODY}/{name}", pack(event_body(event))),
        ]
        if not self._generation_stored:
            found.append(Change("deliveries", GENERATION, pack(self.generation)))
        return found

    def room(self, listener: str) -> int:
        """How many more deliveries of a webhook may be pending."""
        return self._limit - len(self.lanes[listener])

    def webhooks_of(self, tenant_id: str) -> list[Webhook]:
        """A tenant's webhooks."""
        return list(self._by_tenant.get(tenant_id, {}).values())

    def _disable_full(self, webhook: Webhook) -> Change:
        reason = f"more than {self._limit} deliveries were pending"
        return self.disable(webhook, reason)

    def disable(self, webhook: Webhook, reason: str) -> Change:
        """The change that disables a webhook, and says why."""
        log.error("webhook disabled", webhook=webhook.listener, reason=reason)
        now_ms = self.state.clock.now_ms()
        new = webhook._replace(status="disabled", disabled_reason=reason, updated_at_ms=now_ms)
        return Change("webhooks", webhook.listener, pack_webhook(new))

    def committed(self) -> None:
        """After a commit with `changes`: deliver. (What was committed is known from `took`.)"""
        self.wake.set()

    def took(self, changes: Iterable[Change]) -> None:
        """Hears of all that was made durable."""
        for collection, doc_id, body in changes:
            if collection == "webhooks" and not doc_id.startswith(PLUGIN):
                self._take_webhook(doc_id, None if body is None else unpack_webhook(body))
                self.wake.set()
            elif collection == "deliveries":
                if doc_id == GENERATION:
                    self._generation_stored = True
                elif doc_id.startswith(f"{PENDING}/"):
                    self._take_pending([(doc_id, body)])
                    self.wake.set()

    def _take_webhook(self, listener: str, webhook: Webhook | None) -> None:
        tenant_id = listener.partition("/")[0]
        of_tenant = self._by_tenant.setdefault(tenant_id, {})
        if webhook is None:
            self.webhooks.pop(listener, None)
            self.lanes.pop(listener, None)
            of_tenant.pop(listener, None)
            return
        before = self.webhooks.get(listener)
        self.webhooks[listener] = of_tenant[listener] = webhook
        lane = self.lanes.setdefault(listener, Lane(AT_ONCE))
        lane.paused = webhook.status != "active"
        if before is not None and (before.url, before.status) != (webhook.url, webhook.status):
            lane.revive()

    def _take_pending(self, rows: Iterable[tuple[str, bytes | None]]) -> None:
        """Deliveries of listeners that are not known (a plugin that is not installed) wait in the store."""
        for doc_id, body in rows:
            listener, _, name = doc_id.removeprefix(f"{PENDING}/").rpartition("/")
            lane = self.lanes.get(listener)
            if lane is None:
                continue
            if body is None:
                lane.remove(name)
            else:
                head = unpack_delivery(body)
                lane.put(name, queue_of(head), head.next_at_ms)

    def check(self) -> None:
        """Assert every invariant; called throughout the tests."""
        assert set(self.lanes) == {*self.webhooks, *self.plugins}, "a lane is nobody's"
        known = {i: webhook for of_tenant in self._by_tenant.values() for i, webhook in of_tenant.items()}
        assert known == self.webhooks
        for listener, lane in self.lanes.items():
            webhook = self.webhooks.get(listener)
            assert lane.paused == (webhook is not None and webhook.status != "active"), listener
            lane.check()
