"""Scenes as a perception of known errors (planning/errors.py) would have told them.

What errs errs for a while: each error of an object is a normal process of its own whose value fades with a time
constant (Ornstein-Uhlenbeck), and an object is told while such a process is below what the probability of its distance,
class and cover allows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri  # type: ignore[import-untyped]

from contracts import LightState, ObjectClass
from planning.errors import BOUNDS, GHOSTS, GROUP_OF, GROUPS, ErrorConfig
from planning.scenes import (
    CONFIDENCE,
    FAR,
    HALF_LENGTH,
    HALF_WIDTH,
    SPEED,
    STOP_DISTANCE,
    STOP_SIGN,
    VX,
    VY,
    YAW,
    Scenes,
)

LEAST_SURE = 0.3
"""Confidence from which perception tells of an object."""
YAW_RATE = 2
"""Column of Scenes.ego."""
SEEN, ALONG, ACROSS, SPEED_ALONG, SPEED_ACROSS, TURN, FLIP, SURE = range(8)
"""The processes of an object."""
F32 = NDArray[np.float32]


def hidden(scenes: Scenes) -> NDArray[np.bool_]:
    """[B, N] whether the straight line from the ego to an object's centre meets the box of another one before it."""
    objects = scenes.objects
    centre = objects[..., :2]
    away = np.hypot(centre[..., 0], centre[..., 1])
    view = centre / np.maximum(away, 1e-3)[..., None]
    cos, sin = np.cos(objects[..., YAW])[:, None], np.sin(objects[..., YAW])[:, None]
    # the ego's place and each line of sight [B, i, j] in the frame of each box j
    x = -(centre[:, None, :, 0] * cos + centre[:, None, :, 1] * sin)
    y = -(centre[:, None, :, 1] * cos - centre[:, None, :, 0] * sin)
    u = view[:, :, None, 0] * cos + view[:, :, None, 1] * sin
    v = view[:, :, None, 1] * cos - view[:, :, None, 0] * sin
    enter, leave = np.full(u.shape, 0.5, np.float32), np.broadcast_to(away[:, :, None] - 0.3, u.shape)
    for place, way, half in ((x, u, HALF_LENGTH), (y, v, HALF_WIDTH)):
        way = np.where(np.abs(way) < 1e-6, 1e-6, way)
        one, two = (-objects[:, None, :, half] - place) / way, (objects[:, None, :, half] - place) / way
        enter, leave = np.maximum(enter, np.minimum(one, two)), np.minimum(leave, np.maximum(one, two))
    met = (enter < leave) & (scenes.kind >= 0)[:, None, :]
    count = np.arange(objects.shape[1])
    met[:, count, count] = False
    covered: NDArray[np.bool_] = met.any(2)
    return covered


class Teller:
    """Tells true Scenes as a perception of those errors would, step by step, in many worlds at once."""

    def __init__(
        self, config: ErrorConfig, worlds: int, slots: int, random: np.random.Generator, lines: bool = True
    ) -> None:
        """slots: numbers that the objects of a world have. lines: whether lights and stop lines err as well."""
        self.config = c = config
        self._random, self._with_lines = random, lines
        self._seen = np.array([c.seen[name] for name in GROUPS])
        self._told_as = np.cumsum([c.told_as[name] for name in GROUPS], axis=1)
        self._half = np.array(c.half, np.float32)
        self._fade = np.array([c.seen_seconds, c.place_seconds, c.place_seconds, c.velocity_seconds,
                               c.velocity_seconds, c.place_seconds, 4 * c.place_seconds, c.seen_seconds])  # fmt: skip
        self._values = random.standard_normal((worlds, slots, 8)).astype(np.float32)
        self._kinds = random.random((worlds, slots)).astype(np.float32)
        self._known = np.zeros((worlds, slots), np.float32)
        self._ghosts = np.zeros((worlds, GHOSTS, 8), np.float32)  # x, y, yaw, vx, vy, class, seconds left, confidence
        self._light = random.standard_normal((worlds, 5))  # told, place, false, yellow, sign
        self._state = np.zeros((worlds, 2), np.int64)  # of the light: as told, as it was at the last step
        self._since = np.zeros(worlds)
        self._line = np.full(worlds, FAR)
        self._first = True

    def tell(
        self, scenes: Scenes, worlds: NDArray[np.intp], numbers: NDArray[np.int64], seconds: float,
        always: NDArray[np.bool_] | None = None,
    ) -> Scenes:  # fmt: skip
        """NumPy scenes [B] of `worlds` [B], whose objects have `numbers` [B, N] (-1: none), `seconds` after the last.

        always: [B, N] objects that are told in any case. Objects keep their places in the lists; those not told are
        missing, false ones lie in free places. Route, ego and speed limit are true.
        """
        self._pass(seconds)
        objects, kind = self._objects(scenes, worlds, numbers, seconds, always)
        self._false(scenes, worlds, objects, kind, seconds)
        told = scenes._replace(objects=objects, kind=kind)
        if self._with_lines:
            light, rules = self._lines(scenes, worlds, seconds)
            told = told._replace(light=light, rules=rules)
        self._first = False
        return told

    # -- inside -------------------------------------------------------------------------------------------------------

    def _pass(self, seconds: float) -> None:
        """Let the processes go on."""
        keep = np.exp(-seconds / self._fade).astype(np.float32)
        noise = self._random.standard_normal(self._values.shape, np.float32)
        self._values *= keep
        self._values += np.sqrt(1.0 - keep**2) * noise
        c = self.config
        fade = np.exp(-seconds / np.array([c.light_seconds, c.place_seconds, c.light_seconds, 1e6, 1e6]))
        self._light *= fade
        self._light += np.sqrt(1.0 - fade**2) * self._random.standard_normal(self._light.shape)

    def _objects(
        self, scenes: Scenes, worlds: NDArray[np.intp], numbers: NDArray[np.int64], seconds: float,
        always: NDArray[np.bool_] | None,
    ) -> tuple[F32, NDArray[np.int64]]:  # fmt: skip
        c, there = self.config, scenes.kind >= 0
        at = worlds[:, None], np.maximum(numbers, 0)
        value = self._values[at]
        centre = scenes.objects[..., :2]
        away = np.hypot(centre[..., 0], centre[..., 1])
        bin_, group = np.digitize(away, BOUNDS), GROUP_OF[np.maximum(scenes.kind, 0)]
        chance = self._seen[group, bin_] * np.where(hidden(scenes), c.hidden, 1.0)
        in_view = np.abs(np.arctan2(centre[..., 1], centre[..., 0])) < c.view
        told = there & in_view & (value[..., SEEN] < ndtri(chance))
        if always is not None:
            told |= there & always
        known = np.where(told, self._known[at] + seconds, 0.0)
        if self._first:  # known for some time already
            known = np.where(told, self._random.exponential(2.0, known.shape), 0.0)
        self._known[at] = np.where(there, known, self._known[at])
        view = centre / np.maximum(away, 1e-3)[..., None]
        side = np.stack([-view[..., 1], view[..., 0]], -1)
        along = np.array(c.nearer)[bin_] + np.array(c.along)[bin_] * value[..., ALONG]
        across = np.array(c.across)[bin_] * value[..., ACROSS]
        objects = scenes.objects.copy()
        objects[..., :2] += along[..., None] * view + across[..., None] * side
        slip = np.array(c.velocity)[bin_]
        share = 1.0 - np.exp(-known / c.settle)
        objects[..., VX : VY + 1] *= share[..., None]
        objects[..., VX : VY + 1] += (slip * value[..., SPEED_ALONG])[..., None] * view
        objects[..., VX : VY + 1] += (slip * value[..., SPEED_ACROSS])[..., None] * side
        objects[..., YAW] += c.yaw * value[..., TURN] + np.pi * (value[..., FLIP] < ndtri(c.flipped))
        kind = (self._kinds[at][..., None] > self._told_as[group]).sum(-1).clip(0, len(ObjectClass) - 1)
        objects[..., HALF_LENGTH : HALF_WIDTH + 1] = self._half[kind]
        objects[..., CONFIDENCE] = (c.confidence[0] + c.confidence[1] * value[..., SURE]).clip(LEAST_SURE, 1.0)
        objects[~told] = 0.0
        return objects, np.where(told, kind, -1)

    def _false(
        self, scenes: Scenes, worlds: NDArray[np.intp], objects: F32, kind: NDArray[np.int64], seconds: float
    ) -> None:
        """Write false objects into free places of the lists, the last ones first."""
        c, random = self.config, self._random
        ghosts = self._ghosts[worlds]
        turn = (-scenes.ego[:, YAW_RATE] * seconds)[:, None]
        x, y = ghosts[..., 0] - scenes.ego[:, None, SPEED] * seconds, ghosts[..., 1]
        cos, sin = np.cos(turn), np.sin(turn)
        ghosts[..., 0], ghosts[..., 1] = x * cos - y * sin, x * sin + y * cos
        ghosts[..., :2] += seconds * ghosts[..., 3:5]
        ghosts[..., 2] += turn
        ghosts[..., 6] -= seconds
        shape = ghosts.shape[:2]
        mean = c.false / GHOSTS  # share of the time that a place is taken
        begin = mean if self._first else mean / max(1.0 - mean, 1e-3) * seconds / c.false_seconds
        fresh = (ghosts[..., 6] <= 0) & (random.random(shape) < begin)
        distance = np.maximum(random.normal(c.false_distance[0], c.false_distance[1], shape), 3.0)
        bearing = c.view * (2.0 * random.random(shape) - 1.0)
        new = np.empty_like(ghosts)
        new[..., 0], new[..., 1] = distance * np.cos(bearing), distance * np.sin(bearing)
        new[..., 2] = np.pi * (2.0 * random.random(shape) - 1.0)
        new[..., 3:5] = c.false_speed * random.standard_normal((*shape, 2))
        new[..., 5] = random.choice(len(ObjectClass), shape, p=np.array(c.false_kinds) / sum(c.false_kinds))
        new[..., 6] = random.exponential(c.false_seconds, shape)
        new[..., 7] = random.normal(c.false_confidence[0], c.false_confidence[1], shape).clip(LEAST_SURE, 1.0)
        ghosts = np.where(fresh[..., None], new, ghosts)
        self._ghosts[worlds] = ghosts
        count = kind.shape[1]
        for k in range(min(GHOSTS, count)):
            at = count - 1 - k
            rows = (kind[:, at] < 0) & (ghosts[:, k, 6] > 0) & (ghosts[:, k, 0] > 0)
            label = ghosts[rows, k, 5].astype(np.int64)
            kind[rows, at] = label
            objects[rows, at, :2] = ghosts[rows, k, :2]
            objects[rows, at, HALF_LENGTH : HALF_WIDTH + 1] = self._half[label]
            objects[rows, at, YAW] = ghosts[rows, k, 2]
            objects[rows, at, VX : VY + 1] = ghosts[rows, k, 3:5]
            objects[rows, at, CONFIDENCE] = ghosts[rows, k, 7]

    def _lines(self, scenes: Scenes, worlds: NDArray[np.intp], seconds: float) -> tuple[NDArray[np.int64], F32]:
        """Light and rules as told."""
        c = self.config
        value, true = self._light[worlds], scenes.light
        place = scenes.rules[:, STOP_DISTANCE]
        # another line: whether its sign is seen and what its yellow light is told as is drawn anew
        fresh = place > self._line[worlds] + 5.0
        value[fresh, 3:] = self._random.standard_normal((int(fresh.sum()), 2))
        self._light[worlds], self._line[worlds] = value, place
        changed = true != self._state[worlds, 1]
        since = np.where(changed, 0.0, self._since[worlds] + seconds)
        state = np.where((since >= c.late) | self._first | fresh, true, self._state[worlds, 0])
        self._since[worlds], self._state[worlds] = since, np.stack([state, true], 1)
        yellow = np.where(value[:, 3] < ndtri(c.yellow_as_red), int(LightState.RED), int(LightState.GREEN))
        state = np.where(state == LightState.YELLOW, yellow, state)
        binds, sign = true != LightState.NONE, scenes.rules[:, STOP_SIGN] > 0.5
        seen = binds & (value[:, 0] < ndtri(np.array(c.light)[np.digitize(place, BOUNDS)]))
        light = np.where(seen, state, int(LightState.NONE))
        sign_seen = sign & (value[:, 4] < ndtri(c.sign))
        ghost = ~binds & ~sign & (value[:, 2] < ndtri(c.false_light))
        told = seen | sign_seen
        rules = scenes.rules.copy()
        off = np.maximum(place + c.light_nearer + c.line * value[:, 1], 0.0)
        rules[:, STOP_DISTANCE] = np.where(
            told, off, np.where(ghost, np.maximum(20.0 + c.line * value[:, 1], 0.0), FAR)
        )
        rules[:, STOP_SIGN] = sign_seen
        light = np.where(ghost, int(LightState.RED), light)
        return light.astype(np.int64), rules


def tell_once(scenes: Scenes, config: ErrorConfig, seed: int, always: NDArray[np.bool_]) -> Scenes:
    """NumPy scenes [B] that follow from nothing before as a perception would tell them; lines stay true.

    always: [B, N] objects that are told in any case.
    """
    rows, count = scenes.kind.shape
    numbers = np.broadcast_to(np.arange(count), (rows, count))
    teller = Teller(config, rows, count, np.random.default_rng(seed), lines=False)
    return teller.tell(scenes, np.arange(rows), numbers, 0.1, always)
