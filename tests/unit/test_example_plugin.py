"""The example of a plugin (examples/plugin-plausible-scores): what it says of scores, and its entry point."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.definition import Definition
from lbactors.documents.events import Event
from lbactors.plugins import VALIDATE, Context, Plugins, SubmittedScore
from tests.support.repository import REPOSITORY

PACKAGE = REPOSITORY / "examples" / "plugin-plausible-scores"
PROJECT: dict[str, Any] = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
((NAME, TARGET),) = PROJECT["entry-points"]["lbactors"].items()
RULES = {"usual": 100, "hold_times": 5, "refuse_times": 50}
RATE = {"points_per_second": 10}


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Plugins]:
    monkeypatch.syspath_prepend(PACKAGE)
    monkeypatch.setenv("PLAUSIBLE_SCORES_LOG", str(tmp_path / "closings.jsonl"))
    yield Plugins.load(TARGET)
    sys.modules.pop(TARGET, None)


def verdict(plugins: Plugins, rules: Any, score: Any, metadata: Any = None, order: str = "desc") -> str:
    """`accept`, or the verdict and its reason."""
    definition = Definition.model_validate(
        {"leaderboard_id": "xp", "ranking": {"order": order}, "metadata": {"plausible": rules}}
    )
    ((_, hook),) = plugins.hooks(VALIDATE)
    submission = SubmittedScore("p1", score, 0, metadata, None, None, None)
    found = hook("default", "xp", submission, Context("k_1", 0, definition))
    return "accept" if found is None else f"{type(found).__name__} {found.reason}"


def test_its_hooks(plugins: Plugins) -> None:
    (plugin,) = plugins.found
    assert (plugin.name, plugin.hooks) == (NAME, ("on_period_closed", VALIDATE))


def test_installed_and_named_at_once(
    plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is loaded once, and has the name that it has when it is only named."""
    info = tmp_path / f"{PROJECT['name'].replace('-', '_')}-{PROJECT['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {PROJECT['name']}\nVersion: {PROJECT['version']}\n"
    )
    (info / "entry_points.txt").write_text(f"[lbactors]\n{NAME} = {TARGET}\n")
    monkeypatch.syspath_prepend(tmp_path)
    (plugin,) = Plugins.load(TARGET).found
    assert plugin.source == f"entry point of {PROJECT['name']} {PROJECT['version']}"
    assert [plugin.name] == [named.name for named in plugins.found]


def test_its_names_are_not_those_of_the_tour() -> None:
    """Whoever tries it beside the README's server mixes nothing up."""
    tour = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    taken = set(re.findall(r'"(?:leaderboard_id|player_id)": "(\w+)"', tour)) | {"8080"}
    assert len(taken) > 3
    assert not taken & set(re.findall(r"\w+", (PACKAGE / "README.md").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("rules", "score", "metadata", "said"),
    [
        (None, 10**9, None, "accept"),
        ({}, 10**9, None, "accept"),
        (RULES, None, None, "accept"),  # a board that counts
        (RULES, 500, None, "accept"),
        (RULES, 501, None, "Hold 5.0 times the usual score"),
        (RULES, 5000, None, "Hold 50.0 times the usual score"),
        (RULES, 5001, None, "Refuse this score cannot be reached"),
        (RULES, -5, None, "accept"),
        (RATE, 600, {"seconds": 60}, "accept"),
        (RATE, 601, {"seconds": 60}, "Hold 10 points a second"),
        (RATE, 6001, {"seconds": 60}, "Refuse this score cannot be reached in that time"),
        (RATE, 5, None, "Hold metadata.seconds is missing"),
        (RATE, 5, {"seconds": True}, "Hold metadata.seconds is missing"),
        (RATE, 5, {"seconds": 0}, "Hold metadata.seconds is missing"),
        (RULES | RATE, 5001, {"seconds": 9000}, "Refuse this score cannot be reached"),
        (RULES | RATE, 501, {"seconds": 2}, "Refuse this score cannot be reached in that time"),
        (RULES | RATE, 501, {"seconds": 900}, "Hold 5.0 times the usual score"),
    ],
)
def test_verdicts(plugins: Plugins, rules: Any, score: Any, metadata: Any, said: str) -> None:
    assert verdict(plugins, rules, score, metadata) == said


def test_where_low_scores_lead(plugins: Plugins) -> None:
    assert verdict(plugins, RULES, 20, order="asc") == "accept"
    assert verdict(plugins, RULES, 19, order="asc").startswith("Hold")
    assert verdict(plugins, RULES, 1, order="asc").startswith("Refuse")
    assert verdict(plugins, RULES, 0, order="asc").startswith("Refuse")
    assert verdict(plugins, RULES, 10**9, order="asc") == "accept"


def test_closings_are_logged(plugins: Plugins, tmp_path: Path) -> None:
    ((_, hook),) = plugins.hooks("on_period_closed")
    period = {"period_key": "2026-W47", "window": "main"}
    for total, standings in ((2, [{"player_id": "maya"}, {"player_id": "ben"}]), (0, [])):
        data = {"period": period, "total": total, "standings": standings}
        hook(Event(f"evt_{total}", "period.closed", 0, "default", "xp", data))
    lines = [json.loads(line) for line in (tmp_path / "closings.jsonl").read_text().splitlines()]
    assert [(line["event_id"], line["total"], line["winner"]) for line in lines] == [
        ("evt_2", 2, "maya"),
        ("evt_0", 0, None),
    ]
