"""A fuzzer over the OpenAPI document finds no 500, no undocumented status, no answer that breaks its schema.

The server is one of its own, since the fuzzer deletes what it finds. LBACTORS_FUZZ_EXAMPLES sets how many
requests it makes for each operation (default 4, in the long form 24), LBACTORS_TEST_SEED the seed. The long
form also tries every value at the edges of the document's schemas.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from lbactors.demo.own_server import OwnServer
from tests.support.api.client import Api, Transport
from tests.support.repository import REPOSITORY, python_path
from tests.support.rounds import is_long, long, rounds

HOOKS = REPOSITORY / "tests" / "support" / "fuzz"
SCORES = "/v1/leaderboards/fuzz/scores"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "negative_data_rejection,positive_data_acceptance,unsupported_method"
)

PHASES = "examples,coverage,fuzzing" if is_long() else "examples,fuzzing"


@long
async def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    async with OwnServer() as server:
        api = Api(Transport(server.url), server.key)
        stand_ins = prepare(api)
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HOOKS / "schemathesis.toml")),
            *("run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {server.key}"),
            *("--checks", CHECKS, "--phases", PHASES),
            *("--max-examples", os.environ.get("LBACTORS_FUZZ_EXAMPLES") or str(rounds(4, 24))),
            *("--seed", os.environ.get("LBACTORS_TEST_SEED", "11"), "--request-timeout", "20"),
        ]
        environment = {
            **os.environ,
            "FUZZ_STAND_INS": json.dumps(stand_ins),
            "SCHEMATHESIS_HOOKS": "tests.support.fuzz.schemathesis_hooks",
            "PYTHONPATH": python_path(),
        }
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=1200,
        )
        # The leaderboard and the key were there to the end, and in use.
        api.ok("POST", SCORES, {"player_id": "p", "score": 1})
        assert api.get("/v1/leaderboards/fuzz/rankings")["total"]
        api.transport.close()
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Test cases:" in done.stdout and "generated" in done.stdout


def prepare(api: Api) -> dict[str, str]:
    """A leaderboard with a few entries, so that reads have something to find; and the stand-ins."""
    rewards = {"tiers": [{"name": "top", "rank_from": 1, "rank_to": 3, "payload": {"gems": 5}}]}
    board = {"leaderboard_id": "fuzz", "windows": ["daily"], "rewards": rewards}
    api.ok("POST", "/v1/leaderboards", board, status=201)
    api.ok("POST", SCORES, [{"player_id": f"p{n}", "score": n * 100} for n in range(30)])
    api.ok("POST", "/v1/leaderboards", {"leaderboard_id": "fuzz-changed"}, status=201)
    api.ok("POST", "/v1/tenants", {"tenant_id": "fuzz-changed"}, status=201)
    (own,) = api.listing("/v1/keys")
    other = api.ok("POST", "/v1/keys", {"name": "other", "scopes": own["scopes"]}, status=201)
    return {
        "leaderboards/fuzz": "fuzz-changed",
        "tenants/default": "fuzz-changed",
        f"keys/{own['key_id']}": other["key_id"],
    }
