"""What the processes of one server cost: CPU time and memory by kind of process.

CPU time is user and system time of /proc/*/stat, in a span between two looks. Memory is the proportional set
size (PSS): pages that several processes share are divided among them, so that a sum counts no page twice.
A process that began within a span counts with all its time, and one that ended with what was seen last.
"""

from __future__ import annotations

import contextlib
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from tests.support.server_process import Server, command_line  # noqa: E402

# What a command line (or title) begins with, or has in it -> the kind of process, the first that fits.
KINDS = (
    ("ray::PeriodActor", "period actors"),
    ("ray::Supervisor", "supervisor"),
    ("ray::IDLE", "idle workers of Ray"),
    ("ray::DashboardAgent", "agents of Ray"),
    ("ray::RuntimeEnvAgent", "agents of Ray"),
    ("raylet/raylet", "raylet"),
    ("gcs/gcs_server", "gcs_server"),
    ("lbactors serve", "gateways"),
)


class Span(NamedTuple):
    """CPU seconds of one kind of process in a span of time, and what it holds at its end."""

    processes: int
    cpu_s: float
    pss_mb: float


def kind_of(words: str) -> str:
    """The kind of a process, from its command line."""
    return next((kind for mark, kind in KINDS if mark in words), "others")


def cpu_times_s(processes: Iterable[psutil.Process]) -> dict[psutil.Process, float]:
    """User and system time of each process that lives."""
    found = {}
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            found[process] = times.user + times.system
    return found


def looked_at(server: Server) -> dict[psutil.Process, float]:
    """The server's processes now, with the CPU time that each has used."""
    return cpu_times_s(server.processes())


def span_since(server: Server, before: dict[psutil.Process, float]) -> dict[str, Span]:
    """By kind of process: CPU since `before`, memory now."""
    counts: dict[str, int] = defaultdict(int)
    cpu_s: dict[str, float] = defaultdict(float)
    pss_mb: dict[str, float] = defaultdict(float)
    for process, used_s in looked_at(server).items():
        with contextlib.suppress(psutil.NoSuchProcess):
            kind = kind_of(" ".join(command_line(process.pid)))
            counts[kind] += 1
            cpu_s[kind] += used_s - before.get(process, 0.0)
            pss_mb[kind] += process.memory_full_info().pss / 1e6
    return {kind: Span(counts[kind], cpu_s[kind], pss_mb[kind]) for kind in sorted(counts)}


def total(spans: dict[str, Span]) -> Span:
    """All kinds together."""
    columns = list(zip(*spans.values(), strict=True))
    return Span(sum(columns[0]), sum(columns[1]), sum(columns[2]))
