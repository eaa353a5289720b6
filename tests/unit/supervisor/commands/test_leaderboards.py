"""What becomes of a projection when its definition changes or its period is closed, and under which terms it
is computed then: `fill_terms`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.definition import Definition
from lbactors.core.errors import ApiError
from lbactors.core.lifecycle import Stage
from lbactors.core.model import FillTerms
from lbactors.supervisor.commands.leaderboards import PAUSES_KEPT, fill_terms
from tests.support.supervisor.local_logs import LocalLogs, row
from tests.support.supervisor.local_supervisor import LocalServer
from tests.support.told_catalogue import of_events

METRIC = {"source": "metric", "metric": "coins", "aggregation": "sum"}
FIRST = FillTerms()


def definition(**fields: Any) -> Definition:
    scoring = METRIC | fields.pop("scoring", {})
    return Definition.model_validate({"leaderboard_id": "xp", "scoring": scoring, **fields})


def changed(before: Definition, after: Definition, terms: FillTerms = FIRST, at_ms: int = 5) -> Any:
    return fill_terms(terms, after, at_ms, before=before)


def test_a_new_projection_begins_under_the_first_terms() -> None:
    assert fill_terms(FillTerms(), definition(), 5) == FillTerms(1, ())
    inactive = definition(status="inactive")
    assert fill_terms(FillTerms(), inactive, 5) == FillTerms(1, ((5, None),)), "it takes nothing yet"


@pytest.mark.parametrize(
    "fields",
    [
        {"scoring": {"metric": "gems"}},
        {"scoring": {"basis": "balance"}},
        {"scoring": {"filters": {"player.tags": {"contains": "eu"}}}},
        {"scoring": {"score_max": 10}},
        {"scoring": {"score_min": 10}},
        {"scoring": {"backfill": False}},
        {"scoring": {"aggregation": "best"}},
        {"timeframe": {"type": "weekly"}},
        {"timeframe": {"type": "daily", "late_grace_seconds": 60}},
    ],
    ids=str,
)
def test_what_changes_the_rows_of_a_period_calls_for_a_rebuild(fields: Any) -> None:
    before = definition(timeframe={"type": "daily"})
    after = definition(**{"timeframe": {"type": "daily"}, **fields})
    assert changed(before, after) == FillTerms(2, ())
    assert changed(before, after, FillTerms(7, ((1, 2),))) == FillTerms(8, ((1, 2),))
    assert changed(after, after) == FillTerms(1, ())


def test_rules_that_change_call_for_a_rebuild() -> None:
    def by(*event_types: str) -> Definition:
        return Definition.model_validate({"leaderboard_id": "xp", "scoring": of_events(*event_types)})

    assert changed(by("match"), by("match", "login")).generation == 2
    assert changed(by("match"), by("match")).generation == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"display": {"score_label": "Coins"}},
        {"windows": ["weekly"]},
        {"rewards": {"tiers": [{"name": "a", "rank_from": 1, "rank_to": 1, "payload": {}}]}},
        {"ranking": {"top_only": 3}},
        {"timeframe": {"type": "daily", "retain_periods": 3, "retain_days": 9}},
        {"metadata": {"a": 1}},
        {"placement": "dedicated"},
    ],
    ids=str,
)
def test_what_says_nothing_of_rows_changes_no_terms(fields: Any) -> None:
    before = definition(timeframe={"type": "daily"})
    after = definition(**{"timeframe": {"type": "daily"}, **fields})
    assert changed(before, after) == FillTerms(1, ())


def test_a_pause_is_from_when_it_is_inactive_until_it_is_active() -> None:
    active, inactive, archived = (definition(status=s) for s in ("active", "inactive", "archived"))
    terms = changed(active, inactive, at_ms=10)
    assert terms == FillTerms(1, ((10, None),))
    terms = changed(inactive, archived, terms, at_ms=20)
    assert terms == FillTerms(1, ((10, None),)), "one pause, not two"
    terms = changed(archived, active, terms, at_ms=30)
    assert terms == FillTerms(1, ((10, 30),))
    terms = changed(active, archived, terms, at_ms=40)
    assert terms == FillTerms(1, ((10, 30), (40, None)))
    assert changed(archived, active, terms, at_ms=50).pauses == ((10, 30), (40, 50))


def test_a_change_while_it_pauses_does_not_end_the_pause() -> None:
    inactive = definition(status="inactive")
    after = definition(status="inactive", scoring={"metric": "gems"})
    assert changed(inactive, after, FillTerms(1, ((10, None),)), at_ms=20) == FillTerms(2, ((10, None),))


def test_so_many_pauses_are_kept() -> None:
    terms = FillTerms()
    active, inactive = definition(), definition(status="inactive")
    for number in range(PAUSES_KEPT + 20):
        terms = changed(active, inactive, terms, at_ms=10 * number)
        terms = changed(inactive, active, terms, at_ms=10 * number + 5)
    assert len(terms.pauses) == PAUSES_KEPT
    assert terms.pauses[-1] == (10 * number, 10 * number + 5)


def test_a_leaderboard_of_scores_has_none() -> None:
    scores = Definition(leaderboard_id="xp")
    inactive = scores.model_copy(update={"status": "inactive"})
    assert changed(scores, inactive) == FillTerms()


async def test_rows_that_gave_nothing_may_count_under_another_aggregation(tmp_path: Path) -> None:
    """Of a balance, a sum takes what a row changed, and the others what it came to."""
    async with LocalServer(tmp_path / "data") as server:
        logs = LocalLogs(server)
        scoring = METRIC | {"basis": "balance", "score_min": 10}
        await server.command("create_leaderboard", definition={"leaderboard_id": "xp", "scoring": scoring})
        await logs.write("coins", row("a", 5), row("a", 7))
        await logs.read_by("xp", "coins")
        assert await server.page("xp") == []
        patch = {"scoring": {"aggregation": "best"}}
        await server.command("patch_leaderboard", leaderboard_id="xp", patch=patch, if_match=None)
        await logs.read_by("xp", "coins")
        assert await server.page("xp") == [(1, "a", 12)]


async def test_a_period_may_be_closed_before_it_has_read_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is over from now on, and is sealed when it has. Who asked is not to ask again: that would close the
    next one.
    """
    async with LocalServer(tmp_path / "data") as server:
        fields = {"leaderboard_id": "xp", "scoring": METRIC, "timeframe": {"type": "daily"}}
        await server.command("create_leaderboard", definition=fields)
        logs = LocalLogs(server)
        await logs.write("coins", row("a", 5))
        server.clock.move(
            1000
        )  # else it may be closed in the millisecond of the row, which is the next one's then
        lifecycle = server.supervisor.lifecycle

        async def still_reads(*_: object) -> None:
            raise ApiError("period_loading", "it reads its log")

        with monkeypatch.context() as patch:
            patch.setattr(lifecycle, "carry_out", still_reads)
            told = await server.command("close_period", leaderboard_id="xp", window="main")
        first, following = told["closed"], told["current"]
        assert first["state"] == "closing" and following["state"] == "active"
        chain = server.supervisor.state.chains[server.supervisor.state.boards["default/xp"].chain_id("main")]
        async with asyncio.timeout(20):
            while chain.records[0].stage < Stage.COMPLETE:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await server.page("xp", period=first["period_key"]) == [(1, "a", 5)]
        assert await server.page("xp") == []


async def test_a_window_that_is_taken_away_is_not_behind(tmp_path: Path) -> None:
    async with LocalServer(tmp_path / "data") as server:
        fields = {"leaderboard_id": "xp", "scoring": METRIC, "windows": ["weekly"]}
        await server.command("create_leaderboard", definition=fields)
        logs = LocalLogs(server)
        await logs.write("coins", row("a", 5))
        await logs.read_by("xp", "coins")
        supervisor = server.supervisor
        weekly = supervisor.state.chains[supervisor.state.boards["default/xp"].chain_id("weekly")]
        await server.command("patch_leaderboard", leaderboard_id="xp", patch={"windows": []}, if_match=None)
        await logs.write("coins", row("a", 7))
        await logs.read_by("xp", "coins")
        await supervisor.hosting.probe(weekly.home)
        ping = supervisor.hosting.actors[weekly.home].last_ping
        assert ping is not None
        follow = ping.chains[weekly.chain_id].follow
        assert follow is None or (follow.state, follow.behind_ms) == ("live", 0)
        assert await server.page("xp") == [(1, "a", 12)]
