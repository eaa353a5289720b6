"""Metrics: rows that award, deduct and set, and the balances that follow from them."""

from gateway.api.metrics.routes import routes
from gateway.api.metrics.shapes import shapes
from gateway.http.openapi import Resource

RESOURCE = Resource(routes, shapes)
