"""What a worker prints and which signals reach it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from sim.processes import start_deaf


def test_what_the_client_prints_goes_to_a_file_and_what_python_prints_does_not(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from sim.processes import keep_client_quiet
keep_client_quiet(Path({str(tmp_path / "worker.log")!r}))
os.write(1, b"map cache\\n")
os.write(2, b"waiting\\n")
print("mine")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "mine\n")
    assert (tmp_path / "worker.log").read_text() == "map cache\nwaiting\n"


def test_ctrl_c_does_not_reach_a_worker_even_while_it_imports() -> None:
    worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0.2,))
    before = signal.getsignal(signal.SIGINT)  # ignored already where the tests run in the background
    start_deaf(worker)
    assert worker.pid
    os.kill(worker.pid, signal.SIGINT)
    worker.join()
    assert worker.exitcode == 0
    assert signal.getsignal(signal.SIGINT) is before
