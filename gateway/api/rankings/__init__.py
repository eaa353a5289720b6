"""Reading rankings: pages, a player's entry, look-ups, distributions."""

from gateway.api.rankings.routes import routes
from gateway.api.rankings.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
