"""How the tools say how far they are."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # what is looked at or done, how many steps are done, of how many
