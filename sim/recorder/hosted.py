"""A server of our own in a process that ends with its parent: `python -m sim.recorder.hosted`."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO

from contracts import UserError

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


class HostedServer:
    """`throttle sim serve` on any free port, for this machine only. Raises UserError where it does not start."""

    def __init__(self, town: str, folder: Path, number: int = 0, maps: str = "", threads: int = 1) -> None:
        """folder: where its log `server-<number>.log` goes. maps: folder of further towns. threads: for pictures."""
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / f"server-{number}.log"
        environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads)}
        words = [sys.executable, "-m", "sim.recorder.hosted", str(os.getpid()), town, maps]
        self.wanted = True
        self._log: IO[str] = open(log, "a", encoding="utf-8")  # noqa: SIM115 - open as long as the server
        self.process = subprocess.Popen(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        found = re.search(r":(\d+)$", self.process.stdout.readline().strip())
        if not found:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            how = last_words(self.process, log.read_text(encoding="utf-8"))
            self.stop()
            raise UserError(f"the simulator's server did not start: {how}")
        self.port = int(found[1])

    def alive(self) -> bool:
        """It runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End it."""
        self.wanted = False
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()


def main() -> None:
    """Serve until told to end."""
    die_with_parent(int(sys.argv[1]))
    from sim.server.config import ServeConfig
    from sim.server.serve import run

    # its one client waits for the first camera
    maps = Path(sys.argv[3]) if sys.argv[3] else None
    try:
        run(ServeConfig(town=sys.argv[2], port=0, maps=maps, prepare=False))
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
