"""What gateways follow: published changes in order, and everything for one that lags or is new."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable

from lbactors.wire.catalogue_feed import FeedChange, News

FEED_CHANGES = 20_000  # kept for gateways that lag; one further behind starts anew
WATCH_S = 10.0  # a watch without news returns after this long

Source = Callable[[], Iterable[FeedChange]]


class Feed:
    """The changes of one supervisor's life. `version` counts them."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.version = 0
        self._sources: list[Source] = []
        self._changes: deque[tuple[int, FeedChange]] = deque(maxlen=FEED_CHANGES)
        self._news = asyncio.Event()
        self._is_over = False

    def add_source(self, source: Source) -> None:
        """source: all that stands now of what somebody publishes."""
        self._sources.append(source)

    def publish(self, changes: Iterable[FeedChange]) -> None:
        """Tell those who watch."""
        for change in changes:
            self.version += 1
            self._changes.append((self.version, change))
        self._news.set()
        self._news = asyncio.Event()

    def end(self) -> None:
        """Nothing more comes: nobody waits any longer."""
        self._is_over = True
        self._news.set()

    async def watch(self, epoch: int, version: int) -> News:
        """What came after a version; waits if there is no news."""
        if epoch == self.epoch and version == self.version and not self._is_over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await self._news.wait()
        oldest, _ = self._changes[0] if self._changes else (self.version + 1, None)
        if epoch != self.epoch or version + 1 < oldest or version > self.version:
            everything = [change for source in self._sources for change in source()]
            return News(self.epoch, self.version, True, everything)
        changes = [change for number, change in self._changes if number > version]
        return News(self.epoch, self.version, False, changes)
