"""Section 3: keys and bounds of periods in every timeframe, states, listings, manual periods.

Keys and bounds are computed here a second time, naively, with `zoneinfo`: walk back day by day until the wall
clock fits. What is expected is computed before and after the request, so a boundary between the two does no
harm.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.api.boards import Board, MakeBoard, ahead, instant, now, wire
from tests.support.api.client import Api

PERIOD_FIELDS = {
    "period_key",
    "window",
    "state",
    "starts_at",
    "ends_at",
    "next_starts_at",
    "entries",
    "submissions",
}
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

FirstDay = Callable[[date], bool]


def every_day(_: date) -> bool:
    return True


def is_first_of_week(weekday: int) -> FirstDay:
    return lambda day: day.weekday() == weekday


def is_first_of_month(reset_date: int) -> FirstDay:
    def is_first(day: date) -> bool:
        last = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        return day.day == min(reset_date, last.day)

    return is_first


def span(at: datetime, zone: str, reset: time, is_first: FirstDay) -> tuple[datetime, datetime]:
    """The [start, end) around `at` of periods that begin at `reset` on each day that `is_first`."""
    tz = ZoneInfo(zone)
    days = [at.astimezone(tz).date() + timedelta(days=offset) for offset in range(-370, 370)]
    starts = [datetime.combine(day, reset, tz).astimezone(UTC) for day in days if is_first(day)]
    start = max(start for start in starts if start <= at)
    return start, min(later for later in starts if later > at)


# name -> (timeframe, first days, format of the key of the local start)
CALENDAR: dict[str, tuple[dict[str, Any], FirstDay, str]] = {
    "daily": ({"type": "daily"}, every_day, "%Y-%m-%d"),
    "daily far east": ({"type": "daily", "timezone": "Pacific/Kiritimati"}, every_day, "%Y-%m-%d"),
    "daily far west": ({"type": "daily", "timezone": "Pacific/Pago_Pago"}, every_day, "%Y-%m-%d"),
    "daily at a time": (
        {"type": "daily", "timezone": "America/New_York", "reset_time": "17:45:30"},
        every_day,
        "%Y-%m-%d",
    ),
    "weekly": ({"type": "weekly"}, is_first_of_week(0), "%G-W%V"),
    **{
        f"weekly on {name}": (
            {"type": "weekly", "timezone": "Europe/Rome", "reset_day": name, "reset_time": "06:00"},
            is_first_of_week(number),
            "%G-W%V",
        )
        for number, name in enumerate(WEEKDAYS)
    },
    "monthly": ({"type": "monthly"}, is_first_of_month(1), "%Y-%m"),
    "monthly on the 15th": (
        {"type": "monthly", "reset_date": 15, "timezone": "Asia/Kolkata"},
        is_first_of_month(15),
        "%Y-%m",
    ),
    "monthly on the last": (
        {"type": "monthly", "reset_date": 31, "reset_time": "23:59", "timezone": "Australia/Lord_Howe"},
        is_first_of_month(31),
        "%Y-%m",
    ),
    "yearly": (
        {"type": "yearly", "timezone": "Asia/Tokyo"},
        lambda day: (day.month, day.day) == (1, 1),
        "%Y",
    ),
}


@pytest.mark.parametrize("name", CALENDAR)
def test_calendar_periods(make_board: MakeBoard, name: str) -> None:
    frame, is_first, key_format = CALENDAR[name]
    zone, reset = frame.get("timezone", "UTC"), time.fromisoformat(frame.get("reset_time", "00:00"))

    def expected() -> tuple[str, str, str]:
        start, end = span(now(), zone, reset, is_first)
        return start.astimezone(ZoneInfo(zone)).strftime(key_format), wire(start), wire(end)

    before = expected()
    period = make_board(timeframe={"timezone": zone, **frame}).current()
    got = (period["period_key"], period["starts_at"], period["ends_at"])
    assert got in (before, expected())
    assert (period["state"], period["window"]) == ("active", "main")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Asia/Kathmandu"])
def test_hourly_periods(make_board: MakeBoard, zone: str) -> None:
    def expected() -> tuple[str, str, str]:
        local = now().astimezone(ZoneInfo(zone)).replace(minute=0, second=0, microsecond=0)
        return local.strftime("%Y-%m-%dT%H"), wire(local), wire(local + timedelta(hours=1))

    before = expected()
    period = make_board(timeframe={"type": "hourly", "timezone": zone}).current()
    assert (period["period_key"], period["starts_at"], period["ends_at"]) in (before, expected())


def start_key(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_cron_periods(make_board: MakeBoard) -> None:
    zone = ZoneInfo("Asia/Kathmandu")  # 5:45 ahead, so quarters of an hour coincide and full hours do not

    def expected() -> tuple[str, str, str]:
        local = now().astimezone(zone)
        start = local.replace(minute=local.minute // 20 * 20, second=0, microsecond=0).astimezone(UTC)
        return start_key(start), wire(start), wire(start + timedelta(minutes=20))

    before = expected()
    frame = {"type": "cron", "cron": "*/20 * * * *", "timezone": "Asia/Kathmandu"}
    period = make_board(timeframe=frame).current()
    assert (period["period_key"], period["starts_at"], period["ends_at"]) in (before, expected())


@pytest.mark.parametrize(
    "anchor", [None, datetime(2026, 1, 1, 0, 0, 17, tzinfo=UTC)], ids=["1970", "starts_at"]
)
def test_every_periods(make_board: MakeBoard, anchor: datetime | None) -> None:
    length = timedelta(seconds=3700)
    origin = anchor or datetime(1970, 1, 1, tzinfo=UTC)

    def expected() -> tuple[str, str, str]:
        start = origin + (now() - origin) // length * length
        return start_key(start), wire(start), wire(start + length)

    frame: dict[str, Any] = {"type": "every", "every_seconds": 3700}
    if anchor:
        frame["starts_at"] = wire(anchor)
    before = expected()
    period = make_board(timeframe=frame).current()
    assert (period["period_key"], period["starts_at"], period["ends_at"]) in (before, expected())


def test_a_permanent_period(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    period = api.get(f"{board.periods}/all_time")
    assert set(period) >= PERIOD_FIELDS
    expected = {
        "period_key": "all_time",
        "window": "main",
        "state": "active",
        "ends_at": None,
        "next_starts_at": None,
    }
    assert expected.items() <= period.items()


# A schedule's bounds: before, during, after


def range_board(make_board: MakeBoard, starts_in_s: float, ends_in_s: float) -> tuple[Board, str]:
    start = now().replace(microsecond=0) + timedelta(seconds=starts_in_s)
    frame = {
        "type": "range",
        "starts_at": wire(start),
        "ends_at": wire(start + timedelta(seconds=ends_in_s - starts_in_s)),
    }
    return make_board(timeframe=frame), start_key(start)


def test_a_range_that_is_on(make_board: MakeBoard) -> None:
    board, key = range_board(make_board, -3600, 3600)
    period = board.current()
    assert (period["period_key"], period["state"]) == (key, "active")
    assert board.submit("p1", 1)["period_key"] == key


def test_a_range_to_come(api: Api, make_board: MakeBoard) -> None:
    board, key = range_board(make_board, 3600, 7200)
    page = board.page()
    assert (page["period"]["period_key"], page["period"]["state"]) == (key, "pending")
    assert (page["entries"], page["total"], page["next_cursor"]) == ([], 0, None)
    api.fails(409, "period_not_open", "POST", board.scores, {"player_id": "p1", "score": 1})


def test_a_range_that_is_over(api: Api, make_board: MakeBoard) -> None:
    board, key = range_board(make_board, -7200, -3600)
    page = board.page()
    assert (page["period"]["period_key"], page["period"]["state"], page["total"]) == (key, "closed", 0)
    api.fails(409, "period_closed", "POST", board.scores, {"player_id": "p1", "score": 1})


@pytest.mark.parametrize(
    "frame", [{"type": "daily"}, {"type": "every", "every_seconds": 600}, {"type": "permanent"}]
)
def test_a_schedule_that_begins_later(api: Api, make_board: MakeBoard, frame: dict[str, Any]) -> None:
    board = make_board(timeframe=frame | {"starts_at": ahead(86400 * 3)})
    page = board.page()
    assert (page["period"]["state"], page["total"]) == ("pending", 0)
    api.fails(409, "period_not_open", "POST", board.scores, {"player_id": "p1", "score": 1})


# Listing and reading periods


def test_the_fields_of_a_period(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "yearly"}, scoring={"aggregation": "sum"})
    board.submit_all({"p1": 1, "p2": 2})
    board.submit("p1", 5)
    key, _, ends_at = board.year()
    period = api.get(f"{board.periods}/{key}")
    assert set(period) >= PERIOD_FIELDS
    assert (period["period_key"], period["window"], period["state"]) == (key, "main", "active")
    assert (period["entries"], period["submissions"]) == (2, 3)
    assert period["next_starts_at"] == period["ends_at"] == ends_at
    assert [item["period_key"] for item in api.listing(board.periods, window="main", state="active")] == [key]


def test_windows_have_periods_of_their_own(api: Api, make_board: MakeBoard) -> None:
    board = make_board(windows=["yearly", "monthly"], timeframe={"type": "weekly"})
    board.submit("p1", 1)
    for window in ("main", "yearly", "monthly"):
        (period,) = api.listing(board.periods, window=window, state="active")
        assert (period["window"], period["entries"]) == (window, 1)
        assert api.get(f"{board.periods}/{period['period_key']}")["window"] == window
        assert board.page(window=window, period=period["period_key"])["total"] == 1
    yearly = board.current("yearly")
    assert (yearly["period_key"], yearly["window"]) == (board.year()[0], "yearly")


def test_periods_by_pages(api: Api, make_board: MakeBoard) -> None:
    board, other = make_board(), make_board()
    keys = ["all_time", "all_time-2", "all_time-3", "all_time-4", "all_time-5"]
    for turn in range(4):
        board.submit("p1", turn)
        assert board.force_close()["closed"]["period_key"] == keys[turn]
        other.force_close()
    for limit in (1, 2, 5, None):
        listed = [period["period_key"] for period in api.listing(board.periods, window="main", limit=limit)]
        assert sorted(listed) == keys, limit
    closed = api.listing(board.periods, window="main", state="closed")
    assert sorted(period["period_key"] for period in closed) == keys[:4]
    assert {period["state"] for period in closed} == {"closed"}
    cursor = api.get(board.periods, window="main", limit=2)["next_cursor"]
    api.fails(
        422,
        "validation_failed",
        "GET",
        other.periods,
        params={"window": "main", "limit": 2, "cursor": cursor},
    )


def test_unknown_periods_windows_and_states(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    api.fails(404, "period_not_found", "GET", f"{board.periods}/2001-W01")
    for path in (
        board.rankings,
        board.player("p1"),
        board.player("p1") + "/around",
        f"{board.rankings}/at/1",
    ):
        api.fails(404, "period_not_found", "GET", path, params={"period": "2001-W01"})
        api.fails(422, "validation_failed", "GET", path, params={"window": "fortnightly"})
    api.fails(404, "period_not_found", "GET", board.rankings, params={"period": "previous"})
    api.fails(422, "validation_failed", "GET", board.periods, params={"state": "asleep"})
    api.refuses({404, 422}, "GET", board.rankings, params={"window": "daily"})


# Manual periods


def test_manual_periods(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "manual"})
    score = {"player_id": "p1", "score": 1}
    start = now().replace(microsecond=0) - timedelta(seconds=60)
    api.fails(409, "period_not_open", "POST", board.scores, score)
    made = api.ok("POST", board.periods, {"starts_at": wire(start), "ends_at": ahead(3600)}, status=201)
    assert set(made) >= PERIOD_FIELDS
    assert (made["window"], made["state"], made["entries"]) == ("main", "active", 0)
    assert (made["period_key"], made["starts_at"]) == (start_key(start), wire(start))
    assert board.submit("p1", 1)["period_key"] == made["period_key"]
    assert board.standings() == [(1, "p1", 1)]
    assert api.get(f"{board.periods}/{made['period_key']}")["entries"] == 1
    answer = board.force_close()
    assert (answer["closed"]["period_key"], answer["current"]) == (made["period_key"], None)
    assert answer["closed"]["state"] == "closed"
    api.fails(409, "period_closed", "POST", board.scores, score)
    assert board.standings() == [(1, "p1", 1)]


def test_a_manual_period_with_a_key_and_no_end(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "manual"})
    body = {"period_key": "season-1", "starts_at": "2026-01-01T00:00:00Z"}
    made = api.ok("POST", board.periods, body, status=201)
    assert (made["period_key"], made["ends_at"], made["state"]) == ("season-1", None, "active")
    api.fails(409, "period_exists", "POST", board.periods, body)
    assert board.submit("p1", 1)["period_key"] == "season-1"
    assert board.page(period="season-1")["total"] == 1


def test_a_manual_period_from_now(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "manual"})
    made = api.ok("POST", board.periods, {}, status=201)
    assert (made["state"], made["ends_at"]) == ("active", None)
    assert abs(instant(made["starts_at"]) - now()) < timedelta(seconds=60)
    assert board.submit("p1", 1)["period_key"] == made["period_key"]
    api.fails(409, "period_exists", "POST", board.periods, {})
    board.force_close()
    following = api.ok("POST", board.periods, {"period_key": "second"}, status=201)
    assert (following["period_key"], following["state"]) == ("second", "active")


def test_a_manual_period_to_come(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "manual"})
    body = {"starts_at": "2055-01-01T00:00:00+00:00", "ends_at": "2055-02-01T00:00:00Z"}
    made = api.ok("POST", board.periods, body, status=201)
    assert (made["period_key"], made["state"]) == ("2055-01-01T00:00:00Z", "pending")
    assert board.current()["period_key"] == made["period_key"]
    api.fails(409, "period_not_open", "POST", board.scores, {"player_id": "p1", "score": 1})


@pytest.mark.parametrize(
    "body",
    [
        {"ends_at": "2026-01-01T00:00:00Z"},
        {"starts_at": "2026-01-01"},
        {"starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"},
        {"starts_at": None},
        {"starts_at": "2026-01-01T00:00:00Z", "period_key": 5},
    ],
)
def test_manual_periods_that_are_refused(api: Api, make_board: MakeBoard, body: dict[str, Any]) -> None:
    board = make_board(timeframe={"type": "manual"})
    api.fails(422, "validation_failed", "POST", board.periods, body)
    assert api.listing(board.periods, window="main") == []


def test_periods_are_listed_once_though_another_begins_meanwhile(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "yearly"})
    for _ in range(5):
        board.force_close()
    before = [period["period_key"] for period in api.get(board.periods, limit=100)["items"]]
    assert len(before) == 6
    page = api.get(board.periods, limit=2)
    met = [period["period_key"] for period in page["items"]]
    while page["next_cursor"] is not None:
        board.force_close()
        page = api.get(board.periods, limit=2, cursor=page["next_cursor"])
        met += [period["period_key"] for period in page["items"]]
    assert met == before
