"""Cameras over a scene: colour, semantic tags, instances, depth, normals and optical flow of one moment.

`Renderer` keeps one set of buffers per picture size and can serve any number of cameras of one scene, one after
another. It is not safe to call from two threads at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from contracts import UserError
from sim.roads.network import RoadNetwork
from sim.sensors import labels
from sim.sensors.actors import Actors, rotations
from sim.sensors.colour import CpuPainter, Moment, Painter
from sim.sensors.optics import Camera, Lens
from sim.sensors.parts import Moving, Parts, Posed, parts_of
from sim.sensors.raster import Raster, Scratch
from sim.sensors.scene.assembly import detail_of
from sim.sensors.scene.town import Scene, scene_of
from sim.sensors.shadows import ShadowMaps
from sim.sensors.view import View
from sim.sensors.weather import SUN, Weather

__all__ = ["Camera", "Lens", "Renderer"]

F32 = NDArray[np.float32]
OUTPUTS = ("rgb", "semantic", "instance", "depth", "normal", "flow")
FAR = labels.FAR


class Renderer:
    """Renders a scene with its actors.

    `Renderer(network, seed)` builds the town; `Renderer(scene=scene)` shares one that exists. With `device` "cuda"
    colour pictures are shaded and developed on the GPU (see sim.sensors.gpu), everything else on the processor; raises
    UserError for an unknown device and where there is no GPU.
    """

    def __init__(
        self, network: RoadNetwork | None = None, seed: int = 0, scene: Scene | None = None, device: str = "cpu"
    ) -> None:
        painter = _painter(device)
        if scene is None:
            if network is None:
                raise ValueError("a network or a scene is needed")
            scene = scene_of(network, seed)
        self.scene = scene
        self._moving = Moving(scene.triangles)
        self._scratch = Scratch()
        self._rasters: dict[tuple[int, int, int], Raster] = {}
        self._shadows = ShadowMaps(self._scratch)
        self.painter = painter(scene)
        self.drawn = 0
        """Triangles that the last picture was drawn from: those that may be seen, at their level of detail."""

    def _pose(self, actors: Actors, view: View, shadows: View | None) -> Posed:
        """Pose those of the actors' parts that may be seen or cast shadows."""
        t = self.scene.templates
        parts = parts_of(actors, t, view.position, detail_of(view))
        centre, radius = parts.spheres(t)
        keep = view.touches(centre, radius)
        if shadows is not None:
            keep |= shadows.touches(centre, radius)
        parts = Parts(parts.template[keep], parts.actor[keep], parts.matrix[keep])
        return Posed(centre[keep], radius[keep], self._moving.pose(parts, t) + self.scene.triangles)

    def render(
        self,
        camera: Camera,
        actors: Actors | None = None,
        weather: Weather | None = None,
        lights: NDArray | None = None,
        outputs: Collection[str] = ("rgb", "semantic", "instance", "depth"),
        time: float = 0.0,
        frame: int = 0,
        previous: tuple[Camera, Actors] | None = None,
    ) -> dict[str, NDArray]:
        """Pictures of one moment, fresh arrays.

        rgb [H, W, 3] uint8; semantic [H, W] uint8 (CARLA 0.9.16 tags); instance [H, W] int32 (actor ids, static things
        from 32768, 0 for ground and sky); depth [H, W] float32 metres along the optical axis (sky 1000); normal
        [H, W, 3] float32 in world axes; flow [H, W, 2] float32, motion since `previous` (camera and the same actors
        then) in picture sizes. `lights` [S]: sim LightState of each traffic light (none: all off). `time` moves rain
        and clouds, `frame` seeds the sensor's noise. Raises UserError for an unknown output.
        """
        unknown = set(outputs) - set(OUTPUTS)
        if unknown:
            raise UserError(f"unknown output '{sorted(unknown)[0]}'; known: {', '.join(OUTPUTS)}")
        actors = actors if actors is not None else Actors.of([], np.zeros((0, 6)))
        view = camera.view()
        samples = 2 if "rgb" in outputs else 1
        key = (camera.width, camera.height, samples)
        if key not in self._rasters:
            self._rasters[key] = Raster(camera.width, camera.height, self._scratch, samples)
        raster = self._rasters[key]
        weather = weather or Weather()
        env = weather.environment(time)
        shadows = self._shadows.view(view, env[SUN : SUN + 3]) if "rgb" in outputs else None
        posed = self._pose(actors, view, shadows)
        # actors first: they are near and hide much
        draw = np.concatenate([posed.visible(view), self.scene.static.visible(view, FAR)])
        self.drawn = len(draw)
        raster.draw(self.scene.static.mesh, self._moving.mesh, draw, view)
        out = self._labels(raster, view, actors, outputs, previous)
        if shadows is not None:
            maps = self._shadows.of(shadows, self.scene.static, self._moving.mesh, posed)
            count = len(self.scene.light_position)
            moment = Moment.of(camera, view, env, actors, lights, count, maps, frame)
            out["rgb"] = self.painter.paint(raster, self._moving, moment)
        return {name: camera.lens.bend(out[name]) for name in outputs}

    def _labels(self, raster: Raster, view: View, actors: Actors, outputs: Collection[str],
                previous: tuple[Camera, Actors] | None) -> dict[str, NDArray]:  # fmt: skip
        if not set(outputs) - {"rgb"}:
            return {}
        scene, still, moving = self.scene, self.scene.static.mesh, self._moving
        h, w = raster.ids1.shape
        semantic, instance = np.empty((h, w), np.uint8), np.empty((h, w), np.int32)
        depth = np.empty((h, w), np.float32)
        lens = np.array([view.fx, view.fy, view.cx, view.cy], np.float32)
        labels.label_pass(
            raster.ids1, still.position, still.face, still.size, moving.mesh.position, moving.mesh.face, moving.source,
            moving.owner, scene.semantic, scene.records, actors.id, view.rotation, view.position, lens, semantic,
            instance, depth,
        )  # fmt: skip
        out: dict[str, NDArray] = {"semantic": semantic, "instance": instance, "depth": depth}
        if "normal" in outputs:
            out["normal"] = np.empty((h, w, 3), np.float32)
            labels.normal_pass(
                raster.ids1, depth, still.position, still.normal, still.face, still.size, moving.mesh.position,
                moving.mesh.normal, moving.mesh.face, view.rotation, view.position, lens, out["normal"],
            )  # fmt: skip
        if "flow" in outputs:
            out["flow"] = np.zeros((h, w, 2), np.float32)
            if previous is not None:
                before = previous[0].view()
                labels.flow_pass(
                    raster.ids1, depth, still.size, moving.owner, _motion(actors, previous[1]), view.rotation,
                    view.position, before.rotation, before.position, lens, out["flow"],
                )  # fmt: skip
        return out


def _painter(device: str) -> Callable[[Scene], Painter]:
    """What paints on a device; raises UserError (see Renderer)."""
    if device == "cpu":
        return CpuPainter
    if device != "cuda":
        raise UserError(f"device '{device}': known are cpu and cuda")
    from sim.sensors import gpu  # numba's CUDA part is loaded only for those who want it

    gpu.check()
    return gpu.CudaPainter


def _motion(now: Actors, before: Actors) -> F32:
    """[N, 3, 4]: maps a world point of an actor to where it was; actors that were not there stay."""
    out = np.zeros((max(len(now), 1), 3, 4), np.float32)
    out[:, :, :3] = np.eye(3, dtype=np.float32)
    row = {int(k): i for i, k in enumerate(before.id)}
    r1 = rotations(now.pose[:, 3], now.pose[:, 4], now.pose[:, 5])
    r0 = rotations(before.pose[:, 3], before.pose[:, 4], before.pose[:, 5])
    for k, number in enumerate(now.id):
        j = row.get(int(number))
        if j is not None:
            m = r0[j] @ r1[k].T
            out[k, :, :3] = m
            out[k, :, 3] = before.pose[j, :3] - m @ now.pose[k, :3]
    return out
