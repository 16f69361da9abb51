"""Processes that we start: which signals reach them, what they print, how they end with their parent, and why."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when process `parent` (which started it) ends; Linux."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def start_deaf(process: BaseProcess) -> None:
    """Start a process that a terminal's Ctrl-C does not reach: the parent answers it, and ends its children itself.

    For the main thread. (A child that ignores the signal by itself still shows a traceback while it imports.)
    """
    answer = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, answer)


def keep_client_quiet(log: Path) -> None:
    """Send what the CARLA client's own code prints into a file: it would disturb a progress bar and tell nothing.

    What Python prints stays where it went, so that a part of one's own can be looked into with `print`.
    """
    terminal = os.dup(2)
    with open(log, "ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.stdout = sys.stderr = open(terminal, "w", buffering=1, encoding="utf-8")  # noqa: SIM115 - to the process's end


def last_words(process: subprocess.Popen[str], said: str) -> str:
    """Why a process is not what it should be: the signal that ended it, else the last line of what it `said`."""
    code = process.poll()
    if code is not None and code < 0:
        return f"it was ended by signal {-code}"
    return (said.strip().splitlines() or ["it said nothing"])[-1].removeprefix("throttle: ")
