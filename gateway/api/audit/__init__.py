"""The audit log: who did what."""

from gateway.api.audit.routes import routes
from gateway.api.audit.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
