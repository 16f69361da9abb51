"""The batched world: state arrays [worlds, actors] and their step. Numba kernels, no I/O.

`sim.world.world.World` is the door to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.roads.tables import LaneTables, WalkTables


def warm_up(
    tables: LaneTables, walk: WalkTables | None = None, progress: Callable[[str, int, int], None] | None = None
) -> float:
    """Compile all kernels, or load them from the cache on disk; returns seconds.

    `progress(what, done, total)` is called before each part and at the end. Any road network will do: compiled code
    depends on types, not on sizes.
    """
    # here, so that importing the package for its tables of presets stays quick
    import numpy as np

    from sim.world.config import WorldConfig
    from sim.world.world import World

    began = time.perf_counter()
    world = World(tables, walk, WorldConfig())
    parts: tuple[tuple[str, Callable[[], object]], ...] = (
        ("worlds: fresh start", world.reset),
        ("worlds: step", lambda: world.step(np.zeros((1, 1, 3), np.float32))),
        ("worlds: observation", world.observe),
    )
    for done, (what, part) in enumerate(parts):
        if progress is not None:
            progress(what, done, len(parts))
        part()
    if progress is not None:
        progress("worlds: ready", len(parts), len(parts))
    return time.perf_counter() - began
