"""Homes of leaderboards: all windows have the same one, in stores that knew one for each window, too."""

from __future__ import annotations

from pathlib import Path

from persistence import open_store
from persistence.store import Change
from tests.support.supervisor.local_supervisor import LocalServer

WINDOWS = ("main", "daily", "weekly")


async def test_a_store_with_windows_in_different_actors_is_served(tmp_path: Path) -> None:
    """As it was written before leaderboards were placed whole: a document for each chain."""
    definition = {"leaderboard_id": "xp", "windows": list(WINDOWS[1:]), "scoring": {"aggregation": "sum"}}
    async with LocalServer(tmp_path / "data", actors_per_core=8) as server:
        await server.command("create_leaderboard", definition=definition)
        await server.command("create_leaderboard", definition={"leaderboard_id": "coins"})
        for window in WINDOWS:
            await server.submit("xp", "ada", 5, window)
        state = server.supervisor.state
        xp, coins = (state.boards[f"default/{name}"] for name in ("xp", "coins"))
        url = server.settings.store_url
    store = open_store(url)
    await store.open()
    homes = dict(await store.scan("homes"))
    assert set(homes) == {xp.board_uid, coins.board_uid}
    epoch = await store.take_ownership("supervisor")
    before = {xp.chain_id(window): b"period-%d" % n for n, window in enumerate(reversed(WINDOWS), 4)}
    before[coins.chain_id("main")] = b"period-1"
    changes = [Change("homes", name, None) for name in homes]
    changes += [Change("homes", chain_id, body) for chain_id, body in before.items()]
    await store.commit(changes, owner="supervisor", epoch=epoch)
    await store.close()
    async with LocalServer(tmp_path / "data", actors_per_core=8) as server:
        after = dict(await server.supervisor.state.store.scan("homes"))
        assert set(after) == {xp.board_uid, coins.board_uid}
        for window in WINDOWS:
            assert await server.page("xp", window=window) == [(1, "ada", 5)]
            await server.submit("xp", "ada", 5, window)
            assert await server.page("xp", window=window) == [(1, "ada", 10)]
        chains = server.supervisor.state.chains
        assert len({chains[xp.chain_id(window)].home for window in WINDOWS}) == 1
