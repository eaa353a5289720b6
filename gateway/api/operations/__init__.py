"""The state of the server: for operators, load balancers, Prometheus; the API's description."""

from gateway.api.operations.routes import routes
from gateway.api.operations.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
