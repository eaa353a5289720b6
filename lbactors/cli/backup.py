"""The commands `backup` and `restore`: one file with all of an SQLite store, and a store made from it."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lbactors.cli.connection import Failure, Refusal, examples, json_text
from lbactors.cli.shared_options import json_option, wants_json
from lbactors.cli.store_tools import (
    StoreCommand,
    contents,
    print_findings,
    progress_bar,
    run_tool,
    store_settings,
)
from lbactors.tables import bytes_text

if TYPE_CHECKING:
    from lbactors.tools.backup import BackedUp, Note, Restored
    from lbactors.tools.verify import Verified

_PATH = click.Path(path_type=Path)

T = TypeVar("T")


@click.command(
    cls=StoreCommand,
    epilog=examples(
        "lbactors backup /var/backups/lbactors.backup",
        "lbactors backup /var/backups/lbactors.backup --force --data-dir /var/lib/lbactors",
        "lbactors backup before-upgrade.backup --json",
    ),
)
@click.argument("file", type=_PATH)
@click.option("--force", is_flag=True, help="Overwrite FILE if it exists.")
@click.option("--no-verify", is_flag=True, help="Do not verify the backup.")
@json_option
def backup(file: Path, force: bool, no_verify: bool, store: str | None, data_dir: str | None) -> None:
    """Back up the SQLite store to FILE, while the server runs or not.

    The backup shows the whole store at one moment. Every score that was acknowledged before you ran the
    command is in it. FILE appears when the backup is complete and verified. It contains secrets, so only you
    can read it. Redis makes its own backups.

    Exit code 0: the backup is sound. 1: the store is damaged; FILE was not written. 2: the backup could not
    be made.
    """
    from lbactors.clock import Clock
    from lbactors.tools.backup import back_up
    from persistence import masked

    settings = store_settings(store, data_dir)
    place = masked(settings.store_url)
    with progress_bar("backing up") as progress:
        work = back_up(
            settings.store_url,
            file,
            force=force,
            check=not no_verify,
            seen_ids_limit=settings.seen_ids_limit,
            now_ms=Clock().now_ms,
            progress=progress,
        )
        damaged = f"{place} is damaged; {file} was not written (--no-verify writes it anyway)"
        made = _run_checked(work, place, damaged)
    if wants_json():
        click.echo(json_text(_backup_json(file, place, made)))
    else:
        _show_backup(file, place, made)


def _backup_json(file: Path, place: str, made: BackedUp) -> dict[str, Any]:
    from lbactors.core.instants import format_instant

    return {
        "file": str(file),
        "store": place,
        "store_id": made.store_id,
        "taken_at": format_instant(made.taken_at_ms),
        "size_bytes": made.size_bytes,
        **_checked_json(made.verified),
    }


def _checked_json(verified: Verified | None) -> dict[str, Any]:
    """What a store was found to hold; null for all that if it was not verified."""
    return {
        "verified": verified is not None,
        "documents": sum(verified.documents.values()) if verified else None,
        "periods": verified.periods if verified else None,
        "entries": verified.entries if verified else None,
        "findings": [finding._asdict() for finding in verified.findings] if verified else None,
    }


def _show_backup(file: Path, place: str, made: BackedUp) -> None:
    from lbactors.core.instants import format_instant

    when, size = format_instant(made.taken_at_ms), bytes_text(made.size_bytes)
    if made.verified is None:
        held = "not verified"
    else:
        print_findings(made.verified)
        held = f"{contents(made.verified)}; verified, sound"
    click.echo(f"{file}: {size}, {place} as of {when}: {held}")


@click.command(
    cls=StoreCommand,
    epilog=examples(
        "lbactors restore /var/backups/lbactors.backup --data-dir /var/lib/lbactors",
        "lbactors restore /var/backups/lbactors.backup --data-dir /var/lib/lbactors --replace",
    ),
)
@click.argument("file", type=_PATH)
@click.option("--replace", is_flag=True, help="Move the present store aside.")
@json_option
def restore(file: Path, replace: bool, store: str | None, data_dir: str | None) -> None:
    """Restore a backup to a data directory, while no server uses it.

    The backup is copied and verified before anything else changes. With --replace, the present store moves to
    a directory `replaced-…` in the data directory; delete it when you no longer need it. Everything that
    happened after the backup was taken is lost. You start the server as usual afterwards.

    Exit code 0: the backup is restored. 1: the backup is damaged; nothing was changed. 2: a server uses the
    data directory, or the backup could not be restored.
    """
    from gateway.server.known_store import KnownStores
    from lbactors.clock import Clock
    from lbactors.tools.backup import restore as restore_store

    settings = store_settings(store, data_dir)
    if not settings.store_url.startswith("sqlite:"):
        raise Refusal(
            "a backup is restored to a data directory; `lbactors migrate --from FILE` copies it to Redis"
        )
    directory = settings.data_dir

    def note() -> Note:
        return KnownStores(directory).note

    with progress_bar("restoring") as progress:
        work = restore_store(
            file,
            directory,
            replace=replace,
            note=note,
            seen_ids_limit=settings.seen_ids_limit,
            now_ms=Clock().now_ms,
            progress=progress,
        )
        made = _run_checked(work, "not restored", f"{file} is damaged; nothing was changed")
    if wants_json():
        click.echo(json_text(_restored_json(file, directory, made)))
    else:
        _show_restored(file, directory, made)


def _restored_json(file: Path, directory: Path, made: Restored) -> dict[str, Any]:
    return {
        "file": str(file),
        "store": f"sqlite:{directory}",
        "store_id": made.store_id,
        "size_bytes": made.size_bytes,
        "replaced": str(made.replaced) if made.replaced else None,
        **_checked_json(made.verified),
    }


def _show_restored(file: Path, directory: Path, made: Restored) -> None:
    print_findings(made.verified)
    click.echo(f"restored {file} to {directory}: {contents(made.verified)}; verified, sound")
    if made.replaced:
        click.echo(f"the previous store is in {made.replaced}")


def _run_checked(work: Awaitable[T], place: str, damaged: str) -> T:
    """`run_tool`; what is not sound is shown, and is a Failure in the words of `damaged`."""
    from lbactors.tools.backup import NotSound

    try:
        return run_tool(work, place)
    except NotSound as error:
        if wants_json():
            click.echo(json_text({"sound": False, **_checked_json(error.verified)}))
        else:
            print_findings(error.verified)
        raise Failure(damaged) from None
