"""A backup of a server under load, and its restore: all that was acknowledged before it began is there."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.crash.writers import Api
from tests.support.repository import REPOSITORY
from tests.support.server_process import NO_SPARE, ROOT_KEY, MakeServer, environment

BOARD = {"leaderboard_id": "xp", "scoring": {"aggregation": "sum"}, "windows": ["daily"]}
PLAYERS = 50
BEFORE = 1000  # scores before the backup
WRITERS = 8


def lbactors(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lbactors", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True)


def item(number: int) -> dict[str, Any]:
    return {"player_id": f"p{number % PLAYERS}", "score": 1, "submission_id": f"s{number}"}


async def standings(api: Api, **query: Any) -> dict[str, int]:
    page = await api.ok("GET", "/v1/leaderboards/xp/rankings", limit=PLAYERS, **query)
    return {entry["player_id"]: entry["submissions"] for entry in page["entries"]}


async def test_a_backup_under_load_and_its_restore(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(ROOT_KEY, *NO_SPARE)
    file = str(tmp_path / "store.backup")
    data = str(server.data_dir)
    await server.start()
    acknowledged: set[int] = set(range(BEFORE))
    stopped, written = asyncio.Event(), asyncio.Event()
    async with Api(server.url, server.key) as api:
        await api.ok("POST", "/v1/leaderboards", BOARD)
        await api.ok("POST", "/v1/leaderboards/xp/scores", [item(n) for n in range(BEFORE)])

        async def write(number: int) -> None:
            while not stopped.is_set():
                await api.ok("POST", "/v1/leaderboards/xp/scores", item(number))
                acknowledged.add(number)
                written.set()
                number += WRITERS

        writers = [asyncio.create_task(write(BEFORE + n)) for n in range(WRITERS)]
        await written.wait()
        before = set(acknowledged)
        backup = await asyncio.to_thread(lbactors, "backup", file, "--data-dir", data, "--json")
        assert backup.returncode == 0, backup.stderr
        during = len(acknowledged) - len(before)
        assert json.loads(backup.stdout)["verified"] and during, "nothing was written during the backup"
        refused = await asyncio.to_thread(lbactors, "restore", file, "--replace", "--data-dir", data)
        assert refused.returncode == 2 and f"in use by process {server.pid}" in refused.stderr
        stopped.set()
        await asyncio.gather(*writers)
    await server.kill_everything()
    restored = await asyncio.to_thread(lbactors, "restore", file, "--replace", "--data-dir", data)
    assert restored.returncode == 0, restored.stderr
    await server.start()
    async with Api(server.url, server.key) as api:
        held = await standings(api)
        assert held == await standings(api, window="daily")
        assert len(before) <= sum(held.values()) <= len(acknowledged)
        await api.ok("POST", "/v1/leaderboards/xp/scores", [item(n) for n in sorted(before)])
        assert await standings(api) == held, "a score counted twice on a board that adds them up"
        await api.ok("POST", "/v1/leaderboards/xp/scores", [item(n) for n in sorted(acknowledged)])
        assert sum((await standings(api)).values()) == len(acknowledged)
    server.terminate()
    assert await server.exit_code() == 0
    verified = await asyncio.to_thread(lbactors, "verify", "--data-dir", data, "--json")
    assert json.loads(verified.stdout)["findings"] == []
