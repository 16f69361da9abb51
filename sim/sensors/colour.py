"""Colour pictures: from the visibility buffer through shading, mirror images and bloom to bytes, on the processor.

What a picture is made of is gathered here for the GPU as well (sim.sensors.gpu), which runs the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.sensors import post
from sim.sensors.actors import Actors
from sim.sensors.lights import head_lamps
from sim.sensors.meshes.designs import outlines
from sim.sensors.occlusion import occlude, occlusion_pattern, smooth_occlusion
from sim.sensors.optics import Camera
from sim.sensors.parts import Moving
from sim.sensors.raster import Raster
from sim.sensors.reflections import reflect
from sim.sensors.scene.town import Scene
from sim.sensors.shade import shade
from sim.sensors.shadows import Shadows
from sim.sensors.view import View
from sim.sensors.weather import EXPOSURE, FOG_FALLOFF, FOG_HERE, LAMPS, PUDDLES, WET

F32 = NDArray[np.float32]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Moment:
    """What is to be seen, from where and in which light.

    `env`: the weather (Weather.environment) at the camera's height; `signals` [S]: lens of each traffic light that is
    lit, from the top (-1: none); `heads` [n, 6]: head lamps (see sim.sensors.lights); `frame` seeds the noise.
    """

    camera: Camera
    view: View
    env: F32
    actors: Actors
    signals: NDArray[np.int32]
    heads: F32
    shadows: Shadows
    frame: int

    @staticmethod
    def of(camera: Camera, view: View, env: F32, actors: Actors, lights: NDArray | None, count: int, shadows: Shadows,
           frame: int) -> Moment:  # fmt: skip
        """`lights`: sim LightState of each of `count` traffic lights (none: all off)."""
        env = env.copy()
        env[FOG_HERE] = math.exp(-env[FOG_FALLOFF] * max(float(view.position[2]), 0.0))
        # LightState GREEN, YELLOW, RED = 1, 2, 3 -> lens 2, 1, 0 from the top
        signals = np.full(count, -1, np.int32)
        if lights is not None:
            given = np.asarray(lights)
            n = min(len(given), count)
            signals[:n] = np.where(given[:n] > 0, 3 - given[:n], -1)
        heads = head_lamps(actors, view.position) if env[LAMPS] > 0 else np.zeros((0, 6), np.float32)
        return Moment(camera, view, env, actors, signals, heads, shadows, frame)

    def lens(self) -> F32:
        """[9] position, fx, fy, cx, cy, 1 / fx, 1 / fy."""
        v = self.view
        return np.array([*v.position, v.fx, v.fy, v.cx, v.cy, 1 / v.fx, 1 / v.fy], np.float32)

    @property
    def wet(self) -> bool:
        """Whether the ground mirrors anything."""
        return bool(self.env[WET] + self.env[PUDDLES] > 0)

    @property
    def exposure(self) -> np.float32:
        """What radiance is multiplied with."""
        return np.float32(self.env[EXPOSURE] * 2.0**self.camera.exposure)

    @property
    def glare(self) -> np.float32:
        """Weight of the bloom."""
        return np.float32(0.33 * self.camera.bloom)

    @property
    def up(self) -> np.float32:
        """How far up or down the camera looks (sine of its pitch)."""
        return np.float32(abs(math.sin(self.camera.pitch)))

    @property
    def grain(self) -> np.float32:
        """Half the width of the sensor noise's triangular distribution."""
        return np.float32(self.camera.noise * 2.45)


def standing(scene: Scene) -> tuple[Any, ...]:
    """The arguments of `shade` that stay: textures, static triangles, records, outlines of vehicles, street lamps."""
    still, lamps = scene.static.mesh, scene.lamps
    return (
        scene.textures, *still.flat(), still.size, scene.records.ravel(), scene.looks.ravel(), scene.uv.ravel(),
        outlines(), lamps.position, lamps.origin, lamps.size, lamps.first, lamps.items,
    )  # fmt: skip


def passing(moving: Moving, moment: Moment) -> tuple[Any, ...]:
    """The arguments of `shade` that a moment has: moving triangles, paint and lamps of actors, signals, head lamps."""
    return (
        *moving.mesh.flat(), moving.source, moving.owner, moment.actors.paint, moment.actors.lamps, moment.signals,
        moment.heads, len(moment.heads),
    )  # fmt: skip


class Curves:
    """Tone curves by gamma, made once."""

    def __init__(self) -> None:
        self._made: dict[float, F32] = {}

    def of(self, gamma: float) -> F32:
        """See sim.sensors.post.tone_curve."""
        if gamma not in self._made:
            self._made[gamma] = post.tone_curve(gamma)
        return self._made[gamma]


class Painter(Protocol):
    """Paints what a raster holds."""

    def paint(self, raster: Raster, moving: Moving, moment: Moment) -> Picture:
        """[H, W, 3] RGB, a fresh array."""


class Canvas:
    """Arrays of one picture size, made by `empty(shape, dtype)`."""

    def __init__(self, height: int, width: int, empty: Callable[..., Any] = np.empty) -> None:
        full, half, quarter = (height, width, 3), (height // 2, width // 2), (height // 4, width // 4, 3)
        self.radiance, self.mirror, self.mirrored = (empty(full, np.float32) for _ in range(3))
        self.occlusion = [empty(half, np.float32) for _ in range(2)]
        self.bloom = [empty(quarter, np.float32) for _ in range(3)]


class CpuPainter:
    """Paints on all of Numba's threads."""

    def __init__(self, scene: Scene) -> None:
        self._standing = standing(scene)
        self._pattern = occlusion_pattern()
        self._curves = Curves()
        self._canvas: dict[tuple[int, int], Canvas] = {}

    def paint(self, raster: Raster, moving: Moving, moment: Moment) -> Picture:
        """[H, W, 3] RGB, a fresh array."""
        size = raster.ids1.shape
        if size not in self._canvas:
            self._canvas[size] = Canvas(*size)
        canvas, cam, rotation, env = self._canvas[size], moment.lens(), moment.view.rotation, moment.env
        textures = self._standing[0]
        raw, occlusion = canvas.occlusion
        occlude(raster.inverse, raster.ids, cam, self._pattern, raw)
        smooth_occlusion(raw, raster.inverse, occlusion)
        maps = moment.shadows
        shade(
            raster.ids, occlusion, cam, rotation, env, *self._standing, *passing(moving, moment), maps.near, maps.far,
            maps.moving, maps.busy, maps.light, canvas.radiance, canvas.mirror,
        )  # fmt: skip
        radiance = canvas.radiance
        if moment.wet:
            radiance = canvas.mirrored
            reflect(canvas.radiance, canvas.mirror, raster.inverse1, cam, rotation, env, textures, radiance)
        bright, across, bloom = canvas.bloom
        post.highlights(radiance, moment.exposure, bright)
        post.blur(bright, 0, across)
        post.blur(across, 1, bloom)
        out = np.empty((*size, 3), np.uint8)
        post.develop(
            radiance, bloom, moment.glare, env, cam, moment.up, moment.exposure,
            self._curves.of(moment.camera.gamma), moment.frame, moment.grain, out,
        )  # fmt: skip
        return out
