"""Names of transactions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbactors.core.log_model import NO_BALANCE, seq_of, transaction_id


@given(st.integers(1, 10**18 - 1))
def test_a_name_leads_back_to_its_seq(seq: int) -> None:
    assert seq_of(transaction_id(seq)) == seq


@given(st.text("tx-0123456789 +_٣²", max_size=24))
def test_a_seq_has_one_name(name: str) -> None:
    seq = seq_of(name)
    assert seq is None or (seq > 0 and transaction_id(seq) == name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "7",
        "tx",
        "tx-",
        "tx-0",
        "tx-07",
        "tx--7",
        "tx-+7",
        "tx- 7",
        "tx-7 ",
        "tx-7\n",
        "tx-1_000",
        "tx-7.0",
        "tx-tx-7",
        "TX-7",
        "ev-7",
        "tx-٧",
        "tx-²",
        "tx-" + "1" * 19,
        "tx-" + "1" * 5000,
    ],
)
def test_what_no_row_can_be_named(name: str) -> None:
    assert seq_of(name) is None


def test_nobody_has_nothing() -> None:
    assert NO_BALANCE == (0, 0, 0, 0, 0, None)
