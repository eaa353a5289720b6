"""Submitting scores, one or many, to one leaderboard or several."""

from gateway.api.scores.routes import routes
from gateway.api.scores.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
