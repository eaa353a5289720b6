"""How much of what is random, or of many kinds, is tried: a little in every run, all of it in the long one.

`./run test` runs every test, those below `long` in a short form; `./run test long` (pytest's option `--long`)
runs those alone, in full. The assertions are the same. Read when a test module is imported.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

VARIABLE = "LBACTORS_TEST_LONG"  # set by `tests/conftest.py` from the option

T = TypeVar("T")

long = pytest.mark.long  # a test that has a long form


def is_long() -> bool:
    return os.environ.get(VARIABLE) == "1"


def rounds(usual: int, full: int) -> int:
    """How often something is repeated, or how large it is."""
    return full if is_long() else usual


def of(full: Sequence[T], usual: Sequence[T]) -> Sequence[T]:
    """Which of the kinds are tried; the usual ones are among them."""
    assert all(kind in full for kind in usual)
    return full if is_long() else usual
