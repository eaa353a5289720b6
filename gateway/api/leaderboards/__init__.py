"""Definitions of leaderboards."""

from gateway.api.leaderboards.routes import routes
from gateway.api.leaderboards.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
