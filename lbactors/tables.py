"""How the command line shows tables, fields and instants.

On a terminal tables are drawn by rich; elsewhere they are plain aligned columns, never cut to a width, so
that `grep` and `awk` work on them. Whatever comes from players (names, ids) is stripped of control characters
first: a name must not be able to write escape sequences to an operator's terminal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_NUMBER = re.compile(r"-?[\d.,]+(e[+-]?\d+)?( ?(%|ms|s|µs|[KMG]iB|B))?|-?")


def text_of(value: Any) -> str:
    """A value of the API as one cell: null is a dash, lists are joined, nothing unprintable.

    What lies deeper than one level is JSON, as people wrote it.
    """
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_inner_text(item) for item in value) or "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{_printable(name)}={_inner_text(item)}" for name, item in value.items()) or "-"
    return _printable(value)


def _inner_text(value: Any) -> str:
    if isinstance(value, list | tuple | Mapping):
        return _printable(orjson.dumps(value).decode())
    return text_of(value)


def _printable(value: Any) -> str:
    return "".join(char if char.isprintable() else "?" for char in str(value))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """Print rows under a title; columns that hold only numbers are aligned to the right."""
    cells = [[text_of(value) for value in row] for row in rows]
    console = Console()
    if console.is_terminal:
        console.print(drawn_table(columns, cells, title))
        return
    if title:
        click.echo(text_of(title))
    widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]
    right = _numeric(columns, cells)
    for row in [list(columns), *cells]:
        padded = [
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ]
        click.echo("  ".join(padded).rstrip())


def drawn_table(columns: Sequence[str], cells: Sequence[Sequence[str]], title: str = "") -> RenderableType:
    """The table as rich draws it. cells: texts that went through `text_of`."""
    table = Table(
        box=box.SIMPLE_HEAD, title=Text(text_of(title)) if title else None, title_justify="left",
        collapse_padding=True, pad_edge=False,
    )  # fmt: skip
    for name, is_right in zip(columns, _numeric(columns, cells), strict=True):
        table.add_column(name, justify="right" if is_right else "left")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _numeric(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[bool]:
    return [all(_NUMBER.fullmatch(row[i]) for row in cells) and bool(cells) for i in range(len(columns))]


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print one object as lines `name  value`; nested ones as `outer.inner`, those of a list as `list.1`."""
    flat = _flattened(fields)
    width = max((len(name) for name, _ in flat), default=0)
    for name, value in flat:
        click.echo(f"{name.ljust(width)}  {text_of(value)}")


def _flattened(fields: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            flat += _flattened(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value, 1):
                shown = _without_nulls(item) if isinstance(item, Mapping) else item
                flat.append((f"{prefix}{name}.{number}", shown))
        else:
            flat.append((prefix + name, value))
    return flat


def _without_nulls(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def instant_text(instant: str | None) -> str:
    """`2026-11-18T12:00:00.000Z` as `2026-11-18 12:00:00Z`."""
    return "-" if instant is None else re.sub(r"(\.\d+)?Z$", "Z", instant.replace("T", " ", 1))


def until_text(instant: str, now: datetime | None = None) -> str:
    """How long until an instant: `2 d 3 h`, `1 min 12 s`; `0 s` once it has passed."""
    seconds = (datetime.fromisoformat(instant) - (now or datetime.now(UTC))).total_seconds()
    return duration_text(max(0, int(seconds)))


def duration_text(seconds: int) -> str:
    """The two largest units of a duration."""
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((i for i, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])


def bytes_text(count: float) -> str:
    """`61.2 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
