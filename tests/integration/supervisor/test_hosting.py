"""Homes of chains that lie dormant: whoever asks for one first does not wait for a process to start."""

from __future__ import annotations

from pathlib import Path

from tests.support.supervisor.local_supervisor import LocalServer

BOARDS = [f"b{number}" for number in range(4)]


async def test_dormant_chains_go_to_an_actor_that_runs_if_there_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    async with LocalServer(folder, actors_per_core=8) as server:
        for board in BOARDS:
            await server.command("create_leaderboard", definition={"leaderboard_id": board})
            await server.submit(board, "p", 5)
        assert len(server.actors.by_name) == len(BOARDS), "one each, while the budget lasts"
    async with LocalServer(folder, actors_per_core=8) as server:
        hosting = server.supervisor.hosting
        assert not server.actors.by_name and len(hosting.dormant) == len(BOARDS)
        assert await server.page(BOARDS[0]) == [(1, "p", 5)]
        (running,) = server.actors.by_name
        await hosting.probe(running, join=True)  # known to be up, as after the next ping
        for board in BOARDS[1:]:
            assert await server.page(board) == [(1, "p", 5)]
            await server.submit(board, "p", 6)
        assert list(server.actors.by_name) == [running] and not hosting.dormant
