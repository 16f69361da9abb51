"""Bird's-eye pictures of a world, drawn with OpenCV from the lane tables and the state."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts import LightState
from sim.roads.tables import LaneTables, StopControl, WalkTables
from sim.world import fields as f
from sim.world.presets import BodyType
from sim.world.state import WorldState

F32 = NDArray[np.float32]
Image = NDArray[np.uint8]
GRASS, PAVEMENT, ASPHALT, JUNCTION = (178, 199, 158), (214, 209, 200), (88, 92, 99), (82, 86, 93)
MARK, AMBER, ZEBRA, ROUTE, EGO = (236, 236, 232), (232, 190, 84), (226, 226, 222), (70, 150, 235), (35, 110, 230)
LIGHTS = {LightState.GREEN: (60, 190, 90), LightState.YELLOW: (240, 190, 50), LightState.RED: (225, 60, 55)}
STOP_SIGN = (190, 40, 45)
BODIES = {
    BodyType.CAR: (232, 232, 236),
    BodyType.VAN: (205, 215, 225),
    BodyType.TRUCK: (226, 178, 96),
    BodyType.BUS: (236, 205, 84),
    BodyType.MOTORCYCLE: (190, 120, 200),
    BodyType.BICYCLE: (120, 200, 190),
}
GLASS, SHADOW, PERSON, OBSTACLE = (52, 66, 84), (70, 74, 80), (228, 110, 60), (240, 130, 30)
OVERSAMPLE = 2
SHIFT = 4
"""Fractional bits of OpenCV's coordinates."""


class Painter:
    """Holds a town's polygons; `paint` draws those near the ego."""

    def __init__(self, lanes: LaneTables, walks: WalkTables) -> None:
        self._lanes = lanes
        side = np.stack([-np.sin(lanes.yaw), np.cos(lanes.yaw)], 1)
        middle = np.stack([lanes.x, lanes.y], 1)
        half = lanes.half_width[:, None]
        self._left, self._right = middle - side * half, middle + side * half
        self._ranges = [slice(int(a), int(a + n)) for a, n in zip(lanes.first_point, lanes.point_count)]
        box = [(middle[r].min(0) - 3.0, middle[r].max(0) + 3.0) for r in self._ranges]
        self._low, self._high = np.array([b[0] for b in box]), np.array([b[1] for b in box])
        self._walk_a = np.stack([walks.x[walks.edge_from], walks.y[walks.edge_from]], 1)
        self._walk_b = np.stack([walks.x[walks.edge_to], walks.y[walks.edge_to]], 1)
        self._walks = walks

    def paint(self, state: WorldState, world: int, size: int, metres: float) -> Image:
        """Picture [size, size, 3] RGB: `metres` across, the ego a third from the bottom, its heading up."""
        wide = size * OVERSAMPLE
        scale = wide / metres
        vehicles = state.vehicles
        x, y, yaw = (float(a[world, 0]) for a in (vehicles.x, vehicles.y, vehicles.yaw))
        sin, cos = np.sin(yaw), np.cos(yaw)
        # world to picture: the ego's right is to the right, its heading up
        turn = np.array([[-sin, cos], [-cos, -sin]]) * scale
        shift = np.array([wide / 2.0, wide * 0.66])
        canvas: Image = np.empty((wide, wide, 3), np.uint8)
        canvas[...] = GRASS

        def pixels(points: NDArray) -> NDArray[np.int32]:
            return np.round(((points - (x, y)) @ turn.T + shift) * (1 << SHIFT)).astype(np.int32)

        def fill(points: NDArray, colour: tuple[int, int, int]) -> None:
            cv2.fillPoly(canvas, [pixels(points)], colour, cv2.LINE_AA, SHIFT)

        def line(points: NDArray, colour: tuple[int, int, int], width: float) -> None:
            thick = max(1, round(width * scale))
            cv2.polylines(canvas, [pixels(points)], False, colour, thick, cv2.LINE_AA, SHIFT)

        reach = metres
        near = np.flatnonzero(((self._low < (x + reach, y + reach)) & (self._high > (x - reach, y - reach))).all(1))
        self._pavements(line, np.array([x, y]), reach)
        self._roadway(fill, line, near)
        self._crossings(fill, np.array([x, y]), reach)
        self._stop_lines(line, near, state, world)
        self._route(line, state, world)
        self._bodies(fill, state, world)
        self._people(canvas, pixels, state, world, scale)
        picture = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
        _legend(picture, state, world)
        return picture

    def _pavements(self, line, centre: NDArray, reach: float) -> None:  # type: ignore[no-untyped-def]
        w = self._walks
        close = np.abs((self._walk_a + self._walk_b) / 2 - centre).max(1) < reach + 60
        for e in np.flatnonzero(close & ~w.edge_crossing):
            line(np.stack([self._walk_a[e], self._walk_b[e]]), PAVEMENT, 2.0 * float(w.edge_half_width[e]))

    def _roadway(self, fill, line, near: NDArray) -> None:  # type: ignore[no-untyped-def]
        lanes = self._lanes
        for lane in near:
            r = self._ranges[lane]
            colour = ASPHALT if lanes.junction[lane] < 0 else JUNCTION
            fill(np.concatenate([self._left[r], self._right[r][::-1]]), colour)
        for lane in near:
            if lanes.junction[lane] >= 0:
                continue
            r = self._ranges[lane]
            if lanes.right[lane] < 0:
                line(self._right[r], MARK, 0.15)
            if lanes.left[lane] < 0:
                line(self._left[r], AMBER, 0.15)
                continue
            edge, step = self._left[r], float(lanes.spacing[lane])
            dash = max(1, round(3.0 / step))
            for start in range(0, len(edge) - 1, 3 * dash):
                line(edge[start : start + dash + 1], MARK, 0.15)

    def _crossings(self, fill, centre: NDArray, reach: float) -> None:  # type: ignore[no-untyped-def]
        w = self._walks
        close = np.abs((self._walk_a + self._walk_b) / 2 - centre).max(1) < reach
        for e in np.flatnonzero(close & w.edge_crossing):
            a, b = self._walk_a[e], self._walk_b[e]
            length = float(np.hypot(*(b - a)))
            if length < 1.0:
                continue
            along = (b - a) / length
            across = np.array([-along[1], along[0]]) * max(float(w.edge_half_width[e]), 1.2)
            for t in np.arange(0.5, length - 0.4, 1.0):
                p, q = a + along * t, a + along * (t + 0.5)
                fill(np.stack([p - across, p + across, q + across, q - across]), ZEBRA)

    def _stop_lines(self, line, near: NDArray, state: WorldState, world: int) -> None:  # type: ignore[no-untyped-def]
        lanes = self._lanes
        for lane in near:
            control = int(lanes.control[lane])
            if control not in (StopControl.LIGHT, StopControl.STOP_SIGN):
                continue
            colour = STOP_SIGN
            if control == StopControl.LIGHT:
                colour = LIGHTS.get(LightState(int(state.signals.state[world, lanes.light[lane]])), MARK)
            first = int(lanes.first_point[lane])
            line(np.stack([self._left[first], self._right[first]]), colour, 0.5)

    def _route(self, line, state: WorldState, world: int) -> None:  # type: ignore[no-untyped-def]
        if state.egos.progress.shape[1] == 0:
            return
        start, end = int(state.egos.progress[world, 0]), int(state.egos.route_points[world, 0])
        ahead = state.buffers.route[world, 0, max(start, 0) : min(start + 80, end), 0:2]
        if len(ahead) > 1:
            line(ahead, ROUTE, 0.35)

    def _bodies(self, fill, state: WorldState, world: int) -> None:  # type: ignore[no-untyped-def]
        o, v = state.statics, state.vehicles
        for i in map(int, np.flatnonzero(o.mode[world] != f.ABSENT)):
            fill(_box(o, world, i), OBSTACLE)
        for i in map(int, np.flatnonzero(v.mode[world] != f.ABSENT)):
            body = EGO if i == 0 and state.egos.progress.shape[1] else BODIES[BodyType(int(v.kind[world, i]))]
            fill(_box(v, world, i, grow=0.12), SHADOW)
            fill(_box(v, world, i), body)
            if float(v.half_length[world, i]) > 1.5:
                fill(_box(v, world, i, along=(0.25, 0.62), across=0.8), GLASS)
                fill(_box(v, world, i, along=(-0.82, -0.6), across=0.75), GLASS)
            if float(v.brake[world, i]) > 0.05 and float(v.speed[world, i]) >= 0.0:
                fill(_box(v, world, i, along=(-1.0, -0.92), across=0.95), LIGHTS[LightState.RED])

    def _people(self, canvas: Image, pixels, state: WorldState, world: int, scale: float) -> None:  # type: ignore[no-untyped-def]
        p = state.walkers
        for i in np.flatnonzero(p.mode[world] != f.ABSENT):
            at = pixels(np.array([[p.x[world, i], p.y[world, i]]]))[0]
            radius = round(0.4 * scale * (1 << SHIFT))
            cv2.circle(canvas, (int(at[0]), int(at[1])), radius, PERSON, -1, cv2.LINE_AA, SHIFT)


def _box(  # type: ignore[no-untyped-def]
    actors, world: int, i: int, along: tuple[float, float] = (-1.0, 1.0), across: float = 1.0, grow: float = 0.0
) -> NDArray:
    """Corners [4, 2] of a part of an actor's box; `along` from tail (-1) to nose (1)."""
    forward = np.array([actors.cos[world, i], actors.sin[world, i]], np.float64)
    right = np.array([-forward[1], forward[0]]) * (float(actors.half_width[world, i]) * across + grow)
    half = float(actors.half_length[world, i]) + grow
    centre = np.array([actors.x[world, i], actors.y[world, i]], np.float64)
    back, front = centre + forward * half * along[0], centre + forward * half * along[1]
    return np.stack([back - right, back + right, front + right, front - right])


def _legend(picture: Image, state: WorldState, world: int) -> None:
    """Speed, limit, light and completion, in a corner."""
    size = picture.shape[0]
    unit = size / 512.0
    picture[: int(34 * unit)] = (picture[: int(34 * unit)] * 0.45).astype(np.uint8)
    speed = float(state.vehicles.speed[world, 0]) * 3.6
    text = f"{speed:3.0f} km/h"
    share = 0.0
    if state.egos.progress.shape[1]:
        text += f"  limit {float(state.egos.speed_limit[world, 0]) * 3.6:.0f}"
        share = float(state.egos.completion[world, 0])
        text += f"  route {100 * share:.0f}%"
        light = LIGHTS.get(LightState(int(state.egos.light[world, 0])))
        if light is not None:
            cv2.circle(picture, (int(size - 20 * unit), int(17 * unit)), int(9 * unit), light, -1, cv2.LINE_AA)
    cv2.putText(picture, text, (int(10 * unit), int(23 * unit)), cv2.FONT_HERSHEY_SIMPLEX, 0.55 * unit,
                (255, 255, 255), max(1, round(unit)), cv2.LINE_AA)  # fmt: skip
    picture[int(34 * unit) : int(37 * unit), : int(size * min(max(share, 0.0), 1.0))] = ROUTE
