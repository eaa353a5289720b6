"""The server's settings as options of the command line: made from the fields of `ServerSettings`, and read.

pydantic is imported when they are needed, not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from lbactors.cli.connection import Refusal

if TYPE_CHECKING:
    from lbactors.settings import ServerSettings


def setting_options() -> list[click.Parameter]:
    """One option for each setting; values travel as text, the settings judge them."""
    from lbactors.settings import ServerSettings, default_text, env_name, option_name

    options: list[click.Parameter] = []
    for name, field in ServerSettings.model_fields.items():
        if field.annotation is bool:  # a flag; its variable takes yes and no
            help_text = f"{field.description}  [env: {env_name(name)}]"
            options.append(click.Option([option_name(name), name], flag_value="yes", help=help_text))
            continue
        default = default_text(name)
        shown = f"  [env: {env_name(name)}" + (f"; default: {default}]" if default else "]")
        metavar = "N" if field.annotation is int else "SECONDS" if field.annotation is float else "TEXT"
        options.append(
            click.Option([option_name(name), name], help=f"{field.description}{shown}", metavar=metavar)
        )
    return options


def read_settings(
    given: Mapping[str, str | None], options: Mapping[str, str] | None = None
) -> ServerSettings:
    """The settings that were given; the others are the environment's, or the defaults. Refusal.

    options: of a setting that came by another option than its own, the name of that.
    """
    from pydantic import ValidationError

    from lbactors.settings import ServerSettings, explain, option_name

    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        return ServerSettings(**chosen)
    except ValidationError as error:
        names = {name: (options or {}).get(name, option_name(name)) for name in chosen}
        raise Refusal(explain(error, names)) from None
