"""Groups of commands: each takes the shared options, and lists where no command is named."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import click

from lbactors.cli.shared_options import shared_options

DEFAULT = "list"


class CommandGroup(click.Group):
    """A group such as `leaderboards`.

    `lbactors leaderboards` and `lbactors leaderboards --limit 5` mean `lbactors leaderboards list …`. Where
    the list is one of a leaderboard, `lbactors periods xp` means `lbactors periods list xp`; a leaderboard
    that has the name of a command needs the long form.
    """

    shows_options = False  # a short help; every command has them in its own

    def __init__(self, *arguments: Any, params: Sequence[click.Parameter] | None = None, **more: Any) -> None:
        super().__init__(
            *arguments, params=[*(params or ()), *shared_options(hidden=not self.shows_options)], **more
        )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the command that was probably meant if there is no such one."""
        if args and not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if near and not args[0].startswith("-"):
                ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing and self._means_default(ctx, args):
            args = [DEFAULT, *args]  # which takes the group's options too
        return super().parse_args(ctx, args)

    def _means_default(self, ctx: click.Context, args: list[str]) -> bool:
        default = self.commands.get(DEFAULT)
        if default is None:
            return False
        before, ctx.ignore_unknown_options = ctx.ignore_unknown_options, True  # those of the default command
        options, words, _ = self.make_parser(ctx).parse_args(list(args))
        ctx.ignore_unknown_options = before
        help_option = self.get_help_option(ctx)
        if help_option is not None and help_option.name in options:
            return False
        arguments = [param for param in default.params if isinstance(param, click.Argument)]
        if not words:
            return not any(argument.required for argument in arguments)
        return words[0].startswith("-") or (bool(arguments) and words[0] not in self.commands)
