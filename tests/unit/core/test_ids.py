"""Names that are put together are taken apart again."""

from __future__ import annotations

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


def test_names_are_those_that_are_stored() -> None:
    board = Board("default", "u1", Definition.model_construct(leaderboard_id="xp"), 1, 0, 0)
    assert board.chain_id("main") == "default/xp~u1/main"
    assert ids.in_chain("default/xp~u1/main", 3) == "default/xp~u1/main/3"
    assert ids.board_uid("default", "xp", "u1") == "default/xp~u1"
    assert ids.in_tenant("default", "ann/bob") == "default/ann/bob"
