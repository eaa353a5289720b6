"""The command `completion`: the script that makes a shell complete `lbactors`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from lbactors.cli.connection import examples, json_text
from lbactors.cli.shared_options import json_option, wants_json

SHELLS = ("bash", "zsh", "fish")
PROGRAM, VARIABLE = "lbactors", "_LBACTORS_COMPLETE"


@click.command(
    epilog=examples(
        "lbactors completion bash > ~/.local/share/bash-completion/completions/lbactors",
        "lbactors completion zsh > ~/.zfunc/_lbactors",
        "lbactors completion fish > ~/.config/fish/completions/lbactors.fish",
    )
)
@click.argument("shell", metavar="SHELL", type=click.Choice(SHELLS))
@json_option
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    SHELL: bash, zsh or fish. The examples show where each shell looks for the script; for zsh, the folder
    must be in $fpath. Completes commands, options and leaderboard ids; for the ids it asks your server, with
    the key from the environment or your profile.
    """
    found = get_completion_class(shell)
    assert found is not None
    script = found(click.get_current_context().find_root().command, {}, PROGRAM, VARIABLE).source()
    if wants_json():
        click.echo(json_text({"shell": shell, "script": script}))
    else:
        click.echo(script)
