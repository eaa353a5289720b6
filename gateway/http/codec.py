"""Bodies: JSON and MessagePack in and out, and nothing malformed gets past.

In: `parse` gives plain Python data of strings, numbers, booleans, None, lists and dictionaries with string
keys, no deeper than allowed, or a 400. JSON integers keep all their digits (a float would hide that a score
is not exact), and `1e400` becomes an infinity that the number checks refuse. What UTF-8 or JSON does not
allow (NaN literals, lone surrogates, trailing text) is malformed; so are binary, extension types and
non-string keys in MessagePack.

A byte order mark before JSON is passed over, as RFC 8259 (8.1) allows: editors and Windows tools write one.

`Content-Encoding: gzip` is taken. aiohttp's own inflation is off, because it would go on inflating what it
drains after a refusal; here at most `limit + 1` bytes are ever inflated, so the limit on bodies holds for
both sizes.

Out: JSON by orjson, or MessagePack where `Accept` prefers it. Entry metadata is kept as JSON bytes and is
embedded as it stands (`orjson.Fragment`); only MessagePack answers decode it.
"""

from __future__ import annotations

import codecs
import zlib
from typing import Any

import msgpack
import orjson
from pydantic_core import from_json

from lbactors.core.errors import ApiError, invalid

JSON = "application/json"
MSGPACK = "application/msgpack"

_SCALARS = frozenset({str, int, float, bool, type(None)})


# In -------------------------------------------------------------------------------------------------------


def body_format(content_type: str | None) -> str:
    """`application/json` (also when the header is absent) or `application/msgpack`; 415 for all else."""
    if content_type is None or content_type == JSON:
        return JSON
    media_type, _, rest = content_type.partition(";")
    media_type = media_type.strip().lower()
    charset = [
        p.partition("=")[2] for p in rest.lower().split(";") if p.partition("=")[0].strip() == "charset"
    ]
    if any(value.strip().strip('"') not in ("utf-8", "utf8") for value in charset):
        raise ApiError("unsupported_media_type", "the charset must be utf-8")
    if media_type in (JSON, MSGPACK):
        return media_type
    raise ApiError("unsupported_media_type", f"Content-Type must be {JSON} or {MSGPACK}")


def inflate(body: bytes, coding: str, limit: int) -> bytes:
    """Undoes `Content-Encoding`. 413 if more than `limit` bytes come out, 415 for codings but gzip."""
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip"):
        raise ApiError("unsupported_media_type", "Content-Encoding must be gzip or identity")
    inflater = zlib.decompressobj(wbits=31)
    try:
        inflated = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise malformed("the body is not gzip") from None
    if len(inflated) > limit:
        raise ApiError("body_too_large", f"the inflated body exceeds {limit} bytes")
    if not inflater.eof or inflater.unused_data:
        raise malformed("the gzip body is cut short or is followed by something else")
    return inflated


def parse(body: bytes, media_type: str, depth: int) -> Any:
    """The data in a body of `body_format`."""
    return _parse_msgpack(body, depth) if media_type == MSGPACK else _parse_json(body, depth)


def _parse_json(body: bytes, depth: int) -> Any:
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        value = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise malformed(f"the body is not JSON: {error}") from None
    # A body with few brackets cannot be deep, whether they stand in strings or not.
    if body.count(b"[") + body.count(b"{") > depth:
        level = [value] if type(value) is dict or type(value) is list else []
        for _ in range(depth):
            level = [
                child
                for node in level
                for child in (node.values() if type(node) is dict else node)
                if type(child) is dict or type(child) is list
            ]
            if not level:
                return value
        raise _too_deep(depth)
    return value


def _parse_msgpack(body: bytes, depth: int) -> Any:
    try:
        value = msgpack.unpackb(body, ext_hook=_refuse_extension)
    except ApiError:
        raise
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        raise malformed("the body is not MessagePack") from None
    level: list[Any] = [value]
    for _ in range(depth):
        below: list[Any] = []
        for node in level:
            if type(node) is dict:
                if not all(type(key) is str for key in node):
                    raise malformed("the keys of a MessagePack map must be strings")
                below.extend(node.values())
            elif type(node) is list:
                below.extend(node)
            elif type(node) not in _SCALARS:
                raise malformed("MessagePack binary and extension types are not taken")
        if not below:
            return value
        level = below
    if not all(type(node) in _SCALARS for node in level):
        raise _too_deep(depth)
    return value


def _refuse_extension(code: int, data: bytes) -> None:
    raise malformed("MessagePack extension types are not taken")


def malformed(message: str) -> ApiError:
    """A 400: the body cannot be read at all."""
    return ApiError("malformed_body", message)


def _too_deep(depth: int) -> ApiError:
    return malformed(f"the body is nested deeper than {depth} levels")


def check_storable(value: Any, *loc: str | int) -> None:
    """A 422 for numbers that cannot be written again: not finite, or integers of more than 64 bits."""
    if type(value) is float:
        if value - value != 0.0:
            raise invalid("numbers must be finite", *loc)
    elif type(value) is int:
        if not -(2**63) <= value < 2**64:
            raise invalid("integers must fit in 64 bits", *loc)
    elif type(value) is dict:
        for key, child in value.items():
            check_storable(child, *loc, key)
    elif type(value) is list:
        for index, child in enumerate(value):
            check_storable(child, *loc, index)


def encode_object(value: dict[str, Any], *loc: str | int) -> bytes:
    """A JSON object as compact JSON; 422 where `check_storable` finds something."""
    try:
        # Copied to its size: orjson's buffer has 1 KiB, and keeping a thousand of them shrunk takes 3 ms.
        encoded = b"%b" % orjson.dumps(value)
    except (TypeError, ValueError):
        check_storable(value, *loc)
        raise invalid("cannot be written as JSON", *loc) from None
    if b"null" in encoded:  # orjson writes null for infinities and NaN
        check_storable(value, *loc)
    return encoded


# Out ------------------------------------------------------------------------------------------------------


def wants_msgpack(accept: str | None) -> bool:
    """Whether the answer is to be MessagePack: `Accept` names it, with no lower weight than JSON."""
    if accept is None or "msgpack" not in accept.lower():
        return False
    weights = {JSON: 0.0, MSGPACK: 0.0}
    for part in accept.lower().split(","):
        media_type, *options = (p.strip() for p in part.split(";"))
        if media_type in weights:
            weights[media_type] = next((_weight(o[2:]) for o in options if o.startswith("q=")), 1.0)
    return 0.0 < weights[MSGPACK] >= weights[JSON]


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def encode(document: Any, packed: bool) -> bytes:
    """The bytes of an answer. JSON documents may hold `orjson.Fragment`s, MessagePack ones may not."""
    if packed:
        data: bytes = msgpack.packb(document)
        return data
    return orjson.dumps(document)
