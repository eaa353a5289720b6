"""Signatures against the reference library and the documentation; which addresses are public; URLs."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError
from standardwebhooks import Webhook

from lbactors.documents.webhooks import check_url, delivery_id
from lbactors.supervisor.events.webhook_signing import (
    is_private_literal,
    is_public,
    new_secret,
    signature,
    signed_headers,
)
from tests.support.repository import REPOSITORY

PAGE = REPOSITORY / "docs" / "webhooks.md"


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 4_000_000_000))
def test_signatures_are_those_of_the_reference_library(body: bytes, timestamp_s: int) -> None:
    secret = new_secret()
    text = body.hex()
    expected = Webhook(secret).sign("evt_1", datetime.fromtimestamp(timestamp_s, UTC), text)
    assert signature(secret, "evt_1", timestamp_s, text.encode()) == expected


def test_the_documented_way_to_verify() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    verified = names["verified"]
    old, new, other = new_secret(), new_secret(), new_secret()
    now_ms = int(time.time() * 1000)
    headers, body = signed_headers([new, old], "evt_1", now_ms, b"{}"), b"{}"
    assert verified(old, headers, body) and verified(new, headers, body)
    assert not verified(other, headers, body) and not verified(new, headers, b"{ }")
    assert not verified(new, {**headers, "webhook-id": "evt_2"}, body)
    stale = signed_headers([new], "evt_1", now_ms - 600_000, body)
    assert not verified(new, stale, body)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "not an address",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


def test_names_are_looked_at_later() -> None:
    assert is_private_literal("http://10.0.0.1/") and is_private_literal("http://[::1]:80/")
    assert is_private_literal("http://localhost/") and is_private_literal("http://x.localhost/")
    assert not is_private_literal("https://example.com/") and not is_private_literal("http://8.8.8.8/")


@pytest.mark.parametrize("url", ["https://example.com", "http://10.0.0.1:9000/hook?a=1", "http://[::1]/x"])
def test_urls(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    ["", "example.com", "ftp://x/", "http:///x", "http://u:p@x/", "http://x/#f", "http://x:0/", "http://ä/"],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(PydanticCustomError):
        check_url(url)


def test_ids_of_deliveries_sort_by_generation_and_number() -> None:
    ids = [delivery_id(*pair) for pair in ((1, 1), (1, 2), (1, 2**32 - 1), (2, 1), (2**20, 7))]
    assert ids == sorted(ids) and len({len(i) for i in ids}) == 1
