"""What players won when a period closed, and claims."""

from gateway.api.rewards.routes import routes
from gateway.api.rewards.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
