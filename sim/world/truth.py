"""What an ego may know, in arrays: the fields of contracts.Scene for every ego of every world."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contracts import Ego, LightState, Objects, Scene

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class Truth:
    """[W, E, ...] views, written by World.observe(); ego frame (x forward, y right), metres, m/s, radians.

    ego [W, E, 6]: speed, acceleration, yaw rate, steer (-1..1, the wheel's position), length, width.
    objects [W, E, K, 8]: centre x, y; half length, half width; yaw; velocity over ground x, y in ego axes; distance of
    the centre. The nearest K within 80 m, nearest first; rows beyond `count` are 0.
    kind [W, E, K]: contracts.ObjectClass, -1 where there is none. slot [W, E, K]: slot among its kind of actor.
    count [W, E].
    route [W, E, R, 2]: route points 1 m apart, the first at most 1 m ahead; repeats the last where the route ends.
    light [W, E]: contracts.LightState of the next light within 60 m. stop_distance [W, E]: from the centre of the ego
    along the route to the stop line of that light or of a stop sign not yet honoured, inf for none.
    stop_sign [W, E]: 1 if that line belongs to a stop sign. speed_limit [W, E].
    """

    def __init__(self, worlds: int, egos: int, nearest: int, route: int) -> None:
        self.ego: F32 = np.zeros((worlds, egos, 6), np.float32)
        self.objects: F32 = np.zeros((worlds, egos, nearest, 8), np.float32)
        self.kind: I32 = np.full((worlds, egos, nearest), -1, np.int32)
        self.slot: I32 = np.full((worlds, egos, nearest), -1, np.int32)
        self.count: I32 = np.zeros((worlds, egos), np.int32)
        self.route: F32 = np.zeros((worlds, egos, route, 2), np.float32)
        self.light: I32 = np.zeros((worlds, egos), np.int32)
        self.stop_distance: F32 = np.full((worlds, egos), np.inf, np.float32)
        self.stop_sign: I32 = np.zeros((worlds, egos), np.int32)
        self.speed_limit: F32 = np.zeros((worlds, egos), np.float32)

    def scene(self, world: int, ego: int) -> Scene:
        """The contract's Scene of one ego, copied."""
        n = int(self.count[world, ego])
        rows = self.objects[world, ego, :n]
        speed, accel, yaw_rate, steer, length, width = (float(v) for v in self.ego[world, ego])
        return Scene(
            ego=Ego(speed, accel, yaw_rate, steer, length, width),
            objects=Objects(
                kind=self.kind[world, ego, :n].copy(),
                centre=rows[:, 0:2].copy(),
                half_extent=rows[:, 2:4].copy(),
                yaw=rows[:, 4].copy(),
                velocity=rows[:, 5:7].copy(),
                confidence=np.ones(n, np.float32),
            ),
            route=self.route[world, ego].copy(),
            light=LightState(int(self.light[world, ego])),
            stop_distance=float(self.stop_distance[world, ego]),
            stop_sign=bool(self.stop_sign[world, ego]),
            speed_limit=float(self.speed_limit[world, ego]),
        )
