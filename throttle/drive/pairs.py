"""What perception told beside the truth, look by look: kept by `throttle drive --pairs true`, a file a route."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from contracts import Scene
from planning.pairs import Told
from planning.scenes import MOST_OBJECTS, from_scenes
from sim.driving.route import near
from sim.driving.surroundings import Surroundings

PAIRS = "pairs"
"""Folder of these files in a run's folder."""


def pairs_file(run: Path, key: str) -> Path:
    """Where a run keeps the looks of the job with this key."""
    return run / PAIRS / f"{key.replace('/', '-')}.npz"


class Pairs:
    """The looks of a route."""

    def __init__(self) -> None:
        self._true: list[Scene] = []
        self._told: list[Scene] = []
        self._ids: list[np.ndarray] = []
        self._times: list[float] = []

    def add(self, true: Scene, told: Scene, around: Surroundings) -> None:
        """A look; `true` was made of `around`."""
        ids = np.full(MOST_OBJECTS, -1, np.int64)
        rows = near(around, MOST_OBJECTS)
        ids[: len(rows)] = around.id[rows]
        self._true.append(true)
        self._told.append(told)
        self._ids.append(ids)
        self._times.append(around.time)

    def write(self, path: Path) -> None:
        """As a file of planning.pairs; nothing where there was no look."""
        if self._true:
            true, told = (from_scenes(scenes, MOST_OBJECTS, 64) for scenes in (self._true, self._told))
            Told(true, told, np.stack(self._ids), np.array(self._times)).write(path)
