"""Keys of the API."""

from gateway.api.keys.routes import routes
from gateway.api.keys.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
