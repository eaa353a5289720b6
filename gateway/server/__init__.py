"""Starts the server (`run`), and what belongs to a process of it; answers no request.

* `server` the order of starting and ending; `store_claim`, `known_store` its claim on the store
* `serving` HTTP in one process, by `runner`; `further_gateways` the other processes

May import all of `gateway`, `lbactors` and `persistence`.
"""

from gateway.server.server import run

__all__ = ["run"]
