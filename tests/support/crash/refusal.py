"""A start of a server that must be refused."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time

import psutil

from tests.support.crash.server_process import Server, environment, session_of
from tests.support.repository import REPOSITORY

REFUSED_WITHIN_S = 30.0  # a test machine may be very busy; else it takes 1 to 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2  # linux/capability.h
PR_CAPBSET_DROP = 24  # linux/prctl.h


def without_privilege() -> None:
    """In a child before exec: modes of files count for root, too."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


def refusal(server: Server) -> str:
    """The one line of a start that must fail: exit code 2, nothing on stdout, no process left."""
    began_s = time.monotonic()
    with subprocess.Popen(
        server.command,
        cwd=REPOSITORY,
        env=environment(TMPDIR=str(server.folder)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=without_privilege,  # nothing but a system call happens in it
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=REFUSED_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            raise
    took_s = time.monotonic() - began_s
    left = [pid for pid in psutil.pids() if session_of(pid) == process.pid]
    assert (process.returncode, stdout, left) == (2, "", []), (process.returncode, stdout, stderr, left)
    lines = stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), f"after {took_s:.1f} s: {stderr}"
    return lines[0]
