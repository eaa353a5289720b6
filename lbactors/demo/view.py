"""What the demo shows: the boards as they stand, the traffic's figures, and lines to try.

`Picture` holds the last pages read; `live_view` draws it for a terminal, `plain_line` says it in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lbactors.demo.game import ARENA, BOARDS, LAPS, WEEKLY, Traffic
from lbactors.tables import duration_text, text_of

Json = Mapping[str, Any]

TOP = 10
TRIED = '{"event_type": "match.finished", "attrs": {"kills": 7, "won": true}}'
BOARD_WIDTH, BETWEEN = 36, 3  # of a table, and between two; in characters
OTHER_LINES = 12  # of the view, beside the rows of the tables
CHANGES = {"up": ("▲", "green"), "down": ("▼", "red"), "same": ("=", "dim")}  # against the period before
MEDALS = ("bold yellow", "bold", "bold")


class Picture:
    """The newest page of each board, and the rollovers seen so far."""

    def __init__(self) -> None:
        self.pages: dict[str, Json] = {}
        self.rollovers = 0

    def take(self, page: Json) -> None:
        """Keep a page; another period than before is a rollover."""
        leaderboard_id = page["leaderboard_id"]
        before = self.pages.get(leaderboard_id)
        if before is not None and before["period"]["period_key"] != page["period"]["period_key"]:
            self.rollovers += 1
        self.pages[leaderboard_id] = page

    def seconds_to_rollover(self) -> int | None:
        """Until the lap board's period ends."""
        page = self.pages.get(LAPS)
        if page is None or page["period"]["ends_at"] is None:
            return None
        ends_at = datetime.fromisoformat(page["period"]["ends_at"])
        return max(0, round((ends_at - datetime.now(UTC)).total_seconds()))


def introduction(url: str, key: str, program: str) -> str:
    """Where the server is and what to try; printed once, so that it can be copied while the view moves.

    program: how the reader starts the command line, e.g. `./run`.
    """
    bearer = f"-H 'Authorization: Bearer {key}'"
    return "\n".join(
        [
            f"server    {url}",
            f"API docs  {url}/docs",
            f"root key  {key}",
            "",
            "Try these in another terminal, in this directory:",
            "",
            f"export LBACTORS_URL={url} LBACTORS_KEY={key}",
            f"{program} top {LAPS} --watch",
            f"{program} submit {ARENA} me 99999",
            f"{program} top {ARENA} --around me",
            f"{program} leaderboards test-rules {WEEKLY} --event '{TRIED}'",
            f"curl {bearer} '{url}/v1/leaderboards/{ARENA}/rankings?limit=3'",
            f"{program} status",
            "",
        ]
    )


def figures(picture: Picture, traffic: Traffic) -> list[str]:
    """The figures in words, for both views."""
    left_s = picture.seconds_to_rollover()
    parts = [
        f"{traffic.rate():,.0f} scores/s",
        f"{traffic.scores:,} in all",
        _latency("score", traffic, single=True),
        _latency("batch", traffic, single=False),
        f"{picture.rollovers} rollover{'' if picture.rollovers == 1 else 's'}",
    ]
    if left_s is not None:
        parts.append(f"next in {duration_text(left_s)}")
    if traffic.errors:
        parts.append(f"{traffic.errors} errors ({text_of(traffic.last_error)})")
    return parts


def _latency(name: str, traffic: Traffic, single: bool) -> str:
    median, tail = traffic.latency_ms(50, single), traffic.latency_ms(99, single)
    if median is None or tail is None:
        return f"{name} -"
    return f"{name} {median:.1f} ms (p99 {tail:.1f})"


def plain_line(picture: Picture, traffic: Traffic, elapsed_s: int) -> str:
    """`12 s: 3,012 scores/s, …, arena-best: keen-otter-7 9120`."""
    leaders = [
        f"{leaderboard_id}: {text_of(page['entries'][0]['player_id'])} {page['entries'][0]['score']}"
        for leaderboard_id, page in picture.pages.items()
        if page["entries"]
    ]
    return f"{elapsed_s} s: " + ", ".join(figures(picture, traffic) + leaders)


def live_view(picture: Picture, traffic: Traffic, width: int, height: int) -> RenderableType:
    """The figures, and the boards side by side: as many as the terminal is wide for, as long as it is high.

    width, height: of the terminal, in characters.
    """
    fitting = max(1, (width + BETWEEN) // (BOARD_WIDTH + BETWEEN))
    rows = min(TOP, max(3, height - OTHER_LINES))
    tables = [
        _board_table(str(board["name"]), picture.pages[board["leaderboard_id"]], rows)
        for board in BOARDS[:fitting]
        if board["leaderboard_id"] in picture.pages
    ]
    hint = (
        "Ctrl-C ends it." if fitting >= len(BOARDS) else "Ctrl-C ends it. A wider terminal shows all boards."
    )
    line = Text("  ".join(figures(picture, traffic)), style="bold cyan")
    panel = Panel(line, title="traffic", title_align="left")
    return Group(panel, Columns(tables, padding=(0, BETWEEN)), Text(hint, "dim"))


def _board_table(name: str, page: Json, count: int) -> Table:
    period = page["period"]
    title = f"{name}\n{period['period_key']}, {page['total']} players"
    table = Table(
        title=Text(title, "bold"), box=box.SIMPLE_HEAD, title_justify="left", padding=0, pad_edge=False
    )
    table.add_column("#", justify="right", style="dim")
    table.add_column("player", width=19, no_wrap=True)
    table.add_column("score", justify="right", min_width=7)
    table.add_column("", width=1)
    rows = page["entries"][:count]
    for place, entry in enumerate(rows):
        change = Text(*CHANGES.get(entry.get("change", ""), ("", "")))
        cells = (Text(text_of(cell)) for cell in (entry["rank"], entry["player_id"], entry["score"]))
        table.add_row(*cells, change, style=MEDALS[place] if place < len(MEDALS) else "")
    for _ in range(count - len(rows)):  # so that the view keeps its height when a race begins anew
        table.add_row("", "", "", "")
    return table
