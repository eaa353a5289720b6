"""A seeded random walk over HTTP, compared step by step with the naive model, on both stores.

Every board gets several hundred submissions of all kinds (single, batched, routed, repeated, wrong, deleted
again), and after each burst the whole ranking, ranks, neighbours, lookups, ranks at scores and totals are
compared. Each board has two further windows: the year's must show what the main one shows; an hour that is
over passes late submissions over. Every third board has an audience, and players come into it and leave it
between the bursts. The seed is printed and can be set with LBACTORS_TEST_SEED.

Not combined: `max_entries` with `min_score` or `positive_only` on an ascending board, where the description
leaves open which entry is the worst.
"""

from __future__ import annotations

import itertools
import os
import random
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, ahead, unique
from tests.support.api.client import Api, Transport
from tests.support.api.model import Model, Outcome, Rules
from tests.support.redis_server import RedisServer
from tests.support.server_process import Server

SEED = int(os.environ.get("LBACTORS_TEST_SEED", "20261118"))
BURSTS = 7
BATCH_ITEMS = 55
SINGLES = 6
PLAYERS = [f"p{i}" for i in range(40)]
WINDOWS = ("hourly", "yearly")
LATE_S = 3 * 3600  # ago: the hour is over, and the day is not, since it is noon
CONFLICT = "idempotency_conflict"
SCORES = [-3, -1, 0, 1, 2, 2.5, 3, 4, 5, 7.25, 8, 10]


def all_rules() -> list[Rules]:
    """Every aggregation in both orders; the other rules cycle, so that all values and most pairs occur."""
    draw = random.Random(1)
    rules: list[Rules] = []
    for aggregation, order in itertools.product(
        ("best", "latest", "sum", "min", "max", "count"), ("desc", "asc")
    ):
        for _ in range(2):
            number = len(rules)
            max_entries = (None, 15, None, 30)[number % 4]
            min_score = (None, None, 2, None, 3, 2.5)[number % 6]
            positive_only = number % 5 == 2
            if max_entries and order == "asc":
                min_score, positive_only = None, False
            rules.append(
                Rules(
                    aggregation,
                    order,
                    draw.choice(("desc", "asc")),
                    ("first", "last")[number // 2 % 2 ^ number % 2],
                    ("ordinal", "competition", "dense")[number % 3],
                    max_entries,
                    min_score,
                    positive_only,
                )
            )
    return rules


class Walk:
    """One board, its model and the dice."""

    def __init__(self, board: Board, rules: Rules, seed: int, role: str | None = None) -> None:
        """role: of the audience; None: everyone is in it."""
        self.board = board
        self.role = role
        self.rules = rules
        self.model = Model(rules)
        self.dice = random.Random(seed)
        self.ids: list[str] = []
        if role is not None:
            self.model.outside = set(PLAYERS)
            self.cross(set(self.dice.sample(PLAYERS, 25)))

    def cross(self, players: set[str]) -> None:
        """Give players the role, or take it from them."""
        for player_id in sorted(players):
            roles = [self.role] if player_id in self.model.outside else []
            self.board.api.ok("PATCH", f"/v1/players/{player_id}", {"roles": roles})
        self.model.outside ^= players

    def submission(self) -> dict[str, Any]:
        item: dict[str, Any] = {"player_id": self.dice.choice(PLAYERS)}
        if self.rules.aggregation != "count":
            item["score"] = self.dice.choice(SCORES)
        if self.dice.random() < 0.5:
            item["subscore"] = self.dice.choice((-1, 0, 1, 1.5))
        if self.dice.random() < 0.3:
            item["metadata"] = {"n": self.dice.randrange(100)}
        if self.rules.aggregation != "latest" and self.dice.random() < 0.2:
            item["occurred_at"] = ahead(-LATE_S)
        if self.dice.random() < 0.4:
            if self.ids and self.dice.random() < 0.4:
                item["submission_id"] = self.dice.choice(self.ids)
            else:
                self.ids.append(f"s{len(self.ids)}")
                item["submission_id"] = self.ids[-1]
        return item

    def burst(self) -> None:
        """One batch with some wrong items, single submissions, one deletion."""
        items = [self.submission() for _ in range(BATCH_ITEMS)]
        wrong = {self.dice.randrange(BATCH_ITEMS) for _ in range(3)}
        for index in wrong:
            items[index] = {**items[index], "subscore": "wrong"}
        if self.dice.random() < 0.5:
            answer = self.board.batch(items, "full")
        else:
            routed = [item | {"leaderboard_id": self.board.id} for item in items]
            answer = self.board.api.ok("POST", "/v1/scores", routed, params={"results": "full"})
        codes = {error["index"]: error["code"] for error in answer["errors"]}
        results = {result["index"]: result for result in answer["results"]}
        assert len(results) == BATCH_ITEMS - len(codes)
        for index, item in enumerate(items):
            if index in wrong:
                assert codes.pop(index) == "validation_failed"
                continue
            expected = self.model.submit(**item)
            if expected.conflict:
                assert codes.pop(index) == CONFLICT, item
            else:
                self.compare_answer(item, results[index], expected)
        assert not codes, codes
        for _ in range(SINGLES):
            before = {player_id: rank for rank, player_id in self.model.page()}
            item = self.submission()
            outcome = self.model.submit(**item)
            if outcome.conflict:
                self.board.api.fails(409, CONFLICT, "POST", self.board.scores, item)
                continue
            got = self.board.submit(**item)
            self.compare_answer(item, got, outcome)
            after = {player_id: rank for rank, player_id in self.model.page()}
            if outcome.standing is None:
                assert got["rank"] is None, (item, got)
            else:
                assert got["rank"] == after.get(item["player_id"]), (item, got)
            if not outcome.duplicate and outcome.standing is not None:
                assert got["previous_rank"] == before.get(item["player_id"]), (item, got)
        self.delete_somebody()

    def compare_answer(self, item: dict[str, Any], got: dict[str, Any], expected: Outcome) -> None:
        where = f"{self.rules}, {item}: {got}"
        assert got["player_id"] == item["player_id"], where
        assert got.get("duplicate", False) is expected.duplicate, where
        hour, year = got["windows"]
        assert [hour["window"], year["window"]] == list(WINDOWS), where
        assert year["applied"] is got["applied"] is expected.applied, where
        assert [window.get("duplicate", False) for window in (hour, year)] == [expected.duplicate] * 2, where
        if expected.duplicate:
            assert "skipped" not in hour, where
            return
        assert hour.get("skipped") == ("period_closed" if "occurred_at" in item else None), where
        assert got["applied"] is expected.applied, where
        if expected.standing is not None:
            standing = expected.standing
            assert (got["score"], got["subscore"]) == (standing.score, standing.subscore), where
            assert got["previous_score"] == expected.previous_score, where

    def delete_somebody(self) -> None:
        player_id = self.dice.choice(PLAYERS)
        status = 200 if self.model.delete(player_id) else 404
        for window in ("main", "yearly"):  # in the hour others may have dropped out
            path = self.board.player(player_id)
            reply = self.board.api.call("DELETE", path, params={"window": window})
            assert reply.status == status, (self.rules, player_id, window, reply.json)

    def compare_reads(self) -> None:
        expected = self.model.page()
        total = len(expected)
        page = self.board.page(limit=1000)
        assert page["total"] == total, self.rules
        assert [(entry["rank"], entry["player_id"]) for entry in page["entries"]] == expected, self.rules
        for entry in page["entries"]:
            standing = self.model.standings[entry["player_id"]]
            got = (entry["score"], entry["subscore"], entry["metadata"])
            assert got == (standing.score, standing.subscore, standing.metadata), (self.rules, entry)
        year = self.board.page(limit=1000, window="yearly")
        assert year["total"] == total, self.rules
        for entry, also in zip(page["entries"], year["entries"], strict=True):
            assert {**also, "change": entry["change"]} == entry, (self.rules, "main and year")
        for offset in self.dice.sample(range(40), 2):
            rows = self.board.page(limit=7, offset=offset)["entries"]
            assert [(entry["rank"], entry["player_id"]) for entry in rows] == expected[offset : offset + 7], (
                self.rules
            )
        self.compare_players(expected)
        self.compare_ranks_at()
        self.compare_lookup(expected)

    def compare_players(self, expected: list[tuple[int, str]]) -> None:
        places = {player_id: position for position, (_, player_id) in enumerate(expected)}
        for player_id in self.dice.sample(PLAYERS, 5):
            reply = self.board.api.call("GET", self.board.player(player_id))
            if player_id not in self.model.standings:
                assert reply.status == 404, (self.rules, reply.json)
                continue
            assert reply.json["total"] == len(expected)
            if player_id not in places:
                assert reply.json["rank"] is None, (self.rules, reply.json)
                continue
            position = places[player_id]
            rank = expected[position][0]
            exact = (len(expected) - rank) / len(expected) * 100
            assert reply.json["rank"] == rank, (self.rules, reply.json)
            assert abs(reply.json["percentile"] - exact) <= 0.05 + 1e-9, (self.rules, reply.json)
            limit, fill = self.dice.randrange(1, 14), self.dice.random() < 0.5
            around = self.board.api.get(self.board.player(player_id) + "/around", limit=limit, fill=fill)
            rows = [(entry["rank"], entry["player_id"]) for entry in around["entries"]]
            assert rows == neighbours(expected, position, limit, fill), (self.rules, player_id, limit, fill)

    def compare_ranks_at(self) -> None:
        limit = self.rules.max_entries
        if limit is not None and len(self.model.standings) >= limit:
            return  # the rank of a score that would drop out at once is not told
        for _ in range(4):
            score, subscore = self.dice.choice((*SCORES, 20)), self.dice.choice((-1, 0, 1, 1.25))
            if not self.model.ranks(score):
                continue
            answer = self.board.api.get(f"{self.board.rankings}/at/{score}", subscore=subscore)
            rank = self.model.rank_at(score, subscore)
            assert (answer["rank"], answer["total"]) == (rank, len(self.model.page())), (
                self.rules,
                score,
                subscore,
            )

    def compare_lookup(self, expected: list[tuple[int, str]]) -> None:
        ranked = {player_id for _, player_id in expected}
        asked = [p for p in self.dice.sample(PLAYERS, 12) if p in ranked or p not in self.model.standings]
        found = self.board.api.ok("POST", f"{self.board.rankings}/lookup", {"player_ids": asked + asked[:3]})
        rows = [(entry["rank"], entry["player_id"]) for entry in found["entries"]]
        assert rows == [row for row in expected if row[1] in asked], self.rules
        assert [entry["position"] for entry in found["entries"]] == list(range(1, len(rows) + 1))
        assert sorted(found["not_found"]) == sorted(set(asked) - ranked)


def neighbours(
    expected: list[tuple[int, str]], position: int, limit: int, fill: bool
) -> list[tuple[int, str]]:
    """`limit` rows around `position`, an even limit with one more below; `fill` shifts them at the edges."""
    above = (limit - 1) // 2
    start, end = position - above, position - above + limit
    if fill and end > len(expected):
        start, end = start - (end - len(expected)), len(expected)
    if fill and start < 0:
        start, end = 0, end - start
    return expected[max(start, 0) : min(end, len(expected))]


@pytest.fixture(scope="session")
def redis_api(shared_redis: RedisServer) -> Iterator[Api]:
    """Of a server whose store is Redis."""
    process = Server("lb_" + secrets.token_hex(16), "--store", shared_redis.url)
    process.start_now()
    transport = Transport(process.url)
    yield Api(transport, process.key)
    transport.close()
    process.stop()


@pytest.mark.parametrize("number", range(len(all_rules())))
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_random_walk(make_board: MakeBoard, number: int, store: str, request: pytest.FixtureRequest) -> None:
    rules = all_rules()[number]
    print(f"seed {SEED}, {rules}")
    api = None if store == "sqlite" else request.getfixturevalue("redis_api")
    role = unique("role") if number % 3 == 0 else None
    audience = {"audience": {"rank": {"roles": [role]}}} if role is not None else {}
    board = make_board(api, **rules.definition(), **audience, windows=list(WINDOWS))
    walk = Walk(board, rules, SEED + number, role)
    for _ in range(BURSTS):
        walk.burst()
        walk.compare_reads()
        if role is not None:
            walk.cross(set(walk.dice.sample(PLAYERS, 4)))
            walk.compare_reads()
    assert walk.model.count > 150


def test_every_value_of_every_rule_walks() -> None:
    """The choice of boards covers each value, and each aggregation with each order."""
    rules = all_rules()
    assert len({(rule.aggregation, rule.order) for rule in rules}) == 12
    assert len({(rule.order, rule.tie_breaking) for rule in rules}) == 4
    assert len({(rule.order, rule.subscore_order) for rule in rules}) == 4
    assert len({(rule.rank_style, rule.tie_breaking) for rule in rules}) == 6
    assert len({(rule.max_entries is None, rule.min_score is None) for rule in rules}) == 4
    assert len({(rule.positive_only, rule.order) for rule in rules}) == 4
    assert len({(rule.positive_only, rule.min_score is None) for rule in rules}) == 4


def test_the_model_and_a_walk_of_two_boards_in_one_request(api: Api, make_board: MakeBoard) -> None:
    """A routed list mixes two boards; each must come out as if it had received its items alone."""
    rules = [Rules("sum", "desc"), Rules("best", "asc", rank_style="dense")]
    walks = [
        Walk(make_board(**rule.definition(), windows=list(WINDOWS)), rule, SEED + number)
        for number, rule in enumerate(rules)
    ]
    dice = random.Random(SEED)
    print(f"seed {SEED}")
    for _ in range(5):
        items, conflicts = [], 0
        for _ in range(60):
            walk = dice.choice(walks)
            item = walk.submission()
            conflicts += walk.model.submit(**item).conflict
            items.append(item | {"leaderboard_id": walk.board.id})
        assert api.ok("POST", "/v1/scores", items)["accepted"] == 60 - conflicts
        for walk in walks:
            walk.compare_reads()
