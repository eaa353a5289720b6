"""The commands `serve`, `demo` and `bench`: those that run something instead of asking a server.

The options of `serve` are made from `ServerSettings`, when they are needed: a field there is an option here.
Everything heavy (Ray, aiohttp, pydantic) is imported inside the commands.
"""

from __future__ import annotations

import os

import click

from lbactors.cli.connection import Failure, chosen_target, examples, failures
from lbactors.cli.program import program
from lbactors.cli.settings import read_settings, setting_options
from lbactors.cli.shared_options import connection_options, wants_json


class _ServeCommand(click.Command):
    """`serve`, whose parameters are the server's settings."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if not self.params:
            self.params = setting_options()
        return super().get_params(ctx)


@click.command(
    cls=_ServeCommand,
    epilog=examples(
        "lbactors serve",
        "lbactors serve --port 9000 --data-dir /var/lib/lbactors",
        "lbactors serve --data-dir /var/lib/lbactors --gateways 2",
        "LBACTORS_PORT=9000 lbactors serve",
    ),
)
@click.pass_context
def serve(ctx: click.Context, /, **given: str | None) -> None:
    """Run the server until SIGTERM or Ctrl-C.

    The first start on an empty store prints `root key: lb_…`, this once. Every start prints
    `ready: http://…` as soon as the server takes requests. An option overrides its environment variable,
    which overrides the default. Exit code 2 if the server cannot start.
    """
    settings = read_settings(given)
    os.umask(0o077)  # whatever this process and those that it starts make is for its user alone
    from gateway.server import run

    ctx.exit(run(settings))


@click.command(
    epilog=examples(
        "lbactors demo",
        "lbactors demo --rate 5000 --players 10000",
        "lbactors demo --seconds 60 --plain",
    )
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Port of the server; 0 takes a free one.",
)
@click.option(
    "--players",
    type=click.IntRange(10, 1_000_000),
    default=3000,
    show_default=True,
    help="Number of simulated players.",
)
@click.option(
    "--rate", type=click.IntRange(1, 1_000_000), default=3000, show_default=True, help="Scores per second."
)
@click.option(
    "--seconds", type=click.FloatRange(min=1), help="End after this long. Default: run until Ctrl-C."
)
@click.option("--plain", is_flag=True, help="Print one line per second instead of the live view.")
@click.pass_context
def demo(ctx: click.Context, port: int, players: int, rate: int, seconds: float | None, plain: bool) -> None:
    """Run a server with a simulated game on three leaderboards, and watch it live.

    The data is kept in a temporary directory and deleted at the end. Ctrl-C ends the demo.
    """
    from lbactors.demo.demo import run_demo

    ctx.exit(run_demo(port=port, players=players, rate=rate, seconds=seconds, plain=plain, program=program()))


@click.command(
    epilog=examples(
        "lbactors bench --url http://127.0.0.1:8080 --key lb_…",
        "lbactors bench --seconds 2 --entries 10000",
        "lbactors bench -o result.json",
    )
)
@click.option(
    "--entries", type=click.IntRange(100, 10_000_000), default=100_000, show_default=True,
    help="Entries on the leaderboard before the measurement starts.",
)  # fmt: skip
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    default=8.0,
    show_default=True,
    help="Duration of each case.",
)
@click.option("--ids", is_flag=True, help="Send an Idempotency-Key with every write, as the client does.")
@click.option(
    "-o", "--output", "path", metavar="FILE", type=click.Path(dir_okay=False),
    help="Write the JSON to this file as well.",
)  # fmt: skip
@connection_options
def bench(entries: int, seconds: float, ids: bool, path: str | None) -> None:
    """Measure a running server over plain HTTP: single writes, batches and reads.

    Uses a leaderboard of its own, which is deleted at the end; the key needs every scope of its tenant. A
    local server shares the machine with the load generator, so the figures are a lower bound.
    """
    from lbactors.load.load import LoadFailed, bench_main

    target = chosen_target()
    try:
        with failures(target):
            bench_main(
                target.url, target.key or "", tenant_id=target.tenant_id, entries=entries, seconds=seconds,
                ids=ids, json_path=path, as_json=wants_json(),
            )  # fmt: skip
    except LoadFailed as error:
        raise Failure(str(error)) from None
