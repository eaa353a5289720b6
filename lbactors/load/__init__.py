"""`lbactors bench`: load for a running server, and what it answered.

Imports `client`, `demo` (for a server of its own) and `tables`.
"""
