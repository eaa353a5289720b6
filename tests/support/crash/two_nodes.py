"""A Ray cluster of nodes on this machine, each to be killed or stopped: the process that starts them.

Prints `head HOST:PORT`. Then, for each line on stdin:
    add             starts a further node: `node PID` of its raylet, the parent of its actors' processes
    endpoint NAME   `endpoint HEX`: what a period actor tells gateways of itself
Everything listens on 127.0.0.1, lies in the folder of RAY_TMPDIR, and ends with stdin.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

# Ray reads these when it is imported, and hands them on to its processes. A node counts as dead after about
# two seconds if nothing listens, ten if nothing answers, instead of half a minute.
os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listen on 127.0.0.1 alone
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_health_check_initial_delay_ms": "3000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "4",
    "RAY_timeout_ms_task_wait_for_death_info": "0",  # as in cluster.yaml
}

import ray
from ray._private import ray_constants
from ray.cluster_utils import Cluster


def say(*words: object) -> None:
    print(*words, flush=True)


def main() -> None:
    ray_constants.ENABLE_RAY_CLUSTER = False
    logging.disable(logging.ERROR)
    folder = Path(os.environ["RAY_TMPDIR"]) / "ray"
    folder.mkdir()
    node: dict[str, Any] = {
        "node_ip_address": "127.0.0.1",
        "temp_dir": str(folder),
        "include_dashboard": False,
        "num_cpus": 2,
        "object_store_memory": 80 * 1024 * 1024,
    }
    cluster = Cluster(initialize_head=True, head_node_args=node)
    say("head", cluster.address)
    for line in sys.stdin:
        order, *words = line.split()
        if order == "add":
            added = cluster.add_node(**node)
            (raylet,) = added.all_processes["raylet"]
            say("node", raylet.process.pid)
        else:
            if not ray.is_initialized():
                ray.init(cluster.address, logging_level=logging.ERROR, log_to_driver=False)
            named: Any = ray.util.list_named_actors(all_namespaces=True)
            (namespace,) = (found["namespace"] for found in named if found["name"] == words[0])
            actor = ray.get_actor(words[0], namespace=namespace)
            say("endpoint", ray.get(actor.endpoint.remote()).hex())


if __name__ == "__main__":
    main()
