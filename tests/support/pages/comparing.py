"""Whether a shown JSON value is a part of a real one, and where it is not.

Objects may show some of their fields; lists show all of their items, or end with "…". "…" stands for any
value, and within a string for any characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

ANY = "…"


def differences(shown: Any, real: Any, where: str = "") -> Iterator[str]:
    """One line for each place in which the shown value is not what is there."""
    if shown == ANY:
        return
    if isinstance(shown, dict) and isinstance(real, dict):
        for name, value in shown.items():
            if name not in real:
                yield f"{where}.{name}: shown, but not there"
            else:
                yield from differences(value, real[name], f"{where}.{name}")
    elif isinstance(shown, list) and isinstance(real, list):
        cut = shown[-1:] == [ANY]
        items = shown[:-1] if cut else shown
        if len(real) < len(items) or (len(real) > len(items) and not cut):
            yield f"{where}: {len(items)} items shown, {len(real)} there"
        for number, (value, other) in enumerate(zip(items, real, strict=False)):
            yield from differences(value, other, f"{where}[{number}]")
    elif not _same(shown, real):
        yield f"{where or '.'}: shown {_text(shown)}, there is {_text(real)}"


def _same(shown: Any, real: Any) -> bool:
    if isinstance(shown, str) and isinstance(real, str):
        pattern = ".*".join(map(re.escape, shown.split(ANY)))
        return re.fullmatch(pattern, real, re.DOTALL) is not None
    return isinstance(shown, bool) == isinstance(real, bool) and bool(shown == real)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def last_json(text: str) -> Any:
    """The last JSON object or list in a text, which may hold several and other words. ValueError if none."""
    decoder = json.JSONDecoder()
    found: list[Any] = []
    at = 0
    while (begins := re.search(r"[\[{]", text[at:])) is not None:
        at += begins.start()
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            at += 1
        else:
            found.append(value)
    if not found:
        raise ValueError("it printed no JSON")
    return found[-1]
