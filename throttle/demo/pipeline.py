"""Does the stages in their order, each in a process of its own; what is done is not done again."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from contracts import UserError
from sim.processes import die_with_parent
from throttle.demo.config import STAGES
from throttle.demo.stages import Stages

TITLES = {
    "record": "record: a rule-based expert drives; cameras, lidar and the truth are written",
    "perception": "train perception: pictures and lidar to a Scene",
    "planning": "train planning: a Scene to a Plan",
    "control": "train control, clipped and unclipped, and compare",
    "drive": "drive the whole stack in a town that nothing was trained in",
    "report": "report",
}
STOPPED = 130
DIVERGED = 3


class Stopped(Exception):
    """The user stopped a stage; calling again goes on."""


def run(stages: Stages, wanted: Sequence[str], console: Any, note: Callable[[int, str], None]) -> dict[str, float]:
    """Do the wanted stages (all but the report); returns seconds by stage that was done now.

    note: told (number of stages done, the stage that begins). Raises Stopped, and UserError where a stage fails.
    """
    took: dict[str, float] = {}
    for number, stage in enumerate(name for name in STAGES if name in wanted and name != "report"):
        note(number, stage)
        title = f"[bold]{STAGES.index(stage) + 1} of {len(STAGES)}[/] {TITLES[stage]}"
        if stages.state(stage) == "done":
            console.print(f"{title} [dim](done before)[/]", highlight=False)
            continue
        lacking = stages.lacking(stage)
        if lacking:
            raise UserError(f"stage {stage} needs {' and '.join(lacking)} first")
        console.print(title, highlight=False)
        began = time.monotonic()
        words = stages.command(stage)
        console.print(f"[dim]throttle {shlex.join(words)}[/]", highlight=False, soft_wrap=True)
        code = _call(words)
        if code == STOPPED:
            raise Stopped(stage)
        if code not in (0, DIVERGED) or stages.state(stage) != "done":
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise UserError(f"stage {stage} failed ({how}); what it said is above. Calling the same again goes on")
        took[stage] = time.monotonic() - began
    return took


def _call(words: Sequence[str]) -> int:
    """Run a verb in a process that ends with this one; Ctrl-C and SIGTERM reach it, and it saves. Its exit code."""
    parent = os.getpid()
    process = subprocess.Popen(
        [sys.executable, "-m", "throttle.cli", *words], preexec_fn=lambda: die_with_parent(parent)
    )
    # a terminal's Ctrl-C reaches the child by itself; a kill of this process alone does not
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
