"""The commands `verify`, `migrate` and `repair`: work on a store while no server runs on it.

They take the server's place: the lock of the data directory, or the claim on a store elsewhere, for as long
as they run. A store that is in use is one line and exit code 2. Passwords in URLs are never shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
from typing import TYPE_CHECKING, Any

import click

from lbactors.cli.connection import Failure, Refusal, confirm, confirm_option, examples, json_text
from lbactors.cli.shared_options import json_option, wants_json
from lbactors.cli.store_tools import (
    StoreCommand,
    contents,
    counted,
    holdings,
    print_findings,
    progress_bar,
    run_tool,
    store_settings,
    url_of,
)
from lbactors.tables import bytes_text, text_of

if TYPE_CHECKING:
    from lbactors.period_actor.replay import Contents
    from lbactors.tools.progress import Progress
    from lbactors.tools.repair import Repaired, Trouble
    from lbactors.tools.verify import Verified

SHOWN_RECORDS = 20


def _store_of(text: str, option: str) -> str:
    """The URL in an option's value. Refusal."""
    return store_settings(url_of(text), None, option).store_url


STORE = click.argument("place", metavar="[STORE]", required=False)


# Verify ---------------------------------------------------------------------------------------------------


@click.command(
    cls=StoreCommand,
    epilog=examples(
        "lbactors verify",
        "lbactors verify /var/lib/lbactors",
        "lbactors verify --store redis://127.0.0.1:6379/0 --json",
    ),
)
@STORE
@click.option(
    "--live", is_flag=True, help="Check a store while a server uses it; changes are looked at twice."
)
@json_option
def verify(live: bool, place: str | None, store: str | None, data_dir: str | None) -> None:
    """Check a store from end to end, without changing it.

    STORE: a directory with an SQLite store, a backup, or a URL. Every checksum, sequence number, epoch and
    document is checked; every period must load, and closed ones must match their record.

    Exit code 0: the store is sound, with cautions at most (nothing is lost). 1: errors, each with its place.
    2: it could not be checked, or a server uses it.
    """
    from lbactors.tools.exclusive_store import claimed, open_alone
    from lbactors.tools.verify import verify as look
    from persistence import masked

    settings = store_settings(store, data_dir, place=place)
    url = settings.store_url

    async def work(progress: Progress) -> Verified:
        async with contextlib.AsyncExitStack() as stack:
            found = await stack.enter_async_context(open_alone(url, lock=not live))
            if not live:
                await stack.enter_async_context(claimed(found, secrets.token_hex(16), "verify"))
            return await look(found, settings.seen_ids_limit, progress, live=live)

    with progress_bar("verifying") as progress:
        verified = run_tool(work(progress), masked(url))
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
    print_findings(verified)
    cautions = len(verified.findings) - verified.errors
    click.echo(
        f"{place} is {'sound' if verified.sound else 'NOT sound'}: {counted(verified.errors, 'error')}, "
        f"{counted(cautions, 'caution')} in {contents(verified)}"
    )


# Migrate --------------------------------------------------------------------------------------------------


@click.command(
    epilog=examples(
        "lbactors migrate --from ./lbactors-data --to redis://127.0.0.1:6379/0",
        "lbactors migrate --from redis://127.0.0.1:6379/0 --to /var/lib/lbactors",
    )
)
@click.option(
    "--from", "source", required=True, envvar="LBACTORS_MIGRATE_FROM", show_envvar=True, metavar="STORE",
    help="Store to copy: a directory with an SQLite store, or a Redis URL. It is not changed.",
)  # fmt: skip
@click.option(
    "--to", "target", required=True, envvar="LBACTORS_MIGRATE_TO", show_envvar=True, metavar="STORE",
    help="Store to copy to: empty, or with the beginning of the same migration.",
)  # fmt: skip
@json_option
def migrate(source: str, target: str) -> None:
    """Copy everything from one store to another, and compare the two.

    If it is interrupted, run the same command again to continue. Until it is finished, no server starts on
    the target.

    Exit code 1: the source is damaged, or the copy differs. 2: the migration could not start or continue.
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
        with progress_bar("migrating") as progress:
            migrated = run_tool(work(progress), "the migration did not end well")
    except MigrationRefused as error:
        raise Refusal(str(error)) from None
    except MigrationFailed as error:
        raise Failure(f"the copy is not what the source holds: {error}; give an empty target") from None
    if wants_json():
        click.echo(
            json_text({"source": masked(source_url), "target": masked(target_url), **migrated._asdict()})
        )
        return
    what = holdings(migrated.documents, migrated.periods)
    if migrated.finished_before:
        click.echo(f"{masked(target_url)} has it all already: {what}, compared and equal")
        return
    before = f", {counted(migrated.equal_before, 'period')} copied before" if migrated.equal_before else ""
    click.echo(
        f"{masked(target_url)} holds all of {masked(source_url)}: {what}{before}; "
        f"{bytes_text(migrated.size_bytes)} written, everything compared and equal"
    )


# Repair ---------------------------------------------------------------------------------------------------


@click.command(
    cls=StoreCommand,
    epilog=examples(
        "lbactors repair",
        "lbactors repair /var/lib/lbactors --apply",
        "lbactors repair --store redis://127.0.0.1:6379/0 --apply --yes",
    ),
)
@STORE
@click.option(
    "--apply", "wanted", is_flag=True, help="Cut, after a confirmation. Without it nothing changes."
)
@confirm_option
@json_option
def repair(wanted: bool, yes: bool, place: str | None, store: str | None, data_dir: str | None) -> None:
    """Find periods that do not load, and cut off damaged journal ends.

    STORE: a directory with an SQLite store, or a URL. Shows exactly what a cut would drop. Copy the store
    before you cut. Damage in snapshots and documents cannot be cut off.

    Exit code 0: everything loads. 1: something does not load, or was not cut. 2: a server uses the store, or
    it cannot be reached.
    """
    from lbactors.tools.exclusive_store import claimed, open_alone
    from lbactors.tools.repair import NotRepaired, Repair
    from persistence import masked

    settings = store_settings(store, data_dir, place=place)
    url = settings.store_url
    as_json = wants_json()
    troubles: list[Trouble] = []
    made: list[Repaired] = []

    async def work() -> None:
        async with open_alone(url) as found, claimed(found, secrets.token_hex(16), "repair"):
            with progress_bar("looking") as progress:
                repairs = Repair(found, settings.seen_ids_limit, progress)
                troubles.extend(await repairs.find())
            if not as_json:
                for trouble in troubles:
                    _show_trouble(trouble)
            cuts = [trouble for trouble in troubles if trouble.cut_seq is not None]
            if not wanted or not cuts:
                return
            inputs = sum(trouble.inputs for trouble in cuts)
            question = f"Drop {counted(inputs, 'input')} of {counted(len(cuts), 'period')} for good?"
            await _confirmed(question, yes)
            for trouble in cuts:
                repaired = await repairs.cut(trouble)
                made.append(repaired)
                if not as_json:
                    _show_repaired(repaired)

    try:
        run_tool(work(), masked(url))
    except NotRepaired as error:
        raise Failure(f"cut, but {error}") from None
    if as_json:
        click.echo(json_text(_repaired_json(masked(url), troubles, made)))
    elif not made:
        _show_looked(masked(url), troubles)
    elif len(made) < len(troubles):
        click.echo(f"not repaired: {len(troubles) - len(made)}, see above")
    if len(made) < len(troubles):
        raise click.exceptions.Exit(1)


def _repaired_json(place: str, troubles: list[Trouble], made: list[Repaired]) -> dict[str, Any]:
    return {
        "store": place,
        "all_load": len(made) == len(troubles),
        "troubles": [
            {
                "place": trouble.place,
                "period_key": trouble.key or None,
                "why": trouble.why,
                "cut_after_seq": trouble.cut_seq,
                "last_seq": trouble.last_seq,
                "dropped_inputs": trouble.inputs,
                "dropped_readable": trouble.readable._asdict(),
                "remains": None if trouble.remains is None else trouble.remains._asdict(),
                "begin_anew": trouble.ahead,
                "advice": trouble.advice if trouble.cut_seq is None else None,
            }
            for trouble in troubles
        ],
        "cut": [{**repaired._asdict(), "remains": repaired.remains._asdict()} for repaired in made],
    }


def _show_repaired(repaired: Repaired) -> None:
    corrected = "; its record was corrected" if repaired.corrected else ""
    click.echo(f"cut: period {repaired.period_id} loads and ends at seq {repaired.remains.seq}{corrected}")
    for doc_id in repaired.begin_anew:
        click.echo(f"  leaderboard {text_of(doc_id)} fills its open periods again when the server starts")


async def _confirmed(question: str, yes: bool) -> None:
    """`confirm` while the claim on the store is renewed. click.Abort."""
    if yes or not sys.stdin.isatty():
        confirm(question, yes)
        return
    click.echo(f"{question} [y/N]: ", nl=False, err=wants_json())
    answered = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), answered.set)
    try:
        await answered.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise click.Abort


def _inputs_text(trouble: Trouble, held: Contents) -> str:
    """How many inputs of which kind, in words."""
    most, erasures = _most_text(trouble, held), counted(held.erasures, "erasure")
    removals = "" if trouble.is_log else f"{counted(held.removals, 'removal')}, "
    return f"{most}, {removals}{erasures}, {held.others} others"


def _most_text(trouble: Trouble, held: Contents) -> str:
    """The same of those that matter most."""
    return counted(held.rows, "row") if trouble.is_log else counted(held.submissions, "submission")


def _show_looked(place: str, troubles: list[Trouble]) -> None:
    """The last words when nothing was changed."""
    if not troubles:
        click.echo(f"{place}: every document and every period loads, there is nothing to repair")
    elif any(trouble.cut_seq is not None for trouble in troubles):
        click.echo("nothing was changed; --apply makes the cuts described above")
    else:
        click.echo("nothing was changed; there is nothing that a cut could repair")


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
    if trouble.remains is not None and trouble.remains.rows is not None:
        rows, players = counted(trouble.remains.rows, "row"), counted(trouble.remains.entries, "player")
        after = f"what remains loads, with {rows} of {players}"
    elif trouble.remains is not None:
        entries = counted(trouble.remains.entries, "entry", "entries")
        after = f"what remains loads, with {entries} of {counted(trouble.remains.submissions, 'submission')}"
    click.echo(f"  cut after seq {trouble.cut_seq}: {after}")
    known = sum(readable)
    click.echo(
        f"  dropped: {counted(len(trouble.dropped), 'record')}, {counted(trouble.inputs, 'input')} "
        f"(seqs {trouble.cut_seq + 1}..{trouble.last_seq}). {known} of them can be read: "
        f"{_inputs_text(trouble, readable)}; {trouble.inputs - known} cannot"
    )
    for record in trouble.dropped[:SHOWN_RECORDS]:
        state = "sound" if record.sound else "damaged"
        holds = "unreadable" if record.contents is None else _most_text(trouble, record.contents)
        click.echo(
            f"    record {record.first_seq}..{record.last_seq}, epoch {record.epoch}, "
            f"{bytes_text(record.size_bytes)}, {state}: {counted(record.inputs, 'input')}, {holds}"
        )
    if len(trouble.dropped) > SHOWN_RECORDS:
        click.echo(f"    and {len(trouble.dropped) - SHOWN_RECORDS} more records")
    for doc_id in trouble.ahead:
        click.echo(f"  leaderboard {text_of(doc_id)} has read rows that go: it fills its open periods again")
