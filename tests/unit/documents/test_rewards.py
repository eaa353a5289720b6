"""Ids and shapes of stored rewards and claims, as those read them who do not trust a store."""

from __future__ import annotations

import pytest

from lbactors.core.packing import pack
from lbactors.documents.rewards import Claim, Promise, chain_of_claim, claim_doc_id, player_prefix
from lbactors.supervisor.rewards.retention import purge_changes
from lbactors.tools.stored_documents import read_document
from tests.support.supervisor.rewards_world import TIERS, World


@pytest.mark.parametrize("player_id", ["maya", "maya/x", "100%", "%2F", "ma~ya"])
def test_ids_of_claims_can_be_read_back(player_id: str) -> None:
    chain_id = "acme/xp~u1/daily"
    doc_id = claim_doc_id(chain_id, 7, player_id)
    assert chain_of_claim("acme", player_id, doc_id) == (chain_id, 7)
    for other in ("maya", "maya/x", "maya/x/", "100", "100%", "%2F", "/", "ma~ya"):
        assert doc_id.startswith(player_prefix("acme", other)) == (other == player_id)


# What verification reads ----------------------------------------------------------------------------------


async def test_every_document_is_held_against_its_shape(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS})
    await world.granted(chain, world.close(chain, [("maya/x", 9), ("noor", 7.5)]))
    await world.claim("noor")
    await world.commit(purge_changes(["acme/gone~u2/main"]))
    kinds = set()
    for name in ("rewards", "claims"):
        for doc_id, body in await world.store.scan(name):
            kinds.add(type(read_document(name, doc_id, body)))
            damaged = [(doc_id, pack({"hunter2": 1}))]
            if not doc_id.startswith("~"):
                damaged.append((doc_id.replace("0000000001", "1") + "/x", body))
            for damaged_id, damaged_body in damaged:
                with pytest.raises(ValueError, match=r"is not what it should be|stands under an id"):
                    read_document(name, damaged_id, damaged_body)
    assert kinds == {Promise, list, tuple, int, type(None), Claim}
