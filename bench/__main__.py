"""All figures in one run: `python bench`.

Starts beside Ray alone, the server over HTTP, boards with further windows and audiences, metrics and events,
a leaderboard that is filled from a million rows, the engine beside Redis, the recovery of a large period,
writes during snapshots, a rollover of hundreds of boards under load, thousands of boards that sleep, and what
their history costs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run the benchmarks one after the other; the first failure's exit code.

    Up to `engine.py` on 100 000 entries, the next two on a million. All take about half an hour.
    """
    if len(sys.argv) > 1:
        print(__doc__, "It takes no options.", file=sys.stderr)
        return 2
    for command in (
        ["start.py"],
        ["http_load.py"],
        ["windows.py", "--rounds", "1"],
        ["audience.py", "--rounds", "1"],
        ["sources.py", "--rounds", "1"],
        ["fill.py"],
        ["engine.py", "--entries", "100000"],
        ["recovery.py"],
        ["snapshots.py"],
        ["rollover.py"],
        ["many_boards.py"],
        ["history.py"],
    ):
        code = subprocess.run([sys.executable, str(HERE / command[0]), *command[1:]], check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
