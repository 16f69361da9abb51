"""Walls with windows, and shop fronts, drawn from metres along and up the wall. Returns the tuple of `materials`."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from sim.sensors.jit import INNER, box, cover, f32, floor, hash01, mix, sat, single, smooth
from sim.sensors.noise import noise


@single(**INNER)
def facade(env, tex, seed, r, g, b, x, y, z, tu, tv, nx, ny, nz, cosv, level, fg):
    """A storeyed wall: plaster or bricks, string courses, framed windows with curtains, lit rooms at night."""
    h0 = hash01(seed, 11, 3)
    h1 = hash01(seed, 5, 9)
    pitch = 2.3 + 1.0 * h0
    n1 = noise(tex, 0, (x + y) * 0.04, z * 0.04, level - 4.0)
    n2 = noise(tex, 1, (x + y) * 0.5, z * 0.5, level)
    bright = 0.80 + 0.32 * n1 + 0.16 * (n2 - 0.5)
    if h1 < 0.55 and fg < 0.10:  # bricks
        q = max(fg, 0.004)
        h = 0.5 / q
        rv = tv / 0.085
        ir = floor(rv)
        ru = tu / 0.25 + 0.5 * (ir - 2.0 * floor(ir * 0.5))
        ic = floor(ru)
        k = smooth(0.10, 0.02, fg)
        mortar = sat(cover((rv - ir) * 0.085, 0.0, 0.012, q, h) + cover((ru - ic) * 0.25, 0.0, 0.012, q, h)) * k * 0.4
        bright *= 1.0 + k * (0.80 + 0.36 * hash01(int(ic) + 999, int(ir) + 999, seed) - 1.0)
        r = mix(r, 0.42, mortar)
        g = mix(g, 0.40, mortar)
        b = mix(b, 0.37, mortar)
    # rain streaks below the sills and a darker foot
    streak = noise(tex, 1, (x - y) * 0.9, z * 0.03, level - 0.5)
    bright *= 1.0 - 0.10 * smooth(0.5, 0.8, streak) - 0.12 * smooth(0.8, 0.0, tv)
    r *= bright
    g *= bright
    b *= bright
    rough = f32(0.85)
    gloss = f32(0.0)
    f0 = f32(0.03)
    er = f32(0.0)
    eg = f32(0.0)
    eb = f32(0.0)
    iv = floor(tv / 3.2)
    fv = tv - iv * 3.2
    iu = floor(tu / pitch)
    wu = tu - iu * pitch
    q = max(fg * 0.7, 0.008)
    h = 0.5 / q
    half = (0.26 + 0.06 * hash01(seed, 2, 2)) * pitch
    left = 0.5 * pitch - half
    right = 0.5 * pitch + half
    sill = 0.75 if h0 > 0.5 else 0.95
    head = 2.55
    k = cover(fv, 0.0, 0.14, q, h) * 0.5
    r = mix(r, 0.48, k)
    g = mix(g, 0.46, k)
    b = mix(b, 0.43, k)
    k = cover(wu, left - 0.10, right + 0.10, q, h) * cover(fv, sill - 0.12, sill, q, h)
    r = mix(r, 0.52, k)
    g = mix(g, 0.51, k)
    b = mix(b, 0.48, k)
    k = 1.0 - cover(wu, left - 0.06, right + 0.06, q, h) * cover(fv, sill - 0.24, sill - 0.12, q, h) * 0.4
    r *= k
    g *= k
    b *= k
    window = cover(wu, left, right, q, h) * cover(fv, sill, head, q, h)
    if window > 0.0:
        frame = 1.0 - cover(wu, left + 0.07, right - 0.07, q, h) * cover(fv, sill + 0.07, head - 0.07, q, h)
        frame = max(frame, cover(wu, pitch * 0.5 - 0.03, pitch * 0.5 + 0.03, q, h))
        frame = max(frame, cover(fv, sill + 1.12, sill + 1.17, q, h) * 0.8)
        hh = hash01(int(iu) + 100, int(iv) + 100, seed * 3)
        cr = f32(0.018)
        cg = f32(0.019)
        cb = f32(0.022)
        if hh > 0.70:  # curtains
            w = (right - left) * 0.30
            k = cover(wu, left, left + w, q, h) + cover(wu, right - w, right, q, h)
            cr += 0.26 * k
            cg += 0.24 * k
            cb += 0.20 * k
        elif hh < 0.16:  # blinds
            k = cover(fv, sill + 0.4 + 6.0 * hh, head, q, h)
            cr += 0.27 * k
            cg += 0.26 * k
            cb += 0.23 * k
        shade = 1.0 - 0.65 * cover(fv, head - 0.20, head, q, h)
        ambient = (env[6] + env[9]) * 0.9
        lit = env[26] if hash01(int(iu) + 7, int(iv) + 7, seed) > 0.60 else f32(0.0)
        warm = hash01(int(iu) + 17, int(iv) + 5, seed)
        power = lit * (0.28 + 0.55 * hh) * (0.65 + 0.5 * smooth(sill, head, fv))
        lr = (cr * ambient * 0.8 + power * 0.80 * (1.0 - 0.5 * cr)) * shade
        lg = (cg * ambient * 0.8 + power * (0.50 + 0.12 * warm)) * shade
        lb = (cb * ambient * 0.8 + power * (0.20 + 0.30 * warm)) * shade
        glass = window * (1.0 - frame)
        fc = (0.50 if h0 > 0.4 else 0.06) * (0.4 + 0.6 * shade)
        k = window * frame
        r = mix(r, fc, k) * (1.0 - glass)
        g = mix(g, fc, k) * (1.0 - glass)
        b = mix(b, fc, k) * (1.0 - glass)
        er = lr * glass
        eg = lg * glass
        eb = lb * glass
        gloss = glass * shade
        f0 = f32(0.08)
        rough = f32(0.12) if glass > 0.5 else rough
        # panes are never quite parallel: their mirror images differ
        nz += 0.06 * (hh - 0.5) * glass
    return r, g, b, nx, ny, nz, rough, f0, gloss, er, eg, eb, f32(0.0)


@single(**INNER)
def shop(env, tex, seed, r, g, b, x, y, z, tu, tv, nx, ny, nz, cosv, level, fg):
    """A ground floor with shop windows, goods on display and a lettered sign."""
    h0 = hash01(seed, 21, 3)
    pitch = 3.6 + 1.6 * h0
    iu = floor(tu / pitch)
    wu = tu - iu * pitch
    q = max(fg * 0.7, 0.008)
    h = 0.5 / q
    hh = hash01(int(iu) + 50, 77, seed)
    n2 = noise(tex, 1, (x + y) * 0.5, z * 0.5, level)
    bright = 0.85 + 0.3 * (n2 - 0.5)
    r *= bright
    g *= bright
    b *= bright
    rough = f32(0.8)
    gloss = f32(0.0)
    f0 = f32(0.03)
    er = f32(0.0)
    eg = f32(0.0)
    eb = f32(0.0)
    board = cover(tv, 3.05, 3.72, q, h) * cover(wu, 0.15, pitch - 0.15, q, h)
    if board > 0.0:
        p3 = hash01(int(iu) + 3, 5, seed)
        p4 = hash01(int(iu) + 3, 6, seed)
        p5 = hash01(int(iu) + 3, 8, seed)
        r = mix(r, 0.02 + 0.42 * p3 * p3, board)
        g = mix(g, 0.02 + 0.30 * p4 * p4, board)
        b = mix(b, 0.02 + 0.36 * p5 * p5, board)
        lu = wu / 0.30
        il = floor(lu)
        letter = cover(tv, 3.22, 3.55, q, h) * cover(wu, pitch * 0.2, pitch * 0.8, q, h)
        stroke = hash01(int(il) + int(iu) * 31 + 500, int((tv - 3.22) / 0.11) + 50, seed)
        on = f32(1.0) if stroke > 0.45 else f32(0.0)
        letter *= box(lu - il, 0.12, 0.85, q / 0.3) * (on if fg < 0.06 else f32(0.5)) * 0.85
        r = mix(r, 0.72, letter)
        g = mix(g, 0.70, letter)
        b = mix(b, 0.62, letter)
        glow = env[26] * board * (0.06 + 0.8 * letter)
        er = glow * (0.25 + r)
        eg = glow * (0.25 + g)
        eb = glow * (0.25 + b)
    foot = 0.50 if hh > 0.3 else 0.06
    window = cover(wu, 0.30, pitch - 0.30, q, h) * cover(tv, foot, 2.92, q, h)
    if window > 0.0:
        frame = 1.0 - cover(wu, 0.37, pitch - 0.37, q, h) * cover(tv, 0.12, 2.85, q, h)
        frame = max(frame, cover(wu, pitch * 0.5 - 0.03, pitch * 0.5 + 0.03, q, h))
        gi = floor(tu / 0.45)
        goods_high = 0.35 + 1.3 * hash01(int(gi) + 9, 31, seed + int(iu))
        goods = box(tu / 0.45 - gi, 0.15, 0.85, q / 0.45) * cover(tv, 0.55, goods_high + 0.55, q, h)
        goods *= sat(1.0 - fg * 4.0) * 0.7 + 0.3
        tint = hash01(int(gi) + 9, 41, seed)
        inside = (0.03 + 0.10 * hh * smooth(0.3, 2.9, tv)) * (0.30 + 0.7 * (env[6] + env[9]) * 0.5)
        inside += goods * (0.02 + 0.09 * hash01(int(gi) + 9, 37, seed)) * (0.30 + 0.7 * env[9])
        open_late = env[26] if hh > 0.25 else env[26] * 0.08
        inside += open_late * (0.20 + 0.45 * smooth(0.2, 2.9, tv)) * (1.0 - 0.55 * goods)
        glass = window * (1.0 - frame)
        k = window * frame
        r = mix(r, 0.07, k) * (1.0 - glass)
        g = mix(g, 0.07, k) * (1.0 - glass)
        b = mix(b, 0.075, k) * (1.0 - glass)
        er += inside * (1.08 + 0.3 * (tint - 0.5) * goods) * glass
        eg += inside * 0.96 * glass
        eb += inside * (0.76 - 0.3 * (tint - 0.5) * goods) * glass
        gloss = glass
        f0 = f32(0.07)
        rough = f32(0.12) if glass > 0.5 else rough
    return r, g, b, nx, ny, nz, rough, f0, gloss, er, eg, eb, f32(0.0)
