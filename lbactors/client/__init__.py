"""The Python client of the HTTP API, for game servers and tools: `Client` (asyncio) and `SyncClient`.

Imports nothing of the server: only aiohttp, and what the standard library has.
"""

from lbactors.client.client import Client, SyncClient
from lbactors.client.transport import DEFAULT_URL, ApiError, Unreachable

__all__ = ["DEFAULT_URL", "ApiError", "Client", "SyncClient", "Unreachable"]
