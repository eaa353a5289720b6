"""What a server keeps on the machine is for its user alone: neighbours read no secrets and write no logs."""

from __future__ import annotations

import stat
from pathlib import Path

from persistence.data_dir import DATABASE_NAME
from persistence.sqlite.store import SqliteStore
from tests.support.crash.writers import Api
from tests.support.server_process import MakeServer

FOR_OTHERS = 0o077


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def reachable(folder: Path) -> list[str]:
    """What others may read, write or enter of all that lies below a folder, as far as they get."""
    found = []
    for path in folder.iterdir():
        if path.is_symlink() or not mode_of(path) & FOR_OTHERS:
            continue
        found.append(f"{mode_of(path):04o} {path}")
        if path.is_dir():
            found += reachable(path)
    return found


async def test_a_server_and_what_an_earlier_version_left(make_server: MakeServer) -> None:
    server = make_server(None, "--gateways", "2")
    server.data_dir.mkdir(mode=0o755)
    store = SqliteStore(server.data_dir)
    await store.open()
    await store.close()
    (server.data_dir / "server.lock").touch()
    for file in server.data_dir.iterdir():
        file.chmod(0o644)
    home = server.folder / "home"
    home.mkdir()
    server.variables |= {"HOME": str(home), "LBACTORS_CLOCK_FILE": str(server.folder / "clock")}
    await server.start()
    async with Api(server.url, server.key) as api:
        await api.ok("POST", "/v1/leaderboards", {"leaderboard_id": "xp"})
        await api.ok("POST", "/v1/leaderboards/xp/scores", {"player_id": "p", "score": 5})
    assert mode_of(server.data_dir) == 0o700
    modes = {path.name: mode_of(path) for path in server.data_dir.iterdir()}
    assert set(modes.values()) == {0o600} and DATABASE_NAME in modes, modes
    assert not list(home.rglob("auth_token")), "a token that everybody reads"
    (ray,) = server.folder.glob("lbr-*")
    assert mode_of(ray) == 0o700 and mode_of(ray / "token") == 0o600
    logs = [path for path in (ray / "r").rglob("*") if path.is_file() and not path.is_symlink()]
    assert logs and not [path for path in logs if mode_of(path) & FOR_OTHERS]
    theirs = {str(server.folder / "stderr.log"), str(home)}  # made by the test
    assert {line.split(" ", 1)[1] for line in reachable(server.folder)} <= theirs
    assert mode_of(server.folder / "clock") == 0o600
