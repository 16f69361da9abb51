"""Memory in long runs, those of `python benchmarks/server.py --soak-only --soak-ticks 500000 --reloads 200`."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.sim.server.conftest import ENVIRONMENT, ROOT

STEADY = 8.0
"""MB that may come in four fifths of a run; a list of one entry a tick would take more."""


@pytest.mark.slow
@pytest.mark.parametrize(("what", "options"), [("ticks", ("500000", "0")), ("reloads", ("0", "200"))])
def test_memory_is_steady(what: str, options: tuple[str, str]) -> None:
    ticks, reloads = options
    words = ["benchmarks/server.py", "--soak-only", "--soak-ticks", ticks, "--reloads", reloads]
    sizes = []
    with subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            found = re.match(rf"after \d+ {what}.* ([\d.]+) MB", line)
            sizes += [float(found[1])] if found else []
    assert process.returncode == 0
    assert len(sizes) == 6
    assert sizes[-1] - sizes[1] < STEADY
