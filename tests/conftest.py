"""For every folder of tests: figures that a run shows at its end, and fixtures of Redis servers.

The tests may run in several processes (`pytest -n`). Each has servers of its own that its tests share; the
random moments of the crash tests come from one seed. Tests that share a Redis keep to a key prefix or a
database of their own, and leave its settings as they were.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.support")  # before anything of it is imported

from tests.support.figures import Note  # noqa: E402
from tests.support.free_ports import free_port  # noqa: E402
from tests.support.redis_server import MakeRedis, RedisCluster, RedisServer  # noqa: E402

FIGURE = "figure"
APART = {"crash/test_closing_steps", "crash/test_plugins", "api/test_plugins"}  # a kill at a time
TESTS = Path(__file__).parent

# How long an example takes says something about the machine, not about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
os.environ.setdefault("LBACTORS_CRASH_SEED", secrets.token_hex(4))  # the processes of a run inherit it
_figures: list[str] = []


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who may run beside whom (`--dist loadgroup`): tests that kill under load take turns, as do those of the
    HTTP suite's server; any other file is a group of its own. The longest group begins first.
    """
    for item in items:
        file = item.path.relative_to(TESTS).with_suffix("").as_posix()
        folder = file.partition("/")[0]
        together = folder in ("crash", "api") and file not in APART
        item.add_marker(pytest.mark.xdist_group(folder if together else file))
    items.sort(key=lambda item: not item.path.is_relative_to(TESTS / "crash"))


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
