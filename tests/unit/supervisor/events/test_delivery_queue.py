"""Lanes against the laws of their docstring, by random histories and by hand."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.supervisor.events.delivery_queue import (
    DOWN_AFTER,
    FIRST_PAUSE_MS,
    LONGEST_PAUSE_MS,
    Lane,
    pause_ms,
)

NOW_MS = 1_000_000


def fail(lane: Lane, delivery_id: str, queue: str, now_ms: int, not_before_ms: int) -> None:
    """An attempt that failed, and its record."""
    lane.answered(False, now_ms, 0.5)
    lane.put(delivery_id, queue, not_before_ms)
    lane.recorded(delivery_id, queue)


def confirm(lane: Lane, delivery_id: str, queue: str, now_ms: int) -> None:
    lane.answered(True, now_ms, 0.5)
    lane.remove(delivery_id)
    lane.recorded(delivery_id, queue)


def test_pauses_double_up_to_an_hour() -> None:
    assert [pause_ms(n, 0.5) for n in (1, 2, 3)] == [FIRST_PAUSE_MS, 2 * FIRST_PAUSE_MS, 4 * FIRST_PAUSE_MS]
    assert pause_ms(30, 0.5) == pause_ms(10_000, 0.5) == LONGEST_PAUSE_MS
    assert pause_ms(30, 0) == LONGEST_PAUSE_MS * 3 // 4 and pause_ms(30, 1) == LONGEST_PAUSE_MS * 5 // 4


def test_a_queue_sends_one_at_a_time_and_others_go_on() -> None:
    lane = Lane(8)
    for name, queue in (("1", "xp"), ("2", "xp"), ("3", "coins")):
        lane.put(name, queue)
    assert [lane.take(NOW_MS) for _ in range(3)] == ["1", "3", None]
    lane.answered(True, NOW_MS, 0)
    lane.remove("1")
    assert lane.take(NOW_MS) is None  # confirmed, but the record of that is not durable yet
    lane.recorded("1", "xp")
    assert lane.take(NOW_MS) == "2"
    lane.check()


def test_a_failed_delivery_makes_its_queue_wait() -> None:
    lane = Lane(8)
    for name, queue in (("1", "xp"), ("2", "xp"), ("3", "coins")):
        lane.put(name, queue)
    assert lane.take(NOW_MS) == "1"
    fail(lane, "1", "xp", NOW_MS, NOW_MS + 5000)
    assert [lane.take(NOW_MS), lane.take(NOW_MS)] == ["3", None]
    confirm(lane, "3", "coins", NOW_MS)
    assert lane.next_at_ms() == NOW_MS + 5000 and lane.take(NOW_MS + 4999) is None
    assert lane.take(NOW_MS + 5000) == "1"


def test_at_most_so_many_at_once() -> None:
    lane = Lane(2)
    for n in range(5):
        lane.put(str(n), f"board {n}")
    assert [lane.take(NOW_MS) for _ in range(3)] == ["0", "1", None]
    confirm(lane, "0", "board 0", NOW_MS)
    assert [lane.take(NOW_MS) for _ in range(2)] == ["2", None]


def test_a_replayed_delivery_goes_before_later_ones() -> None:
    lane = Lane(8)
    for name in ("5", "7"):
        lane.put(name, "xp")
    assert lane.take(NOW_MS) == "5"
    fail(lane, "5", "xp", NOW_MS, NOW_MS + 5000)
    lane.put("2", "xp")
    sent = []
    while (name := lane.take(NOW_MS + 5000)) is not None:
        sent.append(name)
        confirm(lane, name, "xp", NOW_MS + 5000)
    assert sent == ["2", "5", "7"]


def test_a_receiver_that_is_down_is_probed_by_one_at_a_time() -> None:
    lane = Lane(8)
    queues = {str(n): f"board {n}" for n in range(6)}
    for name, queue in queues.items():
        lane.put(name, queue)
    first = [lane.take(NOW_MS) for _ in range(DOWN_AFTER)]
    for name in first:
        assert name is not None
        fail(lane, name, queues[name], NOW_MS, NOW_MS + FIRST_PAUSE_MS)
    assert lane.down and lane.take(NOW_MS) is None
    now_ms, probed = NOW_MS, []
    for _ in range(6):
        at_ms = lane.next_at_ms()
        assert at_ms is not None and at_ms > now_ms
        now_ms = at_ms
        name = lane.take(now_ms)
        assert name is not None and lane.take(now_ms) is None
        probed.append(name)
        fail(lane, name, queues[name], now_ms, now_ms + FIRST_PAUSE_MS)
    assert set(probed) == set(queues)  # each queue had its turn
    name = lane.take(lane.next_at_ms() or 0)
    assert name is not None
    confirm(lane, name, queues[name], now_ms)
    assert not lane.down
    rest = [lane.take(now_ms) for _ in range(5)]
    assert None not in rest and len({*rest, name}) == 6  # all of them, at once
    lane.check()


def test_attempts_that_fail_together_are_one_finding() -> None:
    lane = Lane(8)
    for n in range(20):
        lane.put(str(n), f"board {n}")
    taken = [lane.take(NOW_MS) for _ in range(8)]
    for name in taken:
        assert name is not None
        fail(lane, name, f"board {name}", NOW_MS, NOW_MS + FIRST_PAUSE_MS)
    at_ms, pauses = NOW_MS, []
    for _ in range(4):
        next_ms = lane.next_at_ms() or 0
        pauses.append(next_ms - at_ms)
        at_ms, name = next_ms, lane.take(next_ms)
        assert name is not None
        fail(lane, name, f"board {name}", at_ms, at_ms + FIRST_PAUSE_MS)
    assert pauses == [pause_ms(n, 0.5) for n in (1, 2, 3, 4)]
    lane.probe_now()
    assert lane.take(at_ms) is not None


def test_a_paused_lane_sends_nothing() -> None:
    lane = Lane(8)
    lane.put("1", "xp")
    lane.paused = True
    assert lane.take(NOW_MS) is None and lane.next_at_ms() is None
    lane.paused = False
    assert lane.take(NOW_MS) == "1"


STEP = st.tuples(st.sampled_from(["put", "take", "ok", "fail", "drop", "later"]), st.integers(0, 9))


@settings(deadline=None, max_examples=300)
@given(st.lists(STEP, max_size=80))
def test_random_histories(steps: list[tuple[str, int]]) -> None:
    """Every delivery is sent until it is confirmed, each queue in order of ids, one at a time."""
    lane, now_ms, number = Lane(3), NOW_MS, 0
    waiting: dict[str, str] = {}
    sending: dict[str, str] = {}

    def take() -> str | None:
        name = lane.take(now_ms)
        if name is not None:
            queue = waiting[name]
            assert queue not in sending.values()
            assert name == min(i for i, q in waiting.items() if q == queue)
            sending[name] = queue
        return name

    for what, n in steps:
        if what == "put":
            number += 1
            waiting[f"{number:04}"] = f"board {n % 4}"
            lane.put(f"{number:04}", f"board {n % 4}")
        elif what == "take":
            take()
        elif what == "later":
            now_ms += 700 * n
        elif what == "drop" and waiting:
            name = sorted(waiting)[n % len(waiting)]
            if not lane.is_sending(name):
                lane.remove(name)
                del waiting[name]
        elif sending and what in ("ok", "fail"):
            name = sorted(sending)[n % len(sending)]
            queue = sending.pop(name)
            if what == "ok":
                confirm(lane, name, queue, now_ms)
                del waiting[name]
            else:
                fail(lane, name, queue, now_ms, now_ms + 1000 * n)
        lane.check()
        assert len(lane) == len(waiting)
    for name, queue in list(sending.items()):
        confirm(lane, name, queue, now_ms)
        del waiting[name], sending[name]
    while waiting:
        now_ms = max(now_ms, lane.next_at_ms() or 0)
        name = take()
        assert name is not None
        confirm(lane, name, sending.pop(name), now_ms)
        del waiting[name]
    assert lane.take(now_ms + LONGEST_PAUSE_MS) is None and not len(lane)
