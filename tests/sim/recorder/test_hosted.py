"""A server that does not come up says why."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from contracts import UserError
from sim.recorder.hosted import HostedServer


def kill_child() -> None:
    """Kill the first server that this process starts, as soon as it is there."""
    while True:
        time.sleep(0.01)
        for task in Path(f"/proc/{os.getpid()}/task").iterdir():
            for child in (task / "children").read_text().split():
                if "sim.recorder.hosted" in Path(f"/proc/{child}/cmdline").read_text():
                    os.kill(int(child), signal.SIGKILL)
                    return


def test_a_server_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did not start: map 'Nowhere' not found"):
        HostedServer("Nowhere", tmp_path)
    killer = threading.Thread(target=kill_child)
    killer.start()
    with pytest.raises(UserError, match=re.escape("did not start: it was ended by signal 9")):
        HostedServer("Alder", tmp_path)
    killer.join()
