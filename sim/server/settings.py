"""EpisodeSettings: how time runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sim.server import codec
from sim.server.arguments import boolean, integer, items, number, optional
from sim.server.errors import CallError

LONGEST_STEP = 10.0
"""Seconds; a longer fixed step is refused."""


@dataclass(frozen=True)
class Settings:
    """As CARLA's WorldSettings; seconds and metres. What concerns rendering and large maps is kept and reported."""

    synchronous: bool = False
    no_rendering: bool = False
    fixed_delta: float | None = None
    substepping: bool = True
    max_substep_delta: float = 0.01
    max_substeps: int = 10
    max_culling_distance: float = 0.0
    deterministic_ragdolls: bool = False
    tile_stream_distance: float = 3000.0
    actor_active_distance: float = 2000.0
    spectator_as_ego: bool = True

    def wire(self) -> list[Any]:
        """The eleven fields."""
        return [
            self.synchronous, self.no_rendering, codec.optional(self.fixed_delta), self.substepping,
            self.max_substep_delta, self.max_substeps, self.max_culling_distance, self.deterministic_ragdolls,
            self.tile_stream_distance, self.actor_active_distance, self.spectator_as_ego,
        ]  # fmt: skip

    def substeps(self, dt: float) -> int:
        """Steps of the physics within one of the world."""
        if not self.substepping:
            return 1
        return max(1, min(self.max_substeps, math.ceil(dt / self.max_substep_delta - 1e-6)))


def parse(value: Any) -> Settings:
    """From the wire; raises CallError."""
    v = items(value, 11, "settings")
    delta = optional(v[2], "fixed_delta_seconds")
    fixed = None if delta is None else number(delta, "fixed_delta_seconds")
    if fixed is not None and fixed <= 0.0:
        fixed = None
    if fixed is not None and fixed > LONGEST_STEP:
        raise CallError(f"fixed_delta_seconds: {fixed:g} is more than {LONGEST_STEP:g} s")
    step, count = number(v[4], "max_substep_delta_time"), integer(v[5], 1, 64, "max_substeps")
    if step <= 0:
        raise CallError("max_substep_delta_time: must be positive")
    return Settings(
        boolean(v[0]), boolean(v[1]), fixed, boolean(v[3]), step, count, number(v[6]), boolean(v[7]), number(v[8]),
        number(v[9]), boolean(v[10]),
    )  # fmt: skip
