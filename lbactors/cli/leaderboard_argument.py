"""The arguments LEADERBOARD, which most commands have, and METRIC, and their completion in a shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from lbactors.cli.target import target_of

TIMEOUT_S = 1.0  # a person is waiting at the prompt
IDS = 100
METRICS = 1000
ANSWER_BYTES = 1 << 20


def leaderboard_argument(*, required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator; the command gets `leaderboard_id`."""
    metavar = "LEADERBOARD" if required else "[LEADERBOARD]"
    return click.argument(
        "leaderboard_id", metavar=metavar, required=required, shell_complete=complete_leaderboard
    )


def metric_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator; the command gets `metric`."""
    return click.argument("metric", metavar="METRIC", shell_complete=complete_metric)(command)


def complete_leaderboard(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Up to IDS ids that begin so. One quick request; no ids, and no word, where that fails."""
    query = {"limit": IDS, **({"search": incomplete} if incomplete else {})}
    return _beginning(ctx, "/v1/leaderboards", query, "leaderboard_id", incomplete)


def complete_metric(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The same of the first METRICS metrics."""
    return _beginning(ctx, "/v1/metrics", {"limit": METRICS}, "metric", incomplete)


def _beginning(
    ctx: click.Context, path: str, query: Mapping[str, Any], field: str, incomplete: str
) -> list[str]:
    try:
        return [found for found in _names(ctx, path, query, field) if found.startswith(incomplete)]
    except Exception:  # whatever it is, the prompt is no place for it
        return []


def _names(ctx: click.Context, path: str, query: Mapping[str, Any], field: str) -> list[str]:
    """A field of each item of a listing."""
    import json
    from urllib.parse import urlencode
    from urllib.request import ProxyHandler, Request, build_opener

    target = target_of(ctx)
    headers = {"Authorization": f"Bearer {target.key}"} if target.key else {}
    if target.tenant_id:
        headers["X-Tenant-Id"] = target.tenant_id
    request = Request(f"{target.url.rstrip('/')}{path}?{urlencode(query)}", headers=headers)
    with build_opener(ProxyHandler({})).open(
        request, timeout=TIMEOUT_S
    ) as answer:  # no proxy, like the client
        items = json.loads(answer.read(ANSWER_BYTES))["items"]
    return [str(item[field]) for item in items]
