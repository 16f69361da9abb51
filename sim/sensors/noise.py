"""Three tileable noise textures with mipmaps, and how kernels sample them."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.sensors.jit import INNER, f32, floor, single

SIDE = 256
LEVELS = 8
COARSE, GRAIN, MEDIUM = 0, 1, 2


def _fractal(size: int, seed: int, octaves: int, base: int, gain: float) -> NDArray[np.float32]:
    """Tileable value noise [size, size] in 0..1 with mean .5."""
    rng = np.random.default_rng(seed)
    out = np.zeros((size, size))
    amplitude = 1.0
    x = np.arange(size) / size
    for octave in range(octaves):
        k = min(base * 2**octave, size)
        grid = rng.random((k, k))
        u = x * k
        i = u.astype(int)
        f = u - i
        f = f * f * (3 - 2 * f)
        i0, i1 = i % k, (i + 1) % k
        top = grid[i0][:, i0] * (1 - f) + grid[i0][:, i1] * f
        bottom = grid[i1][:, i0] * (1 - f) + grid[i1][:, i1] * f
        out += amplitude * (top * (1 - f)[:, None] + bottom * f[:, None])
        amplitude *= gain
    out = (out - out.mean()) / out.std()
    return np.clip(0.5 + out * 0.2, 0, 1).astype(np.float32)


PAGE = 3 * SIDE * SIDE
"""Numbers from one layer to the next; its mip level m begins at 2 SIDE^2 >> m."""


def make_textures() -> NDArray[np.float32]:
    """[3 * PAGE]: coarse, fine-grained and medium noise with their mip levels, each level without gaps."""
    layers = [_fractal(SIDE, 1, 6, 4, 0.6), _fractal(SIDE, 2, 3, 64, 0.8), _fractal(SIDE, 3, 5, 4, 0.5)]
    out = np.zeros((len(layers), PAGE), np.float32)
    for c, layer in enumerate(layers):
        for m in range(LEVELS):
            k = SIDE >> m
            begin = (2 * SIDE * SIDE) >> m
            out[c, begin : begin + k * k] = layer.ravel()
            layer = layer.reshape(k // 2, 2, k // 2, 2).mean((1, 3))
    return out.ravel()


@single(forceinline=True, **INNER)
def noise(textures, layer, u, v, level):
    """Bilinear sample at (u, v) (one tile is 1 x 1) of the mip level; about 0..1 with mean .5."""
    m = min(max(int(level), 0), 7)
    if layer == 1 and m > 4:  # the grain has averaged out
        return f32(0.5)
    k = 256 >> m
    u = u * f32(k)
    v = v * f32(k)
    iu = floor(u)
    iv = floor(v)
    fu = u - iu
    fv = v - iv
    # unsigned indices spare the check for negative ones
    last = np.uint32(k - 1)
    one = np.uint32(1)
    side = np.uint32(k)
    page = np.uint32(layer * 196608 + (131072 >> m))
    i = np.uint32(int(iu)) & last
    j = np.uint32(int(iv)) & last
    i1 = (i + one) & last
    top = page + j * side
    bottom = page + ((j + one) & last) * side
    a = textures[top + i] + (textures[top + i1] - textures[top + i]) * fu
    b = textures[bottom + i] + (textures[bottom + i1] - textures[bottom + i]) * fu
    return a + (b - a) * fv
