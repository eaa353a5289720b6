"""The seam to Ray: the only file that calls it.

It starts or joins a Ray cluster, creates the supervisor and period actors under names, and turns Ray's many
errors into one question with two answers: was the call certainly not carried out, or is its outcome unknown?
Bytes cross this seam, never objects.

Names are those of a namespace that follows from the store (`namespace_of`): several deployments can share one
Ray cluster, and a server that is pointed at another store meets none of the actors of the one before.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import logging
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import ray
from ray._private import parameter, ray_constants, services
from ray.exceptions import ActorDiedError, GetTimeoutError, RayActorError, RayError, RayTaskError

from lbactors.actor_settings import ActorSettings
from lbactors.core.errors import ApiError
from lbactors.period_actor.actor import PeriodActor
from lbactors.supervisor.actor import SupervisorActor
from lbactors.wire.actors import ActorGone
from persistence.store import StoreError

SUPERVISOR = "supervisor"
TOKEN, TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"  # where Ray finds its token
RAY_DIRECTORY = "r"  # Ray's own, below one of ours; its name is short
FIND_WITHIN_S = 5.0  # Ray's head tells of an actor within some ms; while it is away, after a minute or so
CORES_EVERY_S = 5.0  # nodes come and go seldom
CALLS_AT_ONCE = 10_000  # coroutines an actor runs at once; the gateway's own limits are far below
# Ray's own settings. Every process sends the head a list of the calls that it made and served, once a second,
# for a state API that nobody asks here: with 16 actors 4.5 % of a core.
SYSTEM_CONFIG = {"task_events_report_interval_ms": 0}
# A call that was under way when its actor died fails only after 1 to 2 s, so that its error can say what the
# actor died of. Nobody here asks that, but the next call finds the actor's next process.
WAIT_FOR_DEATH = "RAY_timeout_ms_task_wait_for_death_info"

T = TypeVar("T")


def namespace_of(store_id: str, store_url: str) -> str:
    """The Ray namespace of whoever works on a store.

    A copy of a SQLite file has the id of the file that it was copied from, so the directory counts too. Not
    so the address of a Redis, which may be written in several ways.
    """
    place = store_url if store_url.startswith("sqlite:") else ""
    return f"lbactors-{hashlib.sha256(f'{store_id} {place}'.encode()).hexdigest()[:32]}"


class ActorRef:
    """A handle to an actor. `call` is safe to use from one event loop."""

    def __init__(self, name: str, handle: Any) -> None:
        self.name = name
        self.handle = handle
        self._methods: dict[str, Any] = {}

    async def call(self, method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        """Call a method with bytes and await its bytes. ActorGone, TimeoutError."""
        remote = self._methods.get(method)
        if remote is None:
            remote = self._methods[method] = getattr(self.handle, method).remote
        try:
            # Not wait_for, which swallows a cancellation that comes when the reply has just arrived: the loop
            # that called would go on after it was told to end.
            async with asyncio.timeout(timeout_s):
                return bytes(await remote(*payload))
        except ActorDiedError as error:
            raise ActorGone(f"{self.name} is dead", for_good=True) from error
        except RayTaskError as error:
            # It cannot start while its store is away, nor do much while Ray's head is.
            if isinstance(error.cause, StoreError | ApiError | RayError | OSError):
                raise ActorGone(f"{self.name}: {error.cause}") from error
            raise  # a bug, and the caller should see it
        except (RayActorError, GetTimeoutError, RayError) as error:
            raise ActorGone(f"{self.name}: {type(error).__name__}") from error
        except TimeoutError:
            raise
        except OSError as error:  # what Ray makes of an I/O error of its own
            raise ActorGone(f"{self.name}: {error}") from error


class Cluster:
    """A connection to Ray from one process. namespace: see `namespace_of`."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.address = ""
        self._temp_dir: tempfile.TemporaryDirectory[str] | None = None
        self._has_token = False  # of its own
        self._cores = 0
        self._cores_due_s = 0.0
        self._is_learning = False

    def start_local(self, cores: int | None = None) -> None:
        """Start a Ray of our own, bound to the loopback interface, that ends with this process.
        ConnectionError.
        """
        os.environ.setdefault(WAIT_FOR_DEATH, "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # The only way to make Ray listen on 127.0.0.1 alone: an address given as an argument is replaced by
        # one that other machines reach. Ray reads the variable when it is imported, its children later.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        ray_constants.ENABLE_RAY_CLUSTER = False
        # Sockets live below this directory, and their paths may have 107 bytes: so not in a deep place. Ray
        # gives everybody the right to write to its own, so that one lies in one that nobody else can enter.
        self._temp_dir = tempfile.TemporaryDirectory(prefix="lbr-", ignore_cleanup_errors=True)
        private = Path(self._temp_dir.name)
        self._use_token_of_its_own(private / "token")
        with _without_idle_processes():
            context = _initialised(
                "local",
                include_dashboard=False,
                num_cpus=cores,
                namespace=self.namespace,
                log_to_driver=False,
                configure_logging=True,
                logging_level=logging.ERROR,
                object_store_memory=100 * 1024 * 1024,  # calls of less than 100 kB do not touch it
                _temp_dir=str(private / RAY_DIRECTORY),
                _system_config=dict(SYSTEM_CONFIG),
            )
        self.address = context.address_info["address"]
        # If this process is killed, Ray's agents want to tell the head, which is dead too, and try for 60 s.
        # They do not where the raylet's log says that its end is in order.
        with (Path(context.address_info["session_dir"]) / "logs" / "raylet.out").open("a") as log:
            log.write("Raylet received SIGTERM\n")

    def _use_token_of_its_own(self, path: Path) -> None:
        """Have Ray ask for a token that nobody else has, unless the environment names one. Else Ray would
        make one in the home directory, and let everybody read it.
        """
        if not {TOKEN, TOKEN_PATH} & os.environ.keys():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
            os.environ[TOKEN_PATH] = str(path)
            self._has_token = True

    def join(self, address: str) -> None:
        """Join a running cluster: `auto`, or HOST:PORT. ConnectionError."""
        token = Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token")
        with contextlib.suppress(OSError):  # there is none, or it is another user's
            token.chmod(token.stat().st_mode & 0o700)  # Ray lets everybody read the one that it makes
        os.environ.setdefault(WAIT_FOR_DEATH, "0")
        context = _initialised(
            address, namespace=self.namespace, log_to_driver=False, logging_level=logging.ERROR
        )
        self.address = context.address_info["address"]

    def close(self) -> None:
        ray.shutdown()
        if self._has_token:
            os.environ.pop(TOKEN_PATH, None)
        if self._temp_dir is not None:
            self._temp_dir.cleanup()

    def lost_processes(self) -> list[str]:
        """Raylet or head, if we started them and they died: no actor can be started or found any more."""
        node = getattr(ray._private.worker, "_global_node", None)
        if self._temp_dir is None or node is None:
            return []
        return [kind for kind, _ in node.dead_processes() if kind in ("raylet", "gcs_server")]

    def cores(self) -> int:
        """Cores of all nodes together, as Ray's head said lately: only the first call waits for it."""
        if not self._cores:
            self._learn_cores()
        elif time.monotonic() >= self._cores_due_s and not self._is_learning:
            self._cores_due_s = time.monotonic() + CORES_EVERY_S
            self._is_learning = True
            threading.Thread(target=self._learn_cores, name="lbactors-cores", daemon=True).start()
        return self._cores

    def _learn_cores(self) -> None:
        try:
            self._cores = max(int(_resources().get("CPU", 1)), 1)
        except (RayError, OSError):  # the head is away: they are what they were
            self._cores = self._cores or 1
        finally:
            self._is_learning = False

    def supervisor(self, settings: ActorSettings) -> ActorRef:
        """The namespace's one supervisor, created if there is none; Ray restarts it when it dies.
        ActorGone.
        """
        options = self._options(SUPERVISOR, max_concurrency=1000)
        actor = ray.remote(SupervisorActor).options(**options)
        connected = functools.partial(connect, self.namespace)
        try:
            return ActorRef(SUPERVISOR, actor.remote(settings.to_wire(), connected))
        except (RayError, OSError) as error:
            raise ActorGone(f"{SUPERVISOR}: {error}") from error

    def period_actor(self, name: str, settings: ActorSettings) -> ActorRef:
        """The period actor of this name, created if there is none; Ray restarts it when it dies."""

        def node_address() -> str:  # nested, so that it travels by value and spares the actor this module
            return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]

        options = self._options(name, max_concurrency=CALLS_AT_ONCE)
        actor = ray.remote(PeriodActor).options(**options)
        return ActorRef(name, actor.remote(name, settings.to_wire(), node_address))

    def period_actors(self) -> list[str]:
        """Names of the actors that run."""
        found: Any = ray.util.list_named_actors(all_namespaces=True)
        names = [actor["name"] for actor in found if actor["namespace"] == self.namespace]
        return [name for name in names if name != SUPERVISOR]

    async def find(self, name: str) -> ActorRef | None:
        """An actor that exists under this name. ActorGone if Ray's head does not say, or not soon."""
        try:
            async with asyncio.timeout(FIND_WITHIN_S):
                handle = await _beside(functools.partial(ray.get_actor, name, namespace=self.namespace))
            return ActorRef(name, handle)
        except ValueError:
            return None
        except TimeoutError as error:
            raise ActorGone(f"{name}: Ray's head does not answer") from error
        except (RayError, OSError) as error:
            raise ActorGone(f"{name}: {type(error).__name__}") from error

    def kill(self, ref: ActorRef) -> None:
        """End an actor for good."""
        ray.kill(ref.handle, no_restart=True)

    def _options(self, name: str, max_concurrency: int) -> dict[str, Any]:
        return {
            "name": name,
            "namespace": self.namespace,
            "lifetime": "detached",  # it outlives the gateway that asked for it
            "get_if_exists": True,
            "num_cpus": 0,  # actors wait more than they work: the budget is ours, not Ray's
            "max_restarts": -1,
            "max_task_retries": 0,  # a repeated call could apply a score twice
            "max_concurrency": max_concurrency,
        }


def _initialised(address: str, **options: Any) -> Any:
    """`ray.init`. ConnectionError, in one line, for whatever keeps it from that.

    Actors would import modules from the directory that this process is in, before the installed ones: what
    somebody left there, or another version's source. There is nothing to import in the root directory.
    """
    try:
        with contextlib.chdir("/"):
            return ray.init(address, **options)
    except Exception as error:  # a node that is not up in time, say, is a plain Exception
        what = str(error).strip().splitlines() or [repr(error)]
        raise ConnectionError(what[0]) from error


async def _beside(work: Callable[[], T]) -> T:
    """The result of work that blocks, in a thread of its own, so that the loop goes on.

    Not one of a pool: those that hang while Ray's head is away would keep others waiting, and the process
    from its end.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return  # nobody waits any more
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(cast("T", result))

    def run() -> None:
        result, failed = None, None
        try:
            result = work()
        except BaseException as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, result, failed)

    threading.Thread(target=run, name="lbactors-ray", daemon=True).start()
    return await done


@contextlib.contextmanager
def _without_idle_processes() -> Iterator[None]:
    """While Ray starts: leave out its log monitor, autoscaler and dashboard.

    Nobody here reads logs through Ray, adds machines or opens the dashboard; even with
    `include_dashboard=False` a process of it starts, for which `ray.init` waits. Together they cost a second
    or two of the start, 160 MB, and 1.5 % of a core for good. `ray.init` does not pass on the parameters of
    the first two; the third is as if it had not come up, which Ray takes.
    """
    params: Any = parameter
    starters: Any = services
    all_params, start_api_server = params.RayParams, starters.start_api_server
    params.RayParams = functools.partial(all_params, include_log_monitor=False, no_monitor=True)
    starters.start_api_server = lambda *_, **__: (None, None)
    try:
        yield
    finally:
        params.RayParams, starters.start_api_server = all_params, start_api_server


def _resources() -> dict[str, float]:
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]


def connect(namespace: str) -> Cluster:
    """The connection that a process running an actor has already."""
    cluster = Cluster(namespace)
    cluster.address = ray.get_runtime_context().gcs_address
    return cluster
