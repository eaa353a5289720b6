"""`lbactors demo`: a server of its own, a simulated game, a live view.

Imports `client` and `tables`; the server runs as a process.
"""
