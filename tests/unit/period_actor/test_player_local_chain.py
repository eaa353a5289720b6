"""A chain of player-local periods: several are open at once, and the player's zone says which is meant."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.model import PeriodRecord
from lbactors.core.period import FULL
from lbactors.core.zones import EARLIEST_MS, LATEST_MS
from lbactors.period_actor import entry_edits
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.chain_reads import is_warm, read
from lbactors.wire.replies import NOT_HERE
from lbactors.wire.requests import Import
from lbactors.wire.writes import TakenBy, Verdict, WriteOp
from tests.support.chain_world import BOARD_ID, GRACE_MS, HOUR_MS, World, leaderboard, refusal

DAY_MS = 24 * HOUR_MS
FIRST_MS = 1_794_960_000_000  # 2026-11-18T00:00:00Z
EAST, WEST = "Pacific/Kiritimati", "Etc/GMT+12"


def day(serial: int, **fields: Any) -> PeriodRecord:
    """Period 1 is the 18th, each the day after."""
    starts, ends = FIRST_MS + (serial - 1) * DAY_MS, FIRST_MS + serial * DAY_MS
    record = PeriodRecord(
        serial, f"day-{17 + serial}", starts - EARLIEST_MS, ends + LATEST_MS, False, 0, 0, 0
    )
    return record._replace(local_starts_at_ms=starts, local_ends_at_ms=ends, **fields)


async def send(chain: Chain, *items: tuple[str, str, str | None], **times: int | None) -> list[Verdict]:
    """Submissions of 1: player, zone and id of each."""
    rows = [[player, 1, 0, None, made, times.get("occurred_at_ms"), None] for player, _, made in items]
    zones = [zone for _, zone, _ in items]
    now_ms = chain.clock.now_ms()
    return await leaderboard(chain).submit([chain], rows, now_ms, FULL, 0, zones)


def keys(verdicts: list[Verdict]) -> list[str]:
    """Of the periods that took them, or the codes of why none did."""

    def key(verdict: Verdict) -> str:
        if isinstance(verdict, ApiError):
            return verdict.code
        assert verdict is not None
        taken: TakenBy = verdict[0]
        assert not isinstance(taken, str)
        return taken[0]

    return [key(verdict) for verdict in verdicts]


async def period_of(chain: Chain, ref: str, zone: str = "") -> str:
    return (await read(chain, ref, "stats", [], zone)).period.key


async def test_players_of_one_request_go_where_it_is_their_date(world: World) -> None:
    chain = await world.chain(day(1), day(2), day(3))
    world.at(FIRST_MS + DAY_MS + 11 * HOUR_MS)  # the 19th, 11:00 in UTC
    both = [("a", EAST, None), ("b", "", None), ("c", WEST, None), ("d", "Europe/Rome", None)]
    assert keys(await send(chain, *both)) == ["day-20", "day-19", "day-18", "day-19"]
    assert keys(await send(chain, ("e", EAST, "e"), ("f", EAST, "f"))) == ["day-20", "day-20"]
    again = await send(chain, ("e", WEST, "e"), ("g", WEST, "g"), ("g", EAST, "g"))
    assert keys(again) == ["day-20", "day-18", "day-18"], "whoever has the id"
    found = [await period_of(chain, "current", zone) for zone in (EAST, "", WEST)]
    assert found == ["day-20", "day-19", "day-18"]
    assert await period_of(chain, "previous", EAST) == "day-19"
    assert await period_of(chain, "previous") == "day-18"
    assert await refusal(read(chain, "previous", "stats", [], WEST)) == "period_not_found"
    assert is_warm(chain, "previous", WEST), "that is the answer"


async def test_the_date_is_that_of_when_it_occurred(world: World) -> None:
    chain = await world.chain(day(1), day(2), day(3))
    world.at(FIRST_MS + DAY_MS + 11 * HOUR_MS)
    noon_before_ms = FIRST_MS + 12 * HOUR_MS
    sent = [("a", EAST, None), ("b", "", None)]
    assert keys(await send(chain, *sent, occurred_at_ms=noon_before_ms)) == ["day-19", "day-18"]
    before_ms = FIRST_MS - 2 * HOUR_MS
    assert keys(await send(chain, *sent, occurred_at_ms=before_ms)) == ["day-18", "period_closed"]
    await world.change(chain, late_arrival=True)
    assert keys(await send(chain, *sent, occurred_at_ms=before_ms)) == ["day-18", "day-19"]


async def test_only_those_whose_period_is_late_wait_for_it(world: World) -> None:
    chain = await world.chain(day(1), day(2))
    world.at(FIRST_MS + DAY_MS + 11 * HOUR_MS)
    now_ms = chain.clock.now_ms()
    assert (
        chain.is_between(now_ms, EAST) and not chain.is_between(now_ms) and not chain.is_between(now_ms, WEST)
    )
    row = ["a", 1, 0, None, None, None, None]
    board = leaderboard(chain)
    east, west = (WriteOp(BOARD_ID, now_ms, FULL, [row], ["main"], 0, [zone]) for zone in (EAST, WEST))
    assert (await board.write(east, now_ms)).status == NOT_HERE
    assert (await board.write(west, now_ms)).error is None


async def test_nobody_is_taken_before_the_own_date(world: World) -> None:
    chain = await world.chain(day(1), more=False)
    world.at(FIRST_MS - 2 * HOUR_MS)
    assert keys(await send(chain, ("a", EAST, None), ("b", "", None))) == ["day-18", "period_not_open"]
    world.at(FIRST_MS + DAY_MS + HOUR_MS)
    assert keys(await send(chain, ("a", EAST, None), ("b", WEST, None))) == ["period_closed", "day-18"]
    assert await period_of(chain, "current", EAST) == "day-18", "the last one"


async def test_an_end_by_hand_is_for_that_date_alone(world: World) -> None:
    cut_ms = FIRST_MS + DAY_MS + 11 * HOUR_MS
    chain = await world.chain(day(1), day(2), day(3))
    world.at(cut_ms - HOUR_MS)
    assert keys(await send(chain, ("b", "", "old"), ("c", WEST, "west"))) == ["day-19", "day-18"]
    world.at(cut_ms)
    closed = day(2, forced=True)._replace(ends_at_ms=cut_ms)
    anew = day(2)._replace(serial=4, key="day-19-2", starts_at_ms=cut_ms)
    await world.save(closed, anew)
    await world.change(chain, records=[day(1), closed, day(3), anew])
    assert [a.record.key for a in chain.open] == ["day-18", "day-19", "day-19-2", "day-20"]
    sealed = await world.seal(chain, 2)
    assert sealed.entries == 1 and not sealed.ids_owed
    sent = [("a", EAST, "a"), ("b", "", "b"), ("c", WEST, "c"), ("b", "", "old"), ("c", EAST, "west")]
    assert keys(await send(chain, *sent)) == ["day-20", "day-19-2", "day-18", "day-19-2", "day-18"]
    assert await period_of(chain, "previous") == "day-19"
    assert await period_of(chain, "previous", EAST) == "day-19-2"
    (row,) = (await read(chain, "current", "page", [0, 10])).rows
    assert row.change == "same", "with the one that was closed"
    late = await send(chain, ("z", "", None), occurred_at_ms=cut_ms - 1)
    assert keys(late) == ["period_closed"]


async def test_the_period_before_may_be_in_the_store_alone(world: World) -> None:
    """One that was closed by hand is not the last in order: that of the west is found all the same."""
    cut_ms = FIRST_MS + DAY_MS + 11 * HOUR_MS
    zero = day(0)
    chain = await world.chain(zero, day(1), day(2), oldest_serial=0)
    world.at(FIRST_MS + HOUR_MS)
    assert keys(await send(chain, ("c", WEST, None))) == ["day-17"]
    world.at(FIRST_MS + LATEST_MS + GRACE_MS + 2000)
    first = await world.seal(chain, 0)
    world.at(cut_ms)
    assert keys(await send(chain, ("b", "", None), ("c", WEST, None))) == ["day-19", "day-18"]
    closed = day(2, forced=True)._replace(ends_at_ms=cut_ms)
    anew = day(2)._replace(serial=3, key="day-19-2", starts_at_ms=cut_ms)
    await world.save(closed, anew)
    await world.change(chain, records=[day(1), closed, anew])
    second = await world.seal(chain, 2)
    other = await world.chain(day(1), anew, previous=second, oldest_serial=0)
    assert await period_of(other, "previous", WEST) == first.key
    (row,) = (await read(other, "current", "page", [0, 10], WEST)).rows
    assert row.change == "same"


async def test_ids_go_to_one_that_takes_scores_where_none_follows(world: World) -> None:
    """As after a timeframe was changed: the current period has a lower number than one that ended with it."""
    cut_ms = FIRST_MS + DAY_MS + 11 * HOUR_MS
    chain = await world.chain(day(2), day(3))
    world.at(cut_ms - 1000)
    assert keys(await send(chain, ("a", EAST, "a"), ("b", "", "b"))) == ["day-20", "day-19"]
    world.at(cut_ms)
    plain = PeriodRecord(2, "day-19", FIRST_MS + DAY_MS, FIRST_MS + 2 * DAY_MS, False, 0, 0, 0)
    over = day(3)._replace(ends_at_ms=cut_ms, local_starts_at_ms=None, local_ends_at_ms=None)
    await world.change(chain, records=[plain, over])
    world.at(cut_ms + GRACE_MS + 2000)
    sealed = await world.seal(chain, 3)
    assert not sealed.ids_owed and [a.record.key for a in chain.open] == ["day-19"]
    assert keys(await send(chain, ("a", "", "a"), ("b", "", "b"))) == ["day-19", "day-19"]
    rows = (await read(chain, "current", "page", [0, 10])).rows
    assert [(row.player_id, row.score) for row in rows] == [("b", 1)], "a's was no new one"


async def test_nobody_takes_what_the_heir_may_know(world: World) -> None:
    """Ids that are owed are taken over before any of the periods that are open side by side takes a score."""
    chain = await world.chain(day(1), more=False)
    world.at(FIRST_MS + DAY_MS)
    assert keys(await send(chain, ("a", "America/New_York", "a"))) == ["day-18"]
    world.at(FIRST_MS + DAY_MS + LATEST_MS + GRACE_MS + 2000)
    owed = await chain.seal(1)
    assert owed.ids_owed
    await world.save(owed)
    chain.stop()
    world.store.fail("recover", 1, n=3)
    other = await world.chain(day(2), day(3), previous=owed, owing=owed, wait=False)
    sent = [("b", EAST, None), ("a", "", "a")]
    took: list[str] = []
    async with asyncio.timeout(10):
        while took != ["day-20", "day-19"]:
            assert took in ([], ["period_loading", "period_loading"])
            try:
                await other.wake()
                took = keys(await send(other, *sent))
            except ApiError as error:
                assert error.code == "period_loading"
    rows = (await read(other, "current", "page", [0, 10])).rows
    assert not rows, "a's was a repeat"


async def test_entries_are_edited_and_imported_where_they_are(world: World) -> None:
    chain = await world.chain(day(1), day(2), day(3))
    world.at(FIRST_MS + DAY_MS + 11 * HOUR_MS)
    await send(chain, ("a", EAST, None))
    removed = await entry_edits.change_entry(chain, "remove", "a", (), EAST)
    assert (removed.period_key, removed.after) == ("day-20", None)
    assert await refusal(entry_edits.change_entry(chain, "remove", "a", (), WEST)) == "entry_not_found"
    rows = [["b", 5, 0, None, 1, FIRST_MS, FIRST_MS]]
    for key in ("day-18", "day-20"):
        assert (await entry_edits.import_entries(chain, Import("", key, rows, False))).period_key == key
    assert (await entry_edits.import_entries(chain, Import("", None, rows, False))).period_key == "day-19"
    assert (
        await refusal(entry_edits.import_entries(chain, Import("", "day-1", rows, False))) == "period_closed"
    )


@pytest.mark.parametrize("zone", ["", EAST, WEST])
async def test_a_period_after_a_change_takes_who_is_behind(world: World, zone: str) -> None:
    first = day(2)._replace(local_starts_at_ms=None)
    chain = await world.chain(first, day(3))
    world.at(FIRST_MS + DAY_MS + 9 * HOUR_MS)
    assert keys(await send(chain, ("a", zone, None))) == ["day-19"]
