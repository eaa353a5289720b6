"""The Python client of the HTTP API, for game servers and tools: `Client` (asyncio) and `SyncClient`.

Imports nothing of the server: only aiohttp, orjson and the standard library.
"""

from lbactors.client.client import Client
from lbactors.client.sync_client import SyncClient
from lbactors.client.transport import DEFAULT_URL, ApiError, Unreachable
from lbactors.client.webhook_signature import InvalidSignature, verify_webhook

__all__ = [
    "DEFAULT_URL",
    "ApiError",
    "Client",
    "InvalidSignature",
    "SyncClient",
    "Unreachable",
    "verify_webhook",
]
