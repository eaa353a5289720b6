"""Profiles of players, and erasure."""

from gateway.api.players.routes import routes
from gateway.api.players.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
