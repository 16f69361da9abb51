"""Rotations and frames in CARLA's convention: pitch up, yaw to the right, roll to the right, applied roll first."""

from __future__ import annotations

import math

from sim.server.arguments import Pose, Vec

Matrix = tuple[Vec, Vec, Vec]
"""Columns: forward, right, up, in the outer frame."""


def wrap_degrees(angle: float) -> float:
    """The same angle in [-180, 180)."""
    return (angle + 180.0) % 360.0 - 180.0


def axes(pitch: float, yaw: float, roll: float) -> Matrix:
    """Forward, right and up of a rotation in degrees."""
    p, y, r = math.radians(pitch), math.radians(yaw), math.radians(roll)
    cp, sp, cy, sy, cr, sr = math.cos(p), math.sin(p), math.cos(y), math.sin(y), math.cos(r), math.sin(r)
    return (
        Vec(cp * cy, cp * sy, sp),
        Vec(cy * sp * sr - sy * cr, sy * sp * sr + cy * cr, -cp * sr),
        Vec(-cy * sp * cr - sy * sr, cy * sr - sy * sp * cr, cp * cr),
    )


def rotate(m: Matrix, v: Vec) -> Vec:
    """`v` of the inner frame in the outer one."""
    f, r, u = m
    return Vec(
        f.x * v.x + r.x * v.y + u.x * v.z,
        f.y * v.x + r.y * v.y + u.y * v.z,
        f.z * v.x + r.z * v.y + u.z * v.z,
    )


def into(m: Matrix, v: Vec) -> Vec:
    """`v` of the outer frame in the inner one."""
    return Vec(*(axis.x * v.x + axis.y * v.y + axis.z * v.z for axis in m))


def angles(m: Matrix) -> tuple[float, float, float]:
    """Pitch, yaw, roll in degrees of a rotation."""
    forward, right, up = m
    pitch = math.asin(max(-1.0, min(1.0, forward.z)))
    if abs(forward.z) > 0.999999:
        return math.degrees(pitch), math.degrees(math.atan2(-right.x, right.y)), 0.0
    yaw, roll = math.atan2(forward.y, forward.x), math.atan2(-right.z, up.z)
    return math.degrees(pitch), math.degrees(yaw), math.degrees(roll)


def compose(parent: Pose, child: Pose) -> Pose:
    """The world pose of what stands at `child` in the frame of `parent`."""
    m = axes(parent.pitch, parent.yaw, parent.roll)
    place = rotate(m, Vec(child.x, child.y, child.z))
    if parent.pitch == 0.0 and parent.roll == 0.0:
        turned = (child.pitch, wrap_degrees(parent.yaw + child.yaw), child.roll)
    else:
        forward, right, up = axes(child.pitch, child.yaw, child.roll)
        turned = angles((rotate(m, forward), rotate(m, right), rotate(m, up)))
    return Pose(parent.x + place.x, parent.y + place.y, parent.z + place.z, *turned)


def relative(parent: Pose, world: Pose) -> Pose:
    """The inverse of compose: where `world` is, seen from `parent`."""
    m = axes(parent.pitch, parent.yaw, parent.roll)
    place = into(m, Vec(world.x - parent.x, world.y - parent.y, world.z - parent.z))
    forward, right, up = axes(world.pitch, world.yaw, world.roll)
    return Pose(*place, *angles((into(m, forward), into(m, right), into(m, up))))
