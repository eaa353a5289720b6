"""Figures that tests measure, shown at the end of a run by `tests/conftest.py`."""

from __future__ import annotations

from collections.abc import Callable

Note = Callable[[str], None]  # the fixture `note`: keeps one line
