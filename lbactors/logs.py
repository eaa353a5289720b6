"""Structured logs on stderr, from every process of the server: one JSON object a line; text on a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def _renderers() -> list[Any]:
    if sys.stderr.isatty():
        return [
            structlog.dev.ConsoleRenderer(pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)
        ]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def configure_logs(level: str) -> None:
    """Set the process's log format and level (debug, info, warning, error)."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_renderers(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
