"""Orders for a process to kill itself at a step, carried out by `killed/sitecustomize.py`."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.crash.server_process import Server
from tests.support.repository import python_path

HOOKS = Path(__file__).parent / "killed"
LOOK_S = 0.02


class Step(NamedTuple):
    """Before or after the nth call of a method that is about all of these texts; `{board}`: its id."""

    when: str
    call: str
    about: tuple[str, ...] = ("/{board}~",)
    nth: int = 1

    def __str__(self) -> str:
        about = " ".join(self.about).replace("/{board}~", "").replace("{board}", "").strip()
        nth = f" no. {self.nth}" if self.nth > 1 else ""
        return f"{self.when} {self.call}{nth} {about}".strip()


class Orders:
    """For one server; make it before the server starts. sizes: see `sitecustomize`."""

    def __init__(self, server: Server, sizes: str = "") -> None:
        self._path = server.folder / "order.json"
        server.variables |= {
            "PYTHONPATH": python_path(HOOKS),
            "LBACTORS_KILL_ORDER": str(self._path),
            "LBACTORS_KILL_SIZES": sizes,
        }

    @property
    def _done(self) -> Path:
        return Path(f"{self._path}.done")

    def give(self, step: Step, board_id: str) -> None:
        self._done.unlink(missing_ok=True)
        order = {**step._asdict(), "about": [text.replace("{board}", board_id) for text in step.about]}
        new = Path(f"{self._path}.new")
        new.write_text(json.dumps(order))
        new.rename(self._path)  # whole, or not there

    async def carried_out(self, within_s: float) -> float:
        """Wait for the kill; the seconds that it took. AssertionError if nobody came to that step."""
        began_s = time.monotonic()
        while not self._done.exists():
            assert time.monotonic() - began_s < within_s, f"nobody came to the step: {self._path.read_text()}"
            await asyncio.sleep(LOOK_S)
        return time.monotonic() - began_s
