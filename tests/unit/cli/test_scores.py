"""The commands around scores: what they ask of the fake server, and what they show of its answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import ok, ok_json, refused, run
from tests.support.fake_api import FakeApi


def test_top_shows_a_plain_table_where_there_is_no_terminal(scores: FakeApi) -> None:
    lines = ok("top", "xp", "--limit", "3").splitlines()
    assert lines[0].startswith("xp: 2026-W47 (main), active, ends in ") and lines[0].endswith(", 5 entries")
    assert lines[1].split() == ["rank", "player", "score", "change", "submissions", "updated"]
    assert [line.split()[:3] for line in lines[2:]] == [
        ["1", "p4", "400"],
        ["2", "p3", "300"],
        ["3", "p2", "200"],
    ]
    assert scores.paths() == ["GET /v1/leaderboards/xp/rankings?limit=3"]


def test_the_period_is_an_argument_or_an_option(scores: FakeApi) -> None:
    for words in (("previous",), ("--period", "previous")):
        run("top", "xp", *words)
        assert scores.paths()[-1] == "GET /v1/leaderboards/xp/rankings?limit=10&period=previous"
    assert "give the period once" in refused(2, "top", "xp", "previous", "--period", "current")


def test_top_around_a_player(scores: FakeApi) -> None:
    output = ok("top", "xp", "--around", "p2", "--limit", "3", "--window", "daily", "--period", "previous")
    assert [line.split()[1] for line in output.splitlines()[2:]] == ["p3", "p2", "p1"]
    assert scores.paths() == [
        "GET /v1/leaderboards/xp/players/p2/around?limit=3&period=previous&window=daily"
    ]


@pytest.mark.parametrize("around", [[], ["--around", "p2"]])
def test_top_by_the_clock_of_a_zone(scores: FakeApi, around: list[str]) -> None:
    ok("top", "xp", "--timezone", "Asia/Tokyo", *around)
    (path,) = scores.paths()
    assert "timezone=Asia%2FTokyo" in path or "timezone=Asia/Tokyo" in path


def test_json_is_the_api_s_answer(scores: FakeApi) -> None:
    page = ok_json("top", "xp", "--limit", "2")
    assert set(page) >= {
        "leaderboard_id",
        "period",
        "total",
        "as_of_seq",
        "entries",
        "next_cursor",
        "prev_cursor",
    }
    assert [entry["score"] for entry in page["entries"]] == [400, 300]


def test_watch_shows_changes_alone(scores: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks three times, with a new score before the third; the fourth look fails and ends it."""
    looks = 0

    def sleep(_seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            assert run("submit", "xp", "p0", "999").exit_code == 0
        if looks == 3:
            scores.fail(404, "leaderboard_not_found")

    monkeypatch.setattr("lbactors.cli.scores.time.sleep", sleep)
    result = run("top", "xp", "--watch", "--json", "--limit", "1")
    assert result.exit_code == 1 and result.stderr.startswith("error: leaderboard_not_found")
    assert [json.loads(line)["entries"][0]["score"] for line in result.stdout.splitlines()] == [400, 999]
    looks = -10

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lbactors.cli.scores.time.sleep", interrupt)
    assert " p0 " in ok("top", "xp", "--watch", "--limit", "1")  # Ctrl-C is a way to end it, no failure


def test_names_cannot_write_to_the_terminal(api: FakeApi) -> None:
    ok("submit", "xp", "\x1b[31mred\x07", "1")
    output = ok("top", "xp")
    assert "?[31mred?" in output and "\x1b" not in output and "\x07" not in output


def test_submit_one(api: FakeApi) -> None:
    assert ok("submit", "xp", "maya", "5100").splitlines() == [
        "maya",
        "window  period    score  rank  was  outcome",
        "main    2026-W47   5100     1    -  applied",
    ]
    answer = ok_json("submit", "xp", "maya", "10")
    assert (answer["applied"], answer["score"], answer["previous_score"]) == (False, 5100, 5100)
    assert "kept the old entry" in ok("submit", "xp", "maya", "10")
    ok("submit", "xp", "noor", "1", "--submission-id", "m1")
    assert "repeated" in ok("submit", "xp", "noor", "1", "--submission-id", "m1")


@pytest.mark.parametrize(
    ("text", "number"), [("-5", -5), ("9007199254740992", 2**53), ("0.5", 0.5), ("1e3", 1000.0), ("+7", 7)]
)
def test_scores_keep_their_value(api: FakeApi, text: str, number: float) -> None:
    ok("submit", "xp", "maya", text)
    sent = api.requests[-1][3]["score"]
    assert sent == number and type(sent) is type(number)


def test_submit_sends_what_it_is_given(api: FakeApi) -> None:
    ok(
        "submit", "xp", "maya", "1", "--subscore", "3", "--metadata", '{"level": 7}', "--submission-id", "m1",
        "--occurred-at", "2026-11-18T12:00:00Z", "--aggregation", "latest",
    )  # fmt: skip
    assert api.requests[-1][3] == {
        "player_id": "maya",
        "score": 1,
        "subscore": 3,
        "metadata": {"level": 7},
        "submission_id": "m1",
        "occurred_at": "2026-11-18T12:00:00Z",
        "aggregation": "latest",
    }


def test_submit_a_file(api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    items = [{"player_id": f"p{i}", "score": i} for i in range(2500)]
    items[1200] = {"player_id": "x", "score": "many"}  # type: ignore[dict-item]
    lines = [json.dumps(item) for item in items]
    lines[2100] = "{broken"
    lines[2101] = "  "
    path.write_text("\n".join(lines))
    result = run("submit", "xp", "--file", str(path))
    assert result.exit_code == 1
    assert result.stdout == "accepted 2497, rejected 2\n"
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["line 1201", "line 2101"]
    bodies = [body["submissions"] for method, _, _, body in api.requests if method == "POST"]
    assert [len(items) for items in bodies] == [1000, 1000, 498]
    ids = [item["submission_id"] for items in bodies for item in items]
    assert len(set(ids)) == len(ids) and ids[-1].endswith(":2500")


def test_a_file_s_answer_as_json(api: FakeApi) -> None:
    result = run("submit", "xp", "--file", "-", "--json", stdin='{"player_id": "a", "score": 1}\n[1]\n')
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [(1, "malformed_body")]


def test_a_run_that_broke_off_is_repeated_safely(api: FakeApi) -> None:
    api.add_board("total", scoring={"aggregation": "sum"})
    lines = '{"player_id": "a", "score": 1}\n' * 1500
    api.let_pass(2)  # the check that a server is there, and the first batch
    api.fail(403, "forbidden")
    message = refused(1, "submit", "total", "--file", "-", stdin=lines)
    assert "forbidden" in message and "after 1000 accepted" in message
    prefix = message.rstrip(")\n").split()[-1]
    ok("submit", "total", "--file", "-", "--id-prefix", prefix, stdin=lines)
    assert api.standings("total") == [("a", 1500)]
