"""What operators see of a ping: objects with names, and the leaderboards' own ids."""

from __future__ import annotations

import msgpack

from lbactors.core.packing import pack
from lbactors.wire.chain_spec import HostedDigest
from lbactors.wire.ping import (
    BEHIND_SHOWN,
    NOT_RUNNING,
    ChainPing,
    FollowPing,
    PeriodPing,
    Ping,
    behind_shown,
    leaderboards_shown,
    logs_shown,
)

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
        {
            "window": "main",
            "awake": False,
            "closed_loaded": 0,
            "operations": 0,
            "periods": [],
            "follows": None,
        }
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


def test_logs_are_no_leaderboards() -> None:
    loaded = PeriodPing("all_time", "serving", 2, 40, 3, 1, 1042)
    chains = {
        "default/xp~u1/main": ChainPing(4, [OPEN]),
        "default/coins~metric-0a1b2c3d/main": ChainPing(1, [loaded], 0, 77),
        "default/events~events-0a1b2c3d/main": ChainPing(1),
    }
    assert [board["leaderboard_id"] for board in leaderboards_shown(chains)] == ["xp"]
    assert logs_shown(chains) == [
        {
            "tenant_id": "default",
            "metric": "coins",
            "uid": "metric-0a1b2c3d",
            "state": "serving",
            "epoch": 2,
            "rows": 1042,
            "waiting": 3,
            "operations": 77,
        },
        {
            "tenant_id": "default",
            "metric": None,
            "uid": "events-0a1b2c3d",
            "state": "asleep",
            "epoch": None,
            "rows": None,
            "waiting": 0,
            "operations": 0,
        },
    ]


def test_who_is_behind_is_told_by_leaderboard_the_worst_first() -> None:
    def following(state: str, rows_read: int, behind_ms: int = 0) -> ChainPing:
        return ChainPing(1, [OPEN], follow=FollowPing(state, rows_read, 1000, behind_ms))

    first = {
        "default/live~u1/main": following("live", 1000),
        "default/soon~u2/main": following("behind", 990, 40),
        "default/late~u3/main": following("behind", 900, 2500),
        "default/late~u3/daily": following("live", 1000),
        "default/scores~u4/main": ChainPing(1, [OPEN]),
    }
    second = {"studio/a~b~u5/main": following("filling", 10)}
    assert behind_shown([first, second]) == {
        "behind": 2,
        "leaderboards": [
            {
                "tenant_id": "studio",
                "leaderboard_id": "a~b",
                "state": "filling",
                "rows_read": 10,
                "rows": 1000,
                "behind_seconds": 0.0,
            },
            {
                "tenant_id": "default",
                "leaderboard_id": "late",
                "state": "behind",
                "rows_read": 900,
                "rows": 1000,
                "behind_seconds": 2.5,
            },
        ],
    }


def test_the_leaderboards_that_are_named_are_limited() -> None:
    follow = FollowPing("filling", 0, 1, 0)
    found = behind_shown([{f"t/b{n}~u/main": ChainPing(1, follow=follow) for n in range(BEHIND_SHOWN + 5)}])
    assert (found["behind"], len(found["leaderboards"])) == (BEHIND_SHOWN + 5, BEHIND_SHOWN)


# The worst of a leaderboard's windows -----------------------------------------------------------------------


def test_the_worst_window_stands_for_its_leaderboard() -> None:
    live = FollowPing("live", 900, 900, 0)
    near, far = FollowPing("behind", 890, 900, 5000), FollowPing("behind", 100, 900, 10)
    filling = FollowPing("filling", 899, 900, 0)
    for windows, worst in (
        ([live, live], live),
        ([live, near], near),
        ([near, far, live], far),
        ([far, filling, near], filling),
        ([filling, FollowPing("filling", 0, 900, 0)], FollowPing("filling", 0, 900, 0)),
    ):
        assert FollowPing.worst(windows) == worst
        assert FollowPing.worst(windows[::-1]) == worst, "in any order"


def test_without_windows_there_is_no_worst() -> None:
    assert FollowPing.worst([]) is None


def test_how_far_a_window_is_arrives() -> None:
    """Also from an actor that says nothing of it."""
    ping = ChainPing(4, [OPEN], 1, 520, FollowPing("behind", 7, 9, 40))
    assert ChainPing.from_wire(msgpack.unpackb(pack(ping))) == ping
    assert ChainPing.from_wire([4, [list(OPEN)], 1, 520]).follow is None
    assert ping.shown("main")["follows"] == {
        "state": "behind",
        "rows_read": 7,
        "rows": 9,
        "behind_seconds": 0.04,
    }
