"""The leaderboards of the simulated year, and the year.

From June 2011 to June 2012, since in it two zones skip a whole day (Pacific/Apia and Pacific/Fakaofo have no
30 December 2011), some change their clock at midnight (America/Sao_Paulo, America/St_Johns at 00:01), one by
half an hour (Australia/Lord_Howe), one several times (Asia/Hebron), and many on other days than others.
"""

from __future__ import annotations

from typing import Any

from tests.support.simulation.counted_time import ms

YEAR_BEGINS_MS, YEAR_ENDS_MS = ms("2011-06-01T09:17"), ms("2012-06-01T00:00")


def board(
    name: str, kind: str, zone: str, windows: str = "", aggregation: str = "sum", **frame: Any
) -> dict[str, Any]:
    return {
        "leaderboard_id": name,
        "timeframe": {"type": kind, "timezone": zone, "retain_days": 0, **frame},
        "windows": windows.split(),
        "scoring": {"aggregation": aggregation},
    }


BOARDS = [
    board("apia", "daily", "Pacific/Apia", "hourly weekly all_time", late_grace_seconds=60),
    board("fakaofo", "weekly", "Pacific/Fakaofo", "daily", "best", reset_day="friday", reset_time="05:00"),
    board("london", "weekly", "Europe/London", "daily monthly", retain_periods=3),
    board("st-johns", "daily", "America/St_Johns", "hourly", late_grace_seconds=0, retain_periods=1),
    board("kathmandu", "hourly", "Asia/Kathmandu", "daily", reset_time="00:15", late_grace_seconds=3600),
    board("chatham", "hourly", "Pacific/Chatham", "daily", "count", retain_periods=2),
    board("lord-howe", "hourly", "Australia/Lord_Howe", "daily weekly", reset_time="00:30"),
    board("lord-howe-sharp", "daily", "Australia/Lord_Howe", "hourly", "latest", reset_time="02:00"),
    board("santiago", "daily", "America/Santiago", "monthly", late_grace_seconds=600, retain_days=30),
    board("tehran", "weekly", "Asia/Tehran", "daily", reset_day="saturday", retain_periods=0),
    board("casablanca", "daily", "Africa/Casablanca", "yearly", "min", reset_time="02:30"),
    board("sao-paulo", "daily", "America/Sao_Paulo", "weekly", late_grace_seconds=86_400),
    board("hebron", "cron", "Asia/Hebron", "daily", cron="30 0 * * *"),
    board("new-york", "cron", "America/New_York", "weekly", cron="*/20 1-3 * * 0", retain_periods=4),
    board(
        "kolkata", "every", "Asia/Kolkata", "daily", every_seconds=37_000, starts_at="2011-05-02T03:04:05Z"
    ),
    board("epoch", "every", "UTC", "all_time", every_seconds=86_400, late_grace_seconds=1),
    board(
        "season",
        "range",
        "Australia/Sydney",
        "daily",
        starts_at="2011-09-15T00:00:00Z",
        ends_at="2011-11-20T10:30:00Z",
    ),
    board("auckland", "monthly", "Pacific/Auckland", "weekly", "best", reset_date=31, reset_time="06:00"),
    board("los-angeles", "yearly", "America/Los_Angeles", "monthly", reset_date=15),
    board(
        "caracas",
        "weekly",
        "America/Caracas",
        "daily",
        reset_day="friday",
        reset_time="18:30",
        late_submissions="arrival",
    ),
    board("berlin", "permanent", "Europe/Berlin", "daily"),  # closed by hand on the way
    board("moscow", "daily", "Europe/Moscow", "weekly"),  # moves to another zone on the way
    board("adelaide", "manual", "Australia/Adelaide"),  # its periods are made on the way
    board(  # extended on the way, each time after its end
        "cup",
        "range",
        "Europe/Rome",
        "all_time weekly",
        starts_at="2011-07-01T00:00:00Z",
        ends_at="2011-08-15T18:00:00Z",
    ),
]
CUP_ENDS = ["2011-08-15T18:00", "2011-10-01T12:00", "2011-12-24T12:00", "2012-03-01T00:00"]
