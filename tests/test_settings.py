"""The settings as `lbactors serve` takes them: where a value comes from, what is refused and how.

Verified for every setting: option, environment variable and help text exist and agree. Not verified: what the
server does with a value; it is replaced here.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from command import ok, refused, run

from lbactors.settings import ServerSettings, env_name, option_name


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServerSettings]:
    """`serve` ends at once with exit code 7; the settings that it would have run with are in this list."""
    settings: list[ServerSettings] = []

    def run_server(given: ServerSettings) -> int:
        settings.append(given)
        return 7

    server = types.ModuleType("gateway.server")
    server.run = run_server  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gateway.server", server)
    for field in ServerSettings.model_fields:
        monkeypatch.delenv(env_name(field), raising=False)
    return settings


def test_an_option_beats_the_environment_beats_the_default(
    served: list[ServerSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LBACTORS_PORT", "9001")
    monkeypatch.setenv("LBACTORS_GATEWAYS", "3")
    monkeypatch.setenv("LBACTORS_DATA_DIR", "")  # set but empty: as if unset
    assert run("serve", "--port", "9002", "--root-key", "lb_secret").exit_code == 7
    (settings,) = served
    assert (settings.port, settings.gateways, settings.host) == (9002, 3, "127.0.0.1")
    assert settings.data_dir == Path("lbactors-data")
    assert settings.root_key is not None and settings.root_key.get_secret_value() == "lb_secret"
    assert "lb_secret" not in repr(settings)


@pytest.mark.parametrize("field", list(ServerSettings.model_fields))
def test_every_setting_is_option_variable_and_help(
    served: list[ServerSettings], monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    samples = {
        "host": "::1", "data_dir": "/tmp/x", "store": "redis://127.0.0.1:6379/2",
        "ray_address": "127.0.0.1:6380",
        "root_key": "lb_x", "log_level": "ERROR", "clock_file": "/tmp/clock", "body_limit_bytes": "2048",
    }  # fmt: skip
    sample = samples.get(field, "17")
    assert run("serve", option_name(field), sample).exit_code == 7
    monkeypatch.setenv(env_name(field), sample)
    assert run("serve").exit_code == 7
    by_option, by_environment = (getattr(settings, field) for settings in served)
    assert by_option == by_environment != ServerSettings.model_fields[field].default
    text = " ".join(ok("serve", "--help").split())
    description = ServerSettings.model_fields[field].description
    assert description and f"{option_name(field)} " in text and env_name(field) in text


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--port", "x", "--port: must be an integer, not 'x'"),
        ("--port", "65536", "--port: must be less than or equal to 65535, not '65536'"),
        ("--gateways", "0", "--gateways: must be greater than or equal to 1, not '0'"),
        ("--store", "mysql://x", "--store: must be sqlite or redis://host:port/db"),
        ("--store", "redis:/:hunter2@x", "--store: must be sqlite or redis://host:port/db"),
        ("--ray-address", "host:99999", "--ray-address: must be local, auto or HOST:PORT, not 'host:99999'"),
        ("--root-key", "a key", "--root-key: must have 1 to 256 visible ASCII characters, no spaces"),
        ("--drain-seconds", "nan", "--drain-seconds: must be a finite number, not 'nan'"),
    ],
)
def test_an_unsupported_value_is_one_line(
    served: list[ServerSettings], monkeypatch: pytest.MonkeyPatch, option: str, value: str, message: str
) -> None:
    assert refused(2, "serve", option, value) == f"error: {message}\n"
    name = option.removeprefix("--").replace("-", "_")
    monkeypatch.setenv(env_name(name), value)
    assert refused(2, "serve") == f"error: {message.replace(option, env_name(name))}\n"
    assert served == []
