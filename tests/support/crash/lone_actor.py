"""A period actor without Ray, as a process of its own: what two of them do to each other on one store.

lone_actor.py NAME STORE_URL    prints `started`; for each line on stdin: hosts the chain, waits until it is
                                loaded, prints `serving ENDPOINT` (hex), or `refused` and the reason
"""

from __future__ import annotations

import asyncio
import sys
import threading

import msgpack

from lbactors.core.definition import Rules
from lbactors.core.model import PeriodRecord
from lbactors.core.packing import pack
from lbactors.period_actor.actor import PeriodActor
from lbactors.settings import ServerSettings
from lbactors.wire.chain_spec import ChainSpec

CHAIN_ID = "default/split~1/main"
RULES = Rules("sum", "desc", "desc", "first", "ordinal", None, None)
RECORD = PeriodRecord(1, "all_time", None, None, False, 0, 0, 0)
SPEC = ChainSpec(CHAIN_ID, "main", 1, RULES, 0, False, [RECORD], None, 1, {})


def say(*words: object) -> None:
    print(*words, flush=True)


async def main(name: str, store_url: str) -> None:
    server = ServerSettings(snapshot_seconds=0.3, clock_file=None, log_level="warning")
    settings = server.for_actors(store_id="", server_id="", server="", root_key_hash=None)
    actor = PeriodActor(name, {**settings.to_wire(), "store_url": store_url})
    loop, orders = asyncio.get_running_loop(), asyncio.Queue[str]()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(orders.put_nowait, line)

    threading.Thread(target=listen, daemon=True).start()
    say("started")
    while True:
        await orders.get()
        ((failed, reason),) = msgpack.unpackb(await actor.host(pack([[SPEC.to_wire()], True])))
        if failed:
            say("refused", reason)
        else:
            say("serving", (await actor.endpoint()).hex())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
