"""Players hidden from all rankings, and shown again."""

from gateway.api.hidden_players.routes import routes
from gateway.api.hidden_players.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
