"""Moderation from the command to the rankings: hidden players, changed entries, what the audit log says.

Supervisor and actors are the real ones (`local_supervisor`). Periods against the model: `test_period`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lbactors.core.errors import ApiError
from lbactors.core.instants import format_instant
from lbactors.documents.audit import Wanted, search
from lbactors.documents.hidden_players import SHOWN, Hidden, hidden_of
from lbactors.wire.actors import ActorGone
from persistence.store import Change, StoreUnavailable
from tests.support.supervisor.local_supervisor import WHO, LocalServer, killed, noticed

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
XP = {"leaderboard_id": "xp", "timeframe": {"type": "daily"}, "windows": ["all_time"]}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data") as server:
        await server.command("create_leaderboard", definition=XP)
        for player_id, score in (("ada", 9), ("bob", 5), ("cyd", 3)):
            await submit(server, player_id, score)
        yield server


async def submit(server: LocalServer, player_id: str, score: float) -> list[Any]:
    """To both windows; the rows of the answers."""
    return [await server.submit("xp", player_id, score, window) for window in ("main", "all_time")]


async def order(server: LocalServer, period: str = "current", window: str = "main") -> list[str]:
    return [player_id for _, player_id, _ in await server.page("xp", period, window)]


async def hide(server: LocalServer, player_id: str, for_ms: int | None = None, **more: Any) -> None:
    until = None if for_ms is None else format_instant(server.clock.now_ms() + for_ms)
    await server.command("hide_player", player_id=player_id, hide={"until": until, **more})


async def refusal(work: Any) -> str:
    with pytest.raises(ApiError) as caught:
        await work
    return caught.value.code


async def log_of(server: LocalServer, **wanted: Any) -> list[dict[str, Any]]:
    items, _, _ = await search(server.supervisor.state.store, "default", Wanted(**wanted), 0, 1000)
    return items


async def follow(server: LocalServer) -> None:
    """What an actor's upkeep does every second."""
    for actor in server.actors.by_name.values():
        await actor.actor._follow_hidden()


# Hidden players -------------------------------------------------------------------------------------------


async def test_a_hidden_player_is_in_no_ranking_and_keeps_playing(server: LocalServer) -> None:
    await hide(server, "ada", reason="speed hack")
    for window in ("main", "all_time"):
        assert await order(server, window=window) == ["bob", "cyd"]
    value = await server.read("xp", "entry", ["ada"])
    assert (value[1], value[3][0][:3]) == (2, [None, "ada", 9])
    row, _ = await submit(server, "ada", 20)
    assert (row[1], row[2], row[5]) == (True, 20, None)
    await server.command("unhide_player", player_id="ada", unhide={})
    assert await server.page("xp") == [(1, "ada", 20), (2, "bob", 5), (3, "cyd", 3)]


async def test_a_player_may_be_hidden_before_the_first_score(server: LocalServer) -> None:
    await hide(server, "new")
    row, _ = await submit(server, "new", 100)
    assert row[5] is None and await order(server) == ["ada", "bob", "cyd"]
    await killed(server)
    await noticed(server)
    assert await order(server) == ["ada", "bob", "cyd"]
    await server.command("unhide_player", player_id="new", unhide={})
    assert await order(server) == ["new", "ada", "bob", "cyd"]


async def test_an_end_passes_by_the_actors_clock(server: LocalServer) -> None:
    await hide(server, "ada", for_ms=HOUR_MS)
    server.clock.move(HOUR_MS - 30_000)
    await follow(server)
    assert await order(server) == ["bob", "cyd"]
    server.clock.move(30_000)
    await follow(server)
    assert await order(server) == ["ada", "bob", "cyd"]
    assert await server.supervisor.hidden_players.forget_expired() == 1
    assert await server.supervisor.state.store.scan("hidden") == []


async def test_who_was_hidden_while_an_actor_was_away_is_hidden_when_it_is_back(server: LocalServer) -> None:
    await killed(server)
    await hide(server, "ada")
    await noticed(server)
    assert await order(server) == ["bob", "cyd"]
    await killed(server)
    await server.command("unhide_player", player_id="ada", unhide={})
    await noticed(server)
    assert await order(server) == ["ada", "bob", "cyd"]


async def test_an_end_that_passes_while_everything_is_down(tmp_path: Path) -> None:
    async with LocalServer(tmp_path / "data") as server:
        await server.command("create_leaderboard", definition={"leaderboard_id": "xp"})
        await server.submit("xp", "ada", 9)
        await server.submit("xp", "bob", 5)
        await hide(server, "ada", for_ms=HOUR_MS)
        await hide(server, "bob")
        assert await order(server) == []
    server = LocalServer(tmp_path / "data")  # at noon again
    server.clock.move(2 * HOUR_MS)
    async with server:
        await noticed(server)
        assert await order(server) == ["ada"]


async def test_an_actor_hosts_nothing_before_it_knows_who_is_hidden(server: LocalServer) -> None:
    await hide(server, "ada")
    await killed(server)
    chains = [c for c in server.supervisor.state.chains.values() if c.records]
    for actor in server.supervisor.hosting.actors.values():
        actor.moderated = server.supervisor.hidden_players.version  # it has not noticed yet that they are new
    await server.supervisor.hosting.host(chains, wait=True)
    assert all(not actor.actor.chains for actor in server.actors.by_name.values())
    await noticed(server)
    assert await order(server) == ["bob", "cyd"]


async def test_a_survivor_of_a_supervisor_unlearns_what_nobody_told_it(server: LocalServer) -> None:
    """The supervisor died after it had made durable that a player is shown, before it told anybody."""
    await hide(server, "ada")
    (doc_id,) = [i for i, _ in await server.supervisor.state.store.scan("hidden")]

    await server.supervisor.state.commit([Change("hidden", doc_id, None)])
    moderation = type(server.supervisor.hidden_players)(server.supervisor.state)
    moderation._version.now += 1 << 32  # the next epoch
    await moderation.load()
    server.supervisor.hosting.hidden_players = moderation
    for actor in server.supervisor.hosting.actors.values():
        actor.moderated = 0
    await noticed(server)
    assert await order(server) == ["ada", "bob", "cyd"]


async def test_a_closed_period_stays_as_it_was(server: LocalServer) -> None:
    await hide(server, "ada")
    await server.command("close_period", leaderboard_id="xp", window="main")
    await server.command("unhide_player", player_id="ada", unhide={})
    await hide(server, "bob")
    assert await order(server, "previous") == ["bob", "cyd"]
    await killed(server)
    await noticed(server)
    assert await order(server, "previous") == ["bob", "cyd"]


async def test_the_profiles_hidden_until(server: LocalServer) -> None:
    async def put(**profile: Any) -> dict[str, Any]:
        return await server.command("put_player", player_id="ada", profile=profile)

    until = format_instant(server.clock.now_ms() + HOUR_MS)
    await put(hidden_until=until)
    assert await order(server) == ["bob", "cyd"]
    await put(display_name="Ada")  # it says nothing of hiding
    assert await order(server) == ["bob", "cyd"]
    assert (await put(hidden_until=None))["hidden_until"] is None
    assert await order(server) == ["ada", "bob", "cyd"]
    await hide(server, "ada")
    await put(display_name="Ada L.")
    assert await order(server) == ["bob", "cyd"], "a moderator hid her, not the profile"
    await put(display_name="Ada", hidden_until=until)
    await server.command("unhide_player", player_id="ada", unhide={})
    assert await order(server) == ["ada", "bob", "cyd"]
    ((_, profile),) = await server.supervisor.state.store.scan("profiles")
    assert until.encode() not in profile


@pytest.mark.parametrize("name", ["put_player", "patch_player"])
async def test_an_instant_that_has_passed_hides_nobody(server: LocalServer, name: str) -> None:
    passed = {"hidden_until": format_instant(server.clock.now_ms() - HOUR_MS)}
    fields = {"profile": passed} if name == "put_player" else {"patch": passed}
    await hide(server, "ada")
    assert (await server.command(name, player_id="ada", **fields))["hidden_until"] is None
    assert await order(server) == ["ada", "bob", "cyd"]


async def test_the_last_word_counts(server: LocalServer) -> None:
    """Through the profile or by the command: there is one record."""
    now_ms = server.clock.now_ms()
    told = {"until": format_instant(now_ms + HOUR_MS), "reason": "speed hack"}
    hidden = await server.command("hide_player", player_id="ada", hide=told)
    profile = {"hidden_until": format_instant(now_ms + 2 * HOUR_MS)}
    await server.command("put_player", player_id="ada", profile=profile)
    server.clock.move(HOUR_MS + 1000)
    await follow(server)
    assert await order(server) == ["bob", "cyd"]
    (listed,) = await hidden_of(server.supervisor.state.store, "default", server.clock.now_ms())
    assert (listed["reason"], listed["since"]) == ("speed hack", hidden["since"])
    await hide(server, "ada", for_ms=60_000)
    server.clock.move(61_000)
    await follow(server)
    assert await order(server) == ["ada", "bob", "cyd"]
    shown = await server.command("patch_player", player_id="ada", patch={})
    assert shown["hidden_until"] is None, "a hiding that is over"


async def test_who_an_older_version_hid_is_hidden(server: LocalServer) -> None:
    """It kept two ends, one of them the profile's, of which the later counted."""
    state, now_ms = server.supervisor.state, server.clock.now_ms()
    kept = Hidden(None, None, None, now_ms + HOUR_MS)
    server.supervisor.hidden_players.take("default", "ada", kept)
    await state.commit([Change("hidden", "default/ada", msgpack.packb(list(kept)))])
    await server.supervisor.hosting.tell_all_who_is_hidden()
    assert await order(server) == ["bob", "cyd"]
    shown = await server.command("put_player", player_id="ada", profile={"display_name": "Ada"})
    assert shown["hidden_until"] == format_instant(now_ms + HOUR_MS)
    await server.command("put_player", player_id="ada", profile={"hidden_until": None})
    assert await order(server) == ["ada", "bob", "cyd"] and await state.store.scan("hidden") == []


async def test_limits_and_bad_input(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbactors.supervisor.hidden_players.HIDDEN_LIMIT", 2)
    await hide(server, "ada")
    await hide(server, "bob", for_ms=HOUR_MS)
    assert await refusal(hide(server, "cyd")) == "validation_failed"
    await hide(server, "bob", for_ms=DAY_MS)  # who is hidden already may be hidden longer
    server.clock.move(2 * DAY_MS)
    await hide(server, "cyd")
    for bad in ({"until": "tomorrow"}, {"until": "2020-01-01T00:00:00Z"}, {"who": "me"}, {"reason": ""}):
        assert await refusal(server.command("hide_player", player_id="x", hide=bad)) == "validation_failed"


async def test_tenants_hide_their_own_players(server: LocalServer) -> None:
    await server.command("create_tenant", tenant={"tenant_id": "studio"})
    await server.command("hide_player", "studio", player_id="ada", hide={})
    assert await order(server) == ["ada", "bob", "cyd"]


async def test_a_tenant_that_is_made_anew_has_no_hidden_players(server: LocalServer) -> None:
    for turn in range(2):
        await server.command("create_tenant", tenant={"tenant_id": "studio"})
        listed = await hidden_of(server.supervisor.state.store, "studio", server.clock.now_ms())
        assert listed == [] and server.supervisor.hidden_players.hidden("studio", "ada") == SHOWN, turn
        await server.command("hide_player", "studio", player_id="ada", hide={})
        await server.command("delete_tenant", tenant_id="studio")


async def test_while_the_store_is_away_reads_go_on(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise StoreUnavailable("away")

    for actor in server.actors.by_name.values():
        monkeypatch.setattr(actor.actor._store, "append", away)
    await hide(server, "ada")
    assert await order(server) == ["ada", "bob", "cyd"], "what is not journaled is not shown"
    monkeypatch.undo()
    await follow(server)
    assert await order(server) == ["bob", "cyd"]


# Entries --------------------------------------------------------------------------------------------------


async def change(server: LocalServer, command: str, player_id: str, **args: Any) -> list[Any]:
    """[window, score before, score after] of each entry that changed."""
    base: dict[str, Any] = {"leaderboard_id": "xp", "player_id": player_id, "window": None}
    if command == "remove_entry":
        base["reason"] = None
    answer = await server.command(command, **{**base, **args})
    return [[w, before and before[2], after and after[2]] for w, _, before, after in answer["changed"]]


async def test_remove_and_restore(server: LocalServer) -> None:
    before = await server.read("xp", "entry", ["bob"])
    assert await change(server, "remove_entry", "bob") == [["main", 5, None], ["all_time", 5, None]]
    assert await order(server) == ["ada", "cyd"]
    assert await refusal(change(server, "remove_entry", "bob")) == "entry_not_found"
    restored = await change(server, "restore_entry", "bob", restore={"reason": "sorry"})
    assert restored == [["main", None, 5], ["all_time", None, 5]]
    assert (await server.read("xp", "entry", ["bob"]))[3] == before[3]
    assert await refusal(change(server, "restore_entry", "bob", restore={})) == "entry_exists"
    assert await refusal(change(server, "restore_entry", "ada", restore={})) == "entry_exists"
    assert await refusal(change(server, "restore_entry", "eve", restore={})) == "entry_not_found"


@pytest.mark.parametrize("act", ["restore_entry", "remove_entry"])
async def test_an_act_that_comes_twice_at_once_with_one_key_is_done_once(
    server: LocalServer, act: str
) -> None:
    """Both get the answer of the one that was first; with another request the key is refused."""
    arguments: dict[str, Any] = {"reason": None}
    if act == "restore_entry":
        await change(server, "remove_entry", "bob")
        arguments = {"restore": {}}

    async def ask(digest: str) -> dict[str, Any]:
        named = {"leaderboard_id": "xp", "player_id": "bob", "window": None, **arguments}
        return await server.command(act, idempotency=["K", digest], **named)

    first, other, second = await asyncio.gather(
        ask("digest"), ask("another"), ask("digest"), return_exceptions=True
    )
    assert first == second and isinstance(first, dict)
    assert isinstance(other, ApiError) and other.code == "idempotency_conflict"
    assert await ask("digest") == first
    acts = await log_of(server, act="entry")
    assert [record["act"] for record in acts].count(f"entry.{act.removesuffix('_entry')}") == 1


async def test_restore_after_a_restart_and_a_new_entry(server: LocalServer) -> None:
    await change(server, "remove_entry", "bob")
    await killed(server)
    await noticed(server)
    await server.submit("xp", "bob", 1)
    assert await change(server, "restore_entry", "bob", restore={}) == [["all_time", None, 5]]
    assert await server.page("xp") == [(1, "ada", 9), (2, "cyd", 3), (3, "bob", 1)]


async def test_who_is_hidden_meanwhile_is_restored_unseen(server: LocalServer) -> None:
    await change(server, "remove_entry", "bob")
    await hide(server, "bob")
    await change(server, "restore_entry", "bob", restore={})
    assert await order(server) == ["ada", "cyd"]


async def test_edit(server: LocalServer) -> None:
    edit = {"score": 3, "reason": "cheated"}
    assert await change(server, "edit_entry", "ada", edit=edit) == [["main", 9, 3], ["all_time", 9, 3]]
    assert await order(server) == ["bob", "cyd", "ada"], "she stands there since now"
    metadata = {"score": 3, "metadata": {"checked": True}, "reason": "checked"}
    await change(server, "edit_entry", "ada", edit=metadata, window="main")
    assert (await server.read("xp", "entry", ["ada"]))[3][0][4] == b'{"checked":true}'
    assert (await server.read("xp", "entry", ["ada"], window="all_time"))[3][0][4] is None
    assert await refusal(change(server, "edit_entry", "eve", edit=edit)) == "entry_not_found"
    for bad in ({"score": 1}, {"reason": "r"}, {"score": "1", "reason": "r"}, {**edit, "rank": 1}):
        assert await refusal(change(server, "edit_entry", "ada", edit=bad)) == "validation_failed"


async def test_what_the_log_says_of_entries(server: LocalServer) -> None:
    await change(server, "edit_entry", "ada", edit={"score": 1, "reason": "bug"}, window="main")
    await change(server, "remove_entry", "ada", reason="cheat")
    await change(server, "restore_entry", "ada", restore={})
    await refusal(change(server, "remove_entry", "nobody"))
    restored, removed, edited = await log_of(server, act="entry")
    for record in (restored, removed, edited):
        assert (record["target"], record["player_id"], record["key_id"]) == ("xp", "ada", WHO.key_id)
        assert record["details"]["outcome"] == "done"
    assert (edited["act"], edited["reason"]) == ("entry.edit", "bug")
    key = edited["details"]["before"][0]["period_key"]
    place = {"window": "main", "period_key": key, "subscore": 0}
    assert edited["details"]["before"] == [{**place, "rank": 1, "score": 9}]
    assert edited["details"]["after"] == [{**place, "rank": 3, "score": 1}]
    assert (removed["act"], removed["reason"]) == ("entry.remove", "cheat")
    assert [e["score"] for e in removed["details"]["before"]] == [1, 9] and not removed["details"]["after"]
    assert (restored["act"], restored["details"]["before"]) == ("entry.restore", [])


async def test_a_record_stands_before_the_act(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies in between leaves a record without an outcome, and no act without a record."""
    seen: list[dict[str, Any]] = []
    call = server.supervisor.hosting.call

    async def watched(actor: Any, method: str, value: Any) -> Any:
        if method == "change_entry":
            seen.extend(await log_of(server, act="entry"))
        return await call(actor, method, value)

    monkeypatch.setattr(server.supervisor.hosting, "call", watched)
    await change(server, "remove_entry", "ada", window="main")
    (record,) = seen
    assert record["act"] == "entry.remove" and "outcome" not in record["details"]


@pytest.mark.parametrize("window", ["main", None])
async def test_an_act_whose_answer_is_lost_keeps_its_record(server: LocalServer, window: str | None) -> None:
    _, actor = await server._chain("xp", "main")
    call, lost = actor.call, []

    async def loses(method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        reply = await call(method, *payload, timeout_s=timeout_s)
        if method == "change_entry" and not lost:
            lost.append(reply)
            raise ActorGone("it died before it answered")
        return reply

    actor.call = loses  # type: ignore[method-assign]
    assert await refusal(change(server, "remove_entry", "ada", window=window)) == "storage_unavailable"
    assert await order(server) == ["bob", "cyd"]
    assert await refusal(change(server, "remove_entry", "ada", window=window)) == "entry_not_found"
    (record,) = await log_of(server, act="entry")
    assert (record["act"], record["details"]["outcome"]) == ("entry.remove", "unknown")
    told = [(e["window"], e["score"]) for e in record["details"].get("before", [])]
    assert told == ([] if window else [("all_time", 9)]), "what did answer"


async def test_an_act_that_a_store_may_have_taken_keeps_its_record(server: LocalServer) -> None:
    _, actor = await server._chain("xp", "main")
    store, append = actor.actor._store, actor.actor._store.append  # type: ignore[union-attr]

    async def loses(period_id: str, record: Any) -> None:
        await append(period_id, record)
        store.append = append  # type: ignore[method-assign,union-attr]
        raise StoreUnavailable("it was lost on its way back", unknown=True)

    store.append = loses  # type: ignore[method-assign,union-attr,assignment]
    assert await refusal(change(server, "remove_entry", "ada", window="main")) == "storage_unavailable"
    (record,) = await log_of(server, act="entry")
    assert record["details"]["outcome"] == "unknown"


async def test_a_repeat_of_a_restore_is_answered(server: LocalServer) -> None:
    await change(server, "remove_entry", "bob")
    args = {"leaderboard_id": "xp", "player_id": "bob", "window": None, "restore": {}}
    answers = [
        await server.command_as(WHO, "restore_entry", idempotency=["K", "digest"], **args) for _ in range(2)
    ]
    assert answers[0] == answers[1] and len(await log_of(server, act="entry.restore")) == 1


async def test_what_the_log_says_of_hidden_players(server: LocalServer) -> None:
    await hide(server, "ada", reason="speed hack")
    until = format_instant(server.clock.now_ms() + HOUR_MS)
    await server.command("hide_player", player_id="ada", hide={"until": until})
    await server.command("unhide_player", player_id="ada", unhide={"reason": "appeal"})
    await server.command("unhide_player", player_id="ada", unhide={})  # changes nothing
    shown, shortened, hidden = await log_of(server, act="player")
    assert (hidden["reason"], hidden["details"]) == ("speed hack", {"before": None, "after": "for good"})
    assert shortened["details"] == {"before": "for good", "after": until}
    assert (shown["act"], shown["reason"]) == ("player.unhide", "appeal")


async def test_acts_on_many_players_at_once(server: LocalServer) -> None:
    """Submissions, hiding and showing side by side leave what the last word of each was."""
    players = [f"p{n}" for n in range(20)]

    async def play(player_id: str, number: int) -> None:
        for turn in range(3):
            await server.submit("xp", player_id, 100 + number + turn)
            if number % 2:
                await hide(server, player_id)
            if number % 3 == 0:
                await server.command("unhide_player", player_id=player_id, unhide={})

    await asyncio.gather(*(play(p, n) for n, p in enumerate(players)))
    shown = {p for n, p in enumerate(players) if n % 2 == 0 or n % 3 == 0}
    assert set(await order(server)) == shown | {"ada", "bob", "cyd"}
