"""Submissions that plugins held, and what is decided about them."""

from gateway.api.reviews.routes import routes
from gateway.api.reviews.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
