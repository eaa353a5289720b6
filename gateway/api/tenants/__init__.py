"""Tenants."""

from gateway.api.tenants.routes import routes
from gateway.api.tenants.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
