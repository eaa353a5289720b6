"""Parts of a snapshot: both encodings of a bucket, and what is refused."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.core.definition import Rules
from lbactors.core.inputs import SUBMIT
from lbactors.core.period import Entry, Period
from lbactors.core.snapshot_parts import Unranked, bucket_of, pack_bucket, period_loader, unpack_columns

AT_MS = 1_700_000_000_000

# A snapshot as version 0.1.0 wrote it: part name -> body.
OLD_SEQ = 8
OLD_PARTS = {
    name: bytes.fromhex(body)
    for name, body in {
        "meta": "9597a373756da464657363a3617363a46c617374a564656e7365c00108070285a46d65746108a3653a30"
        "08a3653a3108a3693a3008a3693a3108",
        "i:1": "94cf0000018bcfe5680993a26431a26231a2653193050608c2",
        "i:0": "94cf0000018bcfe5680993a26131a26132a2633193010304c2",
        "e:0": "9398a3626f62cb4004000000000000010202cf0000018bcfe56800cf0000018bcfe56803c098a464c3a9"
        "65cb7e37e43c8800759cfe0501cf0000018bcfe56803cf0000018bcfe56803c4025b5d98a36576650700"
        "0801cf0000018bcfe56805cf0000018bcfe56805c0",
        "e:1": "9298a3616e6ecf0020000000000000000302cf0000018bcfe56800cf0000018bcfe56801c098a3637964"
        "00000401cf0000018bcfe56802cf0000018bcfe56802c0",
    }.items()
}


def submit(period: Period, player_id: str, score: float, submission_id: str | None = None) -> None:
    period.apply(AT_MS + 100, [[SUBMIT, AT_MS + 50, player_id, score, 0, None, submission_id, None]])


def saved(period: Period) -> dict[str, bytes]:
    """What a snapshot of it writes."""
    assert period.begin_snapshot() is not None
    parts: dict[str, bytes] = {}
    while more := period.next_parts(1):
        parts |= more
    period.end_snapshot(True)
    return parts


def test_a_snapshot_of_version_0_1_0_loads() -> None:
    period = Period.load(OLD_PARTS.items(), OLD_SEQ)
    period.check()
    assert period.rules == Rules("sum", "desc", "asc", "last", "dense", None, 1)
    assert (period.seq, period.submissions) == (OLD_SEQ, 7)
    assert period.ranking.page(0, 9) == [(1, "dée"), (2, "ann"), (3, "eve"), (4, "bob")]
    assert period.below.page(0, 9) == [(1, "cyd")]
    assert [period.entry(p) for p in ("ann", "bob", "cyd", "dée", "eve")] == [
        Entry(2**53, 0, 3, 2, AT_MS, AT_MS + 1, None),
        Entry(2.5, 1, 2, 2, AT_MS, AT_MS + 3, None),
        Entry(0, 0, 4, 1, AT_MS + 2, AT_MS + 2, None),
        Entry(1e300, -2, 5, 1, AT_MS + 3, AT_MS + 3, b"[]"),
        Entry(7, 0, 8, 1, AT_MS + 5, AT_MS + 5, None),
    ]
    assert period.ids.by_id == {"a1": 1, "a2": 3, "c1": 4, "d1": 5, "b1": 6, "e1": 8}


def test_a_snapshot_may_mix_both_encodings() -> None:
    """After an upgrade only the buckets that changed are written anew."""
    period = Period.load(OLD_PARTS.items(), OLD_SEQ)
    submit(period, "ann", 1)
    parts = saved(period)
    assert set(parts) == {"meta", "e:1"}
    again = Period.load((OLD_PARTS | parts).items(), period.seq)
    again.check()
    assert again.entry("ann") == period.entry("ann")
    assert again.ranking.page(0, 9) == period.ranking.page(0, 9)


numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
rows = st.tuples(
    numbers,
    numbers,
    st.integers(0, 2**48 - 1),
    st.integers(1, 2**40),
    st.integers(-(2**60), 2**60),
    st.integers(-(2**60), 2**60),
    st.none() | st.binary(max_size=5),
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=4), rows, max_size=6))
def test_a_bucket_comes_back_as_it_was(bucket: dict[str, Any]) -> None:
    in_rows = msgpack.packb([[player_id, *row] for player_id, row in bucket.items()])
    for body in (pack_bucket(bucket), in_rows):
        found = bucket_of(unpack_columns(body))
        assert repr(found) == repr(bucket), "an int stays an int, a float a float"
        assert all(type(row) is tuple for row in found.values())


@pytest.mark.parametrize(
    "body",
    [
        [1, ["a"], [5]],
        [1, ["a", "b"], *[[5, 6]] * 6, [None]],
        [["a", 5, 0, 1, 1, 0, 0]],
        [["a", 5, 0, 1, 1, 0, 0, None], ["b", 5]],
        7,
    ],
)
def test_what_is_no_bucket_is_refused(body: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        bucket_of(unpack_columns(msgpack.packb(body)))


@pytest.mark.parametrize(
    "wrong", ["no meta", "one missing", "one too many", "other seq", "unknown", "segment twice"]
)
def test_parts_of_no_snapshot_are_refused(wrong: str) -> None:
    parts, seq = list(OLD_PARTS.items()), OLD_SEQ
    if wrong == "no meta":
        parts = parts[1:]
    elif wrong == "one missing":
        parts = parts[:-1]
    elif wrong == "one too many":
        parts.append(("e:2", msgpack.packb([1])))
    elif wrong == "unknown":
        parts.append(("x:2", msgpack.packb([1])))
    elif wrong == "segment twice":
        parts.append(parts[1])
    else:
        seq += 1
    with pytest.raises(ValueError, match=r"meta|at seq|unknown|twice"):
        Period.load(parts, seq)


def test_a_check_sees_a_player_in_two_parts() -> None:
    """Loading does not look: parts have checksums, and it would cost a tenth of the time."""
    parts = OLD_PARTS | {"e:0": OLD_PARTS["e:1"]}
    with pytest.raises(AssertionError, match="twice"):
        Period.load(parts.items(), OLD_SEQ).check()


def test_what_is_not_ranked_answers_nothing() -> None:
    loader = period_loader()
    for part in OLD_PARTS.items():
        loader.add(*part)
    period = Period.from_parts(loader.finish(OLD_SEQ))
    assert isinstance(period.ranking, Unranked)
    for question in ("page", "rank", "around", "distribution", "rank_of", "worst"):
        with pytest.raises(AttributeError):
            getattr(period.ranking, question)
    with pytest.raises(TypeError):
        period.total  # noqa: B018
    submit(period, "new", 3, "n1")
    period.rank_entries()
    period.check()
    assert period.ranking.page(3, 9) == [(4, "new"), (5, "bob")]
