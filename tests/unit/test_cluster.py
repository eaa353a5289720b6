"""The seam to Ray: what a call's errors mean to its caller."""

from __future__ import annotations

import asyncio
import pickle
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    GetTimeoutError,
    RaySystemError,
    RayTaskError,
    RpcError,
    TaskCancelledError,
)

from lbactors.cluster import ActorRef, Cluster, namespace_of
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
    TaskCancelledError(),
    RaySystemError("Ray's own process is away"),
    OSError("Ray cannot write to its own process"),
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


async def test_a_call_that_takes_too_long_is_late() -> None:
    async def call(*_: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    actor = ActorRef("supervisor", SimpleNamespace(rouse=SimpleNamespace(remote=call)))
    with pytest.raises(TimeoutError):
        await actor.call("rouse", timeout_s=0)


@pytest.mark.parametrize(
    "error",
    [GetTimeoutError("the head does not answer"), RpcError("the head is away"), OSError("reset")],
    ids=lambda error: type(error).__name__,
)
async def test_an_actor_that_rays_head_does_not_tell_of_counts_as_gone(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_actor(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("ray.get_actor", get_actor)
    with pytest.raises(ActorGone):
        await Cluster("n").find("period-1")


async def test_rays_head_is_asked_beside_the_loop_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's own call blocks for a minute while the head is away."""
    entered, answered = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def get_actor(*_: Any, **__: Any) -> Any:
        loop.call_soon_threadsafe(entered.set)
        answered.wait(60)
        return "handle"

    monkeypatch.setattr("ray.get_actor", get_actor)
    looking = asyncio.create_task(Cluster("n").find("period-1"))
    await asyncio.wait_for(entered.wait(), 10)  # the loop goes on
    answered.set()
    found = await looking
    assert found is not None and found.handle == "handle"
    answered.clear()
    monkeypatch.setattr("lbactors.cluster.FIND_WITHIN_S", 0.01)
    with pytest.raises(ActorGone):
        await Cluster("n").find("period-1")
    answered.set()


async def test_an_actor_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_actor(*_: Any, **__: Any) -> Any:
        raise ValueError("no such actor")

    monkeypatch.setattr("ray.get_actor", get_actor)
    assert await Cluster("n").find("period-1") is None


async def test_cores_are_asked_for_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are wanted once a second, and the head may be away."""
    monkeypatch.setattr("lbactors.cluster.CORES_EVERY_S", 0.0)
    asked, answered, cores = threading.Event(), threading.Event(), 2.0

    def resources() -> dict[str, float]:
        asked.set()
        answered.wait(60)
        return {"CPU": cores}

    monkeypatch.setattr("ray.cluster_resources", resources)
    answered.set()
    cluster = Cluster("n")
    assert cluster.cores() == 2
    asked.clear()
    answered.clear()
    cores = 4.0
    for _ in range(3):
        assert cluster.cores() == 2, "what was known, at once"
    assert await asyncio.to_thread(asked.wait, 10)
    answered.set()
    async with asyncio.timeout(10):
        while cluster.cores() != 4:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.001)


# Namespaces -----------------------------------------------------------------------------------------------


def test_a_namespace_is_that_of_a_store() -> None:
    sqlite, copy = namespace_of("1f", "sqlite:/data"), namespace_of("1f", "sqlite:/copy")
    redis, alias = namespace_of("1f", "redis://a/0"), namespace_of("1f", "redis://user:secret@b/0")
    others = {namespace_of("2f", url) for url in ("sqlite:/data", "redis://a/0")}
    assert len({sqlite, copy, redis, *others}) == 5
    assert redis == alias, "one store, however its address is written"


def test_only_actors_of_the_own_namespace_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def named(*, all_namespaces: bool) -> Any:
        assert all_namespaces
        rows = [("n", "supervisor"), ("n", "period-1"), ("m", "supervisor"), ("m", "period-2")]
        return [{"namespace": namespace, "name": name} for namespace, name in rows]

    monkeypatch.setattr("ray.util.list_named_actors", named)
    assert Cluster("n").period_actors() == ["period-1"]


# Starting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["local", "join"])
@pytest.mark.parametrize(
    "error",
    [Exception("The current node timed out during startup.\nand more"), RpcError("away"), ValueError("x")],
    ids=lambda error: type(error).__name__,
)
def test_a_ray_that_does_not_start_is_told_in_one_line(
    start: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("ray.init", init)
    cluster = Cluster("n")
    with pytest.raises(ConnectionError) as raised:
        cluster.start_local() if start == "local" else cluster.join("127.0.0.1:1")
    assert len(str(raised.value).splitlines()) == 1
    cluster.close()


async def test_a_bug_is_shown() -> None:
    with pytest.raises(KeyError):
        await raising(raised(KeyError("period-1"))).call("rouse", b"period-1")


def test_an_error_of_the_api_travels_as_it_is() -> None:
    error = invalid("must not be null", "body", "name")
    there = pickle.loads(pickle.dumps(error))
    assert isinstance(there, ApiError)
    assert (there.to_wire(), str(there)) == (error.to_wire(), str(error))
