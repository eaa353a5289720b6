"""The command `events send`: files of events, their ids, and what is shown of the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import json_fields, ok, ok_json, refused, run
from tests.support.fake_api import FakeApi


def event(number: int, player_id: str = "maya", **fields: Any) -> dict[str, Any]:
    return {"event_id": f"e-{number}", "event_type": "won", "player_id": player_id, **fields}


def lines(*items: Any) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


def sent(api: FakeApi) -> list[dict[str, Any]]:
    return [
        item
        for request in api.requests
        if request[1].startswith("/v1/events")
        for item in request[3]["events"]
    ]


@pytest.mark.parametrize(
    "text",
    [
        lines(event(1), event(2)),
        json.dumps([event(1), event(2)], indent=2),
        json.dumps({"events": [event(1), event(2)]}),
    ],
)
def test_lines_an_array_or_a_body(api: FakeApi, tmp_path: Path, text: str) -> None:
    path = tmp_path / "events"
    for mark in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(mark + text.encode())
        answer = ok_json("events", "send", str(path))
        assert (answer["accepted"], answer["rejected"]) == (2, 0)
        assert set(answer) == json_fields("events send")
    assert answer["duplicates"] == 2
    assert sent(api)[:2] == [event(1), event(2)]
    assert ok("events", "send", "-", stdin=text) == "accepted 2 (2 were known), rejected 0\n"


def test_events_without_an_id_get_that_of_their_place(api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    one = {"event_type": "won", "player_id": "maya"}
    path.write_text("\n" + lines(one, event(7), one))
    ok("events", "send", str(path))
    assert ok_json("events", "send", str(path))["duplicates"] == 3
    first, second, third = (item["event_id"] for item in sent(api)[:3])
    prefix = first.partition(":")[0]
    assert (first, second, third) == (f"{prefix}:2", "e-7", f"{prefix}:4")
    ok("events", "send", str(path), "--id-prefix", "monday")
    assert sent(api)[-1]["event_id"] == "monday:4"


def test_what_is_rejected_is_listed(api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_text(lines(event(1)) + "{\n" + lines({"player_id": "maya"}, 5))
    result = run("events", "send", str(path))
    assert (result.exit_code, result.stdout) == (1, "accepted 1, rejected 3\n")
    assert result.stderr.splitlines() == [
        "line 2: malformed_body: not a JSON object",
        "line 3: validation_failed: event_type: is required",
        "line 4: malformed_body: not a JSON object",
    ]
    path.write_text(json.dumps([event(1), 5]))
    assert "item 2: malformed_body: not a JSON object" in run("events", "send", str(path)).stderr
    path.write_text("[1,")
    assert "is no JSON array" in refused(2, "events", "send", str(path))
    for text, why in (
        ('{"events": [', "is no JSON object"),
        ('{"events": 5}', 'is no {"events": […]}'),
        ('{"events": [], "more": 1}', 'is no {"events": […]}'),
    ):
        path.write_text(text)
        assert why in refused(2, "events", "send", str(path))


def test_an_empty_file(api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "nothing").write_text("")
    assert ok("events", "send", str(tmp_path / "nothing")) == "accepted 0, rejected 0\n"
    assert sent(api) == []


def test_who_is_behind_is_told(api: FakeApi) -> None:
    api.logs.behind = ["xp"]
    result = run("events", "send", "-", stdin=lines(event(1)))
    assert result.stderr == "not taken yet by xp; they follow by themselves\n"


def test_a_failure_says_how_to_go_on(api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_text(lines(*(event(number) for number in range(1500))))
    api.let_pass(2)  # the health check, and the first batch
    api.fail(403, "forbidden")
    message = refused(1, "events", "send", str(path))
    assert "after 1000 accepted; repeat it to go on: nothing is counted twice" in message
    assert ok_json("events", "send", str(path))["duplicates"] == 1000
