"""`lbactors demo`: a real server, a simulated game, and a view of both, gone without a trace afterwards.

The server is a child process with a temporary data directory (`own_server`); the game talks to it over HTTP
as game servers would (`demo_game`); the view reads it as game clients would (`demo_view`). Ctrl-C, SIGTERM, a
closed terminal, the end of --seconds and a failure all take the same way out: the work is cancelled and the
server's block is left, which ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Coroutine
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from lbactors.client import ApiError, Client, Unreachable
from lbactors.demo.game import BOARDS, Game, Traffic, play, ticks
from lbactors.demo.own_server import OwnServer, ServerFailed
from lbactors.demo.view import TOP, Picture, introduction, live_view, plain_line

LOOK_EVERY_S = 0.5
PATIENCE_S = 10.0
ENDED_WELL, ENDED_BADLY, NOT_STARTED = 0, 1, 2


def run_demo(*, port: int, players: int, rate: int, seconds: float | None, plain: bool, program: str) -> int:
    """Run until `seconds` are over (None: until a signal). Returns the exit code.

    program: how the user starts the command line, for lines to try.

    0 at the end and on a signal, 1 if the server or the game failed on the way, 2 if the server cannot start.
    """
    console = Console()
    return asyncio.run(
        _until_signal(_demo(console, port, players, rate, seconds, plain or not console.is_terminal, program))
    )


async def _until_signal(work: Coroutine[Any, Any, int]) -> int:
    """Run the work; SIGINT, SIGTERM and SIGHUP cancel it, once, and wait for its clean-up."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:  # a second signal must not break the clean-up off
            stopped = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        return ENDED_WELL


async def _demo(
    console: Console, port: int, players: int, rate: int, seconds: float | None, plain: bool, program: str
) -> int:
    click.echo("starting the server (Ray takes a few seconds) …", err=True)
    code = NOT_STARTED
    try:
        async with OwnServer(port) as server:
            code = ENDED_BADLY
            try:
                await _show(console, server, players, rate, seconds, plain, program)
            finally:
                click.echo("stopping the server …", err=True)
    except (ServerFailed, ApiError, Unreachable) as error:
        click.echo(f"error: {error}", err=True)
        return code
    return ENDED_WELL


async def _show(
    console: Console,
    server: OwnServer,
    players: int,
    rate: int,
    seconds: float | None,
    plain: bool,
    program: str,
) -> None:
    """Make the boards, let the game play, look at it; ends after `seconds` or with the first failure."""
    async with Client(server.url, server.key, patience_s=PATIENCE_S) as client:
        for board in BOARDS:
            await client.create_leaderboard(board)
        click.echo(introduction(server.url, server.key, program))
        picture, traffic, game = Picture(), Traffic(), Game(players)
        show = _plain_lines(picture, traffic) if plain else _live(console, picture, traffic)
        work = [play(client, game, traffic, rate), _look(client, server, picture), show]
        tasks = [asyncio.create_task(part) for part in work]
        try:
            done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        click.echo(f"{traffic.scores} scores, {traffic.errors} errors, {picture.rollovers} rollovers")


async def _look(client: Client, server: OwnServer, picture: Picture) -> None:
    """Read the top of every board again and again; ends with ServerFailed if the server does."""
    async for _ in ticks(LOOK_EVERY_S):
        server.check()
        for board in BOARDS:
            with contextlib.suppress(
                ApiError, Unreachable
            ):  # the next look may succeed; the game counts errors
                picture.take(await client.rankings(board["leaderboard_id"], limit=TOP))


async def _plain_lines(picture: Picture, traffic: Traffic) -> None:
    started_s = time.monotonic()
    async for _ in ticks(1.0):
        click.echo(plain_line(picture, traffic, round(time.monotonic() - started_s)))


async def _live(console: Console, picture: Picture, traffic: Traffic) -> None:
    with Live(console=console, auto_refresh=False) as live:
        async for _ in ticks(LOOK_EVERY_S):
            live.update(live_view(picture, traffic, *console.size), refresh=True)
