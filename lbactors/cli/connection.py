"""What every command that talks to a server shares: options, the connection, answers and failures.

`talks_to_server` adds the shared options and hands the command a `Server`. Whatever goes wrong on the way
becomes one line on stderr and exit code 1; no traceback reaches a user for an error of the network or of the
API.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import click
import orjson

from lbactors.cli.profile_file import ProfileError
from lbactors.cli.program import pasteable
from lbactors.cli.shared_options import connection_options, wants_json
from lbactors.cli.target import Target, target_of
from lbactors.client import ApiError, SyncClient, Unreachable
from lbactors.tables import print_table, text_of

PATIENCE_S = 10.0
BULK_PATIENCE_S = 60.0  # a long import outlives a restart of the server
OTHER_SERVER = "Start a server with `lbactors serve`, or name another one with --url or LBACTORS_URL."
OTHER_KEY = "Pass a key with --key or LBACTORS_KEY, or save one with `lbactors login`."


class Failure(click.ClickException):
    """One line on stderr: `error: …`."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {pasteable(text_of(self.message))}", err=True)


class Refusal(Failure):
    """The same for a wrong command line or setting, exit code 2."""

    exit_code = 2


class Server:
    """One command's connection, and the form its answers take."""

    def __init__(self, target: Target, *, as_json: bool) -> None:
        self.target = target
        self.as_json = as_json
        self._clients: list[SyncClient] = []
        self._plain: SyncClient | None = None

    @property
    def client(self) -> SyncClient:
        """For single requests: a refused connection is reported at once."""
        if self._plain is None:
            self._plain = self._connect(patience_s=PATIENCE_S, retry_refused=False)
        return self._plain

    def bulk_client(self) -> SyncClient:
        """For long work: waits out a restart of the server. Checks first that there is one."""
        self.client.health()
        return self._connect(patience_s=BULK_PATIENCE_S)

    def _connect(self, **options: Any) -> SyncClient:
        for value, place in ((self.target.key, self.target.key_from), (self.target.tenant_id, "--tenant")):
            if value is not None and not value.isprintable():
                raise Refusal(f"{place}: a line break or another control character is in it")
        try:
            # An empty key is none at all: without it, the client would look for one in the environment.
            key = self.target.key or ""
            client = SyncClient(self.target.url, key, tenant_id=self.target.tenant_id, **options)
        except ValueError as error:
            raise Refusal(f"{self.target.url_from}: {error}") from None
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def show(self, answer: Any, render: Callable[[], None]) -> None:
        """Print an answer: as the API's JSON with --json, else as `render` does."""
        if self.as_json:
            click.echo(json_text(answer))
        else:
            render()

    def show_listing(
        self, answer: Mapping[str, Any], columns: Mapping[str, Callable[[dict[str, Any]], Any]]
    ) -> None:
        """Print a page of a listing as a table. columns: title -> the cell of an item."""

        def render() -> None:
            rows = [[cell(item) for cell in columns.values()] for item in answer["items"]]
            print_table(list(columns), rows)
            if answer.get("next_cursor"):
                click.echo(f"more: --cursor {answer['next_cursor']}", err=True)

        self.show(answer, render)


def json_line(answer: Any) -> str:
    """JSON on one line."""
    return orjson.dumps(answer).decode()


def json_text(answer: Any) -> str:
    """JSON on one line for pipes, indented for people."""
    option = orjson.OPT_INDENT_2 if sys.stdout.isatty() else 0
    return orjson.dumps(answer, option=option).decode()


def chosen_target() -> Target:
    """The server and the key for the command that runs. Refusal if the file of profiles is damaged."""
    try:
        return target_of(click.get_current_context())
    except ProfileError as error:
        raise Refusal(str(error)) from None


def explained(error: ApiError | Unreachable, target: Target) -> str:
    """An error of the client on one line, with what to do about it where that is the same for everyone."""
    if isinstance(error, Unreachable):
        return f"{error}. {OTHER_SERVER}" if error.is_refused else str(error)
    if error.status != 401:
        return str(error)
    if target.key is None:
        withheld = f" (the one of profile {target.withheld} is for another URL)" if target.withheld else ""
        return f"{error.code}: no API key was given{withheld}. {OTHER_KEY}"
    return f"{error.code}: the server refused the key from {target.key_from} ({error.message}). {OTHER_KEY}"


@contextmanager
def failures(target: Target) -> Iterator[None]:
    """Turns what the client raises into one line and exit code 1."""
    try:
        yield
    except (ApiError, Unreachable) as error:
        raise Failure(explained(error, target)) from None


def talks_to_server(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the shared options; the command gets a `Server` as its first argument."""

    @connection_options
    @functools.wraps(command)
    def connected(*args: Any, **options: Any) -> Any:
        server = Server(chosen_target(), as_json=wants_json())
        try:
            with failures(server.target):
                return command(server, *args, **options)
        finally:
            server.close()

    return connected


def listing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--limit` and `--cursor` of every listing."""
    limit = click.option(
        "--limit",
        type=click.IntRange(1, 1000),
        default=100,
        show_default=True,
        help="Maximum number of items to show.",
    )
    return limit(
        click.option("--cursor", help="Continue after the previous page; it prints the cursor.")(command)
    )


def period_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--period` and `--window`, which every reading command takes."""
    period = click.option(
        "--period", help="current (the default), previous, or a period key such as 2026-W47."
    )
    window = click.option(
        "--window", help="main (the default), all_time, yearly, monthly, weekly, daily or hourly."
    )
    return period(window(command))


def confirm_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--yes`, for what cannot be undone."""
    return click.option("--yes", is_flag=True, help="Skip the confirmation prompt.")(command)


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone; where nobody can answer, demand --yes (exit code 2)."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("this cannot be undone: add --yes to confirm")
    click.confirm(question, abort=True)


def examples(*lines: str) -> str:
    """The epilog of a command's help: example command lines."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


class _Number(click.ParamType[Any]):
    """A score: an integer where it is written as one, so that it stays exact; else a finite float."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = int(value) if str(value).lstrip("+-").isdigit() else float(value)
            finite = math.isfinite(number)
        except (ValueError, OverflowError):
            finite = False
        if not finite:
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class _Json(click.ParamType[Any]):
    """A value written as JSON."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError as error:
            self.fail(f"not JSON: {error}", param, ctx)


NUMBER = _Number()
JSON = _Json()
