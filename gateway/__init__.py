"""The HTTP side of the server, in rooms; imports run from the top down.

`server/`  starts everything and claims the store
`app.py`   the door: every request comes in and goes out here
`api/`     the resources, each in one place: handlers, routes, shapes, examples
`http/`    what every route uses

It may import `lbactors` (never an actor) and `persistence`; only the command line imports it.
"""
