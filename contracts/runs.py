"""What a training run offers to the subsystem that trains in it: a place for checkpoints and a place for numbers.

The application implements both (`throttle.runs.Run`, `throttle.tracking.Tracker`); a subsystem knows only these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

Cell = float | int | str | bool


class RunDirectory(Protocol):
    """One run's folder."""

    path: Path

    def checkpoint(self, step: int, write: Callable[[Path], None]) -> Path:
        """Have `write` fill an empty folder and keep it, whole or not at all; returns where it lies."""
        ...

    def latest(self) -> Path | None:
        """The newest checkpoint that is whole, None where there is none."""
        ...

    def note(self, step: int, total: int, message: str = "") -> None:
        """Record how far the run is."""
        ...


class Tracking(Protocol):
    """Where numbers, tables and pictures go. No method ever raises or blocks because a service is away."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Numbers of one moment; `step` is what the horizontal axis of their plots shows."""
        ...

    def rows(self, name: str, rows: Sequence[Mapping[str, Cell]]) -> None:
        """Append rows to the run's file `name`.csv; every row has the columns of the first."""
        ...

    def rewind(self, step: int) -> None:
        """Forget what was written after `step` (a row's "timestep", else its "step"): the run goes on from there."""
        ...


class Progress(Protocol):
    """What the user watches."""

    def update(self, step: int, total: int, **figures: float) -> None:
        """`figures` are shown by name beside the bar, e.g. fps, return, clipped."""
        ...
