"""True Scenes and what a perception told of the same moments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contracts import UserError
from planning.scenes import Scenes


@dataclass(frozen=True)
class Told:
    """M consecutive looks of one route. true, told: NumPy Scenes [M]. ids [M, N]: of the true objects, -1 beyond the
    last. time [M] seconds."""

    true: Scenes
    told: Scenes
    ids: NDArray[np.int64]
    time: NDArray[np.float64]

    def write(self, path: Path) -> None:
        """As a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fields = {
            f"{name}.{key}": value for name in ("true", "told") for key, value in getattr(self, name)._asdict().items()
        }
        np.savez_compressed(path, ids=self.ids, time=self.time, **fields)

    @staticmethod
    def read(path: Path) -> Told:
        """From a file; raises UserError where it is none."""
        try:
            with np.load(path) as found:
                true, told = (Scenes(*(found[f"{name}.{key}"] for key in Scenes._fields)) for name in ("true", "told"))
                return Told(true, told, found["ids"], found["time"])
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{path}: no pairs of Scenes: {error}") from None
