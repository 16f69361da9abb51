"""A server of our own in a process that ends with its parent: `python -m sim.recorder.hosted`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from contracts import UserError
from sim.processes import die_with_parent, last_words


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
