"""Tests of the HTTP gateway without the backend: `fake_service.py` stands in for `lbactors.service.Service`.

The black-box suite in `tests/api` says the same things to the real server; here are the parts that need no server,
or that no client can see.
"""
