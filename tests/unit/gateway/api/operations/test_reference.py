"""The reference page loads nothing from elsewhere, may run its own script, and search leads to its places."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import gateway
from tests.support.browser import Tab, browser, needs_browser
from tests.support.gateway.http_client import Http

FOUND = "document.querySelector('.found')"
FIELD = "leaderboards_create.body.timeframe.timezone"


def test_the_reference_page_loads_nothing_from_elsewhere() -> None:
    page = (Path(gateway.__file__).parent / "static" / "reference.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:https?:)?//[a-z0-9]", page.replace("// ", ""))
    assert page.count("<script>") == page.count("<style>") == 1
    assert not re.search(r"<[^>]+\s(?:on\w+|style|src)=", page)
    assert "innerHTML" not in page
    assert '<noscript><p>This page needs JavaScript. <a href="openapi.json">' in page


async def test_the_policy_allows_the_pages_own_script(http: Http) -> None:
    from base64 import b64encode
    from hashlib import sha256

    answer = await http.get("/docs")
    script = re.search(rb"<script>(.*?)</script>", answer.raw, re.DOTALL)
    assert script is not None
    digest = b64encode(sha256(script.group(1)).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]


# In a browser ---------------------------------------------------------------------------------------------


class Docs:
    """The page, open in a browser."""

    def __init__(self, tab: Tab, url: str) -> None:
        self.tab = tab
        self.url = url

    async def open(self, place: str = "") -> None:
        await self.tab.open(f"{self.url}#{place}" if place else self.url)
        await self.tab.until("document.querySelectorAll('article').length > 50")

    async def found(self) -> tuple[str, bool]:
        """The id of what is marked, and whether it is on the screen and not folded away."""
        shown = f"(({FOUND}?.getBoundingClientRect() || {{}}).height > 0)"
        top = f"{FOUND}.getBoundingClientRect().top"
        return await self.tab.js(f"{FOUND}?.id"), await self.tab.js(
            f"{shown} && {top} >= 0 && {top} < innerHeight"
        )


@pytest.fixture
async def docs(http: Http) -> AsyncIterator[Docs]:
    async with browser() as tab:
        page = Docs(tab, str(http.client.make_url("/docs")))
        await page.open()
        yield page
        assert tab.trouble == []


@needs_browser
async def test_search_opens_what_it_finds(docs: Docs) -> None:
    tab = docs.tab
    await tab.press("/")
    await tab.write("timezone")
    await tab.press("Enter")
    await tab.until(f"location.hash === '#{FIELD}'")
    assert await docs.found() == (FIELD, True)
    assert (await tab.js("byId('status').textContent")).startswith("1 of ")
    await tab.press("Enter")
    await tab.until(f"location.hash !== '#{FIELD}'")
    assert await tab.js(f"location.hash === '#' + {FOUND}.id")
    await tab.press("Enter", shift=True)
    await tab.until(f"location.hash === '#{FIELD}'")
    await tab.press("Escape")
    assert await tab.js("document.activeElement.id") == FIELD
    await tab.js("history.back()")
    await tab.until(f"location.hash === '' && !{FOUND} && scrollY === 0")


@needs_browser
async def test_every_place_that_search_offers_can_be_linked(docs: Docs) -> None:
    places = await docs.tab.js("collect().map((place) => place.id)")
    assert len(places) > 1000 and FIELD in places
    assert await docs.tab.js("collect().filter((place) => !locate(place.id)).map((place) => place.id)") == []
    ids = await docs.tab.js("[...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert len(set(ids)) == len(ids)
    assert not re.search(r"\^\[|\{0,\d+\}\$", await docs.tab.js("document.body.textContent")), (
        "a regex is shown"
    )
    for place in ("rankings_page", FIELD, "scores_submit.409", "rankings_page.query.limit"):
        await docs.open(place)
        assert await docs.found() == (place, True)


@needs_browser
async def test_a_scope_stands_once(docs: Docs) -> None:
    shown = await docs.tab.js("document.getElementById('rankings_page').textContent")
    assert shown.count("rankings:read") == 1


@needs_browser
async def test_the_language_is_remembered(docs: Docs) -> None:
    tab, chosen = (
        docs.tab,
        "[...document.querySelectorAll('[role=tab][aria-selected=true]')].map((t) => t.textContent)",
    )
    assert set(await tab.js(chosen)) == {"curl"}
    await tab.js("document.querySelector('[role=tab][aria-selected=true]').focus()")
    await tab.press("ArrowRight")
    assert (
        set(await tab.js(chosen)) == {"Python"}
        and await tab.js("document.activeElement.textContent") == "Python"
    )
    await docs.open("rankings_page")
    assert set(await tab.js(chosen)) == {"Python"}
    code = await tab.js("document.getElementById('rankings_page-code').textContent")
    assert f'SyncClient("{docs.url.removesuffix("/docs")}"' in code
