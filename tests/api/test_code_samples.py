"""The examples of calls in the OpenAPI document (`x-codeSamples`) do what they say, route after route.

All run as shown, in an order in which each finds what it needs, on a server with the example plugin, so that
submissions are held. Only ids that a server makes up take the place of those shown, and each language has
leaderboards and tenants of its own. TypeScript runs where there is Node, without its types.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.api.client import Api, Transport, eventually
from tests.support.repository import REPOSITORY, python_path
from tests.support.server_process import Server

PLUGIN = REPOSITORY / "examples" / "plugin-plausible-scores"
PLAUSIBLE = {"plausible": {"usual": 100, "hold_times": 5}}
WINS = {"source": "events", "rules": [{"event_type": "match.won", "points_expression": "attrs.kills * 10"}]}
REWARDS = {"tiers": [{"name": "all", "top_percent": 100, "payload": {"gems": 5}}]}
SHOWN = "http://127.0.0.1:8080"
NODE = shutil.which("node")


@pytest.fixture(scope="module")
def served() -> Iterator[Api]:
    server = Server("lb_" + secrets.token_hex(16))
    server.variables |= {"PYTHONPATH": python_path(PLUGIN), "LBACTORS_PLUGINS": "plausible_scores"}
    server.start_now()
    transport = Transport(server.url)
    yield Api(transport, server.key)
    transport.close()
    server.stop()


def run_curl(source: str, key: str) -> None:
    source = source.replace("curl ", "curl --silent --show-error --fail-with-body ", 1)
    check(["sh", "-c", source], key)


def run_python(source: str, key: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LBACTORS_KEY", key)
        exec(compile(source, "sample", "exec"), {})


def run_typescript(source: str, key: str) -> None:
    plain = re.sub(r"^type \w+ = (?:\{\n.*?^\}|[^\n]+);\n", "", source, flags=re.MULTILINE | re.DOTALL)
    plain = re.sub(r"^const answer: \w+ =", "const answer =", plain, flags=re.MULTILINE)
    assert NODE is not None
    check([NODE, "--input-type=module", "--eval", plain], key)


def check(command: list[str], key: str) -> None:
    """Runs a program, again while the server loads a period: then nothing was done."""

    def done() -> bool:
        environment = {**os.environ, "LBACTORS_KEY": key}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        output = ended.stdout + ended.stderr
        assert ended.returncode == 0 or "period_loading" in output, f"{command[-1]}\n{output}"
        return ended.returncode == 0

    eventually(done, command[-1])


def test_the_first_requests_of_the_introduction(served: Api) -> None:
    document = served.get("/openapi.json")
    (script,) = re.findall(r"^```sh\n(.*?)^```$", document["info"]["description"], re.MULTILINE | re.DOTALL)
    key = served.key
    assert key is not None
    script = script.replace("LBACTORS_KEY=lb_…", f"LBACTORS_KEY={key}").replace(
        SHOWN, served.transport.base_url
    )
    check(["sh", "-ec", script.replace("curl ", "curl --silent --show-error --fail-with-body ")], key)
    (entry,) = served.get("/v1/leaderboards/arena/rankings")["entries"]
    assert (entry["player_id"], entry["score"]) == ("p1", 5100)


class Samples:
    """The samples of one language. `ids`: what stands for the ids that are shown."""

    def __init__(self, api: Api, label: str, run: Callable[[str, str], None]) -> None:
        self.api = api
        self.ids = {SHOWN: api.transport.base_url}
        self.ids |= {
            name: f"{name}-{label.lower()}"
            for name in ("xp-weekly-global", "deaths", "cup", "match-wins", "coins", "studio-a")
        }
        self.board = self.ids["xp-weekly-global"]
        self._run = run
        self._sources = {
            operation["operationId"]: next(
                s["source"] for s in operation["x-codeSamples"] if s["label"] == label
            )
            for methods in api.get("/openapi.json")["paths"].values()
            for operation in methods.values()
        }

    def __call__(self, *operations: str) -> None:
        for operation in operations:
            source = self._sources.pop(operation)
            for shown, real in self.ids.items():
                source = re.sub(rf"(?<![\w-]){re.escape(shown)}(?![\w-])", real, source)
            assert self.api.key is not None
            self._run(source, self.api.key)

    def left(self) -> set[str]:
        return set(self._sources)

    def path(self, rest: str = "") -> str:
        return f"/v1/leaderboards/{self.board}{rest}"


@pytest.mark.parametrize(
    ("label", "run"),
    [
        ("curl", run_curl),
        ("Python", run_python),
        pytest.param(
            "TypeScript", run_typescript, marks=pytest.mark.skipif(NODE is None, reason="there is no node")
        ),
    ],
)
def test_every_sample(served: Api, label: str, run: Callable[[str, str], None]) -> None:
    sample = Samples(served, label, run)
    ids, path = sample.ids, sample.path
    sample("operations_home", "operations_docs", "operations_openapi", "operations_healthz")
    sample("operations_readyz", "operations_metrics", "admin_status")

    sample("leaderboards_create", "leaderboards_list_all", "leaderboards_get", "leaderboards_patch")
    made: dict[str, dict[str, Any]] = {
        "cup": {"timeframe": {"type": "manual"}},
        "match-wins": {"scoring": WINS},
    }
    for name in ("deaths", "cup", "match-wins"):
        board = {"leaderboard_id": ids[name], **made.get(name, {})}
        served.ok("POST", "/v1/leaderboards", board, status=201)
    sample("leaderboards_create_period")

    sample("scores_submit", "scores_submit_to_several", "players_put", "players_patch", "players_get")
    sample("rankings_page", "rankings_entry", "rankings_around", "rankings_lookup", "rankings_rank_at")
    sample("rankings_distribution", "rankings_player_entries")
    sample("leaderboards_list_periods", "leaderboards_get_period")
    sample("players_list", "moderation_hide", "moderation_hidden", "moderation_unhide")
    sample("moderation_edit_entry", "moderation_remove_entry", "moderation_restore_entry")
    sample("moderation_import_entries", "audit_search")

    sample("metrics_write", "metrics_list_all", "metrics_balance", "metrics_transactions")
    pending = {"player_id": "p1", "score": 5, "state": "pending"}
    for operation in ("metrics_complete", "metrics_reject"):
        written = served.ok("POST", f"/v1/metrics/{ids['coins']}", pending)
        ids["tx-1042"] = written["transaction_id"]
        sample(operation)
    sample("metrics_transaction", "events_send", "events_test_rules", "leaderboards_rebuild_period")

    served.ok("PATCH", path(), {"rewards": REWARDS})
    sample("leaderboards_close_period")
    rewards = path("/periods/previous/rewards")
    eventually(lambda: served.get(rewards)["state"] == "granted", "rewards are granted")
    sample("rewards_of_period", "rewards_of_period_and_player", "rewards_of_player", "rewards_claim")

    served.ok("PATCH", path(), {"metadata": PLAUSIBLE})
    for operation in ("held_approve", "held_reject"):
        held = served.ok("POST", path("/scores"), {"player_id": "p1", "score": 10_000})
        ids["h_5f0c2a1b9d8e7f6a5b4c3d2e"] = held["held_id"]
        if "held_list_held" in sample.left():
            sample("held_list_held")
        sample(operation)

    sample("webhooks_create", "webhooks_list_all")
    ids["wh_5f0c2b9a41d7e836"] = served.listing("/v1/webhooks")[-1]["webhook_id"]
    sample("webhooks_get", "webhooks_rotate", "webhooks_test", "webhooks_list_deliveries")
    deliveries = served.listing(f"/v1/webhooks/{ids['wh_5f0c2b9a41d7e836']}/deliveries")
    ids["dlv_00000100000007"] = deliveries[0]["delivery_id"]
    sample("webhooks_get_delivery", "webhooks_replay_delivery", "webhooks_replay_deliveries")
    sample("webhooks_patch", "webhooks_delete")

    sample("admin_create_key", "admin_list_keys")
    ids["k_5f0c2b9a41d7e836"] = served.listing("/v1/keys")[-1]["key_id"]
    sample("admin_get_key", "admin_patch_key", "admin_delete_key")
    sample("admin_create_tenant", "admin_list_tenants", "admin_get_tenant", "admin_patch_tenant")
    sample("admin_delete_tenant")

    sample("players_erase", "leaderboards_delete")
    assert not sample.left()
