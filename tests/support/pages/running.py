"""Runs the blocks of a documentation page as a reader would: one after the other, in one shell.

`sh` blocks share a bash that stops at the first command that fails; a `python` block is one process of that
shell. A page says `http://127.0.0.1:8080`, `lb_…` and `http://127.0.0.1:9000/hook` where a reader has a
server, a key and a receiver of webhooks: each is replaced by the real one, as are the ports of programs
that a page starts itself. What else a page may say is in `tests.support.pages.reading`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.free_ports import free_port, free_redis_port
from tests.support.pages.comparing import differences, last_json
from tests.support.pages.reading import (
    ANSWER,
    ANSWER_SOON,
    NOT_RUN,
    RECEIVED,
    REFUSED,
    Block,
    read_blocks,
)
from tests.support.repository import REPOSITORY, python_path
from tests.support.server_process import environment

SOON_S = 60.0  # a busy test machine is slow; only a failure takes so long
BLOCK_WITHIN_S = 120.0
AGAIN_EVERY_S = 0.2
HOUR_S, PAGE_WITHIN_S = 3600.0, 45.0  # a page's commands as a rule take less than that

# Ports that a page's own programs listen on: others may use them on a machine that runs tests.
OWN_PORT, OWN_REDIS_PORT = "9099", "6390"
SHOWN_URL, SHOWN_HOOK, SHOWN_KEY = "http://127.0.0.1:8080", "http://127.0.0.1:9000/hook", "lb_…"

_CURLRC = "silent\nshow-error\nfail-with-body\nmax-time = 60\n"
# Runs each file whose name it reads, and says when that is done.
_SHELL = """
set -eEu -o pipefail
trap '_at="${_at:-$LINENO $BASH_COMMAND}"; printf "%s" "$_at" > "$_failed"' ERR
while IFS= read -r _block; do
    _at=
    . "$_block" > "$_block.out" 2> "$_block.err" < /dev/null
    echo done
done
"""


class World(NamedTuple):
    """What a page is run against. `received`: the bodies that webhooks have brought so far."""

    url: str
    key: str
    hook: str
    received: Callable[[], Sequence[Any]] = list


class PageFailed(AssertionError):
    """A page does not do what it says; the message begins with its name and the line."""


class _Ran(NamedTuple):
    out: str
    err: str
    failed: str  # "LINE COMMAND" of the command that failed, empty if none did


async def hour_to_come() -> None:
    """Waits for the next hour if this one is nearly over: no period of a page ends while the page is run."""
    left_s = HOUR_S - time.time() % HOUR_S
    if left_s < PAGE_WITHIN_S:
        await asyncio.sleep(left_s)


async def run_page(page: Path, folder: Path, world: World, name: str = "") -> int:
    """Run a page in an empty folder; the number of blocks that were run. PageFailed names what went wrong."""
    run = _Run(name or page.name, folder, world)
    try:
        await run.start()
        blocks = list(read_blocks(page))
        for block, following in zip(blocks, [*blocks[1:], None], strict=True):
            await run.take(block, "" if following is None else following.role)
        return run.blocks
    finally:
        await run.end()


class _Run:
    def __init__(self, name: str, folder: Path, world: World) -> None:
        self.blocks = 0
        self._name = name
        self._port, self._redis_port = free_port(), free_redis_port()
        self._world = world
        self._files = folder / "blocks"  # the blocks, and what they print
        self._home = folder / "home"
        self._work = folder / "work"  # where the commands run
        self._shell: asyncio.subprocess.Process | None = None
        self._last: tuple[Block, _Ran] | None = None  # the last block that was run

    # The shell ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        for path in (self._files, self._home, self._work, self._home / "bin"):
            path.mkdir(parents=True)
        (self._home / ".curlrc").write_text(_CURLRC)
        for command in (self._home / "bin" / "lbactors", self._work / "run"):
            command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m lbactors "$@"\n')
            command.chmod(0o755)
        shutil.copytree(REPOSITORY / "examples", self._work / "examples")
        self._shell = await asyncio.create_subprocess_exec(
            *("bash", "-c", _SHELL),
            cwd=self._work,
            env=self._environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    def _environment(self) -> dict[str, str]:
        path = [str(self._home / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        variables = {
            "HOME": str(self._home),
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": python_path(),
            "LB": self._world.url,
            "KEY": f"Authorization: Bearer {self._world.key}",
            "HOOK": self._world.hook,
            "LBACTORS_URL": self._world.url,
            "LBACTORS_KEY": self._world.key,
            "_failed": str(self._files / "failed"),
        }
        return {
            k: v for k, v in environment(**variables).items() if k not in ("CURL_HOME", "XDG_CONFIG_HOME")
        }

    async def end(self) -> None:
        """Ends the shell and whatever the page left running."""
        if self._shell is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._shell.pid, signal.SIGKILL)
            await self._shell.wait()

    async def _run(self, block: Block, *, apart: bool = False) -> _Ran:
        """Run a block. apart: in a shell below the page's, which its failure does not end."""
        self.blocks += 1
        path = self._files / f"{self.blocks}"
        text = self._filled(block.text)
        if block.language == "python":
            script = path.with_suffix(".py")
            script.write_text(text, encoding="utf-8")
            text = f"{shlex.quote(sys.executable)} {shlex.quote(str(script))}\n"
        if apart:
            inner = path.with_suffix(".sh")
            inner.write_text(text, encoding="utf-8")
            text = f"( . {shlex.quote(str(inner))} ) & wait $! || true\n"
        path.write_text(text, encoding="utf-8")
        failed = self._files / "failed"
        failed.unlink(missing_ok=True)
        assert self._shell is not None and self._shell.stdin is not None and self._shell.stdout is not None
        self._shell.stdin.write(f"{path}\n".encode())
        try:
            async with asyncio.timeout(BLOCK_WITHIN_S):
                done = await self._shell.stdout.readline()
        except TimeoutError:
            raise self._failure(block.line, f"not done in {BLOCK_WITHIN_S:.0f} s:\n{block.text}") from None
        out, err = (path.with_suffix(s).read_text(errors="replace") for s in (".out", ".err"))
        if failed.exists():
            told = failed.read_text(errors="replace")
        else:
            told = "" if done else f"1 {block.text}"
        return _Ran(out, err, told)

    def _filled(self, text: str) -> str:
        key = self._world.key
        return (
            text.replace(SHOWN_HOOK, self._world.hook)
            .replace(SHOWN_URL, self._world.url)
            .replace(SHOWN_KEY, key)
            .replace(OWN_PORT, str(self._port))
            .replace(OWN_REDIS_PORT, str(self._redis_port))
        )

    # The page -------------------------------------------------------------------------------------------

    async def take(self, block: Block, following: str) -> None:
        """The next block. following: the role of the one after it. Before one that is refused its last
        request must be answered with an error; before an answer that comes soon it may fail, and runs again.
        """
        is_refused, may_fail = following == REFUSED, following == ANSWER_SOON
        if block.role == NOT_RUN:
            self._last = None
        elif block.language in ("sh", "python"):
            ran = await self._run(block, apart=is_refused or may_fail)
            if is_refused and not ran.failed:
                raise self._failure(block.line, f"should fail:\n{block.text}\nIt printed:\n{ran.out}")
            if ran.failed and not (is_refused or may_fail):
                raise self._failed_command(block, ran)
            self._last = block, ran
        elif block.role in (ANSWER, REFUSED):
            self._compare(block)
        elif block.role == ANSWER_SOON:
            await self._compare_soon(block)
        elif block.role == RECEIVED:
            await self._wait_for_webhook(block)

    def _compare(self, block: Block) -> None:
        if self._last is None:
            raise self._failure(block.line, "an answer to nothing that was run")
        asked, ran = self._last
        try:
            real = last_json(ran.out)
        except ValueError as error:
            raise self._failure(
                block.line, f"{error}:\n{asked.text}\nIt printed:\n{ran.out}{ran.err}"
            ) from None
        found = list(differences(self._shown(block), real))
        if found:
            printed = json.dumps(real, indent=2, ensure_ascii=False)
            lines = "\n".join(found)
            text = f"the answer is another one:\n{lines}\n\nThe block:\n{asked.text}\nThe answer:\n{printed}"
            raise self._failure(block.line, text)

    async def _compare_soon(self, block: Block) -> None:
        if self._last is not None and len(self._last[0].text.replace("\\\n", "").splitlines()) > 1:
            raise self._failure(block.line, "the block before it is run again, so it must be one command")

        async def holds() -> bool:
            try:
                self._compare(block)
            except PageFailed:
                if self._last is None:
                    raise
                self._last = self._last[0], await self._run(self._last[0], apart=True)
                return False
            return True

        if not await _soon(holds):
            self._compare(block)

    async def _wait_for_webhook(self, block: Block) -> None:
        shown = self._shown(block)

        async def holds() -> bool:
            return any(not list(differences(shown, body)) for body in self._world.received())

        if not await _soon(holds):
            bodies = "\n".join(json.dumps(body, ensure_ascii=False) for body in self._world.received())
            raise self._failure(block.line, f"no such webhook in {SOON_S:.0f} s; these came:\n{bodies}")

    def _shown(self, block: Block) -> Any:
        try:
            return json.loads(self._filled(block.text))
        except ValueError as error:
            raise self._failure(block.line, f"no JSON: {error}") from None

    def _failed_command(self, block: Block, ran: _Ran) -> PageFailed:
        number, _, command = ran.failed.partition(" ")
        line = block.line + int(number) - 1 if block.language == "sh" else block.line
        return self._failure(line, f"failed: {command}\n{ran.out}\n{ran.err}")

    def _failure(self, line: int, text: str) -> PageFailed:
        return PageFailed(f"{self._name}:{line}: {text}")


async def _soon(holds: Callable[[], Any]) -> bool:
    """Whether it comes to hold within SOON_S."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SOON_S):
            while True:
                if await holds():
                    return True
                await asyncio.sleep(AGAIN_EVERY_S)
    return False
