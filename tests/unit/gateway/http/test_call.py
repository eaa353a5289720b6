"""What outlives a request: rendered pages."""

from __future__ import annotations

from gateway.http.call import PageMemo


def test_page_memo_is_bounded() -> None:
    memo = PageMemo()
    readings = [[i] for i in range(memo.PAGES + 5)]
    for reading in readings:
        memo.put(reading, 0, [], (b"body", "tag"))
    assert memo.get(readings[0], 0, []) is None
    assert memo.get(readings[-1], 0, []) == (b"body", "tag")
    assert memo.get(readings[-1], 1, []) is None and memo.get(readings[-1], 0, ["Kim"]) is None
