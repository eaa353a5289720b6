"""The command `plugins`: which plugins a server would load."""

from __future__ import annotations

import click

from lbactors.cli.connection import Refusal, examples, json_text
from lbactors.cli.shared_options import json_option, wants_json
from lbactors.tables import print_table


@click.command(
    epilog=examples("lbactors plugins", "lbactors plugins --plugins cheats,studio.rules:Rules --json")
)
@click.option(
    "--plugins", "names", envvar="LBACTORS_PLUGINS", show_envvar=True, default="",
    help="Plugins that are not installed, as `lbactors serve --plugins` takes them.",
)  # fmt: skip
@json_option
def plugins(names: str) -> None:
    """List the plugins that `lbactors serve` would load, with their hooks.

    Exit code 2 if one of them cannot be loaded; the server would not start.
    """
    from lbactors.plugins import PluginError, Plugins

    try:
        found = Plugins.load(names).found
    except PluginError as error:
        raise Refusal(str(error)) from None
    if wants_json():
        items = [{**plugin._asdict(), "hooks": list(plugin.hooks)} for plugin in found]
        click.echo(json_text({"items": items, "total": len(items)}))
    else:
        rows = [[plugin.name, plugin.version or None, plugin.hooks, plugin.source] for plugin in found]
        print_table(["plugin", "version", "hooks", "source"], rows)
