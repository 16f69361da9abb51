"""The truth around an ego in the town's frame: what a privileged driver, a referee and a recorder look at.

Made from a batched world by `from_world`, from any CARLA server by `sim.driving.carla_view.CarlaView`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contracts import Ego, ObjectClass
from sim.world import fields as f
from sim.world.presets import OBJECT_CLASS, BodyType
from sim.world.world import World

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

WALKER_IDS, STATIC_IDS = 10_000, 20_000
"""In a batched world an id is the slot of a vehicle, or the slot of a pedestrian or obstacle on top of these."""
_CLASS_OF_BODY = np.array([OBJECT_CLASS[kind] for kind in BodyType], np.int32)


@dataclass(frozen=True)
class Collision:
    """What a server's collision sensor reported: the other actor's id and class. Walls and houses have id 0."""

    id: int
    kind: ObjectClass


@dataclass(frozen=True)
class Surroundings:
    """N other actors around an ego, in the town's frame (CARLA's: x forward, y right, z up; metres, radians, m/s).

    time: seconds. pose: [6] float32 x, y, z, roll, pitch, yaw of the ego; its centre on the ground. ego: its own motion
    and size. velocity_of_ego: [2] over ground, town axes. id: [N] int64. kind: [N] int32 ObjectClass. place: [N, 3]
    float32 middle of the body in the plane, height of its foot. yaw: [N]. velocity: [N, 2] over ground, town axes.
    half_extent: [N, 3] along and across its heading, and up. lights: [S] int32, LightState of each traffic light of
    the network's lane tables (`LaneTables.light` says which lanes it binds; the stop line is such a lane's begin).
    on_duty: [N] emergency vehicles with their blue lights on.
    collisions: what a collision sensor reported since the last look; empty where there is none, as bodies that touch
    are seen without.
    """

    time: float
    pose: F32
    ego: Ego
    velocity_of_ego: F32
    id: I64
    kind: I32
    place: F32
    yaw: F32
    velocity: F32
    half_extent: F32
    lights: I32
    on_duty: NDArray[np.bool_]
    collisions: tuple[Collision, ...] = ()

    def __len__(self) -> int:
        return len(self.id)

    @cached_property
    def away(self) -> F32:
        """[N] metres from the ego's centre to theirs, in the plane."""
        away: F32 = np.hypot(self.place[:, 0] - self.pose[0], self.place[:, 1] - self.pose[1])
        return away

    @property
    def x(self) -> float:
        """Of the ego."""
        return float(self.pose[0])

    @property
    def y(self) -> float:
        """Of the ego."""
        return float(self.pose[1])

    @property
    def yaw_of_ego(self) -> float:
        """Radians."""
        return float(self.pose[5])


def from_world(world: World, w: int = 0, ego: int = 0) -> Surroundings:
    """The surroundings of an ego of world `w` as its state is now."""
    b = world.state.buffers
    vf, vi, pf, pi, of, oi = b.vf[w], b.vi[w], b.pf[w], b.pi[w], b.of[w], b.oi[w]
    cars = np.flatnonzero(vi[f.V_MODE] != f.ABSENT)
    cars = cars[cars != ego]
    people, things = np.flatnonzero(pi[f.P_MODE] != f.ABSENT), np.flatnonzero(oi[f.O_MODE] != f.ABSENT)
    bodies = np.concatenate([vf[:8, cars], pf[:8, people], of[:8, things]], axis=1)
    height = np.concatenate([vf[f.HALF_HEIGHT, cars], pf[f.P_HALF_HEIGHT, people], of[f.O_HALF_HEIGHT, things]])
    cos, sin = vf[f.COS, cars], vf[f.SIN, cars]
    velocity = np.zeros((bodies.shape[1], 2), np.float32)
    n, m = len(cars), len(people)
    velocity[:n, 0] = vf[f.SPEED, cars] * cos - vf[f.SIDE_SPEED, cars] * sin
    velocity[:n, 1] = vf[f.SPEED, cars] * sin + vf[f.SIDE_SPEED, cars] * cos
    velocity[n : n + m, 0], velocity[n : n + m, 1] = pf[f.P_VX, people], pf[f.P_VY, people]
    own = vf[:, ego]
    wheel = float(own[f.WHEEL]) / max(float(own[f.MAX_WHEEL]), 0.01)
    return Surroundings(
        time=float(b.wf[w, f.W_TIME]),
        pose=np.array([own[f.X], own[f.Y], own[f.Z], 0.0, own[f.PITCH], own[f.YAW]], np.float32),
        ego=Ego(
            float(own[f.SPEED]), float(own[f.ACCEL]), float(own[f.YAW_RATE]), min(max(wheel, -1.0), 1.0),
            2.0 * float(own[f.HALF_LENGTH]), 2.0 * float(own[f.HALF_WIDTH]),
        ),
        velocity_of_ego=np.array(
            [own[f.SPEED] * own[f.COS] - own[f.SIDE_SPEED] * own[f.SIN],
             own[f.SPEED] * own[f.SIN] + own[f.SIDE_SPEED] * own[f.COS]], np.float32,
        ),
        id=np.concatenate([cars, people + WALKER_IDS, things + STATIC_IDS]).astype(np.int64),
        kind=np.concatenate([
            _CLASS_OF_BODY[vi[f.V_KIND, cars]],
            np.full(m, ObjectClass.PEDESTRIAN, np.int32), np.full(len(things), ObjectClass.STATIC, np.int32),
        ]),
        place=np.ascontiguousarray(bodies[[f.X, f.Y, f.Z]].T),
        yaw=bodies[f.YAW].copy(),
        velocity=velocity,
        half_extent=np.stack([bodies[f.HALF_LENGTH], bodies[f.HALF_WIDTH], height], axis=1),
        lights=b.li[w, f.L_STATE].copy(),
        on_duty=np.concatenate([(vi[f.V_FLAGS, cars] & f.EMERGENCY) != 0, np.zeros(m + len(things), np.bool_)]),
    )  # fmt: skip
