"""A large period for benchmarks: a private store, an activation on it, and the ranks it must show.

The writes are random, and the same for the same seed. Every player's last result is kept in plain lists, from
which the expected ranks come by one sort: the brute force that answers are compared with.
"""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from lbactors.clock import Clock  # noqa: E402
from lbactors.core.definition import Rules  # noqa: E402
from lbactors.core.inputs import SUBMIT  # noqa: E402
from lbactors.core.model import PeriodRecord  # noqa: E402
from lbactors.core.period import NO_RANK  # noqa: E402
from lbactors.period_actor.activation import Activation  # noqa: E402
from persistence.store import Store  # noqa: E402
from tests.support.redis_server import RedisServer  # noqa: E402

STORES = ("sqlite", "redis")
CHAIN_ID = "default/large~1/main"
RULES = Rules("latest", "desc", "desc", "first", "ordinal", None, None)
SEEN_IDS = 1_000_000
BATCH = 4096
CHECKED_PLAYERS = 1000
CHECKED_PAGE = 100

Input = list[Any]


class Expected(NamedTuple):
    """What brute force says of a period. `ranks`: player id -> (rank, score) of some random players; `page`:
    the first player ids; `submission_id`: one of the last that were taken.
    """

    total: int
    seq: int
    ranks: dict[str, tuple[int, int]]
    page: list[str]
    submission_id: str

    def differences(self, activation: Activation) -> list[str]:
        """Where an activation says something else, each in a sentence."""
        period = activation.period
        found = []
        if (period.total, period.seq) != (self.total, self.seq):
            found.append(f"{period.total} entries at seq {period.seq}, not {self.total} at {self.seq}")
        if [player_id for _, player_id in period.ranking.page(0, CHECKED_PAGE)] != self.page:
            found.append("the first page differs")
        for player_id, (rank, score) in self.ranks.items():
            entry = period.entry(player_id)
            answer = (period.rank(player_id), None if entry is None else entry.score)
            if answer != (rank, score):
                found.append(f"{player_id}: (rank, score) {answer}, not {(rank, score)}")
        if self.submission_id not in period.ids.by_id:
            found.append(f"the submission id {self.submission_id!r} is forgotten")
        return found


class Writes:
    """The inputs of a period with so many players, and what becomes of them."""

    def __init__(self, entries: int, seed: int) -> None:
        self.entries = entries
        self.rng = random.Random(seed)
        self.scores = [0] * entries
        self.seqs = [0] * entries
        self.seq = 0

    def of(self, players: range | list[int], at_ms: int) -> list[Input]:
        """A submission of each of these players, in this order, to be made next."""
        inputs: list[Input] = []
        for player in players:
            self.seq += 1
            self.scores[player], self.seqs[player] = self.rng.randrange(10**9), self.seq
            inputs.append(
                [SUBMIT, at_ms, player_id_of(player), self.scores[player], 0, None, f"s{self.seq}", None]
            )
        return inputs

    def random(self, count: int, at_ms: int) -> list[Input]:
        return self.of(self.rng.choices(range(self.entries), k=count), at_ms)

    async def fill(self, activation: Activation) -> None:
        """Every player's first submission."""
        for start in range(0, self.entries, BATCH):
            players = range(start, min(self.entries, start + BATCH))
            await activation.submit(self.of(players, activation.clock.now_ms()), NO_RANK)

    def expected(self) -> Expected:
        order = sorted(range(self.entries), key=lambda player: (-self.scores[player], self.seqs[player]))
        some = set(self.rng.sample(range(self.entries), min(CHECKED_PLAYERS, self.entries)))
        ranks = {
            player_id_of(player): (rank, self.scores[player])
            for rank, player in enumerate(order, 1)
            if player in some
        }
        page = [player_id_of(player) for player in order[:CHECKED_PAGE]]
        return Expected(self.entries, self.seq, ranks, page, f"s{self.seq}")


def player_id_of(player: int) -> str:
    return f"player-{player:08d}"


def activation_of(store: Store) -> Activation:
    """A new activation of the one period, not loaded yet."""
    clock = Clock()
    record = PeriodRecord(1, "all_time", None, None, False, 0, 0, clock.now_ms())
    return Activation(store, clock, CHAIN_ID, record, RULES, SEEN_IDS)


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lbactors-bench-") as folder:
        yield Path(folder)


@contextlib.asynccontextmanager
async def private_store(kind: str, folder: Path) -> AsyncIterator[str]:
    """The URL of an empty store: SQLite in a folder, or a Redis of its own that syncs every write."""
    if kind == "sqlite":
        (folder / "sqlite").mkdir()
        yield f"sqlite:{folder / 'sqlite'}"
        return
    server = RedisServer(folder / "redis", "appendonly yes", "appendfsync always")
    try:
        await server.start()
        yield server.url
    finally:
        server.close()
