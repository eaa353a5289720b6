"""Answers that are remembered for repeats with the same `Idempotency-Key`."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgpack

from lbactors.core.packing import pack


class RememberedAnswer(NamedTuple):
    """Document `<tenant_id>/<hash of the Idempotency-Key>` of the collection `idempotency`.

    digest: of the request. nonce: what a secret that was told with this answer was made with, so that the
    repeat can be told it again; it is kept nowhere else. Empty if there was no secret, and in answers of
    earlier versions, whose secrets were made without.
    """

    at_ms: int
    digest: str
    status: int
    body: dict[str, Any]
    nonce: bytes = b""


def pack_answer(answer: RememberedAnswer) -> bytes:
    return pack(list(answer if answer.nonce else answer[:-1]))


def unpack_answer(body: bytes) -> RememberedAnswer:
    return RememberedAnswer(*msgpack.unpackb(body))
