"""Which tests of a run in several processes (`pytest -n`) share one of them, and which begin first."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

APART = {
    "tests/crash/test_closing_steps.py",
    "tests/crash/test_plugins.py",
    "tests/api/test_plugins.py",
}  # with servers of their own, and short enough to run beside the others

# The longest first, so that no process is left with one of them when all else is done.
FIRST = (
    "tests/crash",
    "tests/fuzz",
    "tests/simulation/test_year.py",
    "tests/integration/pages/test_pages.py",
    "tests/crash/test_closing_steps.py",
    "tests/api",
    "tests/crash/test_plugins.py",
    "tests/api/test_plugins.py",
)


def group_of(nodeid: str) -> str:
    """Tests that kill under load take turns, as do those of the HTTP suite's server; any other file is a
    group of its own.
    """
    file = nodeid.partition("::")[0]
    folder = file.rpartition("/")[0]
    return folder if folder in ("tests/crash", "tests/api") and file not in APART else file


def turn_of(nodeid: str) -> int:
    """Sorts groups by when they begin."""
    group = group_of(nodeid)
    return FIRST.index(group) if group in FIRST else len(FIRST)


class GroupScheduling(LoadScopeScheduling):
    """One group after the other, in the order in which they are collected.

    xdist's own `--dist loadgroup` does nothing with pytest 9.2: the ids that it gives to tests are ignored.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
