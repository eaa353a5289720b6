"""Actors as their callers see them: bytes in, bytes out, and what may become of a call."""

from __future__ import annotations

from typing import Any, Protocol

from lbactors.actor_settings import ActorSettings
from lbactors.core.errors import ApiError


class ActorGone(Exception):
    """A call did not come back: the actor's process died, is being restarted, or cannot be reached.

    Whether the call was carried out is unknown. `for_good`: Ray will not bring this actor back.
    """

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


class Unanswered(ApiError):
    """No answer came from an actor: it may have done what it was asked to."""


class Caller(Protocol):
    """An actor that can be called (`lbactors.cluster.ActorRef`)."""

    async def call(self, method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        """ActorGone, TimeoutError."""


class Actor(Caller, Protocol):
    """A handle to a period actor, by its name."""

    name: str


class Actors(Protocol):
    """Where actors come from (`lbactors.cluster.Cluster`)."""

    def cores(self) -> int: ...

    def period_actor(self, name: str, settings: ActorSettings) -> Any: ...

    def period_actors(self) -> list[str]: ...

    def kill(self, ref: Any) -> None: ...


class ActorFinder(Protocol):
    """What gateways find actors by (`lbactors.cluster.Cluster`)."""

    async def find(self, name: str) -> Actor | None:
        """ActorGone if nobody says whether there is one."""
