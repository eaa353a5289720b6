"""Ports for servers of tests: free now, and taken by nobody else by chance before the server listens.

They lie below the range that outgoing connections take, and apart from those of Ray. Redis has a range of its
own, because a cluster's node takes a second port a fixed number above the first.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket

SERVER_PORTS = range(22_700, 29_900)
REDIS_PORTS = range(20_000, 22_700)
BUS_PORT_ABOVE = 10_000  # what a cluster's nodes use among themselves

_given: set[int] = set()  # by this process: who is killed, or has not started yet, does not listen


def free_port() -> int:
    return _free(SERVER_PORTS, 0)


def free_redis_port() -> int:
    """Free for the bus of a cluster's node too."""
    return _free(REDIS_PORTS, 0, BUS_PORT_ABOVE)


def _own(ports: range) -> range:
    """Of the processes of one run each has its own."""
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return ports[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % count :: count]


def _free(ports: range, *above: int) -> int:
    own = _own(ports)
    if len(_given.intersection(own)) > len(own) // 2:
        _given.difference_update(own)
    while True:
        port = random.SystemRandom().choice(own)
        if port in _given:
            continue
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for number in above:
                probe = stack.enter_context(socket.socket())
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port + number))
            _given.add(port)
            return port
