"""Memory in long runs; benchmarks/server.py runs the same for 500,000 ticks and 200 reloads."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.sim.server.conftest import ENVIRONMENT, ROOT

TICKS, RELOADS = 100_000, 40
STEADY = 8.0
"""MB that may come in four fifths of a run; a list of one entry a tick would take more."""


@pytest.mark.slow
def test_memory_is_steady() -> None:
    words = ["benchmarks/server.py", "--soak-only", "--soak-ticks", str(TICKS), "--reloads", str(RELOADS)]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stdout)
    found = {
        what: [float(size) for size in re.findall(rf"after \d+ {what}.* ([\d.]+) MB", done.stdout)]
        for what in ("ticks", "reloads")
    }
    for sizes in found.values():
        assert len(sizes) == 6
        assert sizes[-1] - sizes[1] < STEADY, done.stdout
