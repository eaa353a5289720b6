"""The commands `verify`, `migrate` and `repair`: work on a store while no server runs on it.

They take the server's place: the lock of the data directory, or the claim on a store elsewhere, for as long
as they run. A store that is in use is one line and exit code 2. Passwords in URLs are never shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
from collections.abc import Awaitable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lbactors.cli.connection import Failure, Refusal, confirm, confirm_option, examples, json_text
from lbactors.cli.settings import read_settings, setting_options
from lbactors.cli.shared_options import json_option, wants_json
from lbactors.tables import bytes_text, print_table, text_of

if TYPE_CHECKING:
    from lbactors.settings import ServerSettings
    from lbactors.tools.progress import Progress
    from lbactors.tools.repair import Trouble
    from lbactors.tools.verify import Verified

SHOWN_RECORDS = 20

T = TypeVar("T")


class _StoreCommand(click.Command):
    """A command with those settings of the server that say which store: made from them when needed."""

    made = False

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if not self.made:
            self.params += [option for option in setting_options() if option.name in ("store", "data_dir")]
            self.made = True
        return super().get_params(ctx)


def _of_options(store: str | None, data_dir: str | None, option: str = "--store") -> ServerSettings:
    """The settings, for their store and its limits; `sqlite:DIR` is taken as well. Refusal.

    option: where the store was named.
    """
    if store is not None and store.startswith("sqlite:"):
        store, data_dir = "sqlite", store.removeprefix("sqlite:") or "."
    return read_settings({"store": store, "data_dir": data_dir}, {"store": option})


def _store_of(text: str, option: str) -> str:
    """The URL in an option's value. Refusal."""
    return _of_options(text, None, option).store_url


# Running -------------------------------------------------------------------------------------------------


def _run(work: Awaitable[T], place: str) -> T:
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
def _progress_bar(label: str) -> Iterator[Progress]:
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


# Verify ---------------------------------------------------------------------------------------------------


@click.command(
    cls=_StoreCommand,
    epilog=examples(
        "lbactors verify",
        "lbactors verify --data-dir /var/lib/lbactors",
        "lbactors verify --store redis://127.0.0.1:6379/0 --json",
    ),
)
@click.option(
    "--live", is_flag=True, help="Look at a store that a server uses; what moves is looked at twice."
)
@json_option
def verify(live: bool, store: str | None, data_dir: str | None) -> None:
    """Check a store from end to end.

    Every checksum, every seq, every epoch, every document; every period must load, and closed ones must have
    the numbers of their record. Exit code 0: sound, with cautions at most (nothing is lost). 1: errors, each
    with its place. 2: it could not be checked, or a server uses the store. Nothing is changed.
    """
    from lbactors.tools.exclusive_store import claimed, open_alone
    from lbactors.tools.verify import verify as look
    from persistence import masked

    settings = _of_options(store, data_dir)
    url = settings.store_url

    async def work(progress: Progress) -> Verified:
        async with contextlib.AsyncExitStack() as stack:
            found = await stack.enter_async_context(open_alone(url, lock=not live))
            if not live:
                await stack.enter_async_context(claimed(found, secrets.token_hex(16), "verify"))
            return await look(found, settings.seen_ids_limit, progress, live=live)

    with _progress_bar("verifying") as progress:
        verified = _run(work(progress), masked(url))
    if wants_json():
        click.echo(json_text(_verified_json(masked(url), verified)))
    else:
        _show_verified(masked(url), verified)
    if not verified.sound:
        raise click.exceptions.Exit(1)


def _verified_json(place: str, verified: Verified) -> dict[str, Any]:
    return {
        "store": place,
        "sound": verified.sound,
        "errors": verified.errors,
        "cautions": len(verified.findings) - verified.errors,
        "documents": verified.documents,
        "periods": verified.periods,
        "entries": verified.entries,
        "findings": [finding._asdict() for finding in verified.findings],
    }


def _show_verified(place: str, verified: Verified) -> None:
    if verified.findings:
        rows = [[finding.severity, finding.place, finding.text] for finding in verified.findings]
        print_table(["severity", "place", "finding"], rows)
    documents = sum(verified.documents.values())
    cautions = len(verified.findings) - verified.errors
    click.echo(
        f"{place} is {'sound' if verified.sound else 'NOT sound'}: {_count(verified.errors, 'error')}, "
        f"{_count(cautions, 'caution')} in {_count(documents, 'document')} and "
        f"{_count(verified.periods, 'period')} with {_count(verified.entries, 'entry', 'entries')}"
    )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


# Migrate --------------------------------------------------------------------------------------------------


@click.command(
    epilog=examples(
        "lbactors migrate --from sqlite:./lbactors-data --to redis://127.0.0.1:6379/0",
        "lbactors migrate --from redis://127.0.0.1:6379/0 --to sqlite:/var/lib/lbactors",
    )
)
@click.option(
    "--from", "source", required=True, envvar="LBACTORS_MIGRATE_FROM", show_envvar=True, metavar="URL",
    help="The store to copy: sqlite:DIR or a Redis URL. It is not changed.",
)  # fmt: skip
@click.option(
    "--to", "target", required=True, envvar="LBACTORS_MIGRATE_TO", show_envvar=True, metavar="URL",
    help="An empty store, or one that the same migration was begun in.",
)  # fmt: skip
def migrate(source: str, target: str) -> None:
    """Copy everything from one store into another, and compare the two.

    Whatever interrupts it: run the same command again, and it goes on. Until it is finished no server starts
    on the target. Exit code 1: the source is damaged, or the copy differs. 2: it could not begin or go on.
    """
    from lbactors.clock import Clock
    from lbactors.tools.exclusive_store import claimed, open_alone
    from lbactors.tools.migrate import Migrated, Migration, MigrationFailed, MigrationRefused
    from persistence import masked
    from persistence.store import StoreUnavailable

    source_url, target_url = _store_of(source, "--from"), _store_of(target, "--to")
    if source_url == target_url:
        raise Refusal("source and target are the same store")

    async def work(progress: Progress) -> Migrated:
        async with contextlib.AsyncExitStack() as stack:
            ours = await stack.enter_async_context(open_alone(source_url))
            # One holder for one migration: a run that was killed is followed by the next one at once.
            holder = f"migrate {await ours.identity()}"
            await stack.enter_async_context(claimed(ours, holder, "migrate"))
            theirs = await stack.enter_async_context(open_alone(target_url, make=True))
            await stack.enter_async_context(claimed(theirs, holder, "migrate"))
            address = masked(source_url)
            migration = Migration(ours, theirs, address=address, now_ms=Clock().now_ms, progress=progress)
            try:
                return await migration.run()
            except StoreUnavailable as error:
                raise StoreUnavailable(f"{error}; run the same command again, it goes on") from None

    try:
        with _progress_bar("migrating") as progress:
            migrated = _run(work(progress), "the migration did not end well")
    except MigrationRefused as error:
        raise Refusal(str(error)) from None
    except MigrationFailed as error:
        raise Failure(f"the copy is not what the source holds: {error}; give an empty target") from None
    what = f"{_count(migrated.periods, 'period')} and {_count(migrated.documents, 'document')}"
    if migrated.finished_before:
        click.echo(f"{masked(target_url)} has it all already: {what}, compared and equal")
        return
    before = f", {migrated.equal_before} of them there before" if migrated.equal_before else ""
    click.echo(
        f"{masked(target_url)} holds all of {masked(source_url)}: {what}{before}; "
        f"{bytes_text(migrated.size_bytes)} written, everything compared and equal"
    )


# Repair ---------------------------------------------------------------------------------------------------


@click.command(
    cls=_StoreCommand,
    epilog=examples(
        "lbactors repair",
        "lbactors repair --data-dir /var/lib/lbactors --apply",
        "lbactors repair --store redis://127.0.0.1:6379/0 --apply --yes",
    ),
)
@click.option(
    "--apply", "wanted", is_flag=True, help="Cut, after a confirmation; without it nothing is changed."
)
@confirm_option
def repair(wanted: bool, yes: bool, store: str | None, data_dir: str | None) -> None:
    """Find periods that do not load, and cut damaged journal ends off.

    Says exactly what a cut would drop. Make a copy of the store before. Damage in snapshots and documents
    cannot be cut away. Exit code 0: everything loads. 1: something does not, or was not cut. 2: a server
    uses the store, or it cannot be reached.
    """
    from lbactors.tools.exclusive_store import claimed, open_alone
    from lbactors.tools.repair import NotRepaired, Repair
    from persistence import masked

    settings = _of_options(store, data_dir)
    url = settings.store_url

    async def work() -> bool:
        """Whether everything loads in the end."""
        async with open_alone(url) as found, claimed(found, secrets.token_hex(16), "repair"):
            with _progress_bar("looking") as progress:
                repairs = Repair(found, settings.seen_ids_limit, progress)
                troubles = await repairs.find()
            for trouble in troubles:
                _show_trouble(trouble)
            cuts = [trouble for trouble in troubles if trouble.cut_seq is not None]
            if not wanted or not cuts:
                return _show_looked(masked(url), troubles, cuts)
            inputs = sum(trouble.inputs for trouble in cuts)
            question = f"Drop {_count(inputs, 'input')} of {_count(len(cuts), 'period')} for good?"
            await _confirmed(question, yes)
            for trouble in cuts:
                repaired = await repairs.cut(trouble)
                corrected = "; its record was corrected" if repaired.corrected else ""
                click.echo(
                    f"cut: period {repaired.period_id} loads and ends at seq {repaired.remains.seq}"
                    f"{corrected}"
                )
            if len(cuts) < len(troubles):
                click.echo(f"not repaired: {len(troubles) - len(cuts)}, see above")
            return len(cuts) == len(troubles)

    try:
        all_load = _run(work(), masked(url))
    except NotRepaired as error:
        raise Failure(f"cut, but {error}") from None
    if not all_load:
        raise click.exceptions.Exit(1)


async def _confirmed(question: str, yes: bool) -> None:
    """`confirm` while the claim on the store is renewed. click.Abort."""
    if yes or not sys.stdin.isatty():
        confirm(question, yes)
        return
    click.echo(f"{question} [y/N]: ", nl=False)
    answered = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), answered.set)
    try:
        await answered.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise click.Abort


def _show_looked(place: str, troubles: list[Trouble], cuts: list[Trouble]) -> bool:
    """The last words when nothing was changed; whether there was nothing to change."""
    if not troubles:
        click.echo(f"{place}: every document and every period loads, there is nothing to repair")
    elif cuts:
        click.echo("nothing was changed; with --apply what is said above is cut")
    else:
        click.echo("nothing was changed; there is nothing that a cut could repair")
    return not troubles


def _show_trouble(trouble: Trouble) -> None:
    click.echo(text_of(f"{trouble.place} ({trouble.key})" if trouble.key else trouble.place))
    for sentence in trouble.why[:SHOWN_RECORDS]:
        click.echo(f"  {text_of(sentence)}")
    if len(trouble.why) > SHOWN_RECORDS:
        click.echo(f"  and {len(trouble.why) - SHOWN_RECORDS} more")
    if trouble.cut_seq is None:
        click.echo(f"  not to be repaired here: {text_of(trouble.advice)}")
        return
    readable, after = trouble.readable, "whether what remains loads is looked at then"
    if trouble.remains is not None:
        entries = _count(trouble.remains.entries, "entry", "entries")
        after = f"what remains loads, with {entries} of {_count(trouble.remains.submissions, 'submission')}"
    click.echo(f"  cut after seq {trouble.cut_seq}: {after}")
    known = sum(readable)
    click.echo(
        f"  dropped: {_count(len(trouble.dropped), 'record')}, {_count(trouble.inputs, 'input')} "
        f"(seqs {trouble.cut_seq + 1}..{trouble.last_seq}). {known} of them can be read: "
        f"{_count(readable.submissions, 'submission')}, {_count(readable.removals, 'removal')}, "
        f"{_count(readable.erasures, 'erasure')}, {readable.others} others; {trouble.inputs - known} cannot"
    )
    for record in trouble.dropped[:SHOWN_RECORDS]:
        state = "sound" if record.sound else "damaged"
        holds = "unreadable" if record.contents is None else _count(record.contents.submissions, "submission")
        click.echo(
            f"    record {record.first_seq}..{record.last_seq}, epoch {record.epoch}, "
            f"{bytes_text(record.size_bytes)}, {state}: {_count(record.inputs, 'input')}, {holds}"
        )
    if len(trouble.dropped) > SHOWN_RECORDS:
        click.echo(f"    and {len(trouble.dropped) - SHOWN_RECORDS} more records")
