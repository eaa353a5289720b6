"""What makes a page fail, and what does not: pages of a few lines, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.pages import running
from tests.support.pages.comparing import differences, last_json
from tests.support.pages.reading import read_blocks
from tests.support.pages.running import PageFailed, World, run_page

WORLD = World("http://127.0.0.1:1", "lb_secret", "http://127.0.0.1:2/hook")


async def run(tmp_path: Path, *parts: str, received: list[Any] | None = None) -> int:
    """Run a page of these parts; a part that begins with a language is the block of that."""
    page = tmp_path / "page.md"
    text = ["# Page\n"]
    for part in parts:
        language, _, rest = part.partition("\n")
        text.append(f"```{language}\n{rest}\n```\n" if language in ("sh", "python", "json") else f"{part}\n")
    page.write_text("\n".join(text), encoding="utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    return await run_page(page, folder, WORLD._replace(received=lambda: received or []))


async def failure(tmp_path: Path, *parts: str) -> str:
    with pytest.raises(PageFailed) as caught:
        await run(tmp_path, *parts)
    return str(caught.value)


async def test_blocks_share_a_shell_and_its_folder(tmp_path: Path) -> None:
    assert (
        await run(
            tmp_path,
            "sh\nNAME=maya; cd /\nexport SCORE=7",
            "sh\ntest $NAME = maya && test $PWD = /",
            "python\nimport os\nassert os.environ['SCORE'] == '7'",
        )
        == 3
    )


async def test_a_page_has_what_a_reader_has(tmp_path: Path) -> None:
    assert (
        await run(
            tmp_path,
            "sh\nprintf '[\"%s\"]' $LB $HOOK \"$KEY\" $LBACTORS_URL $LBACTORS_KEY | sed 's/\\]\\[/,/g'",
            "<!-- answer -->",
            'json\n["http://127.0.0.1:1", "http://127.0.0.1:2/hook", "Authorization: Bearer lb_secret", '
            '"http://127.0.0.1:1", "lb_secret"]',
            'sh\nexport KEY="lb_…" LB=http://127.0.0.1:8080 HOOK=http://127.0.0.1:9000/hook',
            "sh\ntest $KEY = lb_secret && test $LB = http://127.0.0.1:1 && test $HOOK = http://127.0.0.1:2/hook",
            "sh\nlbactors --version && ./run --version && test -f examples/*/README.md",
        )
        == 4
    )


async def test_an_answer_shows_a_part(tmp_path: Path) -> None:
    answer = json.dumps({"rank": 1, "at": "2026-01-01T00:00:00Z", "entries": [{"score": 5.0}, {"score": 4}]})
    for shown in ('{"rank": 1}', '{"at": "…Z", "entries": "…"}', '{"entries": [{"score": 5}, "…"]}'):
        folder = tmp_path / str(len(shown))
        folder.mkdir()
        assert (
            await run(folder, f"sh\necho first '{{}}'\necho '{answer}'", "<!-- answer -->", f"json\n{shown}")
            == 1
        )


async def test_a_wrong_answer_fails(tmp_path: Path) -> None:
    text = await failure(tmp_path, "sh\necho '{\"rank\": 1}'", "<!-- answer -->", 'json\n{"rank": 2}')
    assert text.startswith("page.md:10: ")
    assert ".rank: shown 2, there is 1" in text and "echo '{\"rank\": 1}'" in text


async def test_an_answer_to_nothing_fails(tmp_path: Path) -> None:
    part = "<!-- answer -->", "json\n{}"
    assert "nothing that was run" in await failure(tmp_path, "<!-- not run: slow -->", "sh\necho '{}'", *part)


async def test_an_answer_that_is_no_json_fails(tmp_path: Path) -> None:
    assert "no JSON" in await failure(tmp_path, "sh\necho fine", "<!-- answer -->", "json\n{}")


async def test_json_without_a_comment_is_not_compared(tmp_path: Path) -> None:
    assert await run(tmp_path, "sh\necho '{}'", 'json\n{"a": 1}') == 1


@pytest.mark.parametrize("command", ["false", "echo a | grep b", "echo $UNKNOWN", "X=$(false)", "exit 3"])
async def test_a_failing_command_fails_its_page(tmp_path: Path, command: str) -> None:
    text = await failure(tmp_path, f"sh\ntrue\n{command}\ntouch {tmp_path}/went-on")
    assert text.startswith("page.md:") and command.split()[-1] in text
    assert not (tmp_path / "went-on").exists()


async def test_the_failing_command_is_named_with_its_line_and_words(tmp_path: Path) -> None:
    text = await failure(tmp_path, "sh\ntrue\n\nls no-such-file")
    assert text.startswith("page.md:6: failed: ls no-such-file\n")
    assert "No such file" in text


async def test_curl_fails_on_an_error(tmp_path: Path) -> None:
    assert "page.md:4: failed: curl" in await failure(tmp_path, "sh\ncurl $LB/v1/status")


async def test_a_failing_script_fails_its_page(tmp_path: Path) -> None:
    text = await failure(tmp_path, "python\nassert 1 == 2")
    assert "page.md:4" in text and "AssertionError" in text


async def test_a_block_that_is_not_run_is_skipped(tmp_path: Path) -> None:
    assert await run(tmp_path, "<!-- not run: it takes a day -->", "sh\nfalse", "sh\ntrue") == 1


async def test_a_block_that_takes_too_long_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "BLOCK_WITHIN_S", 0.5)
    assert "not done in" in await failure(tmp_path, "sh\nsleep 600")


async def test_an_answer_that_comes_later(tmp_path: Path) -> None:
    count = 'sh\necho x >> lines; echo "[$(wc -l < lines)]"'
    assert await run(tmp_path, count, "<!-- answer soon -->", "json\n[4]") == 4


async def test_a_block_of_several_commands_is_not_run_again(tmp_path: Path) -> None:
    parts = "sh\ntrue\necho '[1]'", "<!-- answer soon -->", "json\n[1]"
    assert "must be one command" in await failure(tmp_path, *parts)


async def test_an_answer_that_never_comes_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "SOON_S", 0.5)
    text = await failure(tmp_path, "sh\necho '[1]'", "<!-- answer soon -->", "json\n[2]")
    assert "[0]: shown 2, there is 1" in text


async def test_a_request_that_is_refused(tmp_path: Path) -> None:
    parts = "sh\necho '{\"status\": 409}'; false", "<!-- refused -->", 'json\n{"status": 409}'
    assert await run(tmp_path, *parts, "sh\ntrue") == 2


async def test_a_request_that_should_be_refused_and_is_not(tmp_path: Path) -> None:
    assert "should fail" in await failure(tmp_path, "sh\necho '{}'", "<!-- refused -->", "json\n{}")


async def test_a_webhook_that_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "SOON_S", 0.5)
    parts = "sh\ntrue", "<!-- received -->", 'json\n{"type": "b"}'
    assert await run(tmp_path, *parts, received=[{"type": "a"}, {"type": "b", "data": {}}]) == 1


async def test_a_webhook_that_did_not_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "SOON_S", 0.5)
    text = await failure(tmp_path, "sh\ntrue", "<!-- received -->", 'json\n{"type": "b"}')
    assert "no such webhook" in text


@pytest.mark.parametrize(
    "text",
    [
        "<!-- anser -->\n```json\n{}\n```\n",
        "<!-- answer -->\n\n```sh\ntrue\n```\n",
        "<!-- not run -->\n```sh\n```\n",
    ],
)
def test_a_comment_that_means_nothing_is_an_error(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"^line [34]: "):
        list(read_blocks(page))


@pytest.mark.parametrize(
    ("shown", "real", "said"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ".a.b: shown 1, there is 2"),
        ({"a": 1}, {"b": 1}, ".a: shown, but not there"),
        ([1, 2], [1], ": 2 items shown, 1 there"),
        ([1], [1, 2], ": 1 items shown, 2 there"),
        ([1, 2, "…"], [1], ": 2 items shown, 1 there"),
        (True, 1, ".: shown true, there is 1"),
        (None, 0, ".: shown null, there is 0"),
        ("a…c", "ab", '.: shown "a…c", there is "ab"'),
        ("a", ["a"], '.: shown "a", there is ["a"]'),
    ],
)
def test_differences_are_named(shown: Any, real: Any, said: str) -> None:
    assert list(differences(shown, real)) == [said]


@pytest.mark.parametrize(("text", "value"), [('{"a": 1}{"b": [2]}', {"b": [2]}), ("x [1] {\n[2]\nend", [2])])
def test_the_last_json_of_a_text(text: str, value: Any) -> None:
    assert last_json(text) == value
