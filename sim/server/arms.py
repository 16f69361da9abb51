"""Spring arms: attachments that turn after their parent with a delay, and keep out of what stands in the way.

As CARLA hangs an actor on Unreal's spring arm: the arm goes from the parent's origin to the relative place of
attachment. It follows the parent's yaw, not its pitch and roll, by a fixed share of the rest per second, and what hangs
on it looks along it towards the parent, turned by the relative rotation. An arm of the kind SpringArm is raised a
little and drawn in before obstacles; SpringArmGhost goes through them.
"""

from __future__ import annotations

import math
from concurrent.futures import Future
from typing import TYPE_CHECKING

from sim.server.arguments import Pose, Vec
from sim.server.frames import axes, compose, rotate, wrap_degrees
from sim.server.rays import Rays, town_hits
from sim.server.town import Town

if TYPE_CHECKING:
    from sim.server.stage import Stage

SPRING_ARM, SPRING_ARM_GHOST = 1, 2
"""AttachmentType of CARLA; every other value is rigid."""
LAG = 8.0
"""Share of the remaining turn made per second."""
SUBSTEP = 1.0 / 60.0
"""Seconds of the longest step of the lag."""
RAISED = 0.3
"""Metres."""
PROBE = 0.12
"""Radius in metres of the sphere that must fit along the arm."""


class Arm:
    """One spring arm, and how far it has turned."""

    def __init__(self, kind: int, town: Town) -> None:
        self.kind = kind
        self._yaw: float | None = None
        self._target = 0.0
        self._scene: Future[Stage] | None = None
        if kind == SPRING_ARM:
            from sim.server.stage import stage_of  # takes a second to load

            self._scene = stage_of(town)

    def turn(self, yaw: float, dt: float) -> None:
        """Follow the parent's yaw, degrees, for dt seconds; in small steps, as if the parent turned evenly in dt."""
        if self._yaw is None:
            self._yaw = self._target = yaw
            return
        steps = max(1, math.ceil(dt / SUBSTEP - 1e-6))
        by = wrap_degrees(yaw - self._target) / steps
        share = min(1.0, LAG * dt / steps)
        for _ in range(steps):
            self._target += by
            self._yaw += share * wrap_degrees(self._target - self._yaw)

    def end(self, parent: Pose, relative: Pose, rays: Rays, owner: int) -> Pose:
        """The world pose of what hangs on the arm. `owner`: the parent's id; rays do not see it."""
        reach = math.hypot(relative.x, relative.y, relative.z)
        yaw = parent.yaw if self._yaw is None else self._yaw
        level = axes(0.0, yaw, 0.0)
        away = rotate(level, Vec(relative.x, relative.y, relative.z))
        start = Vec(parent.x, parent.y, parent.z + (RAISED if self.kind == SPRING_ARM else 0.0))
        if reach > 0.0 and self._scene is not None:
            free = self._free(start, away, reach, rays, owner)
            away = Vec(*(a * free / reach for a in away))
        pitch, turned = _look(Vec(-relative.x, -relative.y, -relative.z)) if reach > 0.0 else (0.0, 0.0)
        along = Pose(start.x + away.x, start.y + away.y, start.z + away.z, pitch, turned + yaw, 0.0)
        return compose(along, relative._replace(x=0.0, y=0.0, z=0.0))

    def _free(self, start: Vec, away: Vec, reach: float, rays: Rays, owner: int) -> float:
        """Metres of the arm that are free of obstacles; the town counts once its scene stands."""
        end = Vec(*(a + b for a, b in zip(start, away)))
        found = [hit.distance for hit in rays.cast(start, end, PROBE, owner)[:1]]
        if self._scene is not None and self._scene.done() and self._scene.exception() is None:
            longer = Vec(*(a + b * (1.0 + PROBE / reach) for a, b in zip(start, away)))
            found += [hit.distance - PROBE for hit in town_hits(self._scene.result().fixed, start, longer)[:1]]
        return max(0.0, min([reach, *found]))


def _look(way: Vec) -> tuple[float, float]:
    """Pitch and yaw, degrees, of a direction."""
    return math.degrees(math.atan2(way.z, math.hypot(way.x, way.y))), math.degrees(math.atan2(way.y, way.x))
