"""What the supervisor says of itself to whoever asks, without a key: made once a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack

from tests.support.supervisor.in_process import Server

NOON_MS = 1_795_003_200_000  # 2026-11-18T12:00:00Z


async def status(server: Server, *wanted: bytes) -> dict[str, Any]:
    ref = await server.cluster.find("supervisor")
    assert ref is not None
    return dict(msgpack.unpackb(await ref.call("status", *wanted)))


async def test_readiness_is_made_once_a_second_for_all_gateways(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", NOON_MS) as server:
        made = [(await status(server, b"brief"))["at"] for _ in range(3)]
        assert len(set(made)) == 1
        server.move_to(NOON_MS + 999)
        assert (await status(server, b"brief"))["at"] == made[0]
        assert (await status(server, b"now"))["at"] > made[0], "a server that starts does not wait a second"
        server.move_to(NOON_MS + 1000)
        assert (await status(server, b"brief"))["at"] > made[0]


async def test_readiness_names_the_actors_and_status_describes_them(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", NOON_MS) as server:
        brief, full = await status(server, b"brief"), await status(server)
        assert brief["actors"] == [actor["name"] for actor in full["actors"]]
        assert {"ready", "storage", "supervisor", "periods"} <= brief.keys() <= full.keys()
        assert {"leaderboards", "events"} == full.keys() - brief.keys()
        ready = await server.service.ready()
        assert ready["actors"] == len(full["actors"])
