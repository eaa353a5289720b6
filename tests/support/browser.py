"""A Chromium without a window, driven over its debugging protocol; for pages whose script is what matters.

CHROMIUM is None where there is none: mark such tests with `needs_browser`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

WITHIN_S = 30.0
LOOK_EVERY_S = 0.05
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0")
KEY_CODES = {"Enter": 13, "Escape": 27, "ArrowRight": 39, "/": 191}
TROUBLE = ("Runtime.exceptionThrown", "Log.entryAdded")


class Tab:
    """One page. `trouble`: exceptions of its scripts, and what the browser complained of."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.trouble: list[Any] = []
        self._socket = socket
        self._calls = 0

    async def send(self, method: str, **params: Any) -> Any:
        """A call of the protocol; its result."""
        self._calls += 1
        await self._socket.send_json({"id": self._calls, "method": method, "params": params})
        async with asyncio.timeout(WITHIN_S):
            while True:
                message = await self._socket.receive_json()
                if message.get("method") in TROUBLE:
                    self.trouble.append(message["params"])
                if message.get("id") == self._calls:
                    assert "error" not in message, message
                    return message["result"]

    async def open(self, url: str) -> None:
        """Load a page anew, even if only the part after # is another."""
        await self.send("Page.navigate", url="about:blank")
        await self.until("location.href === 'about:blank'")
        await self.send("Page.navigate", url=url)
        await self.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    async def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        result = await self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                if await self.js(expression):
                    return
                await asyncio.sleep(LOOK_EVERY_S)

    async def press(self, key: str, shift: bool = False) -> None:
        params = {"key": key, "windowsVirtualKeyCode": KEY_CODES[key], "modifiers": 8 if shift else 0}
        await self.send("Input.dispatchKeyEvent", type="keyDown", **params)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **params)

    async def write(self, text: str) -> None:
        await self.send("Input.insertText", text=text)


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Tab]:
    """A browser with a profile of its own, and its one tab."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            *OPTIONS,
            f"--user-data-dir={folder}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with aiohttp.ClientSession() as client:
                address = await _address(client, Path(folder) / "DevToolsActivePort")
                async with client.ws_connect(address, max_msg_size=0) as socket:
                    tab = Tab(socket)
                    for domain in ("Page", "Runtime", "Log"):
                        await tab.send(f"{domain}.enable")
                    yield tab
        finally:
            process.terminate()
            await process.wait()


async def _address(client: aiohttp.ClientSession, file: Path) -> str:
    """Of the tab's debugging socket, when the browser has written its port down."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            if file.exists() and (lines := file.read_text().split()):
                async with client.get(f"http://127.0.0.1:{lines[0]}/json") as response:
                    for found in await response.json():
                        if found["type"] == "page":
                            return str(found["webSocketDebuggerUrl"])
            await asyncio.sleep(LOOK_EVERY_S)
