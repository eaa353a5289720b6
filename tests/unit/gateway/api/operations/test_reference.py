"""The page for people loads nothing from elsewhere, and may run its own script."""

from __future__ import annotations

import re
from pathlib import Path

import gateway
from tests.support.gateway.http_client import Http


def test_the_reference_page_loads_nothing_from_elsewhere() -> None:
    page = (Path(gateway.__file__).parent / "static" / "reference.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:https?:)?//[a-z0-9]", page.replace("// ", ""))
    assert page.count("<script>") == page.count("<style>") == 1
    assert not re.search(r"<[^>]+\s(?:on\w+|style|src)=", page)
    assert "innerHTML" not in page


async def test_the_policy_allows_the_pages_own_script(http: Http) -> None:
    from base64 import b64encode
    from hashlib import sha256

    answer = await http.get("/docs")
    script = re.search(rb"<script>(.*?)</script>", answer.raw, re.DOTALL)
    assert script is not None
    digest = b64encode(sha256(script.group(1)).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
