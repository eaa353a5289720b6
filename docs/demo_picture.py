"""Draws docs/demo.svg, the picture of the README: `python docs/demo_picture.py [SECONDS]`.

It runs what `lbactors demo` runs (a real server and the simulated game) for some seconds and writes the live
view as it then stands. Fonts are the reader's own: the picture loads nothing.
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from rich._export_format import CONSOLE_SVG_FORMAT  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.text import Text  # noqa: E402

from lbactors.client import Client  # noqa: E402
from lbactors.demo.game import BOARDS, Game, Traffic, play, ticks  # noqa: E402
from lbactors.demo.own_server import OwnServer  # noqa: E402
from lbactors.demo.view import TOP, Picture, live_view  # noqa: E402

WIDTH = 116  # columns: three boards side by side
HEIGHT = 40
PLAYERS, RATE = 3000, 3000
SECONDS = 150.0  # over the end of a race: then places have changed against the one before
LOOK_EVERY_S = 0.5
FONT_FACES = re.compile(r"@font-face\s*\{\{.*?\}\}\s*", re.DOTALL)


async def picture(seconds: float) -> Console:
    """The live view after so many seconds of play, on a console that records."""
    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True)
    async with OwnServer() as server, Client(server.url, server.key) as client:
        for board in BOARDS:
            await client.create_leaderboard(board)
        seen, traffic = Picture(), Traffic()
        game = asyncio.create_task(play(client, Game(PLAYERS), traffic, RATE))
        try:
            async with asyncio.timeout(seconds):
                async for _ in ticks(LOOK_EVERY_S):
                    for board in BOARDS:
                        seen.take(await client.rankings(board["leaderboard_id"], limit=TOP))
        except TimeoutError:
            pass
        finally:
            game.cancel()
            await asyncio.gather(game, return_exceptions=True)
        console.print(Text("$ ./run demo", style="bold green"))
        console.print(live_view(seen, traffic, WIDTH, HEIGHT))
    return console


def main() -> None:
    console = asyncio.run(picture(float(sys.argv[1]) if sys.argv[1:] else SECONDS))
    form = FONT_FACES.sub("", CONSOLE_SVG_FORMAT)
    svg = console.export_svg(title="lbactors", code_format=form, unique_id="demo")
    (DOCS / "demo.svg").write_text(svg, encoding="utf-8")
    print("docs/demo.svg")


if __name__ == "__main__":
    main()
