# Numba kernels over plain arrays: types are those of the arrays.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""A check of plans before they are driven: a speed that could not be braked away any more is lowered.

A learned plan is right on average; a red light is crossed once. The check plays each plan against what the Scene tells
and forecasts objects at constant velocity, as rule-based planners do (Dauner et al. 2023, PDM). It never makes a plan
faster and never touches its path. What may be wrong is bounded by the speed that still stops in time (Gipps 1981, as
Krauss 1998 writes it): v = -b T + sqrt(b^2 T^2 + u^2 + 2 b gap), towards what moves at u in `gap` metres.

lines: stop lines of red lights and stop signs, where the ego can stop at all; of yellow lights, where it can well.
leaders: who is on the path ahead. crossers: who is not, but will be when the ego comes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from contracts import LightState, ObjectClass
from contracts.plan import PATH_POINTS, SPEED_PERIOD, SPEED_STEPS
from planning.checks import CHECKS, Check
from planning.scenes import (
    HALF_LENGTH,
    HALF_WIDTH,
    LENGTH,
    SPEED,
    STOP_DISTANCE,
    STOP_SIGN,
    VX,
    VY,
    WIDTH,
    YAW,
    Scenes,
    X,
    Y,
)
from sim.driving.jit import entry, part
from sim.driving.plans import Plans

BRAKE, HARDEST = 4.0, 8.0
"""m/s^2 of b in the formula, and the hardest deceleration asked for."""
YELLOW = 2.7
"""m/s^2: a yellow light is obeyed by who can stop so."""
REACT = 0.4
"""Seconds of T in the formula: a moment of the plan, and until the brake bites."""
BEFORE_LINE, KEEP, CLEAR = 0.3, 0.8, 2.5
"""Metres between the front bumper and a line, what is on the path, what crosses it: who turns comes nearer than at
constant velocity."""
BESIDE, BESIDE_WALKER = 0.2, 0.4
"""Metres beside the ego within which something is on its path: a vehicle, a pedestrian."""
CROSSES = 0.8
"""Cosine of the angle between a vehicle's heading and the path, either way round, below which it crosses: who drives
along a bend beside the ego, at constant velocity, would cross as well."""
MOMENTS = 12
"""Moments of SPEED_PERIOD that are looked ahead."""
POINTS = 64
"""Points of the path and the route after it, 1 m apart."""
ALONGSIDE = 1.0
"""Metres by which who leads may reach back beside the ego's bumper."""
NOWHERE = 1e6
CORNERS = np.array([(1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)])
AWAY, LED_BY, MAY_CROSS, YIELDED_TO = range(4)
"""What an object is to the ego."""
_RED, _YELLOW = int(LightState.RED), int(LightState.YELLOW)
_PEDESTRIAN = int(ObjectClass.PEDESTRIAN)


def safe(scenes: Scenes, plans: Plans, checks: Sequence[Check]) -> Plans:
    """Plans for NumPy scenes, speeds lowered where `checks` ask for it; the paths are those given."""
    speed = np.ascontiguousarray(plans.speed).copy()
    if checks:
        lines, leaders, crossers = (name in checks for name in CHECKS)
        _check(
            scenes.ego, scenes.objects, scenes.kind, scenes.route, scenes.light, scenes.rules, plans.path, speed,
            lines, leaders, crossers,
        )  # fmt: skip
    return Plans(plans.path, speed)


@part
def _way(path, route, points):
    """Write the ego's place, its path and the route beyond it [POINTS, 2]."""
    points[0] = 0.0
    points[1 : PATH_POINTS + 1] = path
    nearest, least = 0, NOWHERE
    for n in range(len(route)):
        gap = math.hypot(route[n, 0] - path[-1, 0], route[n, 1] - path[-1, 1])
        if gap < least:
            nearest, least = n, gap
    for n in range(PATH_POINTS + 1, POINTS):
        k = nearest + n - PATH_POINTS
        if k < len(route):
            points[n] = route[k]
        else:
            points[n] = 2.0 * points[n - 1] - points[n - 2]


@part
def _covered(points, thing, side, t):
    """(from, to, pace, cosine): metres of the way on which an object is less than `side` beside it at moment t, NOWHERE
    and -NOWHERE for none; its speed along the way; of the angle between its heading and the way."""
    x, y = thing[X] + t * SPEED_PERIOD * thing[VX], thing[Y] + t * SPEED_PERIOD * thing[VY]
    nearest, least = 0, NOWHERE
    for n in range(POINTS):
        gap = (points[n, 0] - x) ** 2 + (points[n, 1] - y) ** 2
        if gap < least:
            nearest, least = n, gap
    before, after = max(nearest - 1, 0), min(nearest + 1, POINTS - 1)
    dx, dy = points[after, 0] - points[before, 0], points[after, 1] - points[before, 1]
    size = max(math.hypot(dx, dy), 1e-3)
    dx, dy = dx / size, dy / size
    ox, oy = x - points[nearest, 0], y - points[nearest, 1]
    along, beside = nearest + ox * dx + oy * dy, oy * dx - ox * dy
    cos = math.cos(thing[YAW]) * dx + math.sin(thing[YAW]) * dy
    sin = math.sin(thing[YAW]) * dx - math.cos(thing[YAW]) * dy
    pace = thing[VX] * dx + thing[VY] * dy
    least, most = NOWHERE, -NOWHERE
    for edge in range(4):  # of its box, as far as they lie on the strip of width 2 side
        ahead, right = CORNERS[edge, 0] * thing[HALF_LENGTH], CORNERS[edge, 1] * thing[HALF_WIDTH]
        s0, d0 = along + ahead * cos - right * sin, beside + ahead * sin + right * cos
        ahead, right = CORNERS[edge + 1, 0] * thing[HALF_LENGTH], CORNERS[edge + 1, 1] * thing[HALF_WIDTH]
        s1, d1 = along + ahead * cos - right * sin, beside + ahead * sin + right * cos
        begin, end = 0.0, 1.0
        if abs(d1 - d0) > 1e-6:
            one, two = (-side - d0) / (d1 - d0), (side - d0) / (d1 - d0)
            begin, end = max(min(one, two), 0.0), min(max(one, two), 1.0)
        elif abs(d0) > side:
            end = -1.0
        if begin <= end:
            one, two = s0 + begin * (s1 - s0), s0 + end * (s1 - s0)
            least, most = min(least, one, two), max(most, one, two)
    return least, most, pace, cos


@part
def _still_stops(gap, pace, brake):
    """m/s from which the ego can brake with `brake` m/s^2 behind what moves at `pace` in `gap` metres."""
    if gap <= 0.0:
        return 0.0
    return max(math.sqrt((brake * REACT) ** 2 + pace * pace + 2.0 * brake * gap) - brake * REACT, 0.0)


@part
def _play(wanted, speed, half, line, ease, low, high, pace, role, hold, place, chosen):
    """Play the plan: writes the ego's place [MOMENTS + 1] and the speeds [SPEED_STEPS] that may be driven.

    line: metres to the place where the bumper has to stop, with `ease` m/s^2. role: of each object. hold: where the
    ego waits for it, and until which moment.
    """
    u, v = 0.0, speed
    place[0] = u
    for t in range(MOMENTS):
        new = wanted[min(t, SPEED_STEPS - 1)]
        if line < NOWHERE:
            new = min(new, _still_stops(line - u - half, 0.0, ease))
        for j in range(len(role)):
            if role[j] == LED_BY and high[j, t] > low[j, t]:
                new = min(new, _still_stops(low[j, t] - u - half - KEEP, max(pace[j], 0.0), BRAKE))
            elif role[j] == YIELDED_TO and hold[j, 1] >= t:
                new = min(new, _still_stops(hold[j, 0] - u - half - CLEAR, 0.0, BRAKE))
        new = max(new, v - HARDEST * SPEED_PERIOD, 0.0)
        if t < SPEED_STEPS:
            chosen[t] = min(new, wanted[t])
        u += 0.5 * (v + new) * SPEED_PERIOD
        v = new
        place[t + 1] = u


@part
def _met(place, half, low, high):
    """Whether an object is where the ego is, a moment sooner or later."""
    for t in range(MOMENTS + 1):
        if high[t] <= low[t]:
            continue
        for s in range(max(t - 1, 0), min(t + 1, MOMENTS) + 1):
            if low[t] < place[s] + half + CLEAR and high[t] > place[s] - half:
                return True
    return False


@entry
def _check(
    ego: Any, objects: Any, kind: Any, route: Any, light: Any, rules: Any, path: Any, speed: Any, lines: bool,
    leaders: bool, crossers: bool,
) -> None:  # fmt: skip
    """Fields of Scenes and Plans of B worlds; lowers `speed` in place."""
    count = objects.shape[1]
    points, place, chosen = np.zeros((POINTS, 2)), np.zeros(MOMENTS + 1), np.zeros(SPEED_STEPS)
    low, high = np.zeros((count, MOMENTS + 1)), np.zeros((count, MOMENTS + 1))
    pace, role, hold = np.zeros(count), np.zeros(count, np.int64), np.zeros((count, 2))
    for b in range(len(speed)):
        v, half, half_width = max(ego[b, SPEED], 0.0), 0.5 * ego[b, LENGTH], 0.5 * ego[b, WIDTH]
        line, rest = NOWHERE, rules[b, STOP_DISTANCE] - half
        needed = v * v / (2.0 * max(rest, 0.1))
        stops = (light[b] == _RED or rules[b, STOP_SIGN] > 0.5) and needed < HARDEST
        eases = light[b] == _YELLOW and needed < YELLOW
        ease = YELLOW if eases else BRAKE
        if lines and (stops or eases):
            line = rules[b, STOP_DISTANCE] - BEFORE_LINE
        _way(path[b], route[b], points)
        for j in range(count):
            role[j] = AWAY
            if kind[b, j] < 0 or not (leaders or crossers):
                continue
            thing = objects[b, j]
            side = half_width + (BESIDE_WALKER if kind[b, j] == _PEDESTRIAN else BESIDE)
            angle = 1.0
            for t in range(MOMENTS + 1):
                low[j, t], high[j, t], along, cos = _covered(points, thing, side, t)
                if t == 0:
                    pace[j] = along
                if high[j, t] > low[j, t]:
                    angle = min(angle, abs(cos))
            if high[j, 0] > low[j, 0]:
                role[j] = LED_BY if leaders and low[j, 0] > half - ALONGSIDE else AWAY
            elif crossers and (angle < CROSSES or kind[b, j] == _PEDESTRIAN):
                role[j] = MAY_CROSS
        _play(speed[b], v, half, line, ease, low, high, pace, role, hold, place, chosen)
        for _ in range(3):
            found = False
            for j in range(count):
                if role[j] == MAY_CROSS and _met(place, half, low[j], high[j]):
                    hold[j, 0], hold[j, 1] = NOWHERE, 0.0
                    for t in range(MOMENTS + 1):
                        if high[j, t] > low[j, t]:
                            hold[j, 0], hold[j, 1] = min(hold[j, 0], low[j, t]), t + 1.0
                    gap = hold[j, 0] - half
                    if gap > 0.0 and v * v / (2.0 * gap) < HARDEST:
                        role[j], found = YIELDED_TO, True
            if not found:
                break
            _play(speed[b], v, half, line, ease, low, high, pace, role, hold, place, chosen)
        speed[b] = chosen
