"""The warning for a client that nobody closed: it names the fix."""

from __future__ import annotations

import logging
import warnings

LOG = logging.getLogger("lbactors.client")


def warn_unclosed(client: object, fix: str) -> None:
    """Warn from a finalizer: a ResourceWarning, and a line in the log since Python hides those by default."""
    text = f"unclosed lbactors {type(client).__name__}: {fix}"
    warnings.warn(text, ResourceWarning, stacklevel=2, source=client)
    LOG.warning(text)
