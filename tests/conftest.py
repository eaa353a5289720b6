"""For every folder of tests: figures that a run shows at its end, and fixtures of Redis servers.

The tests may run in several processes (`pytest -n`). Each has servers of its own that its tests share; the
random moments of the crash tests come from one seed. Tests that share a Redis keep to a key prefix or a
database of their own, and leave its settings as they were.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import structlog
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.support")  # before anything of it is imported

from tests.support.figures import Note  # noqa: E402
from tests.support.free_ports import free_port  # noqa: E402
from tests.support.redis_server import MakeRedis, RedisCluster, RedisServer  # noqa: E402
from tests.support.rounds import VARIABLE, rounds  # noqa: E402
from tests.support.scheduling import GroupScheduling, turn_of  # noqa: E402

FIGURE = "figure"
FILES_OPEN = 256  # more of them are looked after

os.environ.setdefault("LBACTORS_CRASH_SEED", secrets.token_hex(4))  # the processes of a run inherit it
os.environ.pop("LBACTORS_PROGRAM", None)  # texts name `lbactors`, however the tests were started
# No profile of the person who runs the tests, nor one that a test leaves to others.
os.environ["LBACTORS_CONFIG"] = str(Path(tempfile.gettempdir()) / f"lbactors-{secrets.token_hex(8)}" / "none")
_figures: list[str] = []


@pytest.fixture(autouse=True)
def logs_at_their_defaults() -> None:
    """An actor or a server that ran in this process has set its own level and format."""
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def few_open_files() -> Iterator[None]:
    """A server in this process has set how rarely garbage is collected, and clocks and connections that are
    garbage keep their files open; `select`, which some tests use, takes no number above 1023.
    """
    yield
    if psutil.Process().num_fds() > FILES_OPEN:
        gc.collect()


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Keeps a measured figure, to be shown at the end of the run."""

    def keep(figure: str) -> None:
        request.node.user_properties.append((FIGURE, figure))

    return keep


@pytest.fixture
def unused_tcp_port() -> int:
    """In the place of pytest-asyncio's, whose port anybody who asks for any port may be given meanwhile."""
    return free_port()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="run the tests that have a long form, and those alone, in it"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Before any test module is imported, in each process of a run."""
    config.addinivalue_line("markers", "long: has a long form, which `--long` runs")
    os.environ[VARIABLE] = "1" if config.getoption("--long") else "0"
    # How long an example takes says something about the machine, not about the code.
    settings.register_profile(
        "any machine",
        deadline=None,
        max_examples=rounds(40, 300),
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("any machine")


def has_long_form(item: pytest.Item) -> bool:
    """Those that are marked, and all whose examples are drawn by lot."""
    drawn = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    return drawn or item.get_closest_marker("long") is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        config.hook.pytest_deselected(items=[item for item in items if not has_long_form(item)])
        items[:] = [item for item in items if has_long_form(item)]
    items.sort(key=lambda item: turn_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Used with `-n`, whatever `--dist` says."""
    return GroupScheduling(config, log)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        _figures.extend(str(value) for name, value in report.user_properties if name == FIGURE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures:
        terminalreporter.write_line(f"LBACTORS_CRASH_SEED={os.environ['LBACTORS_CRASH_SEED']}")
    for figure in _figures:
        terminalreporter.write_line(f"  {figure}")


@pytest.fixture
def make_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeRedis]:
    """Servers of this test alone, not started yet. Arguments: those of `RedisServer` after the folder."""
    made: list[RedisServer] = []

    def make(*options: str, **settings: object) -> RedisServer:
        made.append(RedisServer(tmp_path_factory.mktemp("redis"), *options, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for server in made:
        server.close()
        print(server.tail())  # shown if the test failed


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A running server that keeps its data in an append-only file and does not wait for the disk."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), "appendfsync everysec")
    asyncio.run(server.start())
    yield server
    server.close()


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """A running Redis Cluster of three nodes, which do not wait for the disk."""
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"), 3, "appendfsync everysec")
    asyncio.run(cluster.start())
    yield cluster
    cluster.close()
