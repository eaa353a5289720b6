"""The kill points of the crash tests name methods that exist: else their servers do not start."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from tests.support.crash.killed.sitecustomize import WATCHED


def methods() -> Iterator[tuple[str, str, str]]:
    for module, labels in WATCHED.items():
        for label in labels:
            owner, name = label.split(".")
            yield module, owner, name


def test_kill_points_exist() -> None:
    for module, owner, name in methods():
        assert callable(getattr(getattr(importlib.import_module(module), owner), name)), (module, owner, name)
