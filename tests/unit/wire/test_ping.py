"""What operators see of a ping: objects with names, and the leaderboards' own ids."""

from __future__ import annotations

from lbactors.wire.chain_spec import HostedDigest
from lbactors.wire.ping import NOT_RUNNING, ChainPing, PeriodPing, Ping, leaderboards_shown

OPEN = PeriodPing("2026-W47", "serving", 3, 30, 2, 12, 90)
NEXT = PeriodPing("2026-W48", "asleep", 0, 0, 2, 13, 0)


def test_a_process_is_shown_with_its_units() -> None:
    ping = Ping("period-1", "i", 7, 2048, 1_795_003_200.5, 500, 20, HostedDigest(0, 0), {}, ["bad record"])
    assert ping.shown() == {
        "pid": 7,
        "started_at": "2026-11-18T12:00:00.500Z",
        "resident_bytes": 2048,
        "submissions": 500,
        "reads": 20,
        "trouble": ["bad record"],
    }
    assert NOT_RUNNING.keys() == ping.shown().keys()


def test_chains_are_shown_by_leaderboard_and_window() -> None:
    chains = {
        "studio/b:1~u2/main": ChainPing(1),
        "default/xp~u1/main": ChainPing(4, [OPEN, NEXT], 1, 520),
        "default/xp~u1/daily": ChainPing(4, [NEXT]),
    }
    xp, other = leaderboards_shown(chains)
    assert (other["tenant_id"], other["leaderboard_id"], other["waiting"]) == ("studio", "b:1", 0)
    assert other["windows"] == [
        {"window": "main", "awake": False, "closed_loaded": 0, "operations": 0, "periods": []}
    ]
    assert (xp["tenant_id"], xp["leaderboard_id"], xp["uid"]) == ("default", "xp", "u1")
    assert xp["waiting"] == 2, "its windows share one queue"
    daily, main = xp["windows"]
    assert (daily["window"], daily["awake"]) == ("daily", False)
    assert (main["awake"], main["closed_loaded"], main["operations"]) == (True, 1, 520)
    assert main["periods"][0] == {
        "period_key": "2026-W47",
        "state": "serving",
        "epoch": 3,
        "entries": 30,
        "serial": 12,
        "seq": 90,
    }
