"""Names that are put together are taken apart again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbactors.core import ids
from lbactors.core.definition import Definition
from lbactors.core.ids import ChainName
from lbactors.core.model import Board

parts = st.text("abz09_-.", min_size=1, max_size=6)
players = st.text("ab/~%", min_size=1, max_size=6)


@given(parts, parts, parts, parts, parts)
def test_a_chain_and_what_is_in_it(tenant: str, leaderboard: str, uid: str, window: str, key: str) -> None:
    chain = ids.chain_id(tenant, leaderboard, uid, window)
    assert ids.parse_chain(chain) == ChainName(tenant, leaderboard, uid, window)
    assert ids.board_of_chain(chain) == ids.board_uid(tenant, leaderboard, uid)
    assert ids.window_of_chain(chain) == window
    assert ids.chain_of(ids.in_chain(chain, key)) == chain == ids.chain_of(ids.in_chain(chain, 7))
    assert ids.tenant_of(chain) == tenant == ids.tenant_of(ids.in_chain(chain, key))


@given(parts, players)
def test_a_document_of_a_tenant(tenant: str, player: str) -> None:
    doc_id = ids.in_tenant(tenant, player)
    assert ids.split_tenant(doc_id) == (tenant, player)
    assert ids.tenant_of(doc_id) == tenant and doc_id.startswith(ids.in_tenant(tenant, ""))


@pytest.mark.parametrize("name", ["coins~metric-0a1b2c3d", "events~events-0a1b2c3d"])
def test_logs_are_known_by_their_names(name: str) -> None:
    for of_log in (f"default/{name}", f"default/{name}/main", f"default/{name}/main/1"):
        assert ids.is_log(of_log)


def test_chains_are_named_in_words() -> None:
    assert ids.in_words("a/xp~0f/daily") == "leaderboard 'xp' of tenant 'a', window 'daily'"
    assert ids.in_words("a/xp~metric-0a1b2c3d/main") == "metric 'xp' of tenant 'a'"
    assert ids.in_words("a/events~events-0a1b2c3d/main") == "events of tenant 'a'"


@given(parts, parts, parts)
def test_nothing_else_is_a_log(leaderboard: str, uid: str, window: str) -> None:
    for name in (leaderboard, f"metric-{leaderboard}", "events-1"):
        board = ids.board_uid("default", name, uid)
        assert not any(map(ids.is_log, (board, f"{board}/{window}", f"{board}/metric-{window}/1")))
    for odd in ("", "metric-1", "~metric-1", "default/metric-1", "default/x/y~metric-1", "~metric-1/x~1"):
        assert not ids.is_log(odd)


def test_names_are_those_that_are_stored() -> None:
    board = Board("default", "u1", Definition.model_construct(leaderboard_id="xp"), 1, 0, 0)
    assert board.chain_id("main") == "default/xp~u1/main"
    assert ids.in_chain("default/xp~u1/main", 3) == "default/xp~u1/main/3"
    assert ids.board_uid("default", "xp", "u1") == "default/xp~u1"
    assert ids.in_tenant("default", "ann/bob") == "default/ann/bob"
