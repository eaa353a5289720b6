"""The argument LEADERBOARD, which most commands have, and its completion in a shell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from lbactors.cli.target import target_of

TIMEOUT_S = 1.0  # a person is waiting at the prompt
IDS = 100
ANSWER_BYTES = 1 << 20


def leaderboard_argument(*, required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator; the command gets `leaderboard_id`."""
    metavar = "LEADERBOARD" if required else "[LEADERBOARD]"
    return click.argument(
        "leaderboard_id", metavar=metavar, required=required, shell_complete=complete_leaderboard
    )


def complete_leaderboard(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Up to IDS ids that begin so. One quick request; no ids, and no word, where that fails."""
    try:
        return [found for found in _ids(ctx, incomplete) if found.startswith(incomplete)]
    except Exception:  # whatever it is, the prompt is no place for it
        return []


def _ids(ctx: click.Context, incomplete: str) -> list[str]:
    import json
    from urllib.parse import urlencode
    from urllib.request import ProxyHandler, Request, build_opener

    target = target_of(ctx)
    query = {"limit": IDS, **({"search": incomplete} if incomplete else {})}
    headers = {"Authorization": f"Bearer {target.key}"} if target.key else {}
    if target.tenant_id:
        headers["X-Tenant-Id"] = target.tenant_id
    request = Request(f"{target.url.rstrip('/')}/v1/leaderboards?{urlencode(query)}", headers=headers)
    with build_opener(ProxyHandler({})).open(
        request, timeout=TIMEOUT_S
    ) as answer:  # no proxy, like the client
        items = json.loads(answer.read(ANSWER_BYTES))["items"]
    return [str(item["leaderboard_id"]) for item in items]
