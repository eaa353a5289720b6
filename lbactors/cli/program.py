"""The name by which the user starts the command line: `lbactors`, or `./run` in a source tree.

Usage lines, examples and hints are printed with it, so that they can be pasted.
"""

from __future__ import annotations

import os
import re

import click

NAME = "lbactors"
VARIABLE = "LBACTORS_PROGRAM"  # set by ./run
_COMMAND = re.compile(rf"(?<![\w./~-]){NAME}(?= [a-z-])")


def program() -> str:
    """`lbactors`, or what stands for it."""
    return os.environ.get(VARIABLE) or NAME


def pasteable(text: str) -> str:
    """A text in which command lines are written with `lbactors`, as this user can paste them."""
    return text if program() == NAME else _COMMAND.sub(program(), text)


class Formatter(click.HelpFormatter):
    """Writes help with command lines that can be pasted."""

    def getvalue(self) -> str:
        return pasteable(super().getvalue())
