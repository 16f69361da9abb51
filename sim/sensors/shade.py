"""Colour from the visibility buffer: every distinct surface in a pixel is shaded once, at the mean of its samples."""

# numba knows these types, mypy does not
# mypy: disable-error-code="no-untyped-def, no-untyped-call, operator, arg-type, assignment"
from __future__ import annotations

import numpy as np
from numba import prange

from sim.sensors.jit import INNER, PARALLEL, decay, f32, mix, shuffled, single, unit
from sim.sensors.sky import fog, sky
from sim.sensors.surface import FACT, U3, U4, grasp, surface


@single(forceinline=True, **INNER)
def _backdrop(px, py, cam, rot, env, tex):
    """The sky behind a pixel, in the haze of the horizon."""
    vx = (px - cam[5]) * cam[7]
    vy = (py - cam[6]) * cam[8]
    dx, dy, dz = unit(
        rot[0, 0] * vx + rot[1, 0] * vy + rot[2, 0],
        rot[0, 1] * vx + rot[1, 1] * vy + rot[2, 1],
        rot[0, 2] * vx + rot[1, 2] * vy + rot[2, 2],
    )
    r, g, b = sky(env, tex, dx, dy, dz, True)
    if env[12] > 0.002:
        f = decay((env[12] - 0.002) * 22.0 / max(dz + 0.02, 0.02))
        r = mix(env[9] * 0.92, r, f)
        g = mix(env[10] * 0.92, g, f)
        b = mix(env[11] * 0.92, b, f)
    return r, g, b


@single(forceinline=True, **INNER)
def _distinct(ids, x, y, statics, source, owner, record, which, group, who, count, mean_x, mean_y):
    """Sort the 2 x 2 samples of a pixel into surfaces; returns their number.

    Row k of the others: a triangle of the surface, its group and owner, how many samples it has, and the mean place of
    those on that very triangle.
    """
    n = 0
    for q in range(4):
        t = ids[2 * y + (q >> 1), 2 * x + (q & 1)]
        ox = f32(x) + 0.25 + 0.5 * f32(q & 1)
        oy = f32(y) + 0.25 + 0.5 * f32(q >> 1)
        own = np.int32(-1)
        kind = np.int32(-1)
        if t >= 0:
            src = t
            if t >= statics:
                own = owner[t - statics]
                src = source[t - statics]
            kind = record[np.uint32(src) * U4 + U3]
        found = False
        for k in range(n):
            if group[k] == kind and who[k] == own:
                if which[k] == t:
                    mean_x[k] = (mean_x[k] * f32(count[k]) + ox) / f32(count[k] + 1)
                    mean_y[k] = (mean_y[k] * f32(count[k]) + oy) / f32(count[k] + 1)
                count[k] += 1
                found = True
                break
        if not found:
            which[n] = t
            group[n] = kind
            who[n] = own
            count[n] = 1
            mean_x[n] = ox
            mean_y[n] = oy
            n += 1
    return n


@single(forceinline=True, **INNER)
def shade_span(y, first, last, which, group, who, count, mean_x, mean_y, fact, ids, occlusion, cam, rot, env, tex,
               position, normal, face, statics, record, looks, uvs, outlines, lamps, l_origin, l_size, l_first, l_items,
               m_position, m_normal, m_face, source, owner, paints, lamp_bits, signals, heads, head_count, near, far,
               moving, busy, light, out, mirrors):  # fmt: skip
    """Pixels first .. last - 1 of row y of `shade`. `which` to `mean_y` [4] and `fact` [FACT] are room to work in."""
    known = np.int32(-1)
    material = np.int32(0)
    seed = np.int32(0)
    actor = np.int32(-1)
    for x in range(first, last):
        t = ids[2 * y, 2 * x]
        if t == ids[2 * y, 2 * x + 1] and t == ids[2 * y + 1, 2 * x] and t == ids[2 * y + 1, 2 * x + 1]:
            n = 1
            which[0] = t
            count[0] = 4
            mean_x[0] = f32(x) + 0.5
            mean_y[0] = f32(y) + 0.5
        else:
            n = _distinct(ids, x, y, statics, source, owner, record, which, group, who, count, mean_x, mean_y)
        ao = occlusion[min(y >> 1, occlusion.shape[0] - 1), min(x >> 1, occlusion.shape[1] - 1)]
        sr = f32(0.0)
        sg = f32(0.0)
        sb = f32(0.0)
        mirror_k = f32(0.0)
        mirror_x = f32(0.0)
        mirror_y = f32(0.0)
        for k in range(n):
            t = which[k]
            mk = f32(0.0)
            mx = f32(0.0)
            my = f32(0.0)
            if t < 0:
                r, g, b = _backdrop(mean_x[k], mean_y[k], cam, rot, env, tex)
            else:
                if t != known:  # neighbours see the same triangle
                    material, seed, actor = grasp(
                        fact, t, cam, position, normal, face, statics, m_position, m_normal, m_face, source, owner,
                        record, looks, uvs)  # fmt: skip
                    known = t
                r, g, b, wx, wy, wz, distance, mk, mx, my = surface(
                    fact, material, seed, actor, mean_x[k], mean_y[k], ao, cam, rot, env, tex, paints, lamp_bits,
                    signals, outlines, near, far, moving, busy, light, lamps, l_origin, l_size, l_first, l_items,
                    heads, head_count)  # fmt: skip
                il = 1.0 / distance
                r, g, b = fog(
                    env, r, g, b, cam[2], wz, distance, (wx - cam[0]) * il, (wy - cam[1]) * il, (wz - cam[2]) * il
                )
            if mk > mirror_k:
                mirror_k = mk
                mirror_x = mx
                mirror_y = my
            if n == 1:
                sr = r
                sg = g
                sb = b
                break
            # weigh bright samples down while averaging: edges against a bright sky stay smooth
            weight = f32(count[k]) * 0.25 / (1.0 + max(r, max(g, b)) * env[16] * 0.25)
            sr += r * weight
            sg += g * weight
            sb += b * weight
        if n > 1:
            k = 1.0 / max(1.0 - max(sr, max(sg, sb)) * env[16] * 0.25, 0.02)
            sr *= k
            sg *= k
            sb *= k
        out[y, x, 0] = sr
        out[y, x, 1] = sg
        out[y, x, 2] = sb
        mirrors[y, x, 0] = mirror_k
        mirrors[y, x, 1] = mirror_x
        mirrors[y, x, 2] = mirror_y


@single(**PARALLEL)
def shade(ids, occlusion, cam, rot, env, tex, position, normal, face, statics, record, looks, uvs, outlines, lamps,
          l_origin, l_size, l_first, l_items, m_position, m_normal, m_face, source, owner, paints, lamp_bits, signals,
          heads, head_count, near, far, moving, busy, light, out, mirrors):  # fmt: skip
    """Fill out [H, W, 3] with linear radiance from 2 x 2 samples a pixel, and mirrors [H, W, 3] with what is wet:

    share of the mirror image, slope x, slope y."""
    height, width, _ = out.shape
    for row in prange(height):
        y = shuffled(row, height)
        which = np.empty(4, np.int32)
        group = np.empty(4, np.int32)
        who = np.empty(4, np.int32)
        count = np.empty(4, np.int32)
        mean_x = np.empty(4, np.float32)
        mean_y = np.empty(4, np.float32)
        fact = np.empty(FACT, np.float32)
        shade_span(
            y, 0, width, which, group, who, count, mean_x, mean_y, fact, ids, occlusion, cam, rot, env, tex, position,
            normal, face, statics, record, looks, uvs, outlines, lamps, l_origin, l_size, l_first, l_items, m_position,
            m_normal, m_face, source, owner, paints, lamp_bits, signals, heads, head_count, near, far, moving, busy,
            light, out, mirrors)  # fmt: skip
