"""Several deployments on one Ray cluster, each with a store of its own: none meets the others' actors."""

from __future__ import annotations

from tests.support.crash.nodes import Nodes
from tests.support.crash.writers import Api
from tests.support.server_process import ROOT_KEY, MakeServer, Server

SCORES = "/v1/leaderboards/xp/scores"


async def best(api: Api) -> float:
    return float((await api.ok("GET", "/v1/leaderboards/xp/players/p"))["score"])


async def test_deployments_on_one_ray_leave_each_other_alone(make_server: MakeServer, nodes: Nodes) -> None:
    """The second one's start ends no supervisor of the first, and writes nothing into its store. Nor does a
    server on another store that comes after one that was killed.
    """
    address = await nodes.hear("head")

    def server() -> Server:
        made = make_server(ROOT_KEY, "--ray-address", address, "--spare-actors", "0")
        made.variables["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray is found at 127.0.0.1
        return made

    first, second = server(), server()
    for score, each in enumerate((first, second), start=1):
        await each.start()
        async with Api(each.url, each.key) as api:
            await api.ok("POST", "/v1/leaderboards", {"leaderboard_id": "xp"})
            await api.ok("POST", SCORES, {"player_id": "p", "score": score})
            pid = (await api.status())["supervisor"]["pid"]
            if each is first:
                kept = pid
    async with Api(first.url, first.key) as api:
        status = await api.status()
        assert (status["supervisor"]["pid"], status["supervisor"]["epoch"]) == (kept, 1)
        assert await best(api) == 1
    await second.kill_main()
    third = server()
    await third.start()
    async with Api(third.url, third.key) as api:
        assert (await api.ok("GET", "/v1/leaderboards"))["total"] == 0
        await api.ok("POST", "/v1/leaderboards", {"leaderboard_id": "xp"})
        await api.ok("POST", SCORES, {"player_id": "p", "score": 3})
    await second.start()  # on its own store, in the place of its own supervisor
    for score, each in enumerate((first, second, third), start=1):
        async with Api(each.url, each.key) as api:
            assert await best(api) == score
