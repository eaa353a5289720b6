"""The blocks of a documentation page, and what the comment before a block says of it.

<!-- answer -->             the JSON below is (a part of) what the block before it printed last
<!-- answer soon -->        the same, but the block before it is run again until that holds
<!-- received -->           the JSON below is (a part of) the body of a webhook that arrives
<!-- not run: reason -->    the block below is only read
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT_BEFORE = re.compile(r"<!-- *([^\n]*?) *-->\n+\Z")

ANSWER, ANSWER_SOON, REFUSED, RECEIVED = "answer", "answer soon", "refused", "received"
NOT_RUN = "not run"
_OF_JSON = (ANSWER, ANSWER_SOON, REFUSED, RECEIVED)


class Block(NamedTuple):
    """A fenced block. `line`: of its first line of text, from 1. `role`: see above, empty for none."""

    line: int
    language: str
    text: str
    role: str


def read_blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page in order. ValueError for a comment that is none of those above."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 2
        comment = _COMMENT_BEFORE.search(text, 0, match.start())
        yield Block(line, match[1], match[2], _role(comment[1], match[1], line) if comment else "")


def _role(comment: str, language: str, line: int) -> str:
    if comment in _OF_JSON:
        if language != "json":
            raise ValueError(f"line {line}: <!-- {comment} --> stands before a block of json")
        return comment
    name, _, reason = comment.partition(":")
    if name != NOT_RUN or not reason.strip():
        raise ValueError(f"line {line}: what does <!-- {comment} --> mean?")
    return NOT_RUN
