"""What a webhook may be: its URL; and the ids of deliveries."""

from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from lbactors.documents.webhooks import check_url, delivery_id


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
