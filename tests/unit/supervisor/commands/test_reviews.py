"""The record of held submissions: what each command does to it, in any order, with any attempt lost.

A random walk holds the commands against a plain model; what a period does is a set of submission ids that it
has taken, as real ones keep it. Verified: nothing is applied that nobody approved, nothing twice, nothing
lost; and the number of those held stays under its limit.
"""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.core.definition import Definition
from lbactors.core.errors import ApiError
from lbactors.core.model import Board, Submission
from lbactors.documents.audit import NOT_AN_ACT
from lbactors.documents.reviews import Review, place_of, read_reviews, review_json, review_of
from lbactors.supervisor.commands.reviews import (
    FORGET_AT_ONCE,
    REMEMBERED_MS,
    UNDER_WAY_MS,
)
from lbactors.tools.stored_documents import read_document
from tests.support.actor_settings import actor_settings
from tests.support.supervisor.held_memory import HeldMemory

AT_MS = 1_795_003_200_000


def board_of(leaderboard_id: str = "xp", tenant_id: str = "default", uid: str = "u1") -> Board:
    return Board(tenant_id, uid, Definition(leaderboard_id=leaderboard_id), 1, AT_MS, AT_MS)


@pytest.fixture
def memory() -> HeldMemory:
    return HeldMemory(AT_MS)


@pytest.fixture
def board(memory: HeldMemory) -> Board:
    return memory.add(board_of())


def submission(number: int, **fields: Any) -> Submission:
    return Submission(f"p{number % 3}", number, 0, b'{"a":1}', f"m-{number}", None, None)._replace(**fields)


async def hold(memory: HeldMemory, board: Board, *submissions: Submission) -> list[list[Any]]:
    items = [
        [
            board.tenant_id,
            board.leaderboard_id,
            board.uid,
            list(review_of(board, s, AT_MS, "plugin", "odd", "k")),
        ]
        for s in submissions
    ]
    planned = await memory.run("hold", "", items=items)
    assert planned.audited is NOT_AN_ACT
    verdicts: list[list[Any]] = planned.body["verdicts"]
    return verdicts


async def run(memory: HeldMemory, command: str, held_id: str, **args: Any) -> Review:
    planned = await memory.run(command, "default", leaderboard_id="xp", held_id=held_id, **args)
    return Review(*planned.body["held"])


async def code_of(memory: HeldMemory, command: str, held_id: str, **args: Any) -> str:
    with pytest.raises(ApiError) as raised:
        await memory.run(command, "default", leaderboard_id="xp", held_id=held_id, **args)
    return raised.value.code


async def test_what_is_held_comes_back_as_it_came(memory: HeldMemory, board: Board) -> None:
    first = submission(1, occurred_at_ms=AT_MS - 5, aggregation="latest", subscore=2)
    ((_, held_id, _), (_, other_id, _)) = await hold(memory, board, first, submission(2, submission_id=None))
    by_id = {held.held_id: held for held in await read_reviews(memory, board)}  # type: ignore[arg-type]
    assert by_id[held_id].submission() == first
    assert by_id[other_id].submission() == submission(
        2, submission_id=f"held:{other_id}", occurred_at_ms=AT_MS
    )
    shown = review_json(by_id[held_id], "xp")
    assert shown["metadata"] == {"a": 1} and shown["state"] == "held" and shown["reason"] == "odd"


async def test_documents_are_what_they_should_be(memory: HeldMemory, board: Board) -> None:
    verdicts = await hold(memory, board, *map(submission, range(3)))
    await run(memory, "begin_approval", verdicts[0][1])
    await run(memory, "begin_approval", verdicts[1][1])
    await run(memory, "finish_approval", verdicts[1][1], outcome={"rank": 1})
    states = [read_document("held", doc_id, body).state for doc_id, body in sorted(memory.documents.items())]
    assert states[0] == "approved" and set(states[1:]) == {"held", "approving"}
    ((doc_id, body), *_) = sorted(memory.documents.items())
    for wrong_id in (doc_id.replace("/d/", "/h/"), doc_id + "0"):
        with pytest.raises(ValueError, match="not its own"):
            read_document("held", wrong_id, body)
    for wrong in (b"\x90", body[:-1], bytes(msgpack.packb(list(range(17))))):
        with pytest.raises(ValueError, match="not what it should be"):
            read_document("held", doc_id, wrong)


async def test_one_id_is_held_once_in_each_leaderboard(memory: HeldMemory, board: Board) -> None:
    other = memory.add(board_of("other"))
    again = await hold(memory, board, submission(1), submission(1))
    assert again[0] == again[1] == (await hold(memory, board, submission(1)))[0]
    assert (await hold(memory, other, submission(1)))[0][1] != again[0][1]
    assert len(memory.documents) == 2


async def test_a_leaderboard_that_is_gone_or_another_now(memory: HeldMemory, board: Board) -> None:
    assert await hold(memory, board_of("none"), submission(1)) == [["gone"]]
    assert await hold(memory, board_of(uid="u0"), submission(1)) == [["gone"]]
    assert memory.documents == {}


async def test_the_limit(memory: HeldMemory, board: Board) -> None:
    verdicts = await hold(memory, board, *map(submission, range(6)))
    assert [verdict[0] for verdict in verdicts] == ["held"] * 4 + ["full"] * 2
    memory.forget()
    assert (await hold(memory, board, submission(9)))[0] == ["full"]
    await memory.run("reject_held", "default", leaderboard_id="xp", held_id=verdicts[0][1], note=None)
    assert (await hold(memory, board, submission(9)))[0][0] == "held"
    assert (await hold(memory, board, submission(10)))[0] == ["full"]


async def test_the_limit_is_each_leaderboards_own(memory: HeldMemory, board: Board) -> None:
    await hold(memory, board, *map(submission, range(4)))
    assert (await hold(memory, memory.add(board_of("xp2")), submission(1)))[0][0] == "held"


async def test_two_approvals_at_once(memory: HeldMemory, board: Board) -> None:
    ((_, held_id, _),) = await hold(memory, board, submission(1))
    assert (await run(memory, "begin_approval", held_id)).attempts == 1
    assert (await run(memory, "begin_approval", held_id)).attempts == 2
    assert (await run(memory, "finish_approval", held_id, outcome=None)).state == "approving"
    done = await run(memory, "finish_approval", held_id, outcome={"rank": 1})
    assert (done.state, done.outcome) == ("approved", {"rank": 1})
    late = await run(memory, "finish_approval", held_id, outcome={"rank": 2})
    assert late.outcome == {"rank": 1}
    assert (await run(memory, "finish_approval", held_id, outcome=None)).state == "approved"
    assert (await run(memory, "begin_approval", held_id)).outcome == {"rank": 1}


async def test_decisions_are_acts(memory: HeldMemory, board: Board) -> None:
    verdicts = await hold(memory, board, submission(1), submission(2))
    begun = await memory.run("begin_approval", "default", leaderboard_id="xp", held_id=verdicts[0][1])
    assert begun.audited is NOT_AN_ACT
    args = {"leaderboard_id": "xp", "held_id": verdicts[0][1], "outcome": {}}
    act, target, details = (await memory.run("finish_approval", "default", **args)).audited or ("", "", {})
    assert (act, target, details["player_id"]) == ("held_submission.approve", verdicts[0][1], "p1")
    args = {"leaderboard_id": "xp", "held_id": verdicts[1][1], "note": "no"}
    act, target, details = (await memory.run("reject_held", "default", **args)).audited or ("", "", {})
    assert (act, details["reason"], details["leaderboard_id"]) == ("held_submission.reject", "no", "xp")


async def test_a_rejection_waits_for_an_approval_under_way(memory: HeldMemory, board: Board) -> None:
    ((_, held_id, _),) = await hold(memory, board, submission(1))
    await run(memory, "begin_approval", held_id)
    memory.at_ms += UNDER_WAY_MS - 1
    assert await code_of(memory, "reject_held", held_id, note=None) == "held_submission_decided"
    memory.at_ms += 1
    await memory.run("reject_held", "default", leaderboard_id="xp", held_id=held_id, note=None)
    assert await code_of(memory, "begin_approval", held_id) == "held_submission_decided"
    # The attempt was not lost after all: what is true is kept.
    assert (await run(memory, "finish_approval", held_id, outcome={})).state == "approved"


async def test_decisions_are_remembered_for_a_day(memory: HeldMemory, board: Board) -> None:
    ((_, held_id, _),) = await hold(memory, board, submission(1))
    await memory.run("reject_held", "default", leaderboard_id="xp", held_id=held_id, note="no")
    memory.at_ms += REMEMBERED_MS - 1
    assert await hold(memory, board, submission(1)) == [["rejected", held_id, "no"]]
    memory.at_ms += 1
    assert await code_of(memory, "reject_held", held_id, note=None) == "held_submission_not_found"
    assert (await hold(memory, board, submission(1)))[0][0] == "held"


async def test_a_second_decision_on_an_id_is_remembered_like_the_first(
    memory: HeldMemory, board: Board
) -> None:
    for _ in range(2):
        ((state, held_id, _),) = await hold(memory, board, submission(1))
        assert state == "held"
        await memory.run("reject_held", "default", leaderboard_id="xp", held_id=held_id, note="no")
        ((state, _, note),) = await hold(memory, board, submission(1))
        assert (state, note) == ("rejected", "no")
        memory.at_ms += REMEMBERED_MS


async def test_old_decisions_are_forgotten_a_part_at_a_time(memory: HeldMemory, board: Board) -> None:
    memory.settings = actor_settings(held_limit=10_000)
    count = 2 * FORGET_AT_ONCE + 50
    verdicts = await hold(memory, board, *map(submission, range(count + 3)))
    for _, held_id, _ in verdicts[:count]:
        await memory.run("reject_held", "default", leaderboard_id="xp", held_id=held_id, note=None)
    memory.at_ms += REMEMBERED_MS
    memory.commands._swept.clear()
    for left, (_, held_id, _) in zip((count - FORGET_AT_ONCE, 50, 0), verdicts[count:], strict=True):
        await memory.run("reject_held", "default", leaderboard_id="xp", held_id=held_id, note=None)
        decided = [n for n in memory.documents if n.startswith(f"{place_of(board)}d/")]
        assert abs(len(decided) - left) <= 3


async def test_a_player_and_a_leaderboard_are_erased(memory: HeldMemory, board: Board) -> None:
    other = memory.add(board_of("other"))
    elsewhere = memory.add(board_of(tenant_id="default2"))
    for each in (board, other, elsewhere):
        verdicts = await hold(memory, each, *map(submission, range(4)))
    ((_, held_id, _), *_) = await hold(memory, board, submission(0))
    await memory.run("reject_held", "default", leaderboard_id="xp", held_id=held_id, note=None)
    memory.commit(await memory.reviews.erase("default", "p0"))
    assert not [n for n, body in memory.documents.items() if b"p0" in body and n.startswith("default/")]
    assert len(memory.documents) == 2 + 2 + 4
    assert (await hold(memory, board, submission(7), submission(10), submission(13)))[2] == ["full"]
    memory.commit(await memory.reviews.purge(board))
    assert not [name for name in memory.documents if name.startswith(place_of(board))]
    assert len(memory.documents) == 2 + 4 and len(verdicts) == 4


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("hold", "approve", "lost", "refused", "reject", "restart")), st.integers(0, 5)
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(STEPS)
async def test_any_order_of_decisions(steps: list[tuple[str, int]]) -> None:
    memory = HeldMemory(AT_MS, held_limit=3)
    board = memory.add(board_of())
    names = [review_of(board, submission(n), AT_MS, "", "", "").held_id for n in range(6)]
    taken: set[str] = set()  # what a period has applied
    begun: set[str] = set()
    rejected: set[str] = set()
    for step, number in steps:
        held_id = names[number]
        memory.at_ms += UNDER_WAY_MS
        waiting = {held.held_id for held in await read_reviews(memory, board)}  # type: ignore[arg-type]
        if step == "restart":
            memory.forget()
        elif step == "hold":
            ((state, *_),) = await hold(memory, board, submission(number))
            assert (state == "full") == (held_id not in waiting | taken | rejected and len(waiting) == 3)
        elif step == "reject":
            if held_id in waiting or held_id in rejected:
                args = {"leaderboard_id": "xp", "held_id": held_id, "note": None}
                await memory.run("reject_held", "default", **args)
                rejected.add(held_id)
            else:
                await code_of(memory, "reject_held", held_id, note=None)
        elif held_id not in waiting and held_id not in taken - rejected:
            await code_of(memory, "begin_approval", held_id)
        else:
            held = await run(memory, "begin_approval", held_id)
            if held.state == "approved":
                continue
            if step == "refused":
                held = await run(memory, "finish_approval", held_id, outcome=None)
                assert held.state == ("approving" if held_id in begun else "held")
                continue
            taken.add(held_id)
            if step == "lost":
                begun.add(held_id)
            else:
                assert (await run(memory, "finish_approval", held_id, outcome={})).state == "approved"
        after = {held.held_id for held in await read_reviews(memory, board)}  # type: ignore[arg-type]
        assert len(after) <= 3 and await memory.reviews.count(place_of(board)) == len(after)
        assert not after & rejected
