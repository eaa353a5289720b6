"""The seam to Ray: what a call's errors mean to its caller."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, GetTimeoutError, RayTaskError

from lbactors.cluster import ActorRef
from lbactors.core.errors import ApiError, invalid
from lbactors.wire.actors import ActorGone
from persistence.store import StoreUnavailable


def raising(error: Exception) -> ActorRef:
    """An actor whose every call ends so."""

    async def call(*_: bytes) -> bytes:
        raise error

    return ActorRef("supervisor", SimpleNamespace(rouse=SimpleNamespace(remote=call)))


def raised(cause: Exception) -> Exception:
    """What Ray makes of an error that a method raised."""
    error: Any = RayTaskError("rouse", "traceback", cause)
    made: Exception = error.as_instanceof_cause()
    return made


AWAY = [
    ActorUnavailableError("away", None),
    raised(StoreUnavailable("away", unknown=True)),
    raised(ApiError("storage_unavailable", "the supervisor begins anew")),
    raised(GetTimeoutError("Ray's head does not answer")),
    raised(ConnectionError("reset")),
]


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
async def test_an_actor_that_cannot_work_now_counts_as_gone(error: Exception) -> None:
    with pytest.raises(ActorGone) as gone:
        await raising(error).call("rouse", b"period-1")
    assert not gone.value.for_good


async def test_one_that_is_dead_is_gone_for_good() -> None:
    with pytest.raises(ActorGone) as gone:
        await raising(ActorDiedError()).call("rouse", b"period-1")
    assert gone.value.for_good


async def test_a_bug_is_shown() -> None:
    with pytest.raises(KeyError):
        await raising(raised(KeyError("period-1"))).call("rouse", b"period-1")


def test_an_error_of_the_api_travels_as_it_is() -> None:
    error = invalid("must not be null", "body", "name")
    there = pickle.loads(pickle.dumps(error))
    assert isinstance(there, ApiError)
    assert (there.to_wire(), str(there)) == (error.to_wire(), str(error))
