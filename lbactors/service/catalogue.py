"""The gateway's copy of the catalogue: tenants, keys, leaderboards, and where each of these lives.

It follows the supervisor by a versioned long poll. While the supervisor is away the copy stays in use, so
scores and reads of open periods go on; it is renewed as soon as the supervisor is back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import NamedTuple

import msgpack
import structlog

from lbactors.core.ids import log_document, split_tenant
from lbactors.core.model import Board, Key, Tenant
from lbactors.core.packing import pack
from lbactors.documents.entities import unpack_board, unpack_key, unpack_tenant
from lbactors.wire.actors import ActorGone, Caller
from lbactors.wire.catalogue_feed import INCARNATIONS, CatalogueVersion, FeedChange, News
from lbactors.wire.single_flight import SingleFlight

RETRY_S = 0.2  # pause after a failed watch
WATCH_TIMEOUT_S = 20.0  # a watch returns by itself well before
SYNC_TIMEOUT_S = 2.0
ANNOUNCED_AFTER_S = 5.0  # a start that waits so long for the supervisor says so

log = structlog.get_logger("routes")


class Followers(NamedTuple):
    """A tenant's projections, by what they are computed from."""

    by_metric: dict[str, list[Board]]
    by_event_type: dict[str, list[Board]]

    @classmethod
    def of(cls, boards: Iterable[Board]) -> Followers:
        found = cls({}, {})
        for board in boards:
            scoring = board.definition.scoring
            if board.definition.status == "archived":
                continue
            if scoring.metric is not None:
                found.by_metric.setdefault(scoring.metric, []).append(board)
            for event_type in {rule.event_type for rule in scoring.rules or ()}:
                found.by_event_type.setdefault(event_type, []).append(board)
        return found


class Catalogue:
    """See the module's docstring. `on_profile(tenant_id, player_id)` is called when a profile changed, and
    `on_profile("", "")` when any may have; `on_actor(name, incarnation)` when an actor is another process.
    """

    def __init__(
        self,
        supervisor: Caller,
        on_profile: Callable[[str, str], None],
        on_actor: Callable[[str, str], None] = lambda name, incarnation: None,
    ) -> None:
        self._supervisor = supervisor
        self._on_profile = on_profile
        self._on_actor = on_actor
        self._tenants: dict[str, Tenant] = {}
        self._keys: dict[str, Key] = {}
        self._keys_by_hash: dict[str, Key] = {}
        self._boards: dict[str, dict[str, Board]] = {}
        self._projections: dict[str, Followers] = {}  # by tenant, made when somebody looks
        self._logs: dict[str, Board] = {}
        self._homes: dict[str, str] = {}
        self.dormant: set[str] = set()  # homes whose actor does not run
        self.version = CatalogueVersion(0, 0)
        self._moved = asyncio.Condition()
        self._follower: asyncio.Task[None] | None = None
        self._syncing: SingleFlight[None] = SingleFlight()
        self.supervisor_away = ""  # why the last watch failed; empty while there is a supervisor

    @property
    def epoch(self) -> int:
        """Of the supervisor that was heard last."""
        return self.version.epoch

    async def start(self, within_s: float, waits: Callable[[str], None] = lambda why: None) -> None:
        """Fetch everything, then follow in the background.

        A supervisor that does not answer yet is asked again for so long; then ActorGone, which says why.
        waits: told, once, that it takes a while, and why as far as that is known.
        """
        why = ""
        announced = asyncio.get_running_loop().call_later(ANNOUNCED_AFTER_S, lambda: waits(why))
        try:
            async with asyncio.timeout(within_s):
                while True:
                    try:
                        await self._watch()
                        break
                    except (ActorGone, TimeoutError) as error:
                        why = str(error) or why
                        log.debug("supervisor away", error=repr(error))
                    await asyncio.sleep(RETRY_S)
        except TimeoutError:
            raise ActorGone(why or "it does not answer") from None
        finally:
            announced.cancel()
        self._follower = asyncio.create_task(self._follow())

    async def close(self) -> None:
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.wait([self._follower])

    # Looking up -----------------------------------------------------------------------------------------

    def tenant(self, tenant_id: str) -> Tenant | None:
        return self._tenants.get(tenant_id)

    def tenants(self) -> list[Tenant]:
        """All, by id."""
        return [self._tenants[i] for i in sorted(self._tenants)]

    def key_by_hash(self, key_hash: str) -> Key | None:
        """A key, deleted ones included (see `status`), by the hex SHA-256 of its text."""
        return self._keys_by_hash.get(key_hash)

    def keys(self, tenant_id: str | None) -> list[Key]:
        """Keys that are not deleted, of one tenant or of all, oldest first."""
        found = [k for k in self._keys.values() if k.status != "deleted"]
        if tenant_id is not None:
            found = [k for k in found if k.tenant_id == tenant_id]
        return sorted(found, key=lambda k: (k.created_at_ms, k.key_id))

    def board(self, tenant_id: str, leaderboard_id: str) -> Board | None:
        boards = self._boards.get(tenant_id)
        return None if boards is None else boards.get(leaderboard_id)

    def boards(self, tenant_id: str) -> list[Board]:
        """A tenant's leaderboards, by id."""
        boards = self._boards.get(tenant_id, {})
        return [boards[i] for i in sorted(boards)]

    def log(self, tenant_id: str, metric: str | None) -> Board | None:
        """The log of a metric, or of a tenant's events (None); it is hosted as a leaderboard is."""
        return self._logs.get(log_document(tenant_id, metric))

    def metrics(self, tenant_id: str) -> list[tuple[str, Board]]:
        """A tenant's metrics with their logs, by name."""
        prefix = log_document(tenant_id, "")
        found = [(i.removeprefix(prefix), log) for i, log in self._logs.items() if i.startswith(prefix)]
        return sorted(found, key=itemgetter(0))

    def followers(self, tenant_id: str, metric: str) -> list[Board]:
        """Leaderboards that are computed from a metric, but for archived ones."""
        return self._followers(tenant_id).by_metric.get(metric, [])

    def event_followers(self, tenant_id: str, event_types: Iterable[str]) -> list[Board]:
        """Leaderboards that have a rule for any of these types of events, but for archived ones."""
        by_type = self._followers(tenant_id).by_event_type
        found = {b.leaderboard_id: b for event_type in event_types for b in by_type.get(event_type, ())}
        return list(found.values())

    def _followers(self, tenant_id: str) -> Followers:
        found = self._projections.get(tenant_id)
        if found is None:
            found = self._projections[tenant_id] = Followers.of(self.boards(tenant_id))
        return found

    def home(self, board_id: str) -> str | None:
        """Name of the period actor that hosts a leaderboard (`ids.board_uid`)."""
        return self._homes.get(board_id)

    async def home_changed(self, board_id: str, name: str, within_s: float) -> None:
        """Wait until a leaderboard has another home than this one, or for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._moved:
                await self._moved.wait_for(lambda: self._homes.get(board_id) != name)

    # Keeping up -----------------------------------------------------------------------------------------

    async def sync(self) -> None:
        """Catch up with the supervisor; callers at the same time share one call. Quiet if it is away."""
        await self._syncing.of("", self._sync)

    async def _sync(self) -> None:
        try:
            reply = await self._supervisor.call("current_version", timeout_s=SYNC_TIMEOUT_S)
            await self.wait_for(CatalogueVersion(*msgpack.unpackb(reply)))
        except Exception as error:  # the supervisor is away: what is known is used
            log.debug("catalogue not synced", error=repr(error))

    async def wait_for(self, version: CatalogueVersion) -> None:
        """Wait until the copy shows a version, at most SYNC_TIMEOUT_S."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SYNC_TIMEOUT_S), self._moved:
                await self._moved.wait_for(lambda: self.version >= version)

    async def supervisor_back(self, within_s: float) -> bool:
        """Wait for a supervisor that is known to be away, for so long at most; whether it is there."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._moved:
                await self._moved.wait_for(lambda: not self.supervisor_away)
        return not self.supervisor_away

    async def _follow(self) -> None:
        while True:
            try:
                await self._watch()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.debug("supervisor away", error=repr(error))
                self.supervisor_away = str(error) or repr(error)
                await asyncio.sleep(RETRY_S)

    async def _watch(self) -> None:
        reply = await self._supervisor.call("watch", pack(self.version), timeout_s=WATCH_TIMEOUT_S)
        news = News.from_wire(msgpack.unpackb(reply))
        if news.full:
            self._tenants, self._keys, self._keys_by_hash = {}, {}, {}
            self._boards, self._homes, self.dormant = {}, {}, set()
            self._logs, self._projections = {}, {}
            self._on_profile("", "")
        for change in news.changes:
            self._take(change)
        async with self._moved:
            self.version = CatalogueVersion(news.epoch, news.version)
            self.supervisor_away = ""
            self._moved.notify_all()

    def _take(self, change: FeedChange) -> None:
        collection, doc_id, body = change
        if collection == "homes":
            if body is None:
                self._homes.pop(doc_id, None)
            else:
                self._homes[doc_id] = body.decode()
        elif collection == "logs":
            if body is None:
                self._logs.pop(doc_id, None)
            else:
                self._logs[doc_id] = unpack_board(body)
        elif collection == "leaderboards":
            tenant_id, leaderboard_id = split_tenant(doc_id)
            self._projections.pop(tenant_id, None)
            boards = self._boards.setdefault(tenant_id, {})
            if body is None:
                boards.pop(leaderboard_id, None)
            else:
                boards[leaderboard_id] = unpack_board(body)
        elif collection == "tenants":
            if body is None:
                self._tenants.pop(doc_id, None)
            else:
                self._tenants[doc_id] = unpack_tenant(body)
        elif collection == "keys":
            if body is not None:
                key = unpack_key(body)
                self._keys[key.key_id] = key
                self._keys_by_hash[key.key_hash] = key
        elif collection == INCARNATIONS:
            if not body:
                self.dormant.add(doc_id)
                return
            self.dormant.discard(doc_id)
            self._on_actor(doc_id, body.decode())
        elif collection == "profiles":
            tenant_id, player_id = split_tenant(doc_id)
            self._on_profile(tenant_id, player_id)

    def check(self) -> None:
        """Assert that what is known under several names is the same; called throughout the tests."""
        assert self._keys_by_hash == {key.key_hash: key for key in self._keys.values()}
        assert all(key.key_id == key_id for key_id, key in self._keys.items())
        assert all(tenant.tenant_id == tenant_id for tenant_id, tenant in self._tenants.items())
        for tenant_id, boards in self._boards.items():
            for leaderboard_id, board in boards.items():
                assert (board.tenant_id, board.leaderboard_id) == (tenant_id, leaderboard_id)
        for tenant_id, followers in self._projections.items():
            assert followers == Followers.of(self.boards(tenant_id)), "others follow by now"
        assert all(self._homes.values()), "a leaderboard has a home without a name"
