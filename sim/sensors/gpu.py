"""Colour pictures on a CUDA device: the functions that shade and develop a pixel on the processor, a thread for each.

numba-cuda compiles the very same Python functions (`sim.sensors.jit.on_device`). The processor rasterises; what a
picture needs of it goes to the device, and the finished bytes come back. Static things stay on the device. A GPU rounds
in other places (fused multiplications and additions), so pictures differ from the processor's, nearly always by one
level of 255 at most.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import numpy as np
from numba import config, cuda
from numpy.typing import NDArray

from contracts import UserError
from sim.sensors import post
from sim.sensors.colour import Canvas, Curves, Moment, Picture, passing, standing
from sim.sensors.jit import on_device
from sim.sensors.occlusion import occlude_span, occlusion_pattern, smooth_pixel
from sim.sensors.parts import Moving
from sim.sensors.raster import Raster
from sim.sensors.reflections import reflect_pixel
from sim.sensors.scene.town import Scene
from sim.sensors.shade import shade_span
from sim.sensors.surface import FACT

BLOCK = (8, 16)
"""Columns and rows of pixels that a block of threads works on; a warp has 8 x 4."""
MAPS = 4
"""Static shadow maps that stay on the device: two cascades of two places."""


def _each_pixel(function: Any) -> Any:
    """A kernel that calls `function(y, x, *arguments)` for each pixel of [rows, columns]."""
    pixel = on_device(function)

    @cuda.jit
    def kernel(rows, columns, arguments):
        x, y = cuda.grid(2)
        if y < rows and x < columns:
            pixel(y, x, *arguments)

    return kernel


_shade_span, _occlude_span = on_device(shade_span), on_device(occlude_span)
_quarter, _glow_at, _develop_pixel = on_device(post.quarter), on_device(post.glow_at), on_device(post.develop_pixel)


@cuda.jit
def shade(rows, columns, arguments):
    """See sim.sensors.shade; `arguments` are those of its `shade`."""
    x, y = cuda.grid(2)
    if y < rows and x < columns:
        which = cuda.local.array(4, np.int32)
        group = cuda.local.array(4, np.int32)
        who = cuda.local.array(4, np.int32)
        count = cuda.local.array(4, np.int32)
        mean_x = cuda.local.array(4, np.float32)
        mean_y = cuda.local.array(4, np.float32)
        fact = cuda.local.array(FACT, np.float32)
        _shade_span(y, x, x + 1, which, group, who, count, mean_x, mean_y, fact, *arguments)


@cuda.jit
def occlude(rows, columns, arguments):
    """See sim.sensors.occlusion; `arguments` are those of its `occlude`."""
    x, y = cuda.grid(2)
    if y < rows and x < columns:
        _occlude_span(y, x, x + 1, *arguments)


@cuda.jit
def develop(rows, columns, arguments):
    """See sim.sensors.post; `arguments` are those of its `develop`."""
    x, y = cuda.grid(2)
    if y < rows and x < columns:
        radiance, bloom, glare, env, cam, up, exposure, curve, seed, grain, out = arguments
        j, fv = _quarter(y, bloom.shape[0])
        i, fu = _quarter(x, bloom.shape[1])
        glow = cuda.local.array((2, 3), np.float32)
        for k in range(2):
            for c in range(3):
                glow[k, c] = _glow_at(bloom, j, fv, min(i + k, bloom.shape[1] - 1), c, glare)
        _develop_pixel(y, x, glow, 0, 1, fu, radiance, env, cam, up, exposure, curve, seed, grain, out)


smooth_occlusion = _each_pixel(smooth_pixel)
highlights, blur = _each_pixel(post.highlight_pixel), _each_pixel(post.blur_pixel)
reflect = _each_pixel(reflect_pixel)


Step = tuple[Any, tuple[int, ...], tuple[Any, ...]]
"""A kernel, the shape of the pictures that it fills, and its arguments."""


def launch(kernel: Any, shape: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
    """Start a kernel over the pixels of [rows, columns, ...]."""
    rows, columns = shape[:2]
    blocks = (-(-columns // BLOCK[0]), -(-rows // BLOCK[1]))
    kernel[blocks, BLOCK](rows, columns, arguments)


warnings.filterwarnings("ignore", ".*Grid size")  # numba-cuda's advice: a picture of quarter size has few blocks


def check() -> None:
    """Raise UserError where nothing can be painted on a CUDA device."""
    if not config.ENABLE_CUDASIM and importlib.util.find_spec("numba_cuda") is None:
        raise UserError("device cuda: the package numba-cuda is missing (in the clone, pip install '.[cuda]')")
    if not cuda.is_available():
        raise UserError("device cuda: there is no CUDA device")


class CudaPainter:
    """Paints on the current CUDA device (see `check`)."""

    def __init__(self, scene: Scene) -> None:
        self._standing = tuple(cuda.to_device(a) if isinstance(a, np.ndarray) else a for a in standing(scene))
        self._pattern = cuda.to_device(occlusion_pattern())
        self._curves = Curves()
        self._canvas: dict[tuple[int, ...], Canvas] = {}
        self._maps: dict[int, tuple[NDArray, Any]] = {}
        self._room: dict[str, Any] = {}

    def paint(self, raster: Raster, moving: Moving, moment: Moment) -> Picture:
        """[H, W, 3] RGB, a fresh array."""
        for step in self.steps(raster, moving, moment):
            launch(*step)
        return np.asarray(self._room["picture"].copy_to_host())

    def steps(self, raster: Raster, moving: Moving, moment: Moment) -> list[Step]:
        """Bring to the device what is to be painted; returns what does it, in order."""
        size = raster.ids1.shape
        if size not in self._canvas:
            self._canvas[size] = Canvas(*size, cuda.device_array)
        canvas = self._canvas[size]
        ids, inverse = self._put("ids", raster.ids), self._put("inverse", raster.inverse)
        cam, env = self._put("cam", moment.lens()), self._put("env", moment.env)
        rotation = self._put("rotation", moment.view.rotation)
        textures, curve = self._standing[0], self._put("curve", self._curves.of(moment.camera.gamma))
        raw, occlusion = canvas.occlusion
        bright, across, bloom = canvas.bloom
        picture = self._empty("picture", (*size, 3), np.uint8)
        steps: list[Step] = [
            (occlude, raw.shape, (inverse, ids, cam, self._pattern, raw)),
            (smooth_occlusion, raw.shape, (raw, inverse, occlusion)),
            (shade, size, (ids, occlusion, cam, rotation, env, *self._standing, *self._passing(moving, moment),
                           canvas.radiance, canvas.mirror)),
        ]  # fmt: skip
        radiance = canvas.radiance
        if moment.wet:
            inverse1, radiance = self._put("inverse1", raster.inverse1), canvas.mirrored
            wet = (canvas.radiance, canvas.mirror, inverse1, cam, rotation, env, textures, radiance)
            steps.append((reflect, size, wet))
        return [
            *steps,
            (highlights, bright.shape, (radiance, moment.exposure, bright)),
            (blur, bright.shape, (bright, 0, across)),
            (blur, bright.shape, (across, 1, bloom)),
            (develop, size, (radiance, bloom, moment.glare, env, cam, moment.up, moment.exposure, curve, moment.frame,
                             moment.grain, picture)),
        ]  # fmt: skip

    def _passing(self, moving: Moving, moment: Moment) -> list[Any]:
        """The arguments of `shade` that a moment has, shadow maps included."""
        values = [*passing(moving, moment), moment.shadows.moving, moment.shadows.busy, moment.shadows.light]
        there = [self._put(str(k), a) if isinstance(a, np.ndarray) else a for k, a in enumerate(values)]
        maps = [self._static_map(moment.shadows.near), self._static_map(moment.shadows.far)]
        return [*there[:-3], *maps, *there[-3:]]

    def _empty(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array on the device, in the room that its predecessor of that name had."""
        room = self._room.get(name)
        if room is None or room.shape != shape:
            room = self._room[name] = cuda.device_array(shape, dtype)
        return room

    def _put(self, name: str, array: NDArray) -> Any:
        """A copy of an array on the device."""
        room = self._empty(name, array.shape, array.dtype)
        if array.size:
            cuda.to_device(np.ascontiguousarray(array), to=room)
        return room

    def _static_map(self, drawn: NDArray) -> Any:
        """A static shadow map on the device; it goes there once."""
        if id(drawn) not in self._maps:
            while len(self._maps) >= MAPS:
                self._maps.pop(next(iter(self._maps)))
            self._maps[id(drawn)] = (drawn, cuda.to_device(drawn))  # kept, so that no other array gets its number
        return self._maps[id(drawn)][1]
