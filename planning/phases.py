"""One run, several trainings one after the other: each sees a run of its own whose steps begin at 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from contracts.runs import Cell, Progress, RunDirectory, Tracking


class Phase:
    """The part of a run from the step `begin` on, as a RunDirectory; `total`: the step at which the run ends."""

    def __init__(self, run: RunDirectory, begin: int, total: int) -> None:
        self.run, self.begin, self.total = run, begin, total
        self.path = run.path

    def checkpoint(self, step: int, write: Callable[[Path], None]) -> Path:
        """As the run's, at the run's own step."""
        return self.run.checkpoint(self.begin + step, write)

    def latest(self) -> Path | None:
        """The newest checkpoint, where it belongs to this phase and not to the end of the one before."""
        newest = self.run.latest()
        return newest if newest is not None and int(newest.name) > self.begin else None

    def note(self, step: int, total: int, message: str = "") -> None:
        """As the run's."""
        self.run.note(self.begin + step, self.total, message)


class PhaseTracking:
    """The run's tracking, `begin` steps on."""

    def __init__(self, tracking: Tracking, begin: int) -> None:
        self.tracking, self.begin = tracking, begin

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """As the run's."""
        self.tracking.scalars(values, self.begin + step)

    def rows(self, name: str, rows: Sequence[Mapping[str, Cell]]) -> None:
        """As the run's; the columns "step" and "timestep" count from the run's begin."""
        moved = [
            {key: int(value) + self.begin if key in ("step", "timestep") else value for key, value in row.items()}
            for row in rows
        ]
        self.tracking.rows(name, moved)

    def rewind(self, step: int) -> None:
        """Forget what this phase wrote after its `step`; phases before it stay."""
        self.tracking.rewind(self.begin + max(step, 0) if self.begin else step)


class PhaseProgress:
    """The run's progress, `begin` steps on and towards the run's end."""

    def __init__(self, progress: Progress, begin: int, total: int) -> None:
        self.progress, self.begin, self.total = progress, begin, total

    def update(self, step: int, total: int, **figures: float) -> None:
        """As the run's."""
        self.progress.update(self.begin + step, max(self.total, self.begin + step), **figures)
