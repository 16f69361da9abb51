"""How fast the cameras and the lidar are, and how much memory a town takes, beside peers that run here.

    python benchmarks/render.py [--town Gridley] [--frames 40] [--peers] [--metadrive]
    python benchmarks/render.py --memory

Rows: all four outputs (colour, semantic, instance, depth) at 320 x 180 and 640 x 360, labels alone, and a lidar of 64
channels x 1000 columns, with 50 moving actors. The camera follows a vehicle whose driver always has 118,000 triangles
or more before him. Peers: the same triangles with moderngl (`--peers`; needs `pip install moderngl` and Mesa's EGL,
Debian's libegl1 and libgl1-mesa-dri), and MetaDrive's RGB camera (`--metadrive`; needs the `bench` dependency group,
and downloads its assets at its first run). CARLA publishes no times of its cameras; docs/speed.md has what it does.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from sim.sensors.show import Stage

TOWNS = ("Alder", "Gridley", "Marlin")
SIZES = {"320 x 180": (320, 180), "640 x 360": (640, 360)}
TRIANGLES = 118_000
FOUR = ("rgb", "semantic", "instance", "depth")
LIMITS = {"all four, 320 x 180": 18, "all four, 640 x 360": 50, "lidar 64 x 1000": 15}
Rows = dict[str, list[tuple[float, float]]]
"""Row -> milliseconds of each frame by the clock, and of all cores together."""


class Clock:
    """Times from `start` on into rows, once the first frames have compiled and drawn the static shadow maps."""

    def __init__(self, rows: Rows, frame: int) -> None:
        self._rows, self._counts = rows, frame >= 3
        self.start()

    def start(self) -> None:
        """Begin anew."""
        self._wall, self._cores = time.perf_counter(), time.process_time()

    def stop(self, name: str) -> None:
        """The row's time since the last start or stop."""
        wall, cores = time.perf_counter() - self._wall, time.process_time() - self._cores
        if self._counts:
            self._rows.setdefault(name, []).append((1e3 * wall, 1e3 * cores))
        self.start()


def busy(stage: Stage, seconds: float, frames: int) -> int:
    """The vehicle whose driver never has under TRIANGLES static triangles before him in `frames` after
    `seconds`, but the fewest of all such; seen in a second world of the same seed."""
    from sim.sensors.camera import Camera
    from sim.sensors.show import STEP
    from sim.world.world import World

    twin = copy.copy(stage)
    twin.world = World(stage.tables, stage.network.walk_tables(), stage.world.config, 0)
    twin.world.reset()
    twin.advance(seconds)
    static, count = stage.renderer.scene.static, stage.world.state.vehicles.x.shape[1]
    least = np.full(count, 10**9)
    for _ in range(frames):
        twin.advance(STEP)
        views = [twin.aim("driver", k, Camera()).view() for k in range(count)]
        least = np.minimum(least, [len(static.visible(view, 1000.0)) for view in views])
    return int(np.argmin(np.where(least >= TRIANGLES, least, 10**9 - least)))


def ours(town: str, frames: int, peers: bool) -> Rows:
    """Milliseconds of every frame by row."""
    from sim.sensors.camera import Camera
    from sim.sensors.lidar import Lidar, Pose, RayCaster, scan
    from sim.sensors.show import STEP, Stage
    from sim.sensors.world_view import actors_of, lights_of

    began = time.perf_counter()
    stage = Stage(town, "ClearNoon", vehicles=40, walkers=11)
    renderer = stage.renderer
    print(f"{town}: {renderer.scene.triangles:,} triangles, built in {time.perf_counter() - began:.1f} s")
    ego = busy(stage, 5.0, frames + 3)
    stage.advance(5.0)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)  # a world of its own is stepped by one
    caster = RayCaster(renderer.scene)
    lidar = Lidar(channels=64, range=80.0, points_per_second=640_000, upper_fov=10, lower_fov=-25)
    times: Rows = {}
    drawn = []
    peer = None
    for frame in range(frames + 3):
        stage.advance(STEP)
        state = stage.world.state
        actors = actors_of(state, stage.tables, hide=ego)
        lights = lights_of(state)
        camera = stage.aim("driver", ego, Camera())
        clock = Clock(times, frame)
        for name, (width, height) in SIZES.items():
            view = replace(camera, width=width, height=height)
            for what, outputs in (("all four", FOUR), ("labels and depth", FOUR[1:])):
                renderer.render(view, actors, stage.weather, lights, outputs, stage.time, frame)
                clock.stop(f"{what}, {name}")
            if peers:
                if peer is None:
                    from gl_peer import Peer  # beside this file

                    peer = Peer(renderer)
                clock.start()
                peer.draw(view)
                clock.stop(f"{peer.name}, {name}")
        drawn.append(renderer.drawn)
        clock.start()
        caster.update(actors)
        scan(caster, lidar, Pose(camera.x, camera.y, camera.z + 0.8, 0, 0, camera.yaw), 0.1)
        clock.stop("lidar 64 x 1000")
    print(f"{int(actors.shown.sum())} actors; drawn from {min(drawn):,} to {max(drawn):,} "
          f"triangles after culling, {int(np.median(drawn)):,} in the median; "
          f"{len(os.sched_getaffinity(0))} cores for this process, threads of {numba.threading_layer()}, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    return times


def metadrive(frames: int) -> Rows:
    """MetaDrive's RGB camera at the same sizes."""
    from metadrive.component.sensors.rgb_camera import RGBCamera
    from metadrive.envs import MetaDriveEnv

    times: Rows = {}
    for width, height in SIZES.values():
        env = MetaDriveEnv({
            "use_render": False, "image_observation": True, "sensors": {"rgb_camera": (RGBCamera, width, height)},
            "vehicle_config": {"image_source": "rgb_camera"}, "traffic_density": 0.1, "log_level": 50,
        })  # fmt: skip
        try:
            env.reset()
            for frame in range(frames + 3):
                clock = Clock(times, frame)
                env.step([0.0, 0.3])
                clock.stop(f"MetaDrive step with camera, {width} x {height}")
        finally:
            env.close()
    return times


def resident() -> tuple[float, float]:
    """This process's memory now and at its peak, MB."""
    with open("/proc/self/status") as file:
        rows = dict(line.split(":", 1) for line in file)
    return tuple(float(rows[name].split()[0]) / 1e3 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def memory(town: str) -> None:
    """Print what one town's scene, cameras and lidar add to a process that has its kernels loaded."""
    from sim import roads
    from sim.sensors.camera import Camera, Renderer
    from sim.sensors.lidar import Lidar, Pose, RayCaster, scan
    from sim.sensors.mesh import Builder, Material
    from sim.sensors.scene.town import Scene, scene_of_mesh

    def look(scene: Scene, x: float, y: float) -> tuple[Renderer, RayCaster]:
        renderer, caster = Renderer(scene=scene), RayCaster(scene)
        renderer.render(Camera(x=x, y=y), outputs=FOUR)
        scan(caster, Lidar(range=80.0, points_per_second=640_000), Pose(x, y), 0.1)
        return renderer, caster

    quad = Builder()
    quad.quad([(-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0)], Material.ASPHALT, (0.1, 0.1, 0.1))
    kept = look(scene_of_mesh(quad), 0.0, 0.0)
    network = roads.load(town)
    tables = network.lane_tables()
    before = resident()[0]
    began = time.perf_counter()
    more = look(Renderer(network).scene, float(tables.x[0]), float(tables.y[0]))
    now, peak = resident()
    print(f"{town}: {more[0].scene.triangles:,} triangles; {now - before:.0f} MB for the scene, the buffers of a "
          f"640 x 360 camera, shadow maps and ray hierarchies; {peak - before:.0f} MB at the worst moment of building "
          f"it ({time.perf_counter() - began:.0f} s)")  # fmt: skip
    del kept


def main() -> None:
    """Print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--town", help=f"one of {', '.join(TOWNS)} or an .xodr file (Gridley; with --memory all three)")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--metadrive", action="store_true")
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    for wanted, module, hint in (
        (options.peers, "moderngl", "pip install moderngl"),
        (options.metadrive, "metadrive", "uv sync --group bench"),
    ):
        if wanted and importlib.util.find_spec(module) is None:
            parser.error(f"{module} is not installed ({hint})")
    if options.memory:
        if options.town:
            return memory(options.town)
        for town in TOWNS:  # a process each
            subprocess.run([sys.executable, __file__, "--memory", "--town", town], check=True)
        return None
    rows = ours(options.town or "Gridley", options.frames, options.peers)
    if options.metadrive:
        rows.update(metadrive(options.frames))
    print(f"{'ms':52}{'fastest':>9}{'median':>9}{'p95':>9}{'bar':>7}{'of all cores, fastest':>24}")
    for name, values in rows.items():
        v, cores = np.array(values).T
        bar = str(LIMITS.get(name, ""))
        print(f"{name:52}{v.min():9.1f}{np.median(v):9.1f}{np.percentile(v, 95):9.1f}{bar:>7}{cores.min():24.1f}")
    return None


if __name__ == "__main__":
    main()
