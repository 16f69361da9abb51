"""Exact labels from the visibility buffer: semantic tag, instance, depth, normal and optical flow at pixel centres.

Depth is the intersection of the pixel's ray with the plane of the triangle it sees, computed relative to the camera.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from enum import IntEnum

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sim.sensors.jit import INNER, PARALLEL, f32, shuffled, unit

FAR = 1000.0
"""Depth of the sky and the end of CARLA's depth encoding, metres."""


class Tag(IntEnum):
    """Semantic tags of CARLA 0.9.16."""

    UNLABELED = 0
    ROAD = 1
    SIDEWALK = 2
    BUILDING = 3
    WALL = 4
    FENCE = 5
    POLE = 6
    TRAFFIC_LIGHT = 7
    TRAFFIC_SIGN = 8
    VEGETATION = 9
    TERRAIN = 10
    SKY = 11
    PEDESTRIAN = 12
    RIDER = 13
    CAR = 14
    TRUCK = 15
    BUS = 16
    TRAIN = 17
    MOTORCYCLE = 18
    BICYCLE = 19
    STATIC = 20
    DYNAMIC = 21
    OTHER = 22
    WATER = 23
    ROAD_LINE = 24
    GROUND = 25
    BRIDGE = 26
    RAIL_TRACK = 27
    GUARD_RAIL = 28


PALETTE: NDArray[np.uint8] = np.array(
    [
        (0, 0, 0), (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
        (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0),
        (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32), (110, 190, 160),
        (170, 120, 50), (55, 90, 80), (45, 60, 150), (227, 227, 227), (81, 0, 81), (150, 100, 100), (230, 150, 140),
        (180, 165, 180),
    ],
    np.uint8,
)  # fmt: skip
"""[29, 3] RGB of each tag, CARLA's CityScapesPalette."""


@njit(forceinline=True, **INNER)
def plane_depth(vertices, faces, tid, rot, pos, px, py):
    """Camera-space depth at which the ray (px, py, 1) meets the triangle's plane, kept within the triangle's depths."""
    i = faces[tid, 0]
    j = faces[tid, 1]
    k = faces[tid, 2]
    ax = vertices[i, 0] - pos[0]
    ay = vertices[i, 1] - pos[1]
    az = vertices[i, 2] - pos[2]
    ux = vertices[j, 0] - vertices[i, 0]
    uy = vertices[j, 1] - vertices[i, 1]
    uz = vertices[j, 2] - vertices[i, 2]
    vx = vertices[k, 0] - vertices[i, 0]
    vy = vertices[k, 1] - vertices[i, 1]
    vz = vertices[k, 2] - vertices[i, 2]
    nx = uy * vz - uz * vy
    ny = uz * vx - ux * vz
    nz = ux * vy - uy * vx
    dx = rot[0, 0] * px + rot[1, 0] * py + rot[2, 0]
    dy = rot[0, 1] * px + rot[1, 1] * py + rot[2, 1]
    dz = rot[0, 2] * px + rot[1, 2] * py + rot[2, 2]
    za = rot[2, 0] * ax + rot[2, 1] * ay + rot[2, 2] * az
    zu = za + rot[2, 0] * ux + rot[2, 1] * uy + rot[2, 2] * uz
    zv = za + rot[2, 0] * vx + rot[2, 1] * vy + rot[2, 2] * vz
    det = nx * dx + ny * dy + nz * dz
    t = (nx * ax + ny * ay + nz * az) / det if det != 0 else za
    return min(max(t, max(min(za, min(zu, zv)), f32(0))), max(za, max(zu, zv)))


@njit(forceinline=True, **INNER)
def barycentric(vertices, faces, tid, x, y, z):
    """Weights of the 2nd and 3rd corner at a point of the triangle's plane, kept inside the triangle."""
    i = faces[tid, 0]
    j = faces[tid, 1]
    k = faces[tid, 2]
    ux = vertices[j, 0] - vertices[i, 0]
    uy = vertices[j, 1] - vertices[i, 1]
    uz = vertices[j, 2] - vertices[i, 2]
    vx = vertices[k, 0] - vertices[i, 0]
    vy = vertices[k, 1] - vertices[i, 1]
    vz = vertices[k, 2] - vertices[i, 2]
    sx = x - vertices[i, 0]
    sy = y - vertices[i, 1]
    sz = z - vertices[i, 2]
    uu = ux * ux + uy * uy + uz * uz
    uv = ux * vx + uy * vy + uz * vz
    vv = vx * vx + vy * vy + vz * vz
    su = sx * ux + sy * uy + sz * uz
    sv = sx * vx + sy * vy + sz * vz
    det = uu * vv - uv * uv
    inv = f32(1) / det if det > 0 else f32(0)
    a = min(max((vv * su - uv * sv) * inv, f32(0)), f32(1))
    b = min(max((uu * sv - uv * su) * inv, f32(0)), f32(1))
    if a + b > f32(1):
        r = f32(1) / (a + b)
        a *= r
        b *= r
    return a, b


@njit(**INNER)
def _normal(vertices, normals, faces, tid, x, y, z):
    """The unit normal at a point of a triangle's plane."""
    a, b = barycentric(vertices, faces, tid, x, y, z)
    c = f32(1) - a - b
    i = faces[tid, 0]
    j = faces[tid, 1]
    k = faces[tid, 2]
    return unit(
        c * normals[i, 0] + a * normals[j, 0] + b * normals[k, 0],
        c * normals[i, 1] + a * normals[j, 1] + b * normals[k, 1],
        c * normals[i, 2] + a * normals[j, 2] + b * normals[k, 2],
    )


@njit(**PARALLEL)
def label_pass(ids, vertices, faces, statics, m_vertices, m_faces, source, owner, tag, record, actor_ids, rot, pos,
               lens, semantic, instances, depth):  # fmt: skip
    """Fill semantic [H, W] uint8, instances [H, W] int32 and depth [H, W] float32 (metres along the optical axis).

    Triangles from number `statics` on are moving ones, with vertices of their own (as in all kernels).
    """
    height, width = ids.shape
    for row in prange(height):
        y = shuffled(row, height)
        py = (f32(y) + f32(0.5) - lens[3]) / lens[1]
        for x in range(width):
            tid = ids[y, x]
            if tid < 0:
                semantic[y, x] = 11
                instances[y, x] = 0
                depth[y, x] = f32(1000)
                continue
            px = (f32(x) + f32(0.5) - lens[2]) / lens[0]
            if tid < statics:
                semantic[y, x] = tag[tid]
                instances[y, x] = record[tid, 2]
                depth[y, x] = plane_depth(vertices, faces, tid, rot, pos, px, py)
            else:
                semantic[y, x] = tag[source[tid - statics]]
                instances[y, x] = actor_ids[owner[tid - statics]]
                depth[y, x] = plane_depth(m_vertices, m_faces, tid - statics, rot, pos, px, py)


@njit(**PARALLEL)
def normal_pass(ids, depth, vertices, normals, faces, statics, m_vertices, m_normals, m_faces, rot, pos, lens, out):
    """Fill out [H, W, 3] with unit surface normals in world axes that face the camera; 0 for the sky."""
    height, width = ids.shape
    for row in prange(height):
        y = shuffled(row, height)
        py = (f32(y) + f32(0.5) - lens[3]) / lens[1]
        for x in range(width):
            tid = ids[y, x]
            if tid < 0:
                out[y, x] = f32(0)
                continue
            px = (f32(x) + f32(0.5) - lens[2]) / lens[0]
            t = depth[y, x]
            dx = (rot[0, 0] * px + rot[1, 0] * py + rot[2, 0]) * t
            dy = (rot[0, 1] * px + rot[1, 1] * py + rot[2, 1]) * t
            dz = (rot[0, 2] * px + rot[1, 2] * py + rot[2, 2]) * t
            wx = pos[0] + dx
            wy = pos[1] + dy
            wz = pos[2] + dz
            if tid < statics:
                nx, ny, nz = _normal(vertices, normals, faces, tid, wx, wy, wz)
            else:
                nx, ny, nz = _normal(m_vertices, m_normals, m_faces, tid - statics, wx, wy, wz)
            flip = f32(-1) if nx * dx + ny * dy + nz * dz > 0 else f32(1)
            out[y, x, 0] = nx * flip
            out[y, x, 1] = ny * flip
            out[y, x, 2] = nz * flip


@njit(**PARALLEL)
def flow_pass(ids, depth, statics, owner, motion, rot, pos, rot0, pos0, lens, out):
    """Fill out [H, W, 2]: how far each pixel's surface point moved on the picture since the last frame.

    In units of the picture's size (1: across the whole picture), x right and y down. `motion` [actors, 3, 4] maps a
    point of an actor to where that point was at the last frame; `rot0`, `pos0` the camera then.
    """
    height, width = ids.shape
    for row in prange(height):
        y = shuffled(row, height)
        py = (f32(y) + f32(0.5) - lens[3]) / lens[1]
        for x in range(width):
            tid = ids[y, x]
            px = (f32(x) + f32(0.5) - lens[2]) / lens[0]
            t = depth[y, x]
            wx = (rot[0, 0] * px + rot[1, 0] * py + rot[2, 0]) * t + pos[0]
            wy = (rot[0, 1] * px + rot[1, 1] * py + rot[2, 1]) * t + pos[1]
            wz = (rot[0, 2] * px + rot[1, 2] * py + rot[2, 2]) * t + pos[2]
            if tid >= statics:
                m = motion[owner[tid - statics]]
                ox = m[0, 0] * wx + m[0, 1] * wy + m[0, 2] * wz + m[0, 3]
                oy = m[1, 0] * wx + m[1, 1] * wy + m[1, 2] * wz + m[1, 3]
                oz = m[2, 0] * wx + m[2, 1] * wy + m[2, 2] * wz + m[2, 3]
                wx = ox
                wy = oy
                wz = oz
            wx -= pos0[0]
            wy -= pos0[1]
            wz -= pos0[2]
            cz = rot0[2, 0] * wx + rot0[2, 1] * wy + rot0[2, 2] * wz
            if cz < f32(0.01):
                out[y, x] = f32(0)
                continue
            u = (rot0[0, 0] * wx + rot0[0, 1] * wy + rot0[0, 2] * wz) / cz * lens[0] + lens[2]
            v = (rot0[1, 0] * wx + rot0[1, 1] * wy + rot0[1, 2] * wz) / cz * lens[1] + lens[3]
            out[y, x, 0] = (f32(x) + f32(0.5) - u) / f32(width)
            out[y, x, 1] = (f32(y) + f32(0.5) - v) / f32(height)


def boxes_2d(instances: NDArray[np.int32], minimum: int = 1) -> dict[int, tuple[int, int, int, int]]:
    """Instance id -> (left, top, right, bottom), pixels, right and bottom exclusive; ids below 1 are no instances.

    Instances with fewer than `minimum` visible pixels are left out.
    """
    found = {}
    ids, counts = np.unique(instances, return_counts=True)
    keep = ids[(ids > 0) & (counts >= minimum)]
    ys, xs = np.nonzero(np.isin(instances, keep))
    which = np.searchsorted(keep, instances[ys, xs])
    n = len(keep)
    left, top = np.full(n, np.iinfo(np.int64).max), np.full(n, np.iinfo(np.int64).max)
    right, bottom = np.zeros(n, np.int64), np.zeros(n, np.int64)
    np.minimum.at(left, which, xs)
    np.minimum.at(top, which, ys)
    np.maximum.at(right, which, xs + 1)
    np.maximum.at(bottom, which, ys + 1)
    for k in range(n):
        found[int(keep[k])] = (int(left[k]), int(top[k]), int(right[k]), int(bottom[k]))
    return found
