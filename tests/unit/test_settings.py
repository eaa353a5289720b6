"""The settings as `lbactors serve` takes them: where a value comes from, what is refused and how.

Verified for every setting: option, environment variable and help text exist and agree. Not verified: what the
server does with a value; it is replaced here.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import msgpack
import pytest

from lbactors.actor_settings import ActorSettings
from lbactors.settings import ServerSettings, env_name, option_name
from tests.support.command import ok, refused, run

STORES = (
    "must be sqlite or a Redis URL: redis://host:port/db, redis+cluster://host:port,host:port or "
    "redis+sentinel://host:port/service"
)

ORIGINS = "must be * or origins between commas, each scheme://host or scheme://host:port"


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
        "host": "::1", "data_dir": "/tmp/x", "store": "redis://127.0.0.1:6379/2", "accept_older_store": "yes",
        "webhook_public_targets": "yes", "cors_origins": "https://game.example",
        "ray_address": "127.0.0.1:6380", "plugins": "a.b:C.d,e", "plugin_failure": "hold",
        "root_key": "lb_x", "log_level": "ERROR", "clock_file": "/tmp/clock", "body_limit_bytes": "2048",
    }  # fmt: skip
    sample = samples.get(field, "17")
    is_flag = ServerSettings.model_fields[field].annotation is bool
    assert run("serve", option_name(field), *([] if is_flag else [sample])).exit_code == 7
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
        ("--store", "mysql://x", f"--store: {STORES}"),
        ("--store", "redis:/:hunter2@x", f"--store: {STORES}"),
        ("--store", "redis://:hunter2@a,b",
         "--store: redis://a,b: several hosts need redis+cluster:// or redis+sentinel://"),
        ("--store", "redis://h/0?timeout_ms=soon",
         "--store: redis://h/0: timeout_ms must be a number from 10 to 600000, not 'soon'"),
        ("--store", "rediss://:hunter2@h?verify=yes&ca=ca.pem",
         "--store: ca must be an absolute path, the same on every machine of the cluster"),
        ("--lease-seconds", "0", "--lease-seconds: must be greater than 0, not '0'"),
        ("--ray-address", "host:99999", "--ray-address: must be local, auto or HOST:PORT, not 'host:99999'"),
        ("--root-key", "a key", "--root-key: must have 1 to 256 visible ASCII characters, no spaces"),
        ("--plugins", "a b", "--plugins: must be module or module:object each, between commas, not 'a b'"),
        ("--cors-origins", "https://a.example/", f"--cors-origins: {ORIGINS}, not 'https://a.example/'"),
        ("--plugin-failure", "x", "--plugin-failure: must be 'accept', 'hold' or 'refuse', not 'x'"),
        ("--drain-seconds", "nan", "--drain-seconds: must be a finite number, not 'nan'"),
    ],
)  # fmt: skip
def test_an_unsupported_value_is_one_line(
    served: list[ServerSettings], monkeypatch: pytest.MonkeyPatch, option: str, value: str, message: str
) -> None:
    assert refused(2, "serve", option, value) == f"error: {message}\n"
    name = option.removeprefix("--").replace("-", "_")
    monkeypatch.setenv(env_name(name), value)
    assert refused(2, "serve") == f"error: {message.replace(option, env_name(name))}\n"
    assert served == []


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("*", "*"),
        (" , ", ""),
        ("HTTPS://Game.Example:443, http://a.example:80,https://game.example",
         "https://game.example,http://a.example"),
        ("http://localhost:8000,http://[::1]:443,capacitor://localhost",
         "http://localhost:8000,http://[::1]:443,capacitor://localhost"),
    ],
)  # fmt: skip
def test_origins_are_kept_as_browsers_send_them(
    served: list[ServerSettings], written: str, kept: str
) -> None:
    assert run("serve", "--cors-origins", written).exit_code == 7
    assert served[0].cors_origins == kept


@pytest.mark.parametrize(
    "written",
    [
        "null",
        "game.example",
        "https://*.example",
        "https://a,*",
        "https://a/b",
        "https://u@a",
        "https://bücher.example",
    ],
)
def test_no_origins(served: list[ServerSettings], written: str) -> None:
    assert (
        refused(2, "serve", "--cors-origins", written)
        == f"error: --cors-origins: {ORIGINS}, not {written!r}\n"
    )


def test_a_flag_of_the_environment(served: list[ServerSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("yes", "no", "True", "False"):  # the last two: as one process of the server tells another
        monkeypatch.setenv("LBACTORS_ACCEPT_OLDER_STORE", text)
        assert run("serve").exit_code == 7
    assert [settings.accept_older_store for settings in served] == [True, False, True, False]
    monkeypatch.setenv("LBACTORS_ACCEPT_OLDER_STORE", "maybe")
    said = "error: LBACTORS_ACCEPT_OLDER_STORE: must be yes or no, not 'maybe'\n"
    assert refused(2, "serve") == said


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:pa%2Fss@10.0.0.1:6380/2?prefix=games&wait_replicas=1&timeout_ms=2000",
        "rediss+cluster://:x@a:7000,b:7001,[::1]:7002/?ca=/etc/ca.pem&verify=no",
        "redis+sentinel://a:26379,b:26379/mymaster/1?sentinel_user=s&sentinel_password=t",
    ],
)
def test_a_store_url_stays_as_it_was_written(
    served: list[ServerSettings], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    assert run("serve", "--store", url).exit_code == 7
    monkeypatch.setenv("LBACTORS_STORE", str(served[0].model_dump(mode="json")["store"]))
    assert run("serve").exit_code == 7
    assert [settings.store for settings in served] == [url, url]
    assert all(url not in repr(settings) for settings in served)


def test_a_store_that_is_refused_is_told_by_where_it_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(2, "verify", "--store", "mysql://x") == f"error: --store: {STORES}\n"
    words = ("migrate", "--from", "mysql://x", "--to", "sqlite:there")
    assert refused(2, *words) == f"error: --from: {STORES}\n"
    monkeypatch.setenv("LBACTORS_STORE", "mysql://x")
    assert refused(2, "verify") == f"error: LBACTORS_STORE: {STORES}\n"


def test_actors_are_told_what_the_server_was(tmp_path: Path) -> None:
    server = ServerSettings(data_dir=tmp_path, held_limit=7, clock_file=tmp_path / "clock")
    told = server.for_actors(store_id="s", server_id="i", server="here", root_key_hash="00")
    assert (told.store_url, told.held_limit) == (f"sqlite:{tmp_path}", 7)
    assert told.clock_file == str(tmp_path / "clock")
    wire = msgpack.unpackb(msgpack.packb(told.to_wire()))
    assert ActorSettings.from_wire({**wire, "of_a_later_version": 1}) == told
