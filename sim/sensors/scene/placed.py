"""What the rules that dress a town have placed so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
FIRST_ID = 32768
"""Instance ids of what stands; actors have lower ones."""


@dataclass
class Placed:
    """Lamp heads [n, 3] and the next free instance id."""

    lamps: list[F64] = field(default_factory=list)
    next_id: int = FIRST_ID

    def take(self) -> int:
        """A fresh instance id."""
        self.next_id += 1
        return self.next_id - 1
