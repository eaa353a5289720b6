"""`server.json`: what it remembers, when it says that a store went back, and that no crash spoils it.

Not verified: that the bytes survive power loss (the file and its directory are synced; see the code).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.server.known_store import FILE_NAME, KnownStores
from persistence.store import StoreError, StoreTooNew, StoreWentBack

HERE, THERE = "redis://10.0.0.1:6379/0", "redis://10.0.0.2:6379/0"


def written(directory: Path) -> Any:
    return json.loads((directory / FILE_NAME).read_text())


def test_the_id_is_made_once_and_kept_before_anything_is_known(tmp_path: Path) -> None:
    first, other = KnownStores(tmp_path), KnownStores(tmp_path)
    assert re.fullmatch("[0-9a-f]{32}", first.server_id) and first.server_id != other.server_id
    assert not list(tmp_path.iterdir()), "reading made a file"
    first.keep()
    assert KnownStores(tmp_path).server_id == first.server_id
    first.note(HERE, "a", 3)
    first.keep()
    again = KnownStores(tmp_path)
    assert again.server_id == first.server_id
    assert written(tmp_path) == {"format": 1, "server_id": first.server_id, "stores": {HERE: ["a", 3]}}


def test_a_store_that_stayed_or_came_further_is_taken(tmp_path: Path) -> None:
    known = KnownStores(tmp_path)
    known.check(HERE, "a", 0)
    known.note(HERE, "a", 3)
    for epoch in (3, 4):
        KnownStores(tmp_path).check(HERE, "a", epoch)
    known.check(THERE, "b", 0)  # a store that nothing is known about
    known.note(THERE, "b", 0)
    known.check(THERE, "c", 0)  # nobody ever wrote to the one before


def test_another_store_at_a_known_address_is_refused(tmp_path: Path) -> None:
    KnownStores(tmp_path).note(HERE, "a", 3)
    with pytest.raises(StoreWentBack) as refused:
        KnownStores(tmp_path).check(HERE, "b", 7)
    text = str(refused.value)
    assert text.startswith("was emptied or replaced")
    assert "store a with supervisor epoch 3" in text and "store b with epoch 7" in text and "\n" not in text


def test_an_older_copy_is_refused_at_any_address(tmp_path: Path) -> None:
    known = KnownStores(tmp_path)
    known.note(HERE, "a", 3)
    known.note(THERE, "a", 5)  # the same store was moved
    for address in (HERE, THERE, "redis://10.0.0.3:6379/0"):
        with pytest.raises(StoreWentBack, match="epoch 5 was seen in store a, and it is at 4 now"):
            KnownStores(tmp_path).check(address, "a", 4)


def test_who_goes_on_with_what_is_there_is_not_asked_again(tmp_path: Path) -> None:
    known = KnownStores(tmp_path)
    known.note(HERE, "a", 3)
    known.note(THERE, "a", 5)
    known.note(THERE, "a", 2)
    assert written(tmp_path)["stores"] == {HERE: ["a", 2], THERE: ["a", 2]}
    known.note(HERE, "b", 1)
    again = KnownStores(tmp_path)
    again.check(HERE, "b", 1)
    again.check(THERE, "a", 2)
    with pytest.raises(StoreWentBack):
        again.check(THERE, "a", 1)


def test_nothing_is_written_without_news(tmp_path: Path) -> None:
    known = KnownStores(tmp_path)
    known.note(HERE, "a", 3)
    (tmp_path / FILE_NAME).unlink()
    known.note(HERE, "a", 3)
    assert not (tmp_path / FILE_NAME).exists()
    known.note(HERE, "a", 4)
    assert written(tmp_path)["stores"] == {HERE: ["a", 4]}


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "null", "{}", '{"format": 1}', '{"format": 1, "server_id": "x", "stores": []}',
     '{"format": 1, "server_id": "x", "stores": {"y": ["z"]}}',
     '{"format": 1, "server_id": "x", "stores": {"y": ["z", "w"]}}', '{"format": "x"}'],
)  # fmt: skip
def test_a_file_that_is_no_good_is_said_so(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(StoreError, match="Delete it to start all the same") as refused:
        KnownStores(tmp_path)
    assert f"{tmp_path}: {FILE_NAME}" in str(refused.value) and "\n" not in str(refused.value)


def test_a_newer_file_and_one_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"format": 2, "more": "of it"}')
    with pytest.raises(StoreTooNew, match="has format 2; this version knows formats up to 1"):
        KnownStores(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StoreError, match="cannot be read"):
        KnownStores(tmp_path)


def test_a_write_that_fails_leaves_the_old_file_and_what_was_known(tmp_path: Path) -> None:
    known = KnownStores(tmp_path)
    known.note(HERE, "a", 3)
    before = written(tmp_path)
    draft = tmp_path / f"{FILE_NAME}.new"
    draft.mkdir()  # in the way of the next write
    with pytest.raises(OSError):
        known.note(HERE, "a", 4)
    assert written(tmp_path) == before
    draft.rmdir()
    known.note(HERE, "a", 4)  # tried again, since it is still news
    assert written(tmp_path)["stores"] == {HERE: ["a", 4]}
    assert not draft.exists()


def test_what_a_crash_left_behind_does_not_matter(tmp_path: Path) -> None:
    known = KnownStores(tmp_path)
    known.note(HERE, "a", 3)
    (tmp_path / f"{FILE_NAME}.new").write_text('{"format": 1, "ser')
    again = KnownStores(tmp_path)
    assert again.server_id == known.server_id
    again.note(HERE, "a", 4)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
