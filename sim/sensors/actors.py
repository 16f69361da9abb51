"""What moves or stands in the way: the state of actors as sensors see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.sensors.meshes import people
from sim.sensors.meshes.designs import Lamp

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
WALKER = 100
"""`kind` of a pedestrian; below it a kind is a Body."""
PROP = 200
"""`kind` of a prop is PROP + its Shape."""
LAMP_BITS = {lamp: 1 << int(lamp) for lamp in Lamp}
PAINTS = np.array(
    [[0.36, 0.02, 0.02], [0.02, 0.05, 0.20], [0.55, 0.55, 0.56], [0.015, 0.015, 0.018], [0.16, 0.17, 0.18],
     [0.68, 0.68, 0.66], [0.04, 0.13, 0.08], [0.48, 0.28, 0.02], [0.02, 0.10, 0.30], [0.25, 0.04, 0.025],
     [0.30, 0.28, 0.24], [0.08, 0.09, 0.11]], np.float32,
)  # fmt: skip


@dataclass
class Actors:
    """N actors in the world frame (z: the ground below them). Build with `Actors.of`."""

    id: I32
    """[N] instance ids, 1 .. 32767."""
    kind: I32
    """[N] Body, WALKER, or PROP + Shape."""
    look: I32
    """[N] which clothes a person wears."""
    pose: F32
    """[N, 6] x, y, z, roll, pitch, yaw; radians, pitch up, roll clockwise seen from behind."""
    size: F32
    """[N, 3] length, width, height of the actor's box: templates are scaled to it; 0 keeps the template's own."""
    paint: F32
    """[N, 3] linear RGB."""
    lamps: I32
    """[N] bits 1 << Lamp."""
    steer: F32
    """[N] angle of the front wheels, radians, positive right."""
    travelled: F32
    """[N] metres driven or walked: turns wheels, pedals and legs. A standing person has a negative value."""
    velocity: F32
    """[N, 3] m/s, for radar."""
    shown: NDArray[np.bool_]
    """[N] whether cameras and rays meet it: not so the vehicle whose driver's eyes they are. Its lamps shine all the
    same."""

    @staticmethod
    def of(kind: list[int] | I32, pose: NDArray, **more: NDArray) -> Actors:
        """Actors of these kinds and poses [N, 3] (x, y, yaw) or [N, 6]; other fields may be given, else defaults."""
        kinds = np.asarray(kind, np.int32)
        n = len(kinds)
        p = np.asarray(pose, np.float32).reshape(n, -1 if n else 6)
        if p.shape[1] == 3:
            p = np.stack([p[:, 0], p[:, 1], 0 * p[:, 0], 0 * p[:, 0], 0 * p[:, 0], p[:, 2]], 1)
        ids = np.arange(1, n + 1, dtype=np.int32)
        values: dict[str, NDArray] = {
            "id": ids,
            "look": ids * 7 % people.LOOKS,
            "size": np.zeros((n, 3), np.float32),
            "paint": PAINTS[(ids * 5 + ids // 7) % len(PAINTS)],
            "lamps": np.zeros(n, np.int32),
            "steer": np.zeros(n, np.float32),
            "travelled": np.where(kinds == WALKER, -1.0, 0.0).astype(np.float32),
            "velocity": np.zeros((n, 3), np.float32),
            "shown": np.ones(n, np.bool_),
        }
        for name, value in more.items():
            values[name] = np.asarray(value, values[name].dtype)
        return Actors(kind=kinds, pose=np.ascontiguousarray(p), **values)

    def __len__(self) -> int:
        return len(self.id)


def rotations(roll: F32, pitch: F32, yaw: F32) -> F32:
    """[N, 3, 3] local -> world (columns: forward, right, up), CARLA's convention."""
    cr, sr, cp, sp, cy, sy = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    forward = np.stack([cy * cp, sy * cp, sp], -1)
    right = np.stack([cy * sp * sr - sy * cr, sy * sp * sr + cy * cr, -cp * sr], -1)
    up = np.stack([-cy * sp * cr - sy * sr, -sy * sp * cr + cy * sr, cp * cr], -1)
    return np.stack([forward, right, up], -1).astype(np.float32)
