"""What the gateway counts, for Prometheus: requests by route, method and status, their times, submissions,
and rows of logs; and which leaderboards are behind their logs, as the supervisor knows it.

Labels are route templates and installed plugins, never players: the number of time series is fixed by what is
installed. Leaderboards are named only while they are behind, and the worst of them alone. Every registry is
its own, so that several gateways fit into one process (tests). The child of a label set is looked up once per
route and status and kept, since the look-up costs more than the counting.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def package_version() -> str:
    """Version of the installed package; `0` when run from a source tree that was never installed."""
    try:
        return version("lbactors")
    except PackageNotFoundError:
        return "0"


class Metrics:
    """`registry` is public: other parts of the process may register collectors in it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "lbactors_http_requests_total",
            "Requests answered. Status 499: the client went away before its body had come.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "lbactors_http_request_seconds",
            "Time from the request's headers to the answer.",
            ("method", "route"),
            registry=self.registry,
            buckets=_SECONDS,
        )
        submissions = Counter(
            "lbactors_submissions_total",
            "Submissions by what became of them.",
            ("result",),
            registry=self.registry,
        )
        self._accepted = submissions.labels("accepted")
        self._rejected = submissions.labels("rejected")
        self._held = submissions.labels("held")
        rows = Counter(
            "lbactors_log_rows_total",
            "Rows of metrics and events by what became of them; repeats are accepted.",
            ("kind", "result"),
            registry=self.registry,
        )
        self._rows = {
            kind: (rows.labels(kind, "accepted"), rows.labels(kind, "rejected")) for kind in ("row", "event")
        }
        self._plugin_calls = Counter(
            "lbactors_plugin_calls_total",
            "Submissions that a plugin judged, by what it said.",
            ("plugin", "result"),
            registry=self.registry,
        )
        self._plugin_seconds = Counter(
            "lbactors_plugin_seconds_total",
            "Time that the gateway spent in a plugin's hook.",
            ("plugin",),
            registry=self.registry,
        )
        self._plugin_slow = Counter(
            "lbactors_plugin_slow_calls_total",
            "Calls of a plugin's hook that took more than 5 ms.",
            ("plugin",),
            registry=self.registry,
        )
        self._plugins: dict[tuple[str, str], tuple[Counter, Counter]] = {}
        self._behind = Gauge(
            "lbactors_projections_behind",
            "Leaderboards that are being filled from their log, or have been behind it for more than a "
            "second; NaN while the supervisor is away.",
            registry=self.registry,
        )
        self._lag_rows = Gauge(
            "lbactors_projection_lag_rows",
            "Rows of the log that such a leaderboard has not taken. Only those that are behind are here, "
            "at most the 100 that have most before them.",
            ("tenant", "leaderboard"),
            registry=self.registry,
        )
        self._lag_seconds = Gauge(
            "lbactors_projection_lag_seconds",
            "For how long the first of these rows has waited, or for how long the leaderboard has been "
            "reading up to them.",
            ("tenant", "leaderboard"),
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "lbactors_http_requests_in_flight", "Requests being answered.", registry=self.registry
        )
        build = Gauge("lbactors_build_info", "Always 1.", ("version",), registry=self.registry)
        build.labels(package_version()).set(1)
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answer. `method` and `route` must come from the routes' table, or be constants."""
        children = self._children.get((method, route, status))
        if children is None:
            children = (
                self._requests.labels(method, route, status),
                self._seconds.labels(method, route),
            )
            self._children[method, route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def plugin_call(self, plugin: str, result: str, seconds: float) -> None:
        """Counts one call of `validate_submission`; result: accepted, refused, held or failed."""
        children = self._plugins.get((plugin, result))
        if children is None:
            children = self._plugin_calls.labels(plugin, result), self._plugin_seconds.labels(plugin)
            self._plugins[plugin, result] = children
        children[0].inc()
        children[1].inc(seconds)

    def plugin_slow(self, plugin: str) -> None:
        """Counts a slow call."""
        self._plugin_slow.labels(plugin).inc()

    def submissions(self, accepted: int, rejected: int, held: int = 0) -> None:
        """Counts what became of the items of one request."""
        if accepted:
            self._accepted.inc(accepted)
        if rejected:
            self._rejected.inc(rejected)
        if held:
            self._held.inc(held)

    def log_rows(self, kind: Literal["row", "event"], accepted: int, rejected: int) -> None:
        """Counts what became of the rows or events of one request."""
        for counter, count in zip(self._rows[kind], (accepted, rejected), strict=True):
            if count:
                counter.inc(count)

    def projections(self, found: Mapping[str, Any] | None) -> None:
        """Takes who is behind (`lbactors.wire.ping.behind_shown`). None: nobody can tell."""
        self._lag_rows.clear()
        self._lag_seconds.clear()
        if found is None:
            self._behind.set(math.nan)
            return
        self._behind.set(found["behind"])
        for board in found["leaderboards"]:
            labels = board["tenant_id"], board["leaderboard_id"]
            self._lag_rows.labels(*labels).set(board["rows"] - board["rows_read"])
            self._lag_seconds.labels(*labels).set(board["behind_seconds"])

    def exposition(self) -> bytes:
        """The text that Prometheus reads, of `CONTENT_TYPE`."""
        return generate_latest(self.registry)
