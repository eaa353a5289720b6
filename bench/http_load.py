"""Load on the whole path: HTTP, gateway, period actor, journal. Prints one table.

    python bench/http_load.py                                   on a server of its own
    python bench/http_load.py --url http://127.0.0.1:8080 --key lb_…

The work is in `lbactors.load.load`, which `lbactors bench` uses as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lbactors.client import ApiError, Unreachable
from lbactors.demo.own_server import ServerFailed
from lbactors.load.load import LoadFailed, bench_main


@click.command()
@click.option(
    "--url", envvar="LBACTORS_URL", help="A running server; one of its own is started if not given."
)
@click.option("--key", envvar="LBACTORS_KEY", default="", help="Key with every scope of its tenant.")
@click.option("--entries", type=click.IntRange(100), default=100_000, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=8.0, show_default=True, help="Length of a case."
)
@click.option("--ids", is_flag=True, help="Every write carries an Idempotency-Key.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False), help="Write the figures to a file, too."
)
def main(url: str | None, key: str, entries: int, seconds: float, ids: bool, json_path: str | None) -> None:
    """Measure single writes, batches, pages, neighbours and own ranks over HTTP."""
    try:
        bench_main(url, key, entries=entries, seconds=seconds, ids=ids, json_path=json_path)
    except (ApiError, Unreachable, LoadFailed, ServerFailed) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
