"""The files of `deploy/` are in step with the code, and keep to what docs/operations.md says of them.

Nothing is built or started here: what they run exists and is understood, and what makes them safe is there.
"""

from __future__ import annotations

import configparser
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from lbactors.settings import ServerSettings, env_name
from tests.support.command import understood
from tests.support.repository import REPOSITORY as ROOT

DEPLOY = ROOT / "deploy"
DRAIN_S = ServerSettings.model_fields["drain_seconds"].default
SETTINGS = {env_name(name) for name in ServerSettings.model_fields}
MARGIN_S = 20  # from the end of the drain to the end of Ray's processes


def instructions() -> list[tuple[str, str]]:
    """Instruction and arguments of each step of the Dockerfile."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [(word, rest.strip()) for word, rest in pairs]


def of(name: str) -> list[str]:
    return [rest for word, rest in instructions() if word == name]


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """Sections of a systemd unit: keys, each with all its values."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in (DEPLOY / name).read_text().splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return sections


# The image ------------------------------------------------------------------------------------------------


def test_base_images_are_pinned() -> None:
    assert of("FROM")
    for image in of("FROM"):
        assert re.match(r"python:3\.\d+-slim-\w+( |$)", image), image


def test_the_python_of_the_image_is_one_that_the_package_takes() -> None:
    lowest = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert lowest is not None
    for image in of("FROM"):
        assert int(image.split("-")[0].rpartition(".")[2]) >= int(lowest[1])


def test_the_image_copies_what_there_is() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [rest.split()[:-1] for rest in of("COPY") if not rest.startswith("--from")]
    names = [name for sources in copied for name in sources]
    assert names
    for name in names:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, f"{name} is not sent to the builder"


def test_the_image_runs_as_nobody_special() -> None:
    last_from = max(n for n, (word, _) in enumerate(instructions()) if word == "FROM")
    (user,) = [rest for word, rest in instructions()[last_from:] if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)  # numbers: Kubernetes' runAsNonRoot cannot judge a name


def test_signals_arrive() -> None:
    """The exec form: a shell in between would keep SIGTERM to itself."""
    (entrypoint,), (command,) = of("ENTRYPOINT"), of("CMD")
    arguments = [*json.loads(entrypoint), *json.loads(command)]
    assert arguments[:2] == ["tini", "--"]
    assert understood(arguments[3:]).command.name == "serve"
    assert of("STOPSIGNAL") == ["SIGTERM"]


def test_the_image_has_a_health_check() -> None:
    (check,) = of("HEALTHCHECK")
    _, _, command = check.partition(" CMD ")
    python, option, program = json.loads(command)
    assert (python, option) == ("python", "-c") and "/healthz" in program
    compile(program, "HEALTHCHECK", "exec")


def test_the_environment_of_the_image_is_settings() -> None:
    (line,) = of("ENV")
    ours = {name for name, _, _ in (pair.partition("=") for pair in shlex.split(line)) if "LBACTORS" in name}
    assert ours and ours <= SETTINGS
    assert of("VOLUME") == ["/data"] and "LBACTORS_DATA_DIR=/data" in line


# Compose --------------------------------------------------------------------------------------------------


def compose(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def test_compose_gives_the_server_time_to_end() -> None:
    service = compose("compose.yaml")["services"]["lbactors"]
    assert int(service["stop_grace_period"].removesuffix("s")) >= DRAIN_S + MARGIN_S
    assert all(port.startswith("127.0.0.1:") for port in service["ports"]), "only the proxy may reach it"
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_compose_with_redis_keeps_what_is_acknowledged() -> None:
    services = compose("compose.redis.yaml")["services"]
    assert set(services["lbactors"]["environment"]) <= SETTINGS
    command = services["redis"]["command"]
    told = dict(zip(command[1::2], command[2::2], strict=True))
    assert told["--appendonly"] == "yes" and told["--appendfsync"] == "always"
    assert told["--maxmemory-policy"] == "noeviction"
    assert re.fullmatch(r"redis:7\.\d+-\w+", services["redis"]["image"])
    assert services["redis"]["volumes"] and not services["redis"].get("ports")


# systemd --------------------------------------------------------------------------------------------------


def test_the_unit_starts_and_ends_the_server() -> None:
    service = unit("lbactors.service")["Service"]
    (start,) = service["ExecStart"]
    assert understood(shlex.split(start)[1:]).command.name == "serve"
    assert float(service["TimeoutStopSec"][0]) >= DRAIN_S + MARGIN_S
    assert service["KillMode"] == ["mixed"], "the server ends Ray's processes itself"
    assert service["User"] != ["root"]
    for line in service["Environment"]:
        assert line.partition("=")[0] in SETTINGS
    assert f"LBACTORS_DATA_DIR=/var/lib/{service['StateDirectory'][0]}" in service["Environment"]


@pytest.mark.parametrize("name", ["lbactors.service", "lbactors-backup.service"])
def test_units_are_confined(name: str) -> None:
    service = unit(name)["Service"]
    for key, value in {
        "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
        "UMask": "0077", "StateDirectoryMode": "0700",
    }.items():  # fmt: skip
        assert service[key] == [value], key


def test_the_backup_unit_makes_a_backup() -> None:
    service = unit("lbactors-backup.service")["Service"]
    shell, option, script = shlex.split(service["ExecStart"][0])
    assert (shell, option) == ("/bin/sh", "-c")
    words = shlex.split(script.replace("$$", "$").replace("%%", "%"))
    assert words[0] == "exec" and understood(words[2:]).command.name == "backup"
    (writable,) = service["ReadWritePaths"]
    assert Path(words[3]).parent == Path(writable)
    assert unit("lbactors-backup.timer")["Timer"]["OnCalendar"]


def test_configparser_agrees_on_the_sections() -> None:
    """A line that is no `key=value` would be passed over by systemd with a warning alone."""
    for path in DEPLOY.glob("*.service"):
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.read(path)
        assert parser.has_option("Service", "ExecStart")
