"""Who is ranked, from profiles and definitions to the rankings.

Supervisor and actors are the real ones (`local_supervisor`). Periods against the model: `test_period`.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.wire.actors import ActorGone
from tests.support.redis_server import RedisServer
from tests.support.rounds import long, rounds
from tests.support.supervisor.local_supervisor import LocalServer, killed, noticed

HOUR_MS = 3_600_000
VIPS = {"leaderboard_id": "vips", "windows": ["daily"], "audience": {"rank": {"roles": ["vip"]}}}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data") as server:
        yield server


async def put(server: LocalServer, player_id: str, **profile: Any) -> None:
    await server.command("put_player", player_id=player_id, profile=profile)


async def submit(server: LocalServer, board: str, **scores: float) -> None:
    """To both windows."""
    for player_id, score in scores.items():
        for window in ("main", "daily"):
            await server.submit(board, player_id, score, window)


async def order(server: LocalServer, board: str = "vips", window: str = "main", **more: str) -> list[str]:
    return [player_id for _, player_id, _ in await server.page(board, window=window, **more)]


async def audience(server: LocalServer, board: str = "vips", **audience: Any) -> None:
    await server.command(
        "patch_leaderboard", leaderboard_id=board, patch={"audience": audience}, if_match=None
    )


async def asleep(server: LocalServer) -> None:
    for actor in server.actors.by_name.values():
        for chain in actor.actor.chains.values():
            await chain.rest(server.clock.now_ms() + 1)
            assert not chain.open.is_awake


async def next_supervisor(server: LocalServer) -> None:
    """Another one takes over, as after a death: it knows what the store says."""
    server.supervisor.state.end()
    await server.actor.start()


@pytest.fixture
async def played(server: LocalServer) -> LocalServer:
    """ada and bob are VIPs, cyd has another role, dan no profile; all have played."""
    await put(server, "ada", roles=["vip"])
    await server.command("create_leaderboard", definition=VIPS)
    await put(server, "bob", roles=["mod", "vip"])
    await put(server, "cyd", roles=["mod"], tags=["vip"])
    await submit(server, "vips", ada=9, bob=5, cyd=7, dan=8)
    return server


async def test_who_is_outside_keeps_the_entry(played: LocalServer) -> None:
    for window in ("main", "daily"):
        assert await order(played, window=window) == ["ada", "bob"]
        value = await played.read("vips", "entry", ["cyd"], window=window)
        assert (value[1], value[3][0][:3]) == (2, [None, "cyd", 7])
    row = await played.submit("vips", "cyd", 20)
    assert (row[1], row[2], row[5]) == (True, 20, None)
    await put(played, "cyd", roles=["vip"])
    assert await played.page("vips") == [(1, "cyd", 20), (2, "ada", 9), (3, "bob", 5)]
    assert await order(played, window="daily") == ["ada", "cyd", "bob"]
    await played.command("patch_player", player_id="ada", patch={"roles": None})
    assert await order(played) == ["cyd", "bob"]


async def test_a_first_score_after_a_change_of_the_profile(played: LocalServer) -> None:
    for name, roles in (("new", ["vip"]), ("old", [])):
        await put(played, name, roles=["vip"] if name == "old" else [])
        await put(played, name, roles=roles)
        await submit(played, "vips", **{name: 100})
    assert await order(played) == ["new", "ada", "bob"]


async def test_a_changed_audience_takes_effect_at_once(played: LocalServer) -> None:
    await audience(played, rank={"roles": ["mod"]})
    assert await order(played) == await order(played, window="daily") == ["cyd", "bob"]
    await audience(played, rank={"tags": ["vip"], "roles": []})
    assert await order(played) == ["cyd"]
    await audience(played, rank={"tags": [], "players": ["dan", "nobody"]})
    assert await order(played) == ["dan"]
    await audience(played, rank={"players": []})
    assert await order(played) == await order(played, window="daily") == ["ada", "dan", "cyd", "bob"]


async def test_an_actor_that_was_away(played: LocalServer) -> None:
    await killed(played)
    await put(played, "cyd", roles=["vip"])
    await put(played, "ada")
    await noticed(played)
    assert await order(played) == ["cyd", "bob"]
    await killed(played)
    await noticed(played)
    assert await order(played) == ["cyd", "bob"], "the same after a replay"


async def test_a_period_that_slept(played: LocalServer) -> None:
    await asleep(played)
    await put(played, "cyd", roles=["vip"])
    await put(played, "ada")
    assert await order(played) == ["cyd", "bob"]
    await asleep(played)
    await audience(played, rank={"roles": ["mod"]})
    assert await order(played) == ["bob"]


async def test_the_next_supervisor_knows_who_has_the_roles(played: LocalServer) -> None:
    await next_supervisor(played)
    await noticed(played)
    assert await order(played) == ["ada", "bob"]
    await put(played, "cyd", roles=["vip"])
    assert await order(played) == ["ada", "cyd", "bob"]
    await submit(played, "vips", eve=30)
    assert await order(played) == ["ada", "cyd", "bob"]


async def test_a_supervisor_that_died_before_it_told_anybody(
    played: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: Any) -> None:
        raise ActorGone("killed")

    monkeypatch.setattr(played.supervisor.hosting, "tell_all_who_is_hidden", dies)
    with pytest.raises(ActorGone):
        await put(played, "cyd", roles=["vip"])
    monkeypatch.undo()
    await played.actor.start()
    await noticed(played)
    assert await order(played) == ["ada", "cyd", "bob"]


async def test_an_actor_that_missed_more_changes_than_are_kept(
    played: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbactors.supervisor.labels.CHANGES_KEPT", 3)
    hosting = played.supervisor.hosting
    tell, silent = hosting.tell_all_who_is_hidden, [True]

    async def when_it_can() -> None:
        if not silent[0]:
            await tell()

    monkeypatch.setattr(hosting, "tell_all_who_is_hidden", when_it_can)
    for number in range(5):
        await put(played, f"p{number}", roles=["vip"])
    await put(played, "ada")
    silent[0] = False
    await put(played, "cyd", roles=["vip"])
    assert await order(played) == ["cyd", "bob"]
    await submit(played, "vips", p0=3, p4=2)
    assert await order(played) == ["cyd", "bob", "p0", "p4"]


async def test_a_new_process_takes_no_part_of_the_lists_for_the_whole(played: LocalServer) -> None:
    """The supervisor has not noticed yet that the process is another one."""
    await killed(played)
    hosting = played.supervisor.hosting
    for actor in hosting.actors.values():
        with pytest.raises(ApiError, match="new process"):
            played.supervisor.hidden_players.labels.apply("default", "x", {"roles": ["vip"]}, None)
            await hosting.tell_who_is_hidden(actor)
    await noticed(played)
    assert await order(played) == ["ada", "bob"]


async def test_closed_periods_stay_as_they_were(played: LocalServer) -> None:
    await played.command("close_period", leaderboard_id="vips", window="daily")
    await put(played, "cyd", roles=["vip"])
    await audience(played, rank={"roles": ["mod"]})
    assert await order(played, window="daily", period="previous") == ["ada", "bob"]
    await killed(played)
    await noticed(played)
    assert await order(played, window="daily", period="previous") == ["ada", "bob"]
    assert await order(played) == ["bob"]
    await submit(played, "vips", cyd=1, bob=2)
    assert await order(played, window="daily") == ["bob"]


async def test_what_is_over_stands_by_the_audience_at_its_end(played: LocalServer) -> None:
    """Nobody has looked at the period since its end: it is made final before it could follow."""
    played.clock.move(13 * HOUR_MS)
    await put(played, "cyd", roles=["vip"])
    await audience(played, rank={"roles": ["mod"]})
    await noticed(played)
    board = played.supervisor.state.boards["default/vips"]
    chain = played.supervisor.state.chains[board.chain_id("daily")]
    async with chain.lock:
        await played.supervisor.advance(chain)
    assert await order(played, window="daily", period="previous") == ["ada", "bob"]


async def test_the_worst_of_those_outside_drop_out_first(server: LocalServer) -> None:
    await put(server, "ada", roles=["vip"])
    definition = {**VIPS, "ranking": {"max_entries": 3}}
    await server.command("create_leaderboard", definition=definition)
    await submit(server, "vips", x=90, ada=1, y=80, z=70)
    assert await order(server) == ["ada"]
    assert (await server.read("vips", "lookup", [["x", "y", "z"]]))[6] == ["z"]
    row = await server.submit("vips", "z", 60)
    assert (row[1], row[5]) == (False, None)
    for name in ("b", "c"):
        await put(server, name, roles=["vip"])
        await submit(server, "vips", **{name: 2})
    assert await order(server) == ["b", "c", "ada"]
    assert (await server.read("vips", "lookup", [["x", "y"]]))[6] == ["x", "y"]


async def test_hidden_and_outside(played: LocalServer) -> None:
    await played.command("hide_player", player_id="cyd", hide={})
    await put(played, "cyd", roles=["vip"])
    assert await order(played) == ["ada", "bob"]
    await put(played, "cyd")
    await played.command("unhide_player", player_id="cyd", unhide={})
    assert await order(played) == ["ada", "bob"]
    await put(played, "cyd", roles=["vip"])
    assert await order(played) == ["ada", "cyd", "bob"]


async def test_what_is_done_to_entries_of_those_outside(played: LocalServer) -> None:
    base: dict[str, Any] = {"leaderboard_id": "vips", "player_id": "dan", "window": None}
    await played.command("edit_entry", **base, edit={"score": 50, "reason": "r"})
    await played.command("remove_entry", **base, reason=None)
    await played.command("restore_entry", **base, restore={})
    assert await order(played) == ["ada", "bob"]
    rows = [["eve", 60, 0, None, 1, 5, 5], ["bob", 61, 0, None, 1, 5, 5]]
    await played.command(
        "import_entries", leaderboard_id="vips", window="main", period_key=None, entries=rows, replace=True
    )
    assert await order(played) == ["bob", "ada"]
    await played.command("erase_player", player_id="dan")
    assert (await played.read("vips", "lookup", [["dan", "eve"]]))[6] == ["dan"]


async def test_an_erased_player_of_a_list_leaves_no_room_for_everyone(server: LocalServer) -> None:
    definition = {**VIPS, "audience": {"rank": {"players": ["ada"]}}}
    await server.command("create_leaderboard", definition=definition)
    await submit(server, "vips", ada=9, bob=5)
    await server.command("erase_player", player_id="ada")
    assert await order(server) == []
    await submit(server, "vips", ada=3)
    assert await order(server) == []


# Test players ---------------------------------------------------------------------------------------------


async def test_test_players_are_ranked_where_a_leaderboard_says_so(server: LocalServer) -> None:
    for name, audience_of in (("xp", {}), ("qa", {"include_test_players": True, "rank": {"roles": ["vip"]}})):
        definition = {**VIPS, "leaderboard_id": name, "audience": audience_of}
        await server.command("create_leaderboard", definition=definition)
    await put(server, "bot", test=True, roles=["vip"])
    for board in ("xp", "qa"):
        await submit(server, board, bot=9, ada=5)
    assert await order(server, "xp") == await order(server, "xp", "daily") == ["ada"]
    assert await order(server, "qa") == ["bot"]
    await killed(server)
    await noticed(server)
    assert await order(server, "xp") == ["ada"]
    await next_supervisor(server)
    await put(server, "ada", test=True)
    assert await order(server, "xp") == []
    await put(server, "bot", roles=["vip"])
    assert await order(server, "xp") == await order(server, "qa") == ["bot"]
    await audience(server, "xp", include_test_players=True, rank={"players": ["ada"]})
    assert await order(server, "xp") == ["ada"]
    await audience(server, "xp", include_test_players=False)
    assert await order(server, "xp") == [], "also if a list names the player"


async def test_the_number_of_test_players_is_limited(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbactors.supervisor.labels.TEST_LIMIT", 2)
    await put(server, "a", test=True)
    await put(server, "b", test=True)
    with pytest.raises(ApiError) as refused:
        await put(server, "c", test=True)
    assert refused.value.code == "validation_failed" and refused.value.details[0]["loc"] == ["body", "test"]
    await put(server, "b", test=True, display_name="B")
    await put(server, "a")
    await put(server, "c", test=True)


async def test_a_tenant_that_is_made_anew_has_nobody_with_a_role(server: LocalServer) -> None:
    labels = server.supervisor.hidden_players.labels
    for turn in range(2):
        await server.command("create_tenant", tenant={"tenant_id": "studio"})
        assert not labels.concern("studio", {"test": False}, None), turn
        await server.command(
            "put_player", "studio", player_id="ada", profile={"test": True, "roles": ["vip"]}
        )
        await server.command("create_leaderboard", "studio", definition=VIPS)
        assert labels._tenants["studio"].by_label["role/vip"] == {"ada"}
        await server.command("delete_tenant", tenant_id="studio")
        assert not any(labels._tenants["studio"].by_label.values())


# Anything, in any order -----------------------------------------------------------------------------------

PLAYERS = [f"p{n}" for n in range(12)]
ROLES, TAGS = ["vip", "mod", "a/b"], ["beta", "vip"]


class Model:
    """What the rankings must show: all of it computed anew from profiles, definitions and scores."""

    def __init__(self) -> None:
        self.profiles: dict[str, dict[str, Any]] = {}
        self.audiences: dict[str, dict[str, Any]] = {}
        self.scores: dict[str, dict[str, int]] = {}
        self.hidden: set[str] = set()

    def is_ranked(self, board: str, player_id: str) -> bool:
        profile, found = self.profiles.get(player_id, {}), self.audiences[board]
        if player_id in self.hidden or (profile.get("test") and not found["include_test_players"]):
            return False
        rank = found["rank"]
        if not any(rank.values()):
            return True
        roles, tags = set(profile.get("roles", [])), set(profile.get("tags", []))
        return player_id in rank["players"] or bool(roles & set(rank["roles"]) or tags & set(rank["tags"]))

    def order(self, board: str) -> list[str]:
        ranked = [p for p in self.scores[board] if self.is_ranked(board, p)]
        return sorted(ranked, key=lambda p: -self.scores[board][p])


def some(rng: random.Random, of: list[str]) -> list[str]:
    return rng.sample(of, rng.choice([0, 0, 1, 1, 2]))


def any_audience(rng: random.Random) -> dict[str, Any]:
    rank = {"players": some(rng, PLAYERS), "roles": some(rng, ROLES), "tags": some(rng, TAGS)}
    return {"rank": rank, "include_test_players": rng.random() < 0.3}


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of an empty store."""
    if request.param == "sqlite":
        return {}
    redis: RedisServer = request.getfixturevalue("shared_redis")
    return {"store_url": f"{redis.url}?prefix=audience-{secrets.token_hex(4)}"}


@long
@pytest.mark.parametrize("seed", range(rounds(3, 30)))
async def test_rankings_are_what_profiles_and_definitions_say(
    seed: int, store: dict[str, str], tmp_path: Path
) -> None:
    rng = random.Random(seed)
    async with LocalServer(tmp_path / "data", **store) as server:
        model = Model()
        score = 0
        for name in ("one", "two"):
            model.audiences[name], model.scores[name] = any_audience(rng), {}
            definition = {**VIPS, "leaderboard_id": name, "audience": model.audiences[name]}
            await server.command("create_leaderboard", definition=definition)
        for step in range(60):
            act, board, player_id = rng.random(), rng.choice(["one", "two"]), rng.choice(PLAYERS)
            if act < 0.45:
                score += 1
                await submit(server, board, **{player_id: score})
                model.scores[board][player_id] = score
            elif act < 0.7:
                profile = {"roles": some(rng, ROLES), "tags": some(rng, TAGS), "test": rng.random() < 0.2}
                await put(server, player_id, **profile)
                model.profiles[player_id] = profile
            elif act < 0.8:
                model.audiences[board] = any_audience(rng)
                await audience(server, board, **model.audiences[board])
            elif act < 0.85:
                await server.command("hide_player", player_id=player_id, hide={})
                model.hidden.add(player_id)
            elif act < 0.9:
                await server.command("unhide_player", player_id=player_id, unhide={})
                model.hidden.discard(player_id)
            elif act < 0.94:
                await killed(server)
                await noticed(server)
            elif act < 0.97:
                await asleep(server)
            else:
                await next_supervisor(server)
                await noticed(server)
            for name in ("one", "two"):
                for window in ("main", "daily"):
                    assert await order(server, name, window) == model.order(name), (step, name, window)
