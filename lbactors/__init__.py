"""The leaderboard server without its HTTP part (`gateway`) and its stores (`persistence`).

One room for each idea, imports from the top down: `cli`, `demo`, `load` and `tools` use the rest; `service`
is the gateway's side of the actors; `supervisor` and `period_actor` are the actors; `wire` is what travels
between processes, `documents` what is stored and shown; `core` is pure.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """`lbactors.__version__`, read when it is asked for: imports stay cheap."""
    if name == "__version__":
        from importlib.metadata import version

        return version("lbactors")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
