"""Starts the server (`run`) and claims its store: `server`, `store_claim`, `known_store`.

It answers no request. May import everything of `gateway`, `lbactors` and `persistence`.
"""

from gateway.server.server import run

__all__ = ["run"]
