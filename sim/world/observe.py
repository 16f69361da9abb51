# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""What an ego knows, written into sim.world.truth arrays."""

from __future__ import annotations

import math
from typing import NamedTuple

from sim.world import fields as f
from sim.world.lanes import F32, I32
from sim.world.maths import F, kernel, wrap

HORIZON = F(80.0)
"""Metres within which objects are known."""
WALKER_CLASS, STATIC_CLASS = 5, 6


class TruthArrays(NamedTuple):
    """The arrays of sim.world.truth.Truth."""

    ego: F32
    objects: F32
    kind: I32
    slot: I32
    count: I32
    route: F32
    light: I32
    stop_distance: F32
    stop_sign: I32
    speed_limit: F32


@kernel
def gather(
    ids: I32, distance: F32, body: F32, present: I32, x: float, y: float, skip: int, first: int, most: int, n: int
) -> int:
    """Merge the bodies of one buffer into the list of the nearest; ids start at `first`. Returns the list's length."""
    for j in range(body.shape[1]):
        dx = body[f.X, j] - x
        dy = body[f.Y, j] - y
        d = dx * dx + dy * dy
        if d > HORIZON * HORIZON or present[j] == f.ABSENT or j == skip:
            continue
        if n < most:
            place = n
            n += 1
        elif d < distance[most - 1]:
            place = most - 1
        else:
            continue
        while place > 0 and distance[place - 1] > d:
            distance[place] = distance[place - 1]
            ids[place] = ids[place - 1]
            place -= 1
        distance[place] = d
        ids[place] = first + j
    return n


@kernel
def write_body(out: F32, body: F32, j: int, x: float, y: float, yaw: float, cos: float, sin: float, d: float) -> None:
    """Pose and size of a body in the ego's frame."""
    dx = body[f.X, j] - x
    dy = body[f.Y, j] - y
    out[0] = dx * cos + dy * sin
    out[1] = dy * cos - dx * sin
    out[2] = body[f.HALF_LENGTH, j]
    out[3] = body[f.HALF_WIDTH, j]
    out[4] = wrap(body[f.YAW, j] - yaw)
    out[7] = d


@kernel
def observe_ego(
    ids: I32,
    distance: F32,
    classes: I32,
    vf: F32,
    vi: I32,
    pf: F32,
    pi: I32,
    of: F32,
    oi: I32,
    ef: F32,
    ei: I32,
    route: F32,
    out: TruthArrays,
    w: int,
    e: int,
) -> None:
    """Write all arrays of one ego."""  # fmt: skip
    x, y, yaw = vf[f.X, e], vf[f.Y, e], vf[f.YAW, e]
    cos, sin = vf[f.COS, e], vf[f.SIN, e]
    own = out.ego[w, e]
    own[0] = vf[f.SPEED, e]
    own[1] = vf[f.ACCEL, e]
    own[2] = vf[f.YAW_RATE, e]
    own[3] = min(max(vf[f.WHEEL, e] / max(vf[f.MAX_WHEEL, e], F(0.01)), F(-1.0)), F(1.0))
    own[4] = F(2.0) * vf[f.HALF_LENGTH, e]
    own[5] = F(2.0) * vf[f.HALF_WIDTH, e]

    vehicles, walkers = vf.shape[1], pf.shape[1]
    most = out.objects.shape[2]
    n = gather(ids, distance, vf, vi[f.V_MODE], x, y, e, 0, most, 0)
    n = gather(ids, distance, pf, pi[f.P_MODE], x, y, -1, vehicles, most, n)
    n = gather(ids, distance, of, oi[f.O_MODE], x, y, -1, vehicles + walkers, most, n)
    for m in range(n):
        row = out.objects[w, e, m]
        j = ids[m]
        d = math.sqrt(distance[m])
        if j < vehicles:
            write_body(row, vf, j, x, y, yaw, cos, sin, d)
            # over ground, in ego axes: turn the body's own velocity
            c = vf[f.COS, j] * cos + vf[f.SIN, j] * sin
            s = vf[f.SIN, j] * cos - vf[f.COS, j] * sin
            row[5] = vf[f.SPEED, j] * c - vf[f.SIDE_SPEED, j] * s
            row[6] = vf[f.SPEED, j] * s + vf[f.SIDE_SPEED, j] * c
            out.kind[w, e, m] = classes[vi[f.V_KIND, j]]
            out.slot[w, e, m] = j
        elif j < vehicles + walkers:
            j -= vehicles
            write_body(row, pf, j, x, y, yaw, cos, sin, d)
            row[5] = pf[f.P_VX, j] * cos + pf[f.P_VY, j] * sin
            row[6] = pf[f.P_VY, j] * cos - pf[f.P_VX, j] * sin
            out.kind[w, e, m] = WALKER_CLASS
            out.slot[w, e, m] = j
        else:
            j -= vehicles + walkers
            write_body(row, of, j, x, y, yaw, cos, sin, d)
            row[5] = F(0.0)
            row[6] = F(0.0)
            out.kind[w, e, m] = STATIC_CLASS
            out.slot[w, e, m] = j
    for m in range(n, out.count[w, e]):
        for c in range(8):
            out.objects[w, e, m, c] = F(0.0)
        out.kind[w, e, m] = -1
        out.slot[w, e, m] = -1
    out.count[w, e] = n

    points = ei[f.E_ROUTE_POINTS, e]
    if points > 0:
        for m in range(out.route.shape[2]):
            p = min(ei[f.E_PROGRESS, e] + 1 + m, points - 1)
            dx = route[p, 0] - x
            dy = route[p, 1] - y
            out.route[w, e, m, 0] = dx * cos + dy * sin
            out.route[w, e, m, 1] = dy * cos - dx * sin
    out.light[w, e] = ei[f.E_LIGHT, e]
    out.stop_distance[w, e] = ef[f.E_STOP_DISTANCE, e]
    out.stop_sign[w, e] = ei[f.E_STOP_SIGN_AHEAD, e]
    out.speed_limit[w, e] = ef[f.E_SPEED_LIMIT, e]
