"""How texts and numbers are written for people."""

from __future__ import annotations

import pytest

from lbactors import tables


def test_texts() -> None:
    assert tables.duration_text(0) == "0 s"
    assert tables.duration_text(72) == "1 min 12 s"
    assert tables.duration_text(2 * 86_400 + 3 * 3600 + 59) == "2 d 3 h"
    assert tables.duration_text(3600) == "1 h 0 min"
    assert tables.bytes_text(1023) == "1023 B"
    assert tables.bytes_text(61.25 * 2**20) == "61.2 MiB"
    assert tables.bytes_text(3 * 2**30) == "3.0 GiB"
    assert tables.instant_text("2026-11-18T12:00:00.000Z") == "2026-11-18 12:00:00Z"
    assert tables.text_of({"a": [1, None], "b": True}) == "a=[1,null], b=yes"
    assert tables.text_of("") == tables.text_of([]) == tables.text_of({}) == "-"
    assert tables.text_of([{"a": None}]) == '{"a":null}'
    assert tables.text_of({"a": {"\u202eb": 1}}) == 'a={"?b":1}'


def test_fields_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    tiers = [{"name": "champion", "rank_to": 1, "percent": None, "payload": {"gems": [5]}}, {"name": "all"}]
    tables.print_fields({"id": "xp", "rewards": {"tiers": tiers, "windows": ["main", "daily"]}, "text": ""})
    assert capsys.readouterr().out.splitlines() == [
        "id               xp",
        'rewards.tiers.1  name=champion, rank_to=1, payload={"gems":[5]}',
        "rewards.tiers.2  name=all",
        "rewards.windows  main, daily",
        "text             -",
    ]
