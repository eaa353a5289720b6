"""What the commands that work on a store without a server share: which store, progress, failures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator
from typing import TYPE_CHECKING, TypeVar

import click

from lbactors.cli.connection import Failure, Refusal
from lbactors.cli.settings import read_settings, setting_options
from lbactors.tables import print_table, text_of

if TYPE_CHECKING:
    from lbactors.settings import ServerSettings
    from lbactors.tools.progress import Progress
    from lbactors.tools.verify import Verified

T = TypeVar("T")


class StoreCommand(click.Command):
    """A command with those settings of the server that say which store: made from them when needed."""

    made = False

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if not self.made:
            self.params += [option for option in setting_options() if option.name in ("store", "data_dir")]
            self.made = True
        return super().get_params(ctx)


def store_settings(
    store: str | None, data_dir: str | None, option: str = "--store", *, place: str | None = None
) -> ServerSettings:
    """The settings, for their store and its limits; `sqlite:DIR` is taken as well. Refusal.

    option: where the store was named. place: a store that was named without an option.
    """
    if place is not None:
        if store is not None or data_dir is not None:
            raise click.UsageError("give STORE, or --store and --data-dir")
        store, option = url_of(place), "STORE"
    if store is not None and store.startswith("sqlite:"):
        store, data_dir = "sqlite", store.removeprefix("sqlite:") or "."
    return read_settings({"store": store, "data_dir": data_dir}, {"store": option})


def url_of(text: str) -> str:
    """A URL as it is; a path as that of an SQLite store."""
    return text if "://" in text or text == "sqlite" or text.startswith("sqlite:") else f"sqlite:{text}"


def run_tool(work: Awaitable[T], place: str) -> T:
    """Run a tool's work; whatever keeps it from working is one line and exit code 2. Refusal, Failure."""
    from persistence.store import StoreCorrupt, StoreError

    async def run() -> T:
        return await work

    try:
        return asyncio.run(run())
    except StoreCorrupt as error:
        raise Failure(f"{place}: {error}") from None
    except StoreError as error:
        raise Refusal(str(error)) from None


@contextlib.contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """A progress bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(label, total=None, what="")

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None, what=escape(text_of(what)))

        yield show


def print_findings(verified: Verified) -> None:
    """The findings as a table, if there are any."""
    if verified.findings:
        rows = [[finding.severity, finding.place, finding.text] for finding in verified.findings]
        print_table(["severity", "place", "finding"], rows)


def contents(verified: Verified) -> str:
    """What a store was found to hold, in words."""
    held = holdings(sum(verified.documents.values()), verified.periods)
    return f"{held} with {counted(verified.entries, 'entry', 'entries')}"


def holdings(documents: int, periods: int) -> str:
    """What a store holds, in the same words wherever it is counted."""
    return f"{counted(documents, 'document')} and {counted(periods, 'period')}"


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun. many: the plural, if it is not formed with s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
