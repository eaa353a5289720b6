"""Where chains live: the homes that new ones get, and the moves that relieve busy ones."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lbactors.core.placement import BUSY_PER_S, CALM_PER_S, MOVED_AT_ONCE, BoardLoad, Move, next_move, place
from tests.support.rounds import rounds


def some(name: str, number: int, rate_per_s: float = 0.0, dedicated: bool = False) -> list[BoardLoad]:
    return [BoardLoad(f"{name}{n}", rate_per_s, dedicated) for n in range(number)]


def test_place() -> None:
    assert place({}, 2) is None, "a first actor"
    assert place({"a": some("a", 1)}, 2) is None, "one more while the budget lasts"
    assert place({"b": [], "a": [], "c": some("c", 5)}, 2) == "a", "an idle one first"
    assert place({"b": [], "a": some("a", 7)}, 8) == "b"
    assert place({"b": some("b", 3), "a": some("a", 3), "c": some("c", 4)}, 3) == "a", "then the least loaded"
    reserved = {"a": some("a", 1, dedicated=True), "b": some("b", 1, CALM_PER_S), "c": some("c", 9)}
    assert place(reserved, 3) == "c", "not one that is kept for its only chain"
    assert place({"a": some("a", 1, dedicated=True)}, 1) == "a", "unless there is no other"
    loads: dict[str, list[BoardLoad]] = {}
    for _ in range(20):
        name = place(loads, 4) or f"actor-{len(loads)}"
        loads.setdefault(name, []).extend(some(name, 1))
    assert {name: len(tenants) for name, tenants in loads.items()} == {f"actor-{n}": 5 for n in range(4)}


def test_who_is_alone_or_calm_stays() -> None:
    assert next_move({}, 4) is None
    assert next_move({"a": some("a", 1, 9999.0), "b": some("b", 40)}, 2) is None
    assert next_move({"a": some("a", 3, BUSY_PER_S - 1)}, 9) is None


@pytest.mark.parametrize("dedicated", [False, True])
def test_a_chain_that_wants_an_actor_gets_one_while_the_budget_lasts(dedicated: bool) -> None:
    rate_per_s = 0.0 if dedicated else BUSY_PER_S
    actors = {"a": [*some("a", 2), BoardLoad("x", rate_per_s, dedicated)], "b": some("b", 1)}
    assert next_move(actors, 3) == Move(["x"], "a", None), "a new one"
    assert next_move({**actors, "c": []}, 3) == Move(["x"], "a", "c"), "an idle one"


def test_the_others_make_room_when_the_budget_is_used_up() -> None:
    busy = BoardLoad("x", BUSY_PER_S, False)
    actors = {"a": [*some("a", 2), busy], "b": some("b", 9), "c": some("c", 5), "d": some("d", 7)}
    assert next_move(actors, 4) == Move(["a0", "a1"], "a", "c")
    actors["a"] = [*some("a", 100), busy]
    move = next_move(actors, 4)
    assert move is not None and len(move.board_ids) == MOVED_AT_ONCE and "x" not in move.board_ids
    crowded = {"a": [*some("a", 1), busy], "b": some("b", 1, BUSY_PER_S), "c": some("c", 1, BUSY_PER_S)}
    assert next_move(crowded | {"d": some("d", 3)}, 4) is None, "half of the budget is left to share"
    dedicated = crowded | {"a": [*some("a", 1), BoardLoad("x", 0.0, True)], "d": some("d", 3)}
    assert next_move(dedicated, 4) == Move(["a0"], "a", "d"), "a dedicated one gets all but the last"
    assert next_move({"a": [*some("a", 1), BoardLoad("x", 0.0, True)]}, 1) is None
    all_busy = crowded | {"a": [*some("a", 1), BoardLoad("x", 0.0, True)]}
    assert next_move(all_busy, 3) == Move(["a0"], "a", "b"), "a busy one has to share then"


@settings(max_examples=rounds(60, 600), deadline=None)
@example(rates=[0.0, CALM_PER_S, 0.0, 0.0], dedicated={0, 2}, budget=3)
@example(rates=[0.0, CALM_PER_S, CALM_PER_S, 0.0], dedicated={0}, budget=3)
@given(
    rates=st.lists(st.sampled_from([0.0, 10.0, CALM_PER_S, BUSY_PER_S, 5 * BUSY_PER_S]), max_size=40),
    dedicated=st.sets(st.integers(0, 39), max_size=4),
    budget=st.integers(1, 8),
)
def test_moves_come_to_an_end(rates: list[float], dedicated: set[int], budget: int) -> None:
    """However chains were placed: moving ends, nothing is lost, and the budget is kept."""
    actors: dict[str, list[BoardLoad]] = {}
    for number, rate_per_s in enumerate(rates):
        name = place(actors, budget) or f"actor-{len(actors)}"
        actors.setdefault(name, []).append(BoardLoad(f"c{number}", rate_per_s, number in dedicated))
    for _ in range(200):
        move = next_move(actors, budget)
        if move is None:
            break
        to = move.to or f"actor-{len(actors)}"
        moved = [t for t in actors[move.home] if t.board_id in move.board_ids]
        assert len(moved) == len(move.board_ids) and to != move.home
        actors[move.home] = [t for t in actors[move.home] if t not in moved]
        actors.setdefault(to, []).extend(moved)
    else:
        raise AssertionError("no end of moving")
    assert len(actors) <= budget
    assert sorted(t.board_id for tenants in actors.values() for t in tenants) == sorted(
        f"c{n}" for n in range(len(rates))
    )
    if len(dedicated) < budget:
        for tenants in actors.values():
            assert len(tenants) == 1 or not any(t.dedicated for t in tenants)
