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
        "Metrics for Prometheus",
        Answer(200, "Metrics.", page, media_type=CONTENT_TYPE.partition(";")[0]),
        "Made once a second at most, whoever asks.",
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
            "The state of the server",
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
            "Whether the process answers",
            Answer(200, "It does.", "Health", {"status": "ok"}),
            always=True,
            python="health()",
        ),
        Route(
            "GET",
            "/readyz",
            handlers.readyz,
            "operations_readyz",
            "Operations",
            "Whether actors and storage are ready",
            Answer(200, "They are.", "Readiness"),
            "Made once a second at most, whoever asks: it may be two seconds old.",
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
            "This description",
            Answer(200, "An OpenAPI document.", "OpenApi", media_type="application/json"),
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
            "The reference for people",
            Answer(200, "A page.", page, media_type="text/html"),
            always=True,
        ),
    )
