"""The periods of a leaderboard's windows."""

from gateway.api.periods.routes import routes
from gateway.api.periods.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
