"""A start: what it waits for, what it says meanwhile, and how it ends where that does not come."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.server import run
from gateway.server.server import _wait_for_ray
from lbactors.settings import ServerSettings
from lbactors.wire.actors import ActorGone
from tests.support.free_ports import free_port


class Cluster:
    """Stands in for `lbactors.cluster.Cluster`: a Ray whose supervisor answers as told."""

    address = ""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def start_local(self) -> None: ...

    def close(self) -> None: ...

    def supervisor(self, settings: Any) -> Any:
        return SimpleNamespace(name="supervisor", call=self.call)

    async def call(self, method: str, *_: bytes, timeout_s: float | None = None) -> bytes:
        raise NotImplementedError


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    key = "lb_of-a-server-that-does-not-start"
    return ServerSettings(data_dir=tmp_path / "data", port=free_port(), root_key=key, start_seconds=0.05)


@pytest.mark.parametrize(
    ("error", "told"),
    [(TimeoutError(), "it does not answer"), (ActorGone("supervisor: the store is away\nand more"), "store")],
    ids=["late", "gone"],
)
def test_a_start_without_a_supervisor_says_so_and_ends(
    settings: ServerSettings,
    error: Exception,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Away(Cluster):
        async def call(self, method: str, *_: bytes, timeout_s: float | None = None) -> bytes:
            raise error

    monkeypatch.setattr("lbactors.cluster.Cluster", Away)
    monkeypatch.setattr("lbactors.service.catalogue.ANNOUNCED_AFTER_S", 0.0)
    assert run(settings) == 2
    waiting, ended = capsys.readouterr().err.splitlines()
    assert waiting.startswith("still starting: waiting for the supervisor, up to 0.05 s")
    assert ended.startswith("error: the supervisor did not answer within 0.05 s: ") and told in ended


def test_a_supervisor_that_cannot_be_made_is_one_line(
    settings: ServerSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Headless(Cluster):
        def supervisor(self, settings: Any) -> Any:
            raise ActorGone("supervisor: Ray's head is away")

    monkeypatch.setattr("lbactors.cluster.Cluster", Headless)
    assert run(settings) == 2
    assert capsys.readouterr().err == "error: no supervisor can be started: supervisor: Ray's head is away\n"


def test_a_ray_that_nobody_serves_is_waited_for_and_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Ray itself tries for a quarter of an hour."""
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(OSError, match="refused"):
        _wait_for_ray(address, 0.3)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"waiting for Ray at {address}, up to 0.3 s: ")


def test_a_ray_that_answers_is_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        _wait_for_ray(f"127.0.0.1:{there.getsockname()[1]}", 0.0)
    _wait_for_ray("auto", 0.0)
    assert capsys.readouterr().err == ""
