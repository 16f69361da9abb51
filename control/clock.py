"""How long a training takes, over all its parts: one that was stopped goes on counting where it was."""

from __future__ import annotations

import time
from collections.abc import Callable

Spent = dict[str, float]
"""The fields `seconds`, `cpu_seconds` and `clip_seconds` of a Result."""


class Clock:
    """Seconds of a training by the wall, of its process's CPU time, and of those that clipping took."""

    def __init__(self, clipping: Callable[[], float] = lambda: 0.0) -> None:
        """clipping: seconds that clipping took so far, in this part."""
        self.clipping = clipping
        self._began = time.perf_counter(), time.process_time()
        self._before = {"seconds": 0.0, "cpu_seconds": 0.0, "clip_seconds": 0.0}

    def go_on(self, before: Spent) -> None:
        """Count on from what `read` gave when the training was saved."""
        self._before.update(before)

    def read(self) -> Spent:
        """What was spent so far."""
        now = {
            "seconds": time.perf_counter() - self._began[0],
            "cpu_seconds": time.process_time() - self._began[1],
            "clip_seconds": self.clipping(),
        }
        return {name: self._before[name] + value for name, value in now.items()}
