"""Writes the reference documents that follow from the code: `python docs/generate.py`.

    settings.md    from the fields of `ServerSettings`
    metrics.md     from what `Metrics` registers
    cli.md         from the commands of the command line
    openapi.json   from the table of routes

and, by `generate_client.py`, the generated modules of the Python client.

Each is a pure function of the code: nothing is started, and the environment has no say. A test
(`tests/unit/test_docs.py`) compares the texts with the files, so none of this changes without its document.
"""

from __future__ import annotations

import json
import runpy
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from inspect import cleandoc
from pathlib import Path
from typing import get_args

import click
from pydantic import ValidationError

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from gateway.api import table  # noqa: E402
from gateway.http import metrics, openapi  # noqa: E402
from gateway.http.settings import GatewaySettings  # noqa: E402
from lbactors import cli, settings  # noqa: E402

# A label's values. A metric with another label cannot be described before it is added here.
LABELS = {
    "method": "the request's method; `other` if it is none of HTTP's usual ones",
    "route": "the route as in [openapi.json](openapi.json), never with ids; `unmatched` if there is none, "
    "`preflight` for what browsers ask before a request of another origin",
    "status": "the answer's HTTP status",
    "result": "`accepted`, `rejected` or `held`; of a plugin `accepted`, `refused`, `held` or `failed`",
    "kind": "`row` of a metric, or `event`",
    "plugin": "the plugin's name",
    "tenant": "the tenant's id",
    "leaderboard": "the leaderboard's id",
    "version": "the server's version",
}
CONNECTION = "#options-of-the-connection"
KEPT = "\b\n"  # click's mark before lines that are not wrapped
# Commands whose JSON is not an answer of the API.
SAVED = "`profile`, `url`, `tenant`, `key` (only its end), `default`"
SENT = "`accepted`, `repeated`, `rejected`, `errors`"
JSON_FIELDS = {
    "bench": "`at`, `cores`, `entries`, `seconds`, `ids`, `cases`",
    "completion": "`shell`, `script`",
    "events send": "`accepted`, `duplicates`, `rejected`, `errors`, `behind`",
    "export -o": "`leaderboard_id`, `window`, `period_key`, `state`, `entries`, `file`; without `-o` the "
    "export itself is printed",
    "import": "`imported`, `unchanged`, `dropped`, `rejected`, `errors`",
    "import --add": SENT,
    "login": f"{SAVED}, `file`",
    "logout": "`deleted`, `default`, `file`",
    "migrate": "`source`, `target`, `periods`, `equal_before`, `documents`, `size_bytes`, `finished_before`",
    "plugins": "`items` with name, version, hooks and source of each, `total`",
    "profiles list": "`items` as `profiles use` prints them, `total`, `file`",
    "profiles use": SAVED,
    "repair": "`store`, `all_load`, `troubles`, `cut`",
    "reviews approve": "`items`, the API's answer for each",
    "reviews list": "`items`, `complete` (false: there are more); with a leaderboard the API's answer",
    "reviews reject": "`items`, the API's answer for each",
    "status": "`health`, `ready`, `status`, the API's three answers; the last is null without a platform key",
    "submit --file": SENT,
    "backup": "`file`, `store`, `store_id`, `taken_at`, `size_bytes`, `verified`, `documents`, `periods`, "
    "`entries`, `findings`",
    "restore": "`file`, `store`, `store_id`, `replaced`, `size_bytes`, `verified`, `documents`, `periods`, "
    "`entries`, `findings`",
    "verify": "`store`, `sound`, `errors`, `cautions`, `documents`, `periods`, `entries`, `findings`",
}


def title(words: str, source: str) -> str:
    return f"# {words}\n\n_Written by `docs/generate.py` from `{source}`: change it there._"


def rows(titles: Iterable[str], cells: Iterable[Iterable[str]]) -> str:
    lines = [list(titles), *(list(line) for line in cells)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def settings_text() -> str:
    names = (settings.option_name, settings.env_name, settings.default_text)
    lines = [
        [*(code(name(field)) for name in names), limits(field), str(info.description)]
        for field, info in settings.ServerSettings.model_fields.items()
    ]
    return f"""{title("Settings", "lbactors/settings.py")}

Every setting of `lbactors serve` is an option and an environment variable. The option beats the variable, the
variable beats the default; a variable that is set but empty counts as unset. A value that is not taken is one
line on stderr and exit code 2. A flag's option stands alone, its variable takes `yes` and `no`. All forms of
a Redis URL with their options: [Redis](redis.md#urls).

{rows(["Option", "Variable", "Default", "Limits", "Meaning"], lines)}

The commands that talk to a server have [variables of their own](cli.md{CONNECTION}).
"""


def limits(field: str) -> str:
    """A setting's limits in words: its values, its bounds, or what its own check says of nonsense."""
    info = settings.ServerSettings.model_fields[field]
    if info.annotation is bool:
        return f"{code('yes')}, {code('no')}"
    values = get_args(info.annotation)
    if values and all(isinstance(value, str) for value in values):
        return ", ".join(map(code, values))
    words = {"ge": "at least", "gt": "more than", "le": "at most", "min_length": "characters: at least"}
    bounds = [(word, getattr(item, kind, None)) for item in info.metadata for kind, word in words.items()]
    if found := [f"{word} {bound}" for word, bound in bounds if bound is not None]:
        return ", ".join(found)
    try:
        settings.ServerSettings.model_validate({field: "\x00"})
    except ValidationError as error:
        said = "".join(item["msg"] for item in error.errors() if item["loc"] == (field,))
        return said.removeprefix("must be ").removeprefix("must have ")
    return ""


def metrics_text() -> str:
    counted = metrics.Metrics()
    counted.plugin_call("", "accepted", 0.0)
    counted.plugin_slow("")
    behind = {"tenant_id": "", "leaderboard_id": "", "rows_read": 0, "rows": 0, "behind_seconds": 0}
    counted.projections({"behind": 1, "leaderboards": [behind]})
    counted.request("GET", "/", 200, 0.0)  # labels and buckets show in samples only
    lines, used, buckets = [], [], []
    for family in counted.registry.collect():
        samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
        labels = [label for label in samples[0].labels if label != "le"]
        used += [label for label in labels if label not in used]
        buckets += [sample.labels["le"] for sample in samples if "le" in sample.labels]
        name = samples[0].name if family.type == "counter" else family.name
        lines.append([code(name), family.type, ", ".join(map(code, labels)), family.documentation])
    return f"""{title("Metrics", "gateway/http/metrics.py")}

`GET /metrics` in Prometheus' text format, without a key; `--metrics-port` moves it to a port of its own.
It is made once a second at most, whoever asks.
A histogram has the usual series `_bucket`, `_sum` and `_count`; every counter and histogram has `_created`
beside them (seconds since the epoch).

{rows(["Metric", "Type", "Labels", "Meaning"], lines)}

{rows(["Label", "Values"], [[code(label), LABELS[label]] for label in used])}

Buckets of the histogram, in seconds: {", ".join(buckets)}.

Each gateway process counts for itself: with `--gateways` above 1 a look shows the one process that it meets,
and the port of its own is the first one's. Actors, periods, memory and load are in `GET /v1/status`
(a platform key) and in [`lbactors status`](cli.md#lbactors-status).
"""


def commands(context: click.Context | None = None) -> Iterator[click.Context]:
    """The context of every command, groups before what is in them."""
    context = context or click.Context(cli.cli, info_name="lbactors", terminal_width=110)
    if isinstance(group := context.command, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            inner = click.Context(command, info_name=name, parent=context, terminal_width=110)
            yield inner
            yield from commands(inner)


def options(context: click.Context) -> list[list[str]]:
    """Options with what their help says, without `--help`."""
    chosen = [
        p for p in context.command.params if isinstance(p, click.Option) and not (p.is_eager or p.hidden)
    ]
    records = [p.get_help_record(context) or ("", "") for p in chosen]
    return [[code(names.replace(" RANGE", "")), said.replace("  [", " [")] for names, said in records]


def cli_text() -> str:
    contexts = list(commands())
    connection = options(click.Context(cli.cli, info_name="lbactors", terminal_width=110))
    exit_codes = next(p for p in cleandoc(cli.__doc__ or "").split("\n\n") if p.startswith("Exit codes:"))
    texts = "\n\n".join(command_text(context, connection) for context in contexts)
    return f"""{title("Command line", "lbactors/cli/")}

In a source tree, type `./run` instead of `lbactors`: `./run status`. `--help` after any command explains it;
`lbactors --version` shows the version. `lbactors leaderboards` without a further word is
`lbactors leaderboards list`, and so for every group that has a list; `lbactors periods xp` is
`lbactors periods list xp`.

{exit_codes}

## Options of the connection

These may stand anywhere on the command line: before the command, between a group and its command, or after
it. The last one wins. Commands that talk to no server take `--json` alone.

URL, key and tenant each come from the first of these that has it: the option, the environment variable, the
profile, the default. `--profile`, then `LBACTORS_PROFILE`, names the profile; else it is the default one.
The key and the tenant of a profile are sent to its own URL only: with another URL from `--url` or
`LBACTORS_URL` they are left out. [`lbactors login`](#lbactors-login) saves profiles in `profiles.toml` in
your folder for settings (`~/.config/lbactors` on Linux), readable by you alone; `LBACTORS_CONFIG` names
another file. A damaged file is one line on stderr and exit code 2.

{rows(["Option", "Meaning"], connection)}

## JSON

With `--json` a command prints one JSON object: on one line, or indented on a terminal. It is the API's answer
([openapi.json](openapi.json)), `top --watch` prints one for each change, and an error is a line on stderr as
without `--json`. These commands have objects of their own:

{rows(["Command", "Fields"], [[code(name), fields] for name, fields in JSON_FIELDS.items()])}

{texts}
"""


def help_text(command: click.Command) -> str:
    """A command's help; what the terminal shows line by line (after a backspace) is a block."""
    paragraphs = cleandoc(command.help or "").split("\n\n")
    shown = (f"```text\n{p.removeprefix(KEPT)}\n```" if p.startswith(KEPT) else p for p in paragraphs)
    return "\n\n".join(shown)


def command_text(context: click.Context, connection: list[list[str]]) -> str:
    """One command: help, usage, options, examples."""
    command, path = context.command, context.command_path
    usage = command.get_usage(context).removeprefix("Usage: ")
    parts = [f"#{'#' * path.count(' ')} {path}", help_text(command), f"```\n{usage}\n```"]
    if isinstance(command, click.Group):
        links = [f"[{n}](#{path.replace(' ', '-')}-{n})" for n in command.list_commands(context)]
        parts.append(f"Commands: {', '.join(links)}.")
    command.get_params(context)  # `serve` makes its options when they are asked for
    given = options(context)
    connects = all(line in given for line in connection)
    if own := [line for line in given if not (connects and line in connection)]:
        parts.append(rows(["Option", "Meaning"], own))
    parts += [f"{'And the' if own else 'The'} [options of the connection]({CONNECTION})."] if connects else []
    examples = (command.epilog or "").partition("Examples:")[2]
    parts.append(f"```sh\n{cleandoc(examples)}\n```")
    return "\n\n".join(parts)


def openapi_text() -> str:
    """The document under the default limits; its version is that of the source, installed or not."""
    defaults = GatewaySettings()
    source = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())
    info = {**table.INFO, "version": source["project"]["version"]}
    described = table.routes(defaults)
    found = openapi.document(described, table.components(defaults), info, table.TAGS)
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


TEXTS: dict[str, Callable[[], str]] = {"openapi.json": openapi_text}
TEXTS |= {"settings.md": settings_text, "metrics.md": metrics_text, "cli.md": cli_text}

if __name__ == "__main__":
    for name, text in TEXTS.items():
        (DOCS / name).write_text(text(), encoding="utf-8")
        print(f"docs/{name}")
        if name == "openapi.json":  # what comes after it imports the client
            runpy.run_path(str(DOCS / "generate_client.py"), run_name="__main__")
