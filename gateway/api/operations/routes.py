"""Routes for operators, load balancers, Prometheus and people (API section 7)."""

from __future__ import annotations

from gateway.api.operations import handlers
from gateway.http.metrics import CONTENT_TYPE
from gateway.http.openapi import Answer, Route
from gateway.http.shared_parameters import Shared


def routes(s: Shared) -> tuple[Route, ...]:
    """The state of the server, and what needs no key."""
    page = {"type": "string"}
    metrics = Route(
        "GET",
        "/metrics",
        handlers.metrics,
        "operations_metrics",
        "Operations",
        "Prometheus metrics",
        Answer(200, "Metrics.", page, media_type=CONTENT_TYPE.partition(";")[0]),
        "Collected at most once a second.",
        always=True,
        python="metrics()",
    )
    return (
        Route(
            "GET",
            "/v1/status",
            handlers.status,
            "admin_status",
            "Administration",
            "Server status",
            Answer(200, "The state.", "Status"),
            scopes=("platform",),
            python="status()",
        ),
        Route(
            "GET",
            "/healthz",
            handlers.healthz,
            "operations_healthz",
            "Operations",
            "Liveness check",
            Answer(200, "The process answers.", "Health", {"status": "ok"}),
            always=True,
            python="health()",
        ),
        Route(
            "GET",
            "/readyz",
            handlers.readyz,
            "operations_readyz",
            "Operations",
            "Readiness check",
            Answer(200, "Actors and storage are ready.", "Readiness"),
            "Checked at most once a second, so the answer may be two seconds old.",
            always=True,
            python="ready()",
        ),
        *((metrics,) if s.settings.serve_metrics else ()),
        Route(
            "GET",
            "/openapi.json",
            handlers.openapi,
            "operations_openapi",
            "Operations",
            "OpenAPI document",
            Answer(200, "This document.", "OpenApi", media_type="application/json"),
            always=True,
            etag=True,
        ),
        Route(
            "GET",
            "/",
            handlers.home,
            "operations_home",
            "Operations",
            "Go to the API reference",
            Answer(302, "It is at `/docs`.", page, media_type="text/html", headers=("Location",)),
            always=True,
        ),
        Route(
            "GET",
            "/docs",
            handlers.docs,
            "operations_docs",
            "Operations",
            "API reference",
            Answer(200, "The page.", page, media_type="text/html"),
            always=True,
        ),
    )
