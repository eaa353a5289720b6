"""The gateway's side of the actors: what HTTP routes call, and nothing of HTTP.

Imports `wire`, `documents`, `core` and the contract of `persistence`; no actor.
"""
