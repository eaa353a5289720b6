"""Every page that shows commands does what it says, on a real server with an empty store.

What a page may contain, and how its blocks are run: `tests.support.pages`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.pages.running import World, hour_to_come, run_page
from tests.support.receiver import Receiver
from tests.support.repository import REPOSITORY, python_path
from tests.support.server_process import NO_SPARE, Server

WITHOUT_COMMANDS = {
    "docs/guides/README.md",
}
WITH_PLUGIN = {  # the server has the example plugin loaded
    "docs/guides/anti-cheat.md",
}
PATTERNS = ("README.md", "docs/concepts.md", "docs/sources.md", "docs/python-client.md", "docs/guides/*.md")
PAGES = sorted(
    path
    for pattern in PATTERNS
    for path in REPOSITORY.glob(pattern)
    if str(path.relative_to(REPOSITORY)) not in WITHOUT_COMMANDS
)


@pytest.fixture
async def server(page: Path) -> AsyncIterator[Server]:
    server = Server("lb_" + secrets.token_hex(16), *NO_SPARE)
    if str(page.relative_to(REPOSITORY)) in WITH_PLUGIN:
        server.variables = {
            "LBACTORS_PLUGINS": "plausible_scores",
            "PYTHONPATH": python_path(REPOSITORY / "examples" / "plugin-plausible-scores"),
        }
    try:
        await server.start()
        yield server
        await asyncio.to_thread(server.stop)
    finally:
        print(server.tail())  # shown if the test failed
        await asyncio.to_thread(server.close)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = await Receiver().start()
    yield receiver
    await receiver.stop()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
async def test_a_page_does_what_it_says(
    page: Path, server: Server, receiver: Receiver, tmp_path: Path
) -> None:
    await hour_to_come()
    world = World(server.url, server.key, receiver.url, lambda: [got.body for got in receiver.got])
    assert await run_page(page, tmp_path, world, str(page.relative_to(REPOSITORY))) > 0
