"""A year of a server's life: from one interesting instant to the next, with submissions, crashes, checks.

Each answer is compared with what `expected` says; each period is read and compared when its actor has sealed
it, and once more at the end if it is still kept.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Container
from typing import Any

import msgpack

from lbactors.core.errors import ApiError
from lbactors.core.model import Board, Outcome, PeriodRecord, Reading, Submission
from lbactors.wire.commands import (
    ClosePeriod,
    CreateLeaderboard,
    CreatePeriod,
    CreateWebhook,
    PatchLeaderboard,
)
from lbactors.wire.reads import ReadAnswer
from lbactors.wire.replies import ERROR, NOT_HERE, VALUE
from persistence.store import StoreError
from tests.support.receiver import Receiver
from tests.support.simulation.boards import BOARDS, CUP_ENDS
from tests.support.simulation.counted_time import Span, ms, told
from tests.support.simulation.expected import ExpectedBoard, ExpectedChain, Refusal
from tests.support.simulation.instants import SEALED_AFTER_MS, Instant, interesting
from tests.support.simulation.told import check_told
from tests.support.supervisor.in_process import Server

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
UNSETTLED_MS = 5000  # so far at most the clock moves while the server is at work
TOLD = ("london", "hebron", "sao-paulo")  # boards about which a webhook is told
PLAYERS = [f"player-{n}" for n in range(12)]
UNIQUE = 1_000_000  # scores that all differ; of equal sums the one that was reached first is first
PAGE = 1000
WAITED_S = 30.0  # for a period that is loading
PASSING = ("period_loading", "storage_unavailable")  # answers after which the same is sent again


class Year:
    """See the module's docstring. `by_lot`: how many ends of each chain are visited beside clock changes;
    receiver: is told of the periods of some boards.
    """

    def __init__(self, server: Server, rng: random.Random, by_lot: int, receiver: Receiver) -> None:
        self.server = server
        self.receiver = receiver
        self.rng = rng
        self.by_lot = by_lot
        self.boards: dict[str, ExpectedBoard] = {}
        self.recent: dict[str, list[Submission]] = {}  # by board, what was sent lately
        self.sealed: set[tuple[str, str, str]] = set()  # board, window, key: compared when it was sealed
        self.problems: list[AssertionError] = []
        self.counts: Counter[str] = Counter()
        self._number = 0
        server.cluster.on_reply = self._replied

    # The year ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        webhook = {"url": self.receiver.url, "leaderboard_ids": list(TOLD)}
        await self.server.service.admin(CreateWebhook(webhook), "default")
        for definition in BOARDS:
            await self.create(definition)
        steps = sorted(i for board in self.boards.values() for i in interesting(board, self.rng, self.by_lot))
        steps = sorted([*steps, *self._around_cup_ends()])
        by_hand = self._by_hand()
        skip = 0
        for step in steps:
            if skip:  # the server is down
                skip -= 1
                if skip:
                    continue
                await self._after_downtime(step.at_ms)
            while by_hand and by_hand[0][0] < step.at_ms:
                await self.server.settle()
                self.server.move_to(max(by_hand[0][0], self.server.now_ms() + 1))
                await self.server.settle()
                await by_hand.pop(0)[1]()
            if step.at_ms > self.server.now_ms():
                if step.at_ms > self.server.now_ms() + UNSETTLED_MS:
                    await self.server.settle()
                self.server.move_to(step.at_ms)
                await self._disturb()
                self.counts["steps"] += 1
            if not self._unsettled():
                await self.server.settle()
            for problem in self.problems:
                raise problem
            await self.submit_around(step)
            if self.rng.random() < 0.2:
                await self.submit_somewhere()
            if self.rng.random() < 0.1:
                await self.server.settle()
                await self.check_periods(self.rng.choice(list(self.boards.values())))
            if self.rng.random() < 0.004:
                await self.server.lose_power()
                self.counts["power losses"] += 1
                skip = self.rng.choice((1, 3, 40))
        if skip:
            await self.server.start()
        await self.server.settle()
        self.server.move_to(self._end_ms())
        await self.server.settle()
        assert not self.problems, self.problems
        await self.check_all()
        for board_id in TOLD:
            self.counts["told"] += await check_told(
                self.boards[board_id], self.receiver, self.server.now_ms(), SEALED_AFTER_MS
            )
        assert not self.problems, self.problems

    def _end_ms(self) -> int:
        """An instant soon at which every period that is closed is sealed."""
        at_ms = self.server.now_ms() + SEALED_AFTER_MS
        chains = [chain for board in self.boards.values() for chain in board.chains.values()]
        while (sealed_ms := max(c.closed_last_ms(at_ms) for c in chains) + SEALED_AFTER_MS) > at_ms:
            at_ms = sealed_ms
        return at_ms

    def _unsettled(self) -> bool:
        """Whether to go on at once, while the server is at work on what is due; most of the time not."""
        return self.rng.random() < 0.2

    async def _after_downtime(self, at_ms: int) -> None:
        if at_ms > self.server.now_ms():
            self.server.move_to(at_ms)
        await self.server.start()

    async def _disturb(self) -> None:
        """Now and then a process dies; what it was doing at that instant was nothing, or a rollover."""
        lot = self.rng.random()
        if lot < 0.01:
            victim = self.rng.choice(self.server.cluster.period_actors())
            await self.server.cluster.crash(victim)
            self.counts["actor crashes"] += 1
        elif lot < 0.015:
            await self.server.cluster.crash("supervisor")
            self.counts["supervisor crashes"] += 1

    async def create(self, definition: dict[str, Any]) -> None:
        await self.server.service.admin(CreateLeaderboard(definition), "default")
        expected = ExpectedBoard(definition, self.server.now_ms())
        self.boards[expected.id] = expected
        self.recent[expected.id] = []

    # By hand ----------------------------------------------------------------------------------------------

    def _by_hand(self) -> list[tuple[int, Any]]:
        """What people do in this year, by time."""
        done: list[tuple[int, Any]] = [
            (ms("2011-07-14T15:00"), lambda: self.force_close("berlin", "main")),
            (ms("2011-10-30T00:30"), lambda: self.force_close("berlin", "daily")),
            (ms("2012-02-29T11:11"), lambda: self.force_close("berlin", "main")),
            (ms("2011-08-20T10:00"), lambda: self.move_zone("moscow", "Asia/Tokyo")),
            (ms("2012-01-10T20:00"), lambda: self.move_zone("moscow", "America/Los_Angeles")),
            (
                ms("2011-06-20T00:00"),
                lambda: self.add_period("adelaide", "2011-07-01T00:00", "2011-07-20T00:00"),
            ),
            (
                ms("2011-07-25T00:00"),
                lambda: self.add_period("adelaide", "2011-08-01T09:30", "2011-10-02T16:30"),
            ),
            (
                ms("2011-09-01T00:00"),
                lambda: self.add_period("adelaide", "2011-10-02T16:30", "2012-04-30T16:30"),
            ),
            (ms("2011-08-15T18:00") + 3000, lambda: self.extend("cup", CUP_ENDS[1])),  # in its grace
            (ms("2011-10-04T09:00"), lambda: self.extend("cup", CUP_ENDS[2])),  # sealed by then
            (ms("2011-12-20T09:00"), lambda: self.patch("cup", {"status": "archived"})),
            (ms("2012-01-05T09:00"), lambda: self.extend("cup", CUP_ENDS[3], status="active")),
        ]
        return sorted(done, key=lambda item: item[0])

    @staticmethod
    def _around_cup_ends() -> list[Instant]:
        ends = [ms(end) for end in CUP_ENDS]
        offsets_ms = (-DAY_MS, -1, 0, 1, 2000, 2 * SEALED_AFTER_MS, HOUR_MS)
        return [Instant(end_ms + offset_ms, "cup", end_ms) for end_ms in ends for offset_ms in offsets_ms]

    def board(self, board_id: str) -> Board:
        found = self.server.service.catalogue.board("default", board_id)
        assert found is not None
        return found

    async def force_close(self, board_id: str, window: str) -> None:
        chain = self.boards[board_id].chains[window]
        chain.force_close(self.server.now_ms())  # before it is: what was sealed is compared at once
        answer = await self.server.service.admin(ClosePeriod(board_id, window), "default")
        index = chain.index_at(self.server.now_ms())
        assert index is not None
        closed, current = answer.body["closed"], answer.body["current"]
        assert (closed["period_key"], closed["state"]) == (chain.spans[index - 1].key, "closed"), answer.body
        assert current["period_key"] == chain.spans[index].key, answer.body

    async def patch(self, board_id: str, patch: dict[str, Any]) -> None:
        await self.server.service.admin(PatchLeaderboard(board_id, patch, if_match=None), "default")

    async def extend(self, board_id: str, ends: str, **fields: Any) -> None:
        expected = self.boards[board_id]
        expected.frame = {**expected.frame, "ends_at": f"{ends}:00Z"}
        for window, chain in expected.chains.items():
            if chain.extend(expected.frame, self.server.now_ms()):
                self.sealed.discard((board_id, window, chain.spans[-1].key))
                self.counts["reopened"] += 1
        await self.patch(board_id, {"timeframe": {"ends_at": f"{ends}:00Z"}, **fields})

    async def move_zone(self, board_id: str, zone: str) -> None:
        expected = self.boards[board_id]
        expected.frame = {**expected.frame, "timezone": zone}
        command = PatchLeaderboard(board_id, {"timeframe": {"timezone": zone}}, if_match=None)
        await self.server.service.admin(command, "default")
        for chain in expected.chains.values():
            chain.redefine(expected.frame, self.server.now_ms())

    async def add_period(self, board_id: str, starts: str, ends: str) -> None:
        period = {"starts_at": f"{starts}:00Z", "ends_at": f"{ends}:00Z"}
        answer = await self.server.service.admin(CreatePeriod(board_id, period), "default")
        span = Span(answer.body["period_key"], ms(starts), ms(ends))
        assert span.key == f"{starts}:00Z", answer.body
        self.boards[board_id].chains["main"].add(span)

    # Submissions ------------------------------------------------------------------------------------------

    def fresh(self, expected: ExpectedBoard, occurred_at_ms: int | None = None) -> Submission:
        self._number += 1
        score = self.rng.randint(1, 1000) * UNIQUE + self._number if expected.aggregation != "count" else None
        submission_id = f"{expected.id}:{self._number}"
        return Submission(self.rng.choice(PLAYERS), score, 0, None, submission_id, occurred_at_ms, None)

    async def submit_around(self, step: Instant) -> None:
        """Some submissions to the board whose period ends, some of them about what was before the end."""
        expected, now_ms, rng = self.boards[step.board_id], self.server.now_ms(), self.rng
        occurred = [None, None, step.end_ms - 1, step.end_ms, step.end_ms - rng.randint(1, 2 * HOUR_MS)]
        occurred += [now_ms, now_ms - 1, now_ms + rng.randint(1, 60_000), now_ms - rng.randint(1, DAY_MS)]
        chosen = [at for at in rng.sample(occurred, rng.randint(1, 3)) if self._may_occur(expected, at)]
        submissions = [self.fresh(expected, at) for at in chosen]
        recent = [s for s in self.recent[step.board_id] if expected.may_repeat(s.submission_id or "", now_ms)]
        submissions += rng.sample(recent, min(len(recent), rng.choice((0, 1, 2))))
        await self.submit(expected, submissions)

    def _may_occur(self, expected: ExpectedBoard, at_ms: int | None) -> bool:
        """Boards whose periods are changed by hand get submissions without a time of their own: where the
        gateway's view of the schedule and the actor's differ, one window may take what another refuses.
        """
        if at_ms is None:
            return True
        return (
            at_ms <= self.server.now_ms() + 60_000
            and at_ms >= expected.created_ms
            and expected.id not in ("berlin", "moscow", "adelaide", "cup")
        )

    async def submit_somewhere(self) -> None:
        expected = self.boards[self.rng.choice(list(self.boards))]
        await self.submit(expected, [self.fresh(expected)])

    async def submit(self, expected: ExpectedBoard, submissions: list[Submission]) -> None:
        """Send a batch, what is told to be sent again too, and compare the answers."""
        now_ms, board = self.server.now_ms(), self.board(expected.id)
        waiting, again = list({s.submission_id: s for s in submissions}.values()), False
        deadline_s = time.monotonic() + WAITED_S
        while True:
            answers = await self.server.service.submit(board, waiting, now_ms, "full")
            left = []
            for submission, answer in zip(waiting, answers, strict=True):
                if isinstance(answer, ApiError) and answer.code in PASSING:
                    left.append(submission)
                else:
                    self._judge(expected, submission, answer, now_ms, again)
            waiting, again = left, True
            if not waiting:
                break
            where = f"{expected.id} at {told(now_ms)}: {answers}"
            assert time.monotonic() < deadline_s, f"{where}; {self.server.described()}"
            await asyncio.sleep(0.001)
        self.recent[expected.id] = [*self.recent[expected.id], *submissions][-6:]

    def _judge(
        self,
        expected: ExpectedBoard,
        submission: Submission,
        answer: list[Outcome] | ApiError,
        now_ms: int,
        again: bool,
    ) -> None:
        where = f"{expected.id} at {told(now_ms)}, {submission}, occurred {told(submission.occurred_at_ms)}"
        assert submission.submission_id is not None
        before = expected.taken_by(submission.submission_id)
        verdict = expected.judge(submission, now_ms)
        if not before and isinstance(verdict, Refusal):
            assert isinstance(answer, ApiError), f"{where}: {answer}, not {verdict}"
            assert answer.code in verdict.codes, f"{where}: {answer.code} {answer.details}, not {verdict}"
            self.counts["refused"] += 1
            return
        assert not isinstance(answer, ApiError), f"{where}: {answer.code} {answer}, not {verdict}"
        if before:
            for outcome in answer:
                known = outcome.duplicate or (outcome.skipped and outcome.window not in before)
                assert known, f"{where}: {answer}, but it was taken before"
            self.counts["repeats"] += 1
            return
        assert isinstance(verdict, dict)
        keys = {}
        for outcome in answer:
            wanted = verdict[outcome.window]
            if isinstance(wanted, Refusal):
                assert outcome.skipped in wanted.codes, f"{where}: {answer}, not {verdict}"
                self.counts["passed over"] += 1
                continue
            assert outcome.period_key == wanted, f"{where}: {answer}, not {verdict}"
            assert again or not outcome.duplicate, f"{where}: {answer} is no repeat"
            keys[outcome.window] = wanted
        self.counts["taken"] += 1
        expected.take(submission, keys, now_ms)

    # Checks -----------------------------------------------------------------------------------------------

    async def _replied(self, name: str, method: str, payload: bytes, reply: bytes) -> bool:
        """An actor has sealed a period: read it there, before anybody can delete it."""
        try:
            return method != "seal" or await self._sealed(name, payload, reply)
        except AssertionError as error:  # the supervisor would just try again
            self.problems.append(error)
        except StoreError:  # its store was closed meanwhile: the supervisor should ask again
            self.counts["crashes while comparing"] += 1
            return False
        return True

    async def _sealed(self, name: str, payload: bytes, reply: bytes) -> bool:
        """False: the actor lets go of the chain just now, so the supervisor should ask for the seal again."""
        chain_id, *_ = msgpack.unpackb(payload)
        answer = msgpack.unpackb(reply)
        if answer[0] != VALUE:
            return True
        key = answer[1][1]
        _, board_part, window = chain_id.split("/")
        expected = self.boards[board_part.rpartition("~")[0]]
        chain = expected.chains[window]
        span = next(s for s in chain.spans if s.key == key)
        assert chain.closed_from_ms(span) <= self.server.now_ms(), f"{chain_id}/{key} was sealed too early"
        record = PeriodRecord(*answer[1])
        if not record.submissions and not chain.taken.get(key):
            return True
        process = self.server.cluster.processes[name]
        op = [chain_id, key, "page", [0, PAGE, None, None]]
        status, value = [*msgpack.unpackb(await process.actor.load(msgpack.packb(op))), None][:2]
        if process.dead.is_set():
            return True  # its reply is lost, and it will be asked again
        if status == NOT_HERE or (status == ERROR and value[0] == "period_loading"):
            return False
        assert status == VALUE and value is not None, (chain_id, key, value)
        self._compare(expected, chain, span, ReadAnswer.from_wire(value))
        self.sealed.add((expected.id, window, key))
        self.counts["sealed"] += 1
        return True

    def _compare(
        self,
        expected: ExpectedBoard,
        chain: ExpectedChain,
        span: Span,
        reading: Reading,
        kept: Container[str] | None = None,
    ) -> None:
        """`kept`: keys of the periods that there are still (None: the one before has not been deleted)."""
        where = f"{expected.id}/{chain.window}/{span.key} at {told(self.server.now_ms())}"
        standings = chain.standings(span.key, expected.aggregation)
        shown = [(row.rank, row.player_id, row.score, row.submissions) for row in reading.rows]
        assert shown == [tuple(s) for s in standings], f"{where}: {shown}, not {standings}"
        view = reading.period
        assert view.submissions == len(chain.taken.get(span.key, [])), (where, view)
        assert (view.key, view.ends_at_ms) == (span.key, span.ends_at_ms), (where, view, span)
        assert view.state == chain.state(span, self.server.now_ms()), (where, view)
        before = chain.before(span)
        if before is None or chain.retain == 0 or (kept is not None and before.key not in kept):
            return
        ranks = {s.player_id: s.rank for s in chain.standings(before.key, expected.aggregation)}
        for row in reading.rows:
            old = ranks.get(row.player_id)
            assert row.rank is not None
            change = (
                "new" if old is None else "same" if old == row.rank else "up" if row.rank < old else "down"
            )
            assert row.change == change, f"{where}: {row}, {old} before"

    async def check_periods(self, expected: ExpectedBoard) -> None:
        """Lists of periods: which are kept, their bounds and states; and what the current one shows."""
        now_ms, board = self.server.now_ms(), self.board(expected.id)
        for window, chain in expected.chains.items():
            views, total = await self.server.service.periods(board, window, None, 0, PAGE)
            assert total == len(views)
            closed = chain.closed(now_ms)
            surely = [s for s in closed if chain.closed_from_ms(s) + SEALED_AFTER_MS <= now_ms]
            where = f"{expected.id}/{window} at {told(now_ms)}"
            shown = {view.key: view for view in views}
            listed = [v.key for v in reversed(views) if v.state == "closed"]
            newest = surely[-chain.retain :] if chain.retain else []
            by_age = {s.key: chain.kept_by_age(s, now_ms) for s in surely}
            kept = [
                s
                for s in surely
                if s in newest or by_age[s.key] or (by_age[s.key] is None and s.key in listed)
            ]
            if surely and surely[-1] == chain.spans[-1]:  # the last of a schedule stays
                kept = kept or surely[-1:]
            if surely == closed:
                assert listed == [s.key for s in kept], (
                    f"{where}: {listed} are kept, not {[s.key for s in kept]}"
                )
            else:  # others may be sealed by now, or not yet
                assert listed == [s.key for s in closed[len(closed) - len(listed) :]], f"{where}: {listed}"
            by_key = {s.key: s for s in chain.spans}
            for view in views:
                span = by_key[view.key]
                assert view.state == chain.state(span, now_ms), (where, view)
                assert view.ends_at_ms == span.ends_at_ms, (where, view, span)
                assert span.starts_at_ms is None or view.starts_at_ms == span.starts_at_ms, (
                    where,
                    view,
                    span,
                )
                if (expected.id, window, view.key) in self.sealed:
                    assert view.submissions == len(chain.taken.get(view.key, [])), (where, view)
            due = [s for s in chain.spans if chain.state(s, now_ms) in ("active", "closing")]
            assert {s.key for s in due} <= shown.keys(), f"{where}: {sorted(shown)}, but {due}"
            index = chain.index_at(now_ms)
            if index is not None:
                await self._read(expected, chain, chain.spans[index], "current", shown)
            if kept and chain.taken.get(kept[-1].key) and surely == closed:
                await self._read(expected, chain, kept[-1], kept[-1].key, shown)
        self.counts["lists"] += 1

    async def _read(
        self, expected: ExpectedBoard, chain: ExpectedChain, span: Span, ref: str, kept: Container[str]
    ) -> None:
        board = self.board(expected.id)
        deadline_s = time.monotonic() + WAITED_S
        while time.monotonic() < deadline_s:
            try:
                found = await self.server.service.page(board, chain.window, ref, 0, PAGE)
            except ApiError as error:
                assert error.code == "period_loading", (
                    f"{expected.id}/{chain.window}/{ref}: {error.code} {error}"
                )
                await asyncio.sleep(0.001)
            else:
                self._compare(expected, chain, span, found, kept)
                return
        raise AssertionError(f"{expected.id}/{chain.window}/{ref} does not load")

    async def check_all(self) -> None:
        """The end: every period that took anything was compared when it was sealed, or is open and compared
        now, and those that are kept have stayed as they were. At an instant of `_end_ms`.
        """
        now_ms = self.server.now_ms()
        for expected in self.boards.values():
            await self.check_periods(expected)
            for window, chain in expected.chains.items():
                kept = {
                    v.key
                    for v in (
                        await self.server.service.periods(self.board(expected.id), window, None, 0, PAGE)
                    )[0]
                }
                for span in chain.spans:
                    if not chain.taken.get(span.key):
                        continue
                    is_open = chain.state(span, now_ms) in ("active", "closing")
                    known = is_open or (expected.id, window, span.key) in self.sealed
                    assert known, f"{expected.id}/{window}/{span.key} took something, and is gone"
                    if span.key in kept:
                        await self._read(expected, chain, span, span.key, kept)
