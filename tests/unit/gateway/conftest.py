"""Fixtures of the gateway's tests: a fake service, the application over it, a client with the root key."""

from tests.support.gateway.fixtures import app, http, no_proxies, service, settings
from tests.support.gateway.judged import judged_http

__all__ = ["app", "http", "judged_http", "no_proxies", "service", "settings"]
