"""Private names of libraries that this project uses: one test each, which says what breaks without it.

They are here so that an update of a library fails at once and by name, and not as a server that starts more
slowly, answers without the envelope, or ranks wrongly. What the names do for us is tested where it is used.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import ray
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from ray._private import node, parameter, process_watcher, ray_constants, services, worker
from sortedcontainers import SortedList

from lbactors import cluster
from lbactors.core.ranking import _fill

# Ray ------------------------------------------------------------------------------------------------------


def test_ray_makes_its_parameters_where_they_are_replaced() -> None:
    made = "ray._private.parameter.RayParams(" in inspect.getsource(worker.init)
    assert made, "a start would run Ray's log monitor and autoscaler, which cost memory and a second"


@pytest.mark.parametrize("name", ["include_log_monitor", "no_monitor"])
def test_ray_parameters_that_leave_processes_out(name: str) -> None:
    known = inspect.signature(parameter.RayParams.__init__).parameters
    assert name in known, "Ray would not start: RayParams refuses what _without_idle_processes gives"
    assert f"_ray_params.{name}" in inspect.getsource(node), "Ray would start the process all the same"


def test_ray_starts_its_dashboard_where_that_is_replaced() -> None:
    called = "ray._private.services.start_api_server(" in inspect.getsource(node.Node.start_api_server)
    assert called and callable(services.start_api_server), "a start would wait for the dashboard's process"


def test_ray_takes_a_dashboard_that_did_not_come_up() -> None:
    returned = inspect.getsource(services.start_api_server)
    assert "return None, None" in returned, "(None, None) would no longer mean that there is no dashboard"


def test_ray_has_a_switch_for_the_loopback_interface() -> None:
    assert ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR == "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", (
        "Ray's processes would listen on all interfaces of the machine"
    )
    used = "ray_constants.ENABLE_RAY_CLUSTER" in inspect.getsource(services)
    assert used, "Ray would listen on all interfaces of the machine"


@pytest.mark.parametrize("name", ["_temp_dir", "_system_config"])
def test_ray_init_takes(name: str) -> None:
    popped = f'kwargs.pop("{name}"' in inspect.getsource(worker.init)
    assert popped, "Ray would not start: its paths would be too long, or its settings not taken"


def test_ray_knows_the_settings_that_are_set() -> None:
    names = [*cluster.SYSTEM_CONFIG, cluster.WAIT_FOR_DEATH.removeprefix("RAY_")]
    raylet = Path(ray.__file__).parent / "core/src/ray/raylet/raylet"
    binary = raylet.read_bytes()
    missing = [name for name in names if name.encode() not in binary]
    assert not missing, "idle servers would cost more, or callers of a dead actor wait for seconds"


def test_ray_ends_quietly_where_the_log_of_its_raylet_says_so() -> None:
    watched = inspect.getsource(process_watcher)
    assert '"Raylet received SIGTERM" in line' in watched and '"raylet.out"' in watched, (
        "the agents of a server that was killed would stay for a minute"
    )


def test_ray_says_which_of_its_processes_died() -> None:
    assert hasattr(worker, "_global_node"), "a server whose Ray died would go on without noticing"
    assert callable(node.Node.dead_processes), "a server whose Ray died would go on without noticing"
    kinds = (ray_constants.PROCESS_TYPE_RAYLET, ray_constants.PROCESS_TYPE_GCS_SERVER)
    assert kinds == ("raylet", "gcs_server"), "Cluster.lost_processes looks for these names"


# aiohttp --------------------------------------------------------------------------------------------------


async def test_aiohttp_makes_its_server_in_a_method_of_the_runner() -> None:
    runner = web.AppRunner(web.Application())
    server: Any = await runner._make_server()
    why = "GatewayRunner could not put its own server in the place of aiohttp's"
    assert callable(server.request_handler) and callable(server.request_factory), why
    assert isinstance(server.handler_cancellation, bool), why
    assert isinstance(server._kwargs, dict) and server._loop is not None, why
    assert "self._make_server()" in inspect.getsource(web.BaseRunner.setup), why


def test_aiohttp_makes_a_connection_by_calling_its_server() -> None:
    made = inspect.getsource(web.Server.__call__)
    assert "RequestHandler(self, loop=self._loop, **self._kwargs)" in made, (
        "requests that are not well-formed HTTP would be answered without the envelope"
    )


def test_aiohttp_asks_its_connection_for_the_answer_to_an_error() -> None:
    arguments = list(inspect.signature(RequestHandler.handle_error).parameters)
    assert arguments == ["self", "request", "status", "exc", "message"], (
        "requests that are not well-formed HTTP would be answered without the envelope"
    )


# sortedcontainers -----------------------------------------------------------------------------------------


def test_sortedcontainers_keeps_its_content_in_blocks() -> None:
    index: Any = SortedList()
    index._reset(4)
    _fill(index, [[1, 2], [3, 4], [5, 6, 7]])
    index._check()
    why = "a ranking that is loaded would not find its players"
    assert list(index) == [1, 2, 3, 4, 5, 6, 7] and index[4] == 5 and index.bisect_left(4) == 3, why
    assert index._lists == [[1, 2], [3, 4], [5, 6, 7]] and index._maxes == [2, 4, 7], why


def test_sortedcontainers_deletes_by_block_and_place() -> None:
    index: Any = SortedList()
    index._reset(4)
    index.update(range(20))
    block = index._lists[1][:]
    index._delete(1, 2)
    index._check()
    assert sorted({*range(20)} - {*index}) == [block[2]], "a player's old standing would stay in a ranking"
