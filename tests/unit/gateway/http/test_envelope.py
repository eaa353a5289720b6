"""Ids of requests."""

from __future__ import annotations

import pytest

from gateway.http.envelope import request_id_of


@pytest.mark.parametrize("given", ["a", "x" * 128, "req-1/2:3~!"])
def test_request_ids_are_taken(given: str) -> None:
    assert request_id_of(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "a\tb", "é", "\x7f"])
def test_request_ids_are_made(given: str | None) -> None:
    made = request_id_of(given)
    assert made != given and made != request_id_of(given) and 8 < len(made) <= 128
