"""Events of a game, and the rules that make points of them."""

from gateway.api.events.routes import routes
from gateway.api.events.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
