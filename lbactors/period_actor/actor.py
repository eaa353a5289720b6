"""The period actor: a process that hosts leaderboards, their chains of periods, and serves batches of writes
and reads.

One class, no Ray in it (the Ray seam wraps it). Bytes come in and go out, MessagePack arrays, so that an
actor call costs the same for one score as for thousands. The requests are those of `lbactors.wire.requests`,
`writes` and `reads`, and the answers are `lbactors.wire.replies.Reply`s.

Calls
  ping()                  -> `Ping`: who am I, what do I host
  hosted()                -> chain id: version of the spec that it has
  host, release           -> a reply for each chain
  seal, hand_on, erase, moderate, change_entry, import_entries, tick, trim_log, hold -> a reply
  endpoint()              -> `Endpoint`: how gateways make the calls below
  write(WriteCall), read([ReadOp…]), append([LogOp…]), read_log([LogRead…]), follow([FollowOp…])
                          -> a reply for each
  load(ReadOp)            -> a reply; it may take as long as loading a period
  wake(board_id)          -> a reply: whether the open periods of a leaderboard are loaded now
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import msgpack
import structlog

from lbactors.actor_settings import ActorSettings
from lbactors.clock import Clock
from lbactors.core.errors import ApiError
from lbactors.core.ids import board_of_chain, chain_of, in_words, is_log, tenant_of
from lbactors.core.packing import pack
from lbactors.documents.storage_errors import storage_unavailable
from lbactors.logs import configure_logs
from lbactors.period_actor import log_reads, log_upkeep, log_writes
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.chain import Chain, Limits
from lbactors.period_actor.chain_reads import is_warm, read
from lbactors.period_actor.entry_edits import change_entry, erase, import_entries
from lbactors.period_actor.follower import Follower
from lbactors.period_actor.following import followed
from lbactors.period_actor.hidden_players import HiddenPlayers
from lbactors.period_actor.leaderboard import Leaderboard
from lbactors.period_actor.log_chain import LogChain
from lbactors.period_actor.log_reader import LogReader
from lbactors.process_memory import resident_bytes
from lbactors.wire.chain_spec import ChainSpec, HostedDigest
from lbactors.wire.logs import FollowOp, Hold, LogOp, LogRead, Tick, TrimLog
from lbactors.wire.ping import ChainPing, PeriodPing, Ping
from lbactors.wire.reads import ReadOp
from lbactors.wire.replies import NOT_HERE, VALUE, Reply
from lbactors.wire.requests import (
    ChangeEntry,
    Erase,
    HandOn,
    HiddenList,
    Host,
    Import,
    MemberList,
    Moderate,
    Release,
    Seal,
)
from lbactors.wire.rpc import RpcServer
from lbactors.wire.writes import WriteCall, WriteOp
from persistence import open_store
from persistence.store import Store, StoreError

UPKEEP_S = 1.0  # how often snapshots and idle periods are looked after
RENEWALS_PER_LEASE = 4
TROUBLES_TOLD = 3  # periods whose trouble a ping tells of
LONG_WRITE_S = 0.25  # a call that took longer is answered only if its periods are still this actor's

log = structlog.get_logger("period_actor")


class PeriodActor:
    """`settings`: `ActorSettings`, as they travel. The constructor neither loads nor raises (law 5)."""

    def __init__(
        self, name: str, settings: Mapping[str, Any], node_address: Callable[[], str] = lambda: "127.0.0.1"
    ) -> None:
        self.name = name
        self._node_address = node_address
        self.settings = ActorSettings.from_wire(settings)
        self.incarnation = secrets.token_hex(8)
        self.chains: dict[str, Chain] = {}
        self.leaderboards: dict[str, Leaderboard] = {}  # the same chains, by `ids.board_uid`
        self.started_at = time.time()
        self.inputs = 0
        self.reads = 0
        self._store: Store | None = None
        self._starting: asyncio.Lock | None = None
        self._background: list[asyncio.Task[None]] = []
        self.rpc_server: RpcServer | None = None
        self._readers: dict[str, LogReader] = {}
        self._hidden: dict[str, HiddenPlayers] = {}  # by tenant
        self._followed: dict[str, int] = {}  # generation of a tenant's list that all loaded periods follow
        self._moderated = 0  # version of the last `moderate`

    async def _start(self) -> Store:
        """Open the store at the first call that needs it. StoreError."""
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            if self._store is None:
                configure_logs(self.settings.log_level)
                # Entries are millions of small immutable tuples that make no cycles: looking at all of them
                # again and again is the only thing that the default thresholds would do here.
                gc.set_threshold(50_000, 20, 1000)
                self.clock = Clock(self.settings.clock_file)
                lease_s = self.settings.lease_seconds
                self.limits = Limits(self.settings.seen_ids_limit, self.settings.queue_limit, lease_s)
                store = open_store(self.settings.store_url)
                store.expect(self.settings.store_id)
                await store.open()
                self._store = store
                self._background = [
                    asyncio.create_task(self._look_after()),
                    asyncio.create_task(self._keep_following_hidden()),
                    asyncio.create_task(self._keep_following_logs(store)),
                    asyncio.create_task(self._renew(store, lease_s / RENEWALS_PER_LEASE)),
                ]
        return self._store

    async def endpoint(self) -> bytes:
        """Where, and under which secret, gateways reach `write`, `read` and `load` (`lbactors.wire.rpc`)."""
        await self._start()
        if self.rpc_server is None:
            self.rpc_server = RpcServer(
                {
                    "write": self.write,
                    "read": self.read,
                    "load": self.load,
                    "wake": self.wake,
                    "append": self.append,
                    "read_log": self.read_log,
                    "follow": self.follow,
                },
                self.incarnation,
            )
            await self.rpc_server.open(self._node_address())
        return self.rpc_server.endpoint()

    # Hosting --------------------------------------------------------------------------------------------

    async def ping(self) -> bytes:
        """Name, incarnation, pid, resident bytes, inputs and reads so far, how many chains are hosted and a
        digest of them, those that are awake with their open periods, and what keeps some from serving.
        """
        chains = {
            chain_id: ChainPing(
                chain.spec.version,
                [
                    PeriodPing(
                        a.record.key,
                        a.state,
                        a.epoch,
                        len(a.period),
                        chain.writer.weight,
                        a.record.serial,
                        a.period.seq,
                    )
                    for a in chain.open
                ],
                len(chain.closed),
                chain.work,
                chain.follower.status if isinstance(chain.follower, Follower) else None,
            )
            for chain_id, chain in self.chains.items()
            if chain.open.is_awake or len(chain.closed)
        }
        troubled = [
            activation
            for chain in self.chains.values()
            for activation in chain.open
            if activation.reason and activation.state not in ("serving", "asleep")
        ]
        ping = Ping(
            name=self.name,
            incarnation=self.incarnation,
            pid=os.getpid(),
            resident_bytes=resident_bytes(),
            started_at=self.started_at,
            inputs=self.inputs,
            reads=self.reads,
            hosted=HostedDigest.of((i, c.spec.version) for i, c in self.chains.items()),
            chains=chains,
            trouble=[_trouble_of(a) for a in troubled[:TROUBLES_TOLD]],
            went_back=next((_trouble_of(a) for a in troubled if a.went_back), ""),
        )
        return pack(ping.to_wire())

    async def hosted(self) -> bytes:
        return pack({chain_id: chain.spec.version for chain_id, chain in self.chains.items()})

    async def host(self, payload: bytes) -> bytes:
        request = Host.from_wire(msgpack.unpackb(payload))
        store = await self._start()
        if request.moderated > self._moderated:
            error = ApiError("period_loading", "it is not known yet which players are hidden")
            return _pack_all([Reply.of_error(error)] * len(request.specs))

        async def one(spec: ChainSpec) -> None:
            chain = self.chains.get(spec.chain_id)
            if chain is None:
                chain = self._take_in(store, spec)
            elif chain.spec.version > spec.version:
                return
            await chain.become(spec)
            if request.wait:
                await chain.wait_loaded()

        return _pack_all(await asyncio.gather(*(_reply(_value(one(spec))) for spec in request.specs)))

    def _take_in(self, store: Store, spec: ChainSpec) -> Chain:
        """A new chain, in its leaderboard."""
        board_id = board_of_chain(spec.chain_id)
        board = self.leaderboards.get(board_id)
        if board is None:
            board = self.leaderboards[board_id] = Leaderboard(store, self.clock, self.limits.queue_inputs)
        hidden = self._hidden_of(tenant_of(spec.chain_id))
        kind = LogChain if is_log(board_id) else Chain
        chain = kind(
            store,
            self.clock,
            self.limits,
            spec,
            self._lose,
            hidden,
            board.writer,
            lambda chain, follows: Follower(chain, follows, partial(self._reader, store)),
        )
        self.chains[spec.chain_id] = chain
        board.add(chain)
        return chain

    def _let_go(self, chain: Chain) -> None:
        """Stop answering for a chain."""
        chain.stop()
        if self.chains.get(chain.spec.chain_id) is chain:
            del self.chains[chain.spec.chain_id]
        board_id = board_of_chain(chain.spec.chain_id)
        board = self.leaderboards.get(board_id)
        if board is not None:
            board.remove(chain)
            if not board.chains:
                del self.leaderboards[board_id]

    def _lose(self, chain_id: str) -> None:
        """Another activation took over: stop answering for the whole chain."""
        chain = self.chains.get(chain_id)
        if chain is not None:
            log.warning("chain lost to another activation", chain=chain_id)
            self._let_go(chain)

    async def release(self, payload: bytes) -> bytes:
        request = Release(*msgpack.unpackb(payload))
        return _pack_all(await self._release(request.chain_ids, save=request.save))

    async def _release(self, chain_ids: Sequence[str], *, save: bool) -> list[Reply]:
        async def one(chain_id: str) -> Reply:
            chain = self.chains.get(chain_id)
            if chain is None:
                return Reply(NOT_HERE)
            if save:
                try:
                    await chain.leave()
                except StoreError as error:
                    log.warning("last snapshot failed", chain=chain_id, error=str(error))
            chain.is_leaving = True
            self._let_go(chain)
            return Reply(VALUE)

        return await asyncio.gather(*(_reply(one(c)) for c in chain_ids))

    async def seal(self, payload: bytes) -> bytes:
        request = Seal(*msgpack.unpackb(payload))
        chain = self.chains.get(request.chain_id)
        # Under an older spec it may not know the period after, which must have this one's submission ids.
        if chain is None or chain.spec.version < request.version:
            return _pack_one(Reply(NOT_HERE))
        return _pack_one(await _reply(_sealed(chain, request)))

    async def hand_on(self, payload: bytes) -> bytes:
        request = HandOn(*msgpack.unpackb(payload))
        chain = self.chains.get(request.chain_id)
        if chain is None or chain.spec.version < request.version:
            return _pack_one(Reply(NOT_HERE))
        return _pack_one(await _reply(_value(chain.hand_on_ids())))

    async def erase(self, payload: bytes) -> bytes:
        request = Erase(*msgpack.unpackb(payload))
        chain = self.chains.get(request.chain_id)
        for reader in self._readers.values():
            reader.forget()  # it may hold rows of the player
        if chain is None:
            return _pack_one(Reply(NOT_HERE))
        if isinstance(chain, LogChain):
            erased = log_upkeep.erase(self._board_of(chain), chain, request.player_id)
        else:
            erased = erase(chain, request.player_id, request.anonymous_id)
        return _pack_one(await _reply(_value(erased)))

    def _reader(self, store: Store, log_id: str) -> LogReader:
        """The one reader of a log in this process."""
        reader = self._readers.get(log_id)
        if reader is None:
            reader = self._readers[log_id] = LogReader(store, log_id)
        return reader

    def _board_of(self, chain: Chain) -> Leaderboard:
        return self.leaderboards[board_of_chain(chain.spec.chain_id)]

    def _log(self, board_id: str) -> LogChain | None:
        """A log that is hosted here."""
        board = self.leaderboards.get(board_id)
        chain = None if board is None else board.chains.get("main")
        return chain if isinstance(chain, LogChain) else None

    async def tick(self, payload: bytes) -> bytes:
        request = Tick(*msgpack.unpackb(payload))
        chain = self._log(board_of_chain(request.chain_id))
        if chain is None or chain.is_leaving:
            return _pack_one(Reply(NOT_HERE))
        ticked = log_writes.tick(self._board_of(chain), chain, request.at_ms)
        return _pack_one(await _reply(_value(ticked)))

    async def hold(self, payload: bytes) -> bytes:
        request = Hold(*msgpack.unpackb(payload))
        chain = self.chains.get(request.chain_id)
        if chain is None or not isinstance(chain.follower, Follower):
            return _pack_one(Reply(NOT_HERE))
        return _pack_one(Reply(VALUE, chain.follower.hold(request.for_ms)))

    async def trim_log(self, payload: bytes) -> bytes:
        request = TrimLog(*msgpack.unpackb(payload))
        chain = self._log(board_of_chain(request.chain_id))
        if chain is None or chain.is_leaving:
            return _pack_one(Reply(NOT_HERE))
        return _pack_one(await _reply(_value(log_upkeep.trim(self._board_of(chain), chain, request))))

    def _hidden_of(self, tenant_id: str) -> HiddenPlayers:
        hidden = self._hidden.get(tenant_id)
        if hidden is None:
            hidden = self._hidden[tenant_id] = HiddenPlayers(self.clock)
        return hidden

    async def moderate(self, payload: bytes) -> bytes:
        """Take lists of hidden players and of roles and tags; answers when the loaded periods follow, or
        could not for now. Refused if there was an earlier list that this process did not get.
        """
        request = Moderate.from_wire(msgpack.unpackb(payload))
        await self._start()
        if request.since > self._moderated:
            return _pack_one(Reply.of_error(ApiError("period_loading", "this is a new process")))
        lists = request.lists
        if request.complete:
            listed = {hidden.tenant_id for hidden in lists}
            gone = [tenant_id for tenant_id in self._hidden if tenant_id not in listed]
            lists = [*lists, *(HiddenList(tenant_id, request.version, {}) for tenant_id in gone)]
        members = list(request.members)
        if request.complete:
            told = {found.tenant_id for found in members}
            gone = [tenant_id for tenant_id in self._hidden if tenant_id not in told]
            members += [MemberList(tenant_id, request.version, True, {}, []) for tenant_id in gone]
        await self._close_over({hidden.tenant_id for hidden in lists} | {m.tenant_id for m in members})
        for hidden in lists:
            self._hidden_of(hidden.tenant_id).take(hidden.version, hidden.until)
        for found in members:
            self._hidden_of(found.tenant_id).take_members(found)
        self._moderated = max(self._moderated, request.version)
        await self._follow_hidden()
        return _pack_one(Reply(VALUE))

    async def _close_over(self, tenant_ids: Collection[str]) -> None:
        """Periods that are over stand by the list as it was: they are made final before it changes."""

        async def one(board: Leaderboard) -> None:
            with contextlib.suppress(ApiError, StoreError):  # the store is away: as soon as it is back
                await board.close_over()

        boards = [
            board
            for board_id, board in self.leaderboards.items()
            if tenant_of(board_id) in tenant_ids and board.has_to_close
        ]
        await asyncio.gather(*map(one, boards))

    async def _follow_hidden(self) -> None:
        """Have every period that is loaded follow the lists that changed; again where that failed."""
        changed: dict[str, int] = {}
        for tenant_id, hidden in self._hidden.items():
            hidden.expire()
            if hidden.generation != self._followed.get(tenant_id, 0):
                changed[tenant_id] = hidden.generation
        if not changed:
            return

        async def one(chain: Chain, tenant_id: str) -> None:
            try:
                await chain.follow_hidden()
            except ApiError as error:
                log.warning("who is not ranked", chain=chain.spec.chain_id, error=str(error))
                changed.pop(tenant_id, None)

        chains = [(c, tenant_of(i)) for i, c in self.chains.items()]
        await asyncio.gather(*(one(c, tenant_id) for c, tenant_id in chains if tenant_id in changed))
        self._followed |= changed

    async def change_entry(self, payload: bytes) -> bytes:
        request = ChangeEntry(*msgpack.unpackb(payload))
        chain = self.chains.get(request.chain_id)
        if chain is None or chain.is_leaving:
            return _pack_one(Reply(NOT_HERE))
        changed = change_entry(chain, request.edit, request.player_id, request.fields, request.zone)
        return _pack_one(await _reply(_value(changed)))

    async def import_entries(self, payload: bytes) -> bytes:
        request = Import(*msgpack.unpackb(payload))
        chain = self.chains.get(request.chain_id)
        if chain is None or chain.is_leaving:
            return _pack_one(Reply(NOT_HERE))
        return _pack_one(await _reply(_value(import_entries(chain, request))))

    async def stop(self) -> bytes:
        """Save everything and let go of the store (the end of the server)."""
        replies = await self._release(list(self.chains), save=True)
        for task in self._background:
            task.cancel()
        if self.rpc_server is not None:
            self.rpc_server.close()
        if self._store is not None:
            await self._store.close()
            self._store = None
        return _pack_all(replies)

    # Scores and rankings --------------------------------------------------------------------------------

    async def write(self, payload: bytes) -> bytes:
        began_s = time.monotonic()
        call = WriteCall.from_wire(msgpack.unpackb(payload))
        ops = call.ops
        # Gateways' clocks differ: an arrival is so long ago as its gateway held it, by the clock here.
        ahead_ms = self.clock.now_ms() - call.sent_ms
        replies = await asyncio.gather(*(_reply(self._write(op, ahead_ms)) for op in ops))
        return await self._answered(began_s, [op.board_id for op in ops], replies)

    async def _answered(self, began_s: float, board_ids: Sequence[str], replies: Sequence[Reply]) -> bytes:
        """Replies to writes that began then. Those that took so long that this process may have been stopped,
        and another activation may have begun with what was journaled here, are given only if none has: else
        that one answers. Asked as late as possible.
        """
        packed = _pack_all(replies)
        if time.monotonic() - began_s <= LONG_WRITE_S:
            return packed
        asked = sorted(set(board_ids))
        confirmed = await asyncio.gather(*map(self._confirm, asked))
        if all(confirmed):
            return packed
        unsure = {board_id for board_id, sure in zip(asked, confirmed, strict=True) if not sure}
        error = ApiError("storage_unavailable", "another activation may have taken over meanwhile")
        failed = Reply.of_error(error)
        return _pack_all([failed if i in unsure else r for i, r in zip(board_ids, replies, strict=True)])

    async def _confirm(self, board_id: str) -> bool:
        board = self.leaderboards.get(board_id)
        return board is not None and await board.confirm()

    async def _write(self, op: WriteOp, ahead_ms: int) -> Reply:
        board = self.leaderboards.get(op.board_id)
        if board is None:
            return Reply(NOT_HERE)
        self.inputs += len(op.items)
        return await board.write(op, op.at_ms + ahead_ms)

    async def read(self, payload: bytes) -> bytes:
        """Answers for periods that are loaded; nil for a read that must load one: that is for `load`."""
        replies: list[Reply] = []
        for wire in msgpack.unpackb(payload):
            op = ReadOp(*wire)
            chain = self.chains.get(op.chain_id)
            if chain is None or chain.is_leaving:
                replies.append(Reply(NOT_HERE))
            elif is_warm(chain, op.ref, op.zone):
                replies.append(await _reply(self._read(chain, op)))
            else:
                replies.append(Reply(VALUE))
        return _pack_all(replies)

    async def load(self, payload: bytes) -> bytes:
        """One read that may first load a closed period."""
        op = ReadOp(*msgpack.unpackb(payload))
        chain = self.chains.get(op.chain_id)
        return _pack_one(Reply(NOT_HERE) if chain is None else await _reply(self._read(chain, op)))

    async def wake(self, payload: bytes) -> bytes:
        """Load what submissions to a leaderboard need; answers when that is done, or after a moment."""
        board = self.leaderboards.get(msgpack.unpackb(payload))
        awake = board is not None and await board.wake()
        if board is None or (board.is_leaving and not awake):  # it left meanwhile: gateways look for it
            return _pack_one(Reply(NOT_HERE))
        return _pack_one(Reply(VALUE, awake))

    async def _read(self, chain: Chain, op: ReadOp) -> Reply:
        self.reads += 1
        try:
            return Reply(VALUE, (await read(chain, op.ref, op.kind, op.args, op.zone)).to_wire())
        except ApiError as error:
            if chain.is_leaving and error.code == "period_loading":
                return Reply(NOT_HERE)  # gateways look for it
            raise

    # Logs -----------------------------------------------------------------------------------------------

    async def append(self, payload: bytes) -> bytes:
        began_s = time.monotonic()
        ops = [LogOp(*wire) for wire in msgpack.unpackb(payload)]
        replies = await asyncio.gather(*(_reply(self._append(op)) for op in ops))
        return await self._answered(began_s, [op.board_id for op in ops], replies)

    async def _append(self, op: LogOp) -> Reply:
        chain = self._log(op.board_id)
        if chain is None:
            return Reply(NOT_HERE)
        self.inputs += len(op.rows)
        return await log_writes.append(self._board_of(chain), chain, op)

    async def read_log(self, payload: bytes) -> bytes:
        reads = [LogRead(*wire) for wire in msgpack.unpackb(payload)]
        return _pack_all(await asyncio.gather(*(_reply(self._read_log(asked)) for asked in reads)))

    async def _read_log(self, asked: LogRead) -> Reply:
        chain = self._log(asked.board_id)
        if chain is None:
            return Reply(NOT_HERE)
        self.reads += 1
        try:
            return await log_reads.read(chain, asked)
        except ApiError as error:
            if chain.is_leaving and error.code == "period_loading":
                return Reply(NOT_HERE)  # gateways look for it
            raise

    async def follow(self, payload: bytes) -> bytes:
        """Have leaderboards read on in their logs."""
        ops = [FollowOp(*wire) for wire in msgpack.unpackb(payload)]
        return _pack_all(await asyncio.gather(*(_reply(self._follow(op)) for op in ops)))

    async def _follow(self, op: FollowOp) -> Reply:
        board = self.leaderboards.get(op.board_id)
        if board is None or board.is_leaving:
            return Reply(NOT_HERE)
        return await followed(board, op)

    # Upkeep ---------------------------------------------------------------------------------------------

    async def _renew(self, store: Store, every_s: float) -> None:
        """Ask the store, for periods that wrote nothing lately, whether they are still the only one."""
        while True:
            await asyncio.sleep(every_s)
            quiet = [
                activation
                for chain in self.chains.values()
                for activation in chain.open
                if activation.state == "serving" and activation.unreached_s > every_s / 2
            ]
            try:
                highest = await store.epochs([a.period_id for a in quiet])
            except StoreError as error:
                log.warning("store not reached", error=str(error))
                continue
            for activation, epoch in zip(quiet, highest, strict=True):
                activation.renewed(epoch)

    async def _keep_following_hidden(self) -> None:
        """Show players whose hiding ended, and try again what failed. Beside snapshots, which take long."""
        while True:
            await asyncio.sleep(UPKEEP_S)
            await self._follow_hidden()

    async def _keep_following_logs(self, store: Store) -> None:
        """Read on where nobody told that there is more, as when a gateway died; journal places."""
        while True:
            await asyncio.sleep(UPKEEP_S)
            followers = [
                c.follower
                for c in self.chains.values()
                if isinstance(c.follower, Follower) and c.follower.is_awake
            ]
            log_ids = list({follower.follows.log_id for follower in followers})
            used = {chain.spec.follows.log_id for chain in self.chains.values() if chain.spec.follows}
            self._readers = {i: reader for i, reader in self._readers.items() if i in used}
            if not log_ids:
                continue
            try:
                last_seqs = dict(zip(log_ids, await store.last_seqs(log_ids), strict=True))
            except StoreError as error:
                log.warning("logs not looked at", error=str(error))
                continue
            await asyncio.gather(*(f.keep_up(last_seqs.get(f.follows.log_id, 0)) for f in followers))

    async def _look_after(self) -> None:
        """Write snapshots when they are due, one after the other; unload closed periods nobody reads."""
        every_ms = self.settings.snapshot_seconds * 1000
        while True:
            await asyncio.sleep(UPKEEP_S)
            now_ms = self.clock.now_ms()
            for chain in [c for c in self.chains.values() if c.open.is_awake or len(c.closed)]:
                with contextlib.suppress(ApiError):  # the store is away, say: again the next time
                    await chain.follow_rules()
                    await chain.follow_hidden()
                await chain.rest(now_ms - int(self.settings.idle_unload_seconds * 1000))
                for activation in list(chain.open):
                    unsaved = activation.period.seq - activation.period.saved_seq
                    due = unsaved and now_ms - activation.snapshot_at_ms >= every_ms
                    if activation.state == "serving" and (due or unsaved >= self.settings.snapshot_inputs):
                        try:
                            await activation.snapshot(gentle_inputs=self.settings.snapshot_inputs)
                        except StoreError as error:
                            log.warning("snapshot failed", period=activation.period_id, error=str(error))


async def _value(work: Awaitable[Any]) -> Reply:
    return Reply(VALUE, await work)


async def _reply(work: Awaitable[Reply]) -> Reply:
    """Turn what may be raised into a reply."""
    try:
        return await work
    except ApiError as error:
        return Reply.of_error(error)
    except StoreError as error:
        return Reply.of_error(storage_unavailable(error))
    except Exception as error:
        log.exception("call failed")
        return Reply.of_error(ApiError("internal_error", repr(error)))


async def _sealed(chain: Chain, request: Seal) -> Reply:
    sealed = await chain.seal(request.serial, request.end, request.log_seq)
    return Reply(VALUE, sealed.to_wire())


def _pack_one(reply: Reply) -> bytes:
    return pack(reply.to_wire())


def _pack_all(replies: Sequence[Reply]) -> bytes:
    return pack([reply.to_wire() for reply in replies])


def _trouble_of(activation: Activation) -> str:
    where = in_words(chain_of(activation.period_id))
    return f"{where}, period '{activation.record.key}': {activation.reason}"
