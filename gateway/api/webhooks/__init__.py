"""Webhooks and their deliveries."""

from gateway.api.webhooks.routes import routes
from gateway.api.webhooks.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
