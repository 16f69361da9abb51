# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Oriented boxes that meet: the test, the response, the list of contacts."""

from __future__ import annotations

from sim.world import fields as f
from sim.world.lanes import F32
from sim.world.maths import F, kernel, part

BOUNCE = F(0.1)
"""Restitution."""
LEVEL = F(2.0)
"""Metres of height from which two bodies pass over one another (a bridge)."""
RUB = F(0.4)
"""Friction between bodies."""


@part
def overlap(a: F32, i: int, b: F32, j: int) -> float:
    """Depth in metres to which two boxes share ground, 0 or less where they do not (separating axes)."""
    if abs(a[f.Z, i] - b[f.Z, j]) > LEVEL:
        return F(-1.0)
    dx = b[f.X, j] - a[f.X, i]
    dy = b[f.Y, j] - a[f.Y, i]
    ac, as_, bc, bs = a[f.COS, i], a[f.SIN, i], b[f.COS, j], b[f.SIN, j]
    c = abs(ac * bc + as_ * bs)
    s = abs(ac * bs - as_ * bc)
    al, aw, bl, bw = a[f.HALF_LENGTH, i], a[f.HALF_WIDTH, i], b[f.HALF_LENGTH, j], b[f.HALF_WIDTH, j]
    depth = al + bl * c + bw * s - abs(dx * ac + dy * as_)
    depth = min(depth, aw + bl * s + bw * c - abs(dy * ac - dx * as_))
    depth = min(depth, bl + al * c + aw * s - abs(dx * bc + dy * bs))
    return min(depth, bw + al * s + aw * c - abs(dy * bc - dx * bs))


@kernel
def normal(a: F32, i: int, b: F32, j: int) -> tuple[float, float, float]:
    """(x, y, depth): the axis of least overlap, from a to b."""
    dx = b[f.X, j] - a[f.X, i]
    dy = b[f.Y, j] - a[f.Y, i]
    ac, as_, bc, bs = a[f.COS, i], a[f.SIN, i], b[f.COS, j], b[f.SIN, j]
    c = abs(ac * bc + as_ * bs)
    s = abs(ac * bs - as_ * bc)
    al, aw, bl, bw = a[f.HALF_LENGTH, i], a[f.HALF_WIDTH, i], b[f.HALF_LENGTH, j], b[f.HALF_WIDTH, j]
    depth = al + bl * c + bw * s - abs(dx * ac + dy * as_)
    nx, ny = ac, as_
    d = aw + bl * s + bw * c - abs(dy * ac - dx * as_)
    if d < depth:
        depth, nx, ny = d, -as_, ac
    d = bl + al * c + aw * s - abs(dx * bc + dy * bs)
    if d < depth:
        depth, nx, ny = d, bc, bs
    d = bw + al * s + aw * c - abs(dy * bc - dx * bs)
    if d < depth:
        depth, nx, ny = d, -bs, bc
    if nx * dx + ny * dy < F(0.0):
        nx, ny = -nx, -ny
    return nx, ny, depth


@kernel
def contact_point(a: F32, i: int, b: F32, j: int) -> tuple[float, float]:
    """Mean of the corners of each box that lie inside the other; the middle of both where none does."""
    x = F(0.0)
    y = F(0.0)
    n = F(0.0)
    for k in range(8):
        p, m, q, o = (a, i, b, j) if k < 4 else (b, j, a, i)
        along = p[f.HALF_LENGTH, m] if k & 1 else -p[f.HALF_LENGTH, m]
        across = p[f.HALF_WIDTH, m] if k & 2 else -p[f.HALF_WIDTH, m]
        cx = p[f.X, m] + along * p[f.COS, m] - across * p[f.SIN, m]
        cy = p[f.Y, m] + along * p[f.SIN, m] + across * p[f.COS, m]
        dx = cx - q[f.X, o]
        dy = cy - q[f.Y, o]
        if (
            abs(dx * q[f.COS, o] + dy * q[f.SIN, o]) <= q[f.HALF_LENGTH, o]
            and abs(dy * q[f.COS, o] - dx * q[f.SIN, o]) <= q[f.HALF_WIDTH, o]
        ):
            x += cx
            y += cy
            n += F(1.0)
    if n > F(0.0):
        return x / n, y / n
    return F(0.5) * (a[f.X, i] + b[f.X, j]), F(0.5) * (a[f.Y, i] + b[f.Y, j])


@kernel
def push(vf: F32, i: int, jx: float, jy: float, px: float, py: float, moved_x: float, moved_y: float) -> None:
    """Give vehicle i an impulse (N s, world axes) at a place, and move it out."""
    along = jx * vf[f.COS, i] + jy * vf[f.SIN, i]
    across = jy * vf[f.COS, i] - jx * vf[f.SIN, i]
    vf[f.SPEED, i] += along / vf[f.MASS, i]
    vf[f.SIDE_SPEED, i] += across / vf[f.MASS, i]
    rx = px - vf[f.X, i]
    ry = py - vf[f.Y, i]
    vf[f.YAW_RATE, i] += (rx * jy - ry * jx) / vf[f.INERTIA, i]
    vf[f.X, i] += moved_x
    vf[f.Y, i] += moved_y


@kernel
def respond(
    vf: F32,
    i: int,
    b: F32,
    j: int,
    other_vx: float,
    other_vy: float,
    other_mass: float,
    other_inertia: float,
    movable: bool,
) -> tuple[float, float, float, float]:
    """(jx, jy, x, y): impulse on vehicle i in N s and its place, from touching body j; pushes i (and j if movable)."""
    nx, ny, depth = normal(vf, i, b, j)
    px, py = contact_point(vf, i, b, j)
    ri_x, ri_y = px - vf[f.X, i], py - vf[f.Y, i]
    vix = vf[f.SPEED, i] * vf[f.COS, i] - vf[f.SIDE_SPEED, i] * vf[f.SIN, i] - vf[f.YAW_RATE, i] * ri_y
    viy = vf[f.SPEED, i] * vf[f.SIN, i] + vf[f.SIDE_SPEED, i] * vf[f.COS, i] + vf[f.YAW_RATE, i] * ri_x
    rj_x, rj_y = px - b[f.X, j], py - b[f.Y, j]
    inverse = F(1.0) / vf[f.MASS, i]
    arm_i = ri_x * ny - ri_y * nx
    effective = inverse + arm_i * arm_i / vf[f.INERTIA, i]
    if movable:
        arm_j = rj_x * ny - rj_y * nx
        effective += F(1.0) / other_mass + arm_j * arm_j / other_inertia
    rel_x, rel_y = vix - other_vx, viy - other_vy
    closing = rel_x * nx + rel_y * ny
    jn = F(0.0)
    jt = F(0.0)
    if closing > F(0.0):
        jn = (F(1.0) + BOUNCE) * closing / effective
        slide = rel_y * nx - rel_x * ny
        jt = min(abs(slide) / effective * F(0.5), RUB * jn)
        if slide < F(0.0):
            jt = -jt
    jx = -jn * nx + jt * ny
    jy = -jn * ny - jt * nx
    share = F(1.0)
    if movable:
        share = other_mass / (other_mass + vf[f.MASS, i])
        push(b, j, -jx, -jy, px, py, nx * depth * (F(1.0) - share), ny * depth * (F(1.0) - share))
    push(vf, i, jx, jy, px, py, -nx * depth * share, -ny * depth * share)
    return jx, jy, px, py
