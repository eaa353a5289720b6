"""Stored documents read as a whole: page by page, past damaged ones, each held against its model.

The server reads its documents without validating them, since it wrote them. Here they are not trusted: the
types of every field are checked, and whether a document stands under the id that its contents say.

Finding the id of a damaged document. A store refuses a page that holds one and says so in words; its id is
found by asking for the one document after a chosen id: before the damaged one the same refusal comes back,
from it on another answer. That is a comparison with the unknown id, so it is found character by character, by
bisection, about 21 questions each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgpack
import orjson
from pydantic import TypeAdapter, ValidationError

from lbactors.core.ids import in_tenant, is_log
from lbactors.core.model import Key, PeriodRecord, Tenant
from lbactors.documents.entities import COLLECTIONS, Mark, unpack_board
from lbactors.documents.remembered_answers import RememberedAnswer
from lbactors.documents.reviews import Review, document_id
from lbactors.documents.rewards import read_claim, read_reward
from lbactors.documents.webhooks import BODY, GENERATION, PLUGIN, STATES, Delivery, Webhook
from lbactors.tools.stored_logs import document_of
from persistence.store import PAGE_DOCUMENTS, Store, StoreCorrupt, scan_pages

LONGEST_ID = 1024  # characters; beyond it the search for a damaged document gives up
LAST = "\U0010ffff"

_SURROGATES = (0xD800, 0xE000)
_CHARACTERS = 0x110000 - (_SURROGATES[1] - _SURROGATES[0])


async def sound_documents(store: Store, collection: str) -> AsyncIterator[tuple[str, bytes]]:
    """Every document of a collection in order of id, some hundreds in memory at a time. StoreCorrupt."""
    async for rows in scan_pages(store, collection, page=PAGE_DOCUMENTS):
        for row in rows:
            yield row


async def all_documents(
    store: Store, collection: str
) -> AsyncIterator[tuple[str, bytes] | tuple[str, StoreCorrupt]]:
    """Like `sound_documents`, with the error in the place of a damaged document's body.

    Where the store cannot be read past the damage, one error with the id "" ends it.
    """
    after, limit = "", PAGE_DOCUMENTS
    while True:
        try:
            rows = await store.scan(collection, after=after, limit=limit)
        except StoreCorrupt as error:
            if limit > 1:
                limit = 1  # up to the damaged one, one by one
                continue
            doc_id = await _damaged_id(store, collection, after, str(error))
            yield doc_id or "", error
            if doc_id is None:
                return
            after, limit = doc_id, PAGE_DOCUMENTS
            continue
        for row in rows:
            yield row
        if len(rows) < limit:
            return
        after = rows[-1][0]


async def _damaged_id(store: Store, collection: str, after: str, refusal: str) -> str | None:
    """The first id after `after`, whose document is refused with these words; None if it cannot be told."""

    async def is_before(doc_id: str) -> bool:
        if doc_id <= after:
            return True
        try:
            await store.scan(collection, after=doc_id, limit=1)
        except StoreCorrupt as error:
            return str(error) == refusal
        return False

    if await is_before(LAST):  # the refusal is not about one document
        return None
    found = ""  # the id begins with this, and is longer
    while len(found) < LONGEST_ID:
        low, high = -1, _CHARACTERS - 1  # the last character with which the beginning is before the id
        while low < high:
            middle = (low + high + 1) // 2
            if await is_before(found + _character(middle)):
                low = middle
            else:
                high = middle - 1
        if low + 1 < _CHARACTERS:
            whole = found + _character(low + 1)
            try:
                await store.get(collection, [whole])
            except StoreCorrupt as error:
                if str(error) == refusal:
                    return whole
        if low < 0:
            return None
        found += _character(low)
    return None


def _character(number: int) -> str:
    """The characters that an id can hold, by their order."""
    return chr(number if number < _SURROGATES[0] else number + _SURROGATES[1] - _SURROGATES[0])


# What each must be ----------------------------------------------------------------------------------------

_TENANT = TypeAdapter(Tenant)
_KEY = TypeAdapter(Key)
_PERIOD = TypeAdapter(PeriodRecord)
_PROFILE = TypeAdapter(dict[str, Any])
_HELD = TypeAdapter(Review)
_WEBHOOK = TypeAdapter(Webhook)
_DELIVERY = TypeAdapter(Delivery)
_INSTANT = TypeAdapter(int)
_MARK = TypeAdapter(Mark)
_ANSWER = TypeAdapter(RememberedAnswer)


def read_document(collection: str, doc_id: str, body: bytes) -> Any:
    """What a stored document says: a Board, PeriodRecord, Tenant, Key, or plain values.

    ValueError, in words that show nothing of the contents (they may be secret), if it is none of its
    collection or does not belong under this id.
    """
    try:
        document, own_id = _READERS[collection](doc_id, body)
    except ValidationError as error:
        finding = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, finding["loc"]))
        raise ValueError(
            f"is not what it should be: {where}: {finding['msg']}".replace(": : ", ": ")
        ) from None
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise ValueError(f"is not what it should be ({type(error).__name__})") from None
    if own_id != doc_id:
        raise ValueError("stands under an id that is not its own")
    return document


def _tenant(_: str, body: bytes) -> tuple[Tenant, str]:
    tenant = _TENANT.validate_python(msgpack.unpackb(body))
    return tenant, tenant.tenant_id


def _key(_: str, body: bytes) -> tuple[Key, str]:
    key = _KEY.validate_python(msgpack.unpackb(body))
    return key, key.key_id


def _leaderboard(_: str, body: bytes) -> tuple[Any, str]:
    board = unpack_board(body)
    if is_log(board.board_uid):
        raise ValueError("a log is listed among the leaderboards")
    return board, in_tenant(board.tenant_id, board.leaderboard_id)


def _log(_: str, body: bytes) -> tuple[Any, str]:
    board = unpack_board(body)
    return board, document_of(board)


def _period(doc_id: str, body: bytes) -> tuple[PeriodRecord, str]:
    record = _PERIOD.validate_python(msgpack.unpackb(body))
    return record, f"{doc_id.rpartition('/')[0]}/{record.key}"


def _home(doc_id: str, body: bytes) -> tuple[str, str]:
    if not body:
        raise ValueError("empty")
    return body.decode(), doc_id


def _profile(doc_id: str, body: bytes) -> tuple[dict[str, Any], str]:
    profile = _PROFILE.validate_python(msgpack.unpackb(body))
    return profile, f"{doc_id.partition('/')[0]}/{profile['player_id']}"


def _answer(doc_id: str, body: bytes) -> tuple[Any, str]:
    return _ANSWER.validate_python(msgpack.unpackb(body)), doc_id


def _secret(doc_id: str, body: bytes) -> tuple[bytes, str]:
    if not body:
        raise ValueError("empty")
    return body, doc_id


def _held(doc_id: str, body: bytes) -> tuple[Review, str]:
    held = _HELD.validate_python(msgpack.unpackb(body))
    return held, document_id(doc_id.rpartition("/")[0].removesuffix("h").removesuffix("d"), held)


def _webhook(doc_id: str, body: bytes) -> tuple[Any, str]:
    if doc_id.startswith(PLUGIN):  # since when the server knows it
        return _INSTANT.validate_python(msgpack.unpackb(body)), doc_id
    webhook = _WEBHOOK.validate_python(msgpack.unpackb(body))
    return webhook, webhook.listener


def _delivery(doc_id: str, body: bytes) -> tuple[Any, str]:
    found = msgpack.unpackb(body)
    if doc_id == GENERATION:
        return _INSTANT.validate_python(found), doc_id
    if doc_id.startswith(f"{BODY}/"):
        return orjson.loads(found), doc_id
    letter, _, name = doc_id.partition("/")
    if letter not in STATES.values() or not name:
        raise ValueError("no state")
    return _DELIVERY.validate_python(found), doc_id


def _mark(doc_id: str, body: bytes) -> tuple[Mark, str]:
    return _MARK.validate_python(msgpack.unpackb(body)), doc_id


def _plain(doc_id: str, body: bytes) -> tuple[Any, str]:
    return msgpack.unpackb(body), doc_id


_READERS: dict[str, Callable[[str, bytes], tuple[Any, str]]] = {
    "tenants": _tenant,
    "keys": _key,
    "leaderboards": _leaderboard,
    "logs": _log,
    "periods": _period,
    "homes": _home,
    "profiles": _profile,
    "idempotency": _answer,
    "secrets": _secret,
    "webhooks": _webhook,
    "deliveries": _delivery,
    "rewards": read_reward,
    "claims": read_claim,
    "hidden": _plain,
    "labels": _plain,
    "test_players": _plain,
    "held": _held,
    "audit": _plain,
    "warm": _plain,
    "purged": _mark,
}
assert set(_READERS) == set(COLLECTIONS)
