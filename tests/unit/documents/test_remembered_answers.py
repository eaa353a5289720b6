"""Remembered answers as they are stored."""

from __future__ import annotations

import msgpack

from lbactors.documents.remembered_answers import RememberedAnswer, pack_answer, unpack_answer


def test_answers_of_earlier_versions_are_read_and_written_as_they_were() -> None:
    stored = bytes(msgpack.packb([7, "digest", 201, {"key_id": "k_1"}]))
    answer = unpack_answer(stored)
    assert answer == RememberedAnswer(7, "digest", 201, {"key_id": "k_1"}, b"")
    assert pack_answer(answer) == stored


def test_a_nonce_is_kept() -> None:
    answer = RememberedAnswer(7, "digest", 201, {}, b"\x00\xff")
    assert unpack_answer(pack_answer(answer)) == answer
    assert msgpack.unpackb(pack_answer(answer)) == [7, "digest", 201, {}, b"\x00\xff"]
