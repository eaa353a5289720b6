"""One request on its way through the gateway, and what all requests share.

The door makes a `Call` for a request whose route, key and parameters are in order, and gives it to the
route's endpoint: `async def endpoint(call: Call) -> web.StreamResponse`. Endpoints read from the call, ask
`call.service`, and answer with `call.answer` or `call.reading`; they raise `ApiError` for everything else.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web
from cachetools import FIFOCache

from gateway.http import codec
from gateway.http.access import Access, Caller
from gateway.http.envelope import ClientGone
from gateway.http.log_rows import EventReader, RowReader
from gateway.http.metrics import Metrics
from gateway.http.settings import GatewaySettings
from gateway.http.submissions import SubmissionReader
from gateway.http.validation import Validation
from lbactors.core.definition import check_identifier
from lbactors.core.errors import ApiError, invalid
from lbactors.core.model import Board, Key
from lbactors.core.seen_ids import body_tag
from lbactors.documents.audit import Who
from lbactors.plugins import VALIDATE, Plugins
from lbactors.service.service import AdminAnswer, Idempotency
from lbactors.wire.commands import Command
from lbactors.wire.kept_answer import KeptAnswer

if TYPE_CHECKING:
    from lbactors.service.service import Service

_ETAGS = re.compile(r'(?:W/)?"([^"]*)"|(\*)')
_HEADER_KEY = re.compile(r"[\x21-\x7e]{1,120}")
PLAYER_HEADER = "X-Player-Id"
_NOBODY = Caller("", "", "", frozenset(), None, False, False)


class Gateway:
    """The service and everything of the HTTP side that outlives a request."""

    def __init__(self, service: Service, settings: GatewaySettings, plugins: Plugins | None = None) -> None:
        self.service = service
        self.settings = settings
        self.access = Access(service)
        self.metrics = Metrics()
        self.log = structlog.get_logger("gateway")
        self.draining = False
        self.pages = PageMemo()
        self.readiness: KeptAnswer[dict[str, Any]] = KeptAnswer(service.ready, service.now_ms)
        self.exposition: KeptAnswer[bytes] = KeptAnswer(self._exposition, service.now_ms)
        self.submissions = SubmissionReader(settings)
        self.rows = RowReader(settings)
        self.events = EventReader(settings)
        self.validation: Validation | None = None
        if plugins is not None and plugins.hooks(VALIDATE):
            self.validation = Validation(plugins, settings.plugin_failure, service, self.metrics)
        self._open = 0
        self._logged_503_at = 0.0
        self._idle = asyncio.Event()
        self.metrics.in_flight.set_function(lambda: self._open)

    async def _exposition(self) -> bytes:
        self.metrics.projections(await self.service.projections())
        return self.metrics.exposition()

    def worth_logging(self, status: int) -> bool:
        """Every 500, but of the 503s of an outage (thousands a second) one a second; metrics count them."""
        if status != 503:
            return True
        now = time.monotonic()
        if now - self._logged_503_at < 1.0:
            return False
        self._logged_503_at = now
        return True

    def entered(self) -> None:
        """A request came in."""
        self._open += 1

    def left(self) -> None:
        """Its answer is ready."""
        self._open -= 1
        if self.draining and not self._open:
            self._idle.set()

    async def drained(self) -> None:
        """Refuses new requests from now on, and waits until none is open."""
        self.draining = True
        if self._open:
            await self._idle.wait()


class PageMemo:
    """Rendered pages of readings that several callers share (the service gives them one `Reading` object).

    Keyed by the identity of the reading, which is kept alive here, so an identity is never reused while it
    counts. Bounded by number, and by the rows that a kept page may have.
    """

    PAGES = 64
    ROWS = 100

    def __init__(self) -> None:
        self._pages = FIFOCache[tuple[int, Any], tuple[object, Any, tuple[bytes, str]]](self.PAGES)

    def get(self, reading: object, variant: Any, names: Any) -> tuple[bytes, str] | None:
        """Body and ETag, if this reading was rendered in this variant with these names."""
        kept = self._pages.get((id(reading), variant))
        return kept[2] if kept is not None and kept[0] is reading and kept[1] == names else None

    def put(self, reading: object, variant: Any, names: Any, rendered: tuple[bytes, str]) -> None:
        """Keeps a rendered page; the oldest goes."""
        self._pages[id(reading), variant] = (reading, names, rendered)


class Call:
    """`query` and `path` hold the parsed parameters by name; `packed`: the answer is to be MessagePack.
    `within`: the time that the request has.
    """

    __slots__ = (
        "caller",
        "gateway",
        "packed",
        "path",
        "query",
        "request",
        "request_id",
        "service",
        "settings",
        "within",
    )

    def __init__(
        self,
        gateway: Gateway,
        request: web.Request,
        request_id: str,
        packed: bool,
        path: Mapping[str, Any],
        query: Mapping[str, Any],
        caller: Caller | None,
        within: asyncio.Timeout,
    ) -> None:
        self.gateway = gateway
        self.within = within
        self.service = gateway.service
        self.settings = gateway.settings
        self.request = request
        self.request_id = request_id
        self.packed = packed
        self.path = path
        self.query = query
        self.caller = caller or _NOBODY

    @property
    def tenant_id(self) -> str:
        """The tenant acted in."""
        return self.caller.tenant_id

    # In ---------------------------------------------------------------------------------------------------

    async def board(self) -> Board:
        """The leaderboard that the path names; 404 `leaderboard_not_found`."""
        return await self.board_of(self.path["leaderboard_id"])

    async def board_to_read(self) -> Board:
        """The same, for reading its rankings: 403 if `audience.view` lacks a player who asks."""
        board = await self.board()
        if not board.definition.audience.view.is_everyone:
            for player_id in self.viewers():
                if not await self.service.may_view(board, player_id):
                    raise ApiError(
                        "forbidden", f"player {player_id!r} may not read leaderboard {board.leaderboard_id!r}"
                    )
        return board

    def viewers(self) -> list[str]:
        """The players who ask: the one that the key is bound to, and the one that `X-Player-Id` names."""
        found = [] if self.caller.player_id is None else [self.caller.player_id]
        named = self.request.headers.get(PLAYER_HEADER)
        if named:
            player_id = self.identifier(named, "header", PLAYER_HEADER)
            if player_id not in found:
                found.append(player_id)
        return found

    async def zone(self, board: Board) -> str:
        """The zone whose current period is meant, where the board's periods are player-local; else empty. It
        is that of the query, else of the player who asks.
        """
        if not board.definition.timeframe.is_player_local:
            return ""
        named: str = self.query["timezone"]
        if named:
            return named
        viewers = self.viewers()
        return await self.service.zone_of(board, viewers[0]) if viewers else ""

    async def board_of(self, leaderboard_id: str) -> Board:
        """A leaderboard of the tenant by id; asks the supervisor before saying that there is none."""
        board = self._known(leaderboard_id)
        if board is None:
            await self.service.catalogue.sync()
            board = self._known(leaderboard_id)
            if board is None:
                raise _no_leaderboard(leaderboard_id)
        return board

    async def boards_of(self, leaderboard_ids: Collection[str]) -> dict[str, Board | ApiError]:
        """The same for several, or why there is none; the supervisor is asked once for all that are not
        known.
        """
        if any(self._known(name) is None for name in leaderboard_ids):
            await self.service.catalogue.sync()
        return {name: self._known(name) or _no_leaderboard(name) for name in leaderboard_ids}

    def _known(self, leaderboard_id: str) -> Board | None:
        """A leaderboard of the tenant, if there is one for this caller."""
        board = self.service.catalogue.board(self.caller.tenant_id, leaderboard_id)
        return board if board is not None and self.caller.sees(board) else None

    def boards(self) -> list[Board]:
        """The leaderboards of the tenant that there are for this caller, by id."""
        return [board for board in self.service.catalogue.boards(self.tenant_id) if self.caller.sees(board)]

    def seen(self, leaderboard_ids: Sequence[str]) -> list[str]:
        """Those of some leaderboards of the tenant that there are for this caller."""
        if self.caller.player_id is None:
            return list(leaderboard_ids)
        return [name for name in leaderboard_ids if self._known(name) is not None]

    async def raw_body(self) -> bytes:
        """The body, inflated; empty if there is none. ApiError, ClientGone."""
        limit = self.settings.body_limit_bytes
        if (self.request.content_length or 0) > limit:
            raise ApiError("body_too_large", f"the body exceeds {limit} bytes")
        body = await self._received()
        coding = self.request.headers.get("Content-Encoding")
        return body if coding is None or not body else codec.inflate(body, coding, limit)

    async def _received(self) -> bytes:
        """The body as sent. The time of a request does not go by while its client sends. ClientGone."""
        loop, ends_s = asyncio.get_running_loop(), self.within.when()
        began_s = loop.time()
        self.within.reschedule(None)
        try:
            body = await self.request.read()
        except OSError as error:  # the connection's own; malformed chunks are no OSError
            raise ClientGone from error
        if ends_s is not None:
            self.within.reschedule(ends_s + loop.time() - began_s)
        return body

    def _parsed(self, raw: bytes) -> Any:
        return codec.parse(raw, self._media_type(), self.settings.json_depth)

    def _media_type(self) -> str:
        return codec.body_format(self.request.headers.get("Content-Type"))

    async def body(self) -> Any:
        """The data in the body."""
        self._media_type()  # before the body is waited for
        return self._parsed(await self.raw_body())

    async def document(self) -> tuple[dict[str, Any], Idempotency | None]:
        """A body that is an object fit to be stored, and the `Idempotency-Key`."""
        self._media_type()
        return self._document(await self.raw_body())

    def _document(self, raw: bytes) -> tuple[dict[str, Any], Idempotency | None]:
        value = self._parsed(raw)
        if type(value) is not dict:
            raise invalid("must be an object", "body")
        codec.check_storable(value, "body")
        return value, self._idempotency(raw)

    async def optional_document(self) -> tuple[dict[str, Any], Idempotency | None]:
        """Like `document`; a body that is absent counts as {}. So does one that turns out to be empty, of
        whatever media type: a client that sends in chunks cannot say beforehand that nothing will come.
        """
        raw = await self.raw_body()
        return self._document(raw) if raw else ({}, self._idempotency(raw))

    async def empty_document(self) -> Idempotency | None:
        """For routes that take no fields: the body must be absent or {}. The request's `Idempotency-Key`."""
        document, idempotency = await self.optional_document()
        for name in document:
            raise invalid("unknown field", "body", name)
        return idempotency

    def _idempotency(self, raw_body: bytes) -> Idempotency | None:
        key = self.idempotency_key() if self.request.method == "POST" else None
        if key is None:
            return None
        digest = sha256(f"{self.request.method} {self.request.raw_path}\n".encode() + raw_body)
        return Idempotency(key, digest.hexdigest())

    def idempotency_key(self) -> str | None:
        """The header `Idempotency-Key`, 1 to 120 visible ASCII characters; None without it."""
        key = self.request.headers.get("Idempotency-Key")
        if key is not None and not _HEADER_KEY.fullmatch(key):
            raise invalid("must be 1 to 120 visible ASCII characters", "header", "Idempotency-Key")
        return key

    async def body_tag(self, key: str | None) -> int:
        """What tells this body apart from another one under the same `Idempotency-Key`; 0 without a key."""
        return 0 if key is None else body_tag(await self.raw_body())

    def identifier(self, value: Any, *loc: str | int) -> str:
        """A player id out of a body; 422 otherwise."""
        try:
            return check_identifier(value, self.settings.id_length)
        except ValueError as error:
            raise invalid(str(error), *loc) from None

    def if_match(self) -> list[str] | None:
        """The tags of `If-Match` without quotes and `W/`, `*` among them; None without the header."""
        header = self.request.headers.get("If-Match")
        return None if header is None else _tags(header)

    async def key_of_tenant(self, key_id: str) -> Key:
        """A key that the caller may see: of the tenant acted in; for a platform key that names none, any."""
        tenant_id = None if self.caller.platform and not self.caller.named_tenant else self.tenant_id
        catalogue = self.service.catalogue
        for attempt in range(2):
            for key in catalogue.keys(tenant_id):
                if key.key_id == key_id:
                    return key
            if attempt == 0:
                await catalogue.sync()
        raise ApiError("key_not_found", f"no key {key_id[:128]!r}")

    # Through the supervisor --------------------------------------------------------------------------------

    async def admin(
        self, command: Command, tenant_id: str, idempotency: Idempotency | None = None
    ) -> AdminAnswer:
        """Carry out an administrative command, in the name of the key that called."""
        who = Who(self.caller.key_id, self.caller.key_name, self.request_id)
        return await self.service.admin(command, tenant_id, idempotency, who)

    # Out --------------------------------------------------------------------------------------------------

    def answer(
        self, document: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        """A JSON or MessagePack answer."""
        return web.Response(
            body=codec.encode(document, self.packed),
            status=status,
            headers={"Content-Type": codec.MSGPACK if self.packed else codec.JSON, **(headers or {})},
        )

    def admin_answer(self, answer: AdminAnswer, headers: Mapping[str, str] | None = None) -> web.Response:
        """What the supervisor answered, as it stands."""
        if answer.status == 204:
            return web.Response(status=204, headers=headers)
        return self.answer(answer.body, answer.status, headers)

    def reading(self, document: Any) -> web.Response:
        """A read's answer with an ETag, or 304 if the client has it already."""
        return self.rendered(*render(document, self.packed))

    def rendered(self, body: bytes, etag: str) -> web.Response:
        """`reading` for bytes and their ETag."""
        headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept"}
        if self.not_modified(etag):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = codec.MSGPACK if self.packed else codec.JSON
        return web.Response(body=body, headers=headers)

    def not_modified(self, etag: str) -> bool:
        """Whether `If-None-Match` covers the tag (`"…"`), by weak comparison."""
        header = self.request.headers.get("If-None-Match")
        if header is None:
            return False
        tags = _tags(header)
        return "*" in tags or etag.strip('"') in tags


def _no_leaderboard(leaderboard_id: str) -> ApiError:
    return ApiError("leaderboard_not_found", f"no leaderboard {leaderboard_id[:128]!r}")


def inactive(board: Board) -> ApiError | None:
    """The 409 for a write to a leaderboard that takes none."""
    status = board.definition.status
    if status == "active":
        return None
    return ApiError("leaderboard_inactive", f"leaderboard {board.leaderboard_id!r} is {status}")


def not_writable(board: Board) -> ApiError | None:
    """The 409 for scores and entries sent to a leaderboard that is computed from a log."""
    scoring = board.definition.scoring
    if not scoring.is_projection:
        return None
    origin = f"metric {scoring.metric!r}" if scoring.source == "metric" else "events"
    text = f"leaderboard {board.leaderboard_id!r} is computed from {origin}, and takes no scores of its own"
    return ApiError("leaderboard_not_writable", text)


def takes_no_scores(board: Board) -> ApiError | None:
    """The 409 for a submission to a leaderboard that takes none, now or ever."""
    return not_writable(board) or inactive(board)


def render(document: Any, packed: bool) -> tuple[bytes, str]:
    """The bytes of an answer, and an ETag that follows from them.

    A page names its `as_of_seq`, so its tag follows the seq; and it follows everything else that is shown too
    (state, bounds, display names), which no list of causes would guarantee.
    """
    body = codec.encode(document, packed)
    return body, f'"{blake2b(body, digest_size=12).hexdigest()}"'


def _tags(header: str) -> list[str]:
    return [star or tag for tag, star in _ETAGS.findall(header)]
