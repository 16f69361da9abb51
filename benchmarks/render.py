"""How fast the cameras and the lidar are, beside a peer that runs here.

    python benchmarks/render.py [--town Gridley] [--frames 40] [--metadrive]

Rows: all four outputs (colour, semantic, instance, depth) at 320 x 180 and 640 x 360, labels alone, and a lidar of 64
channels x 1000 columns, with 50 moving actors. The peer is MetaDrive's own RGB camera (`--metadrive`, needs the `bench`
dependency group and a display or EGL). CARLA publishes 26 ticks/s with 50 vehicles on a GPU, cameras not included.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from dataclasses import replace

os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")

import numpy as np


def ours(town: str, frames: int) -> dict[str, list[float]]:
    """Milliseconds of every frame by row."""
    from sim.sensors.camera import Camera
    from sim.sensors.lidar import Lidar, Pose, RayCaster, scan
    from sim.sensors.show import STEP, Stage
    from sim.sensors.world_view import actors_of, lights_of

    began = time.perf_counter()
    stage = Stage(town, "ClearNoon", vehicles=40, walkers=11)
    print(f"{town}: {stage.renderer.scene.triangles:,} triangles, {stage.renderer.scene.nbytes() / 1e6:.0f} MB, "
          f"built in {time.perf_counter() - began:.1f} s")  # fmt: skip
    stage.advance(5.0)
    caster = RayCaster(stage.renderer.scene)
    lidar = Lidar(channels=64, range=80.0, points_per_second=640_000, upper_fov=10, lower_fov=-25)
    times: dict[str, list[float]] = {}
    sizes = {"320 x 180": (320, 180), "640 x 360": (640, 360)}
    drawn = []
    for frame in range(frames + 3):
        stage.advance(STEP)
        state = stage.world.state
        actors = actors_of(state, stage.tables, hide=0)
        lights = lights_of(state)
        camera = stage.aim("driver", 0, Camera())

        def clock(name: str, began: float, frame: int = frame) -> None:
            if frame >= 3:  # the first frames compile and draw the static shadow maps
                times.setdefault(name, []).append(1e3 * (time.perf_counter() - began))

        for name, (width, height) in sizes.items():
            view = replace(camera, width=width, height=height)
            for what, outputs in (("all four", ("rgb", "semantic", "instance", "depth")),
                                  ("labels and depth", ("semantic", "instance", "depth"))):  # fmt: skip
                began = time.perf_counter()
                stage.renderer.render(view, actors, stage.weather, lights, outputs, stage.time, frame)
                clock(f"{what}, {name}", began)
        static = stage.renderer.scene.static.visible(camera.view(), 1000.0)
        drawn.append(len(static) + stage.renderer.moving_triangles)
        began = time.perf_counter()
        caster.update(actors)
        scan(caster, lidar, Pose(camera.x, camera.y, camera.z + 0.8, 0, 0, camera.yaw), 0.1)
        clock("lidar 64 x 1000", began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{len(actors)} actors, {int(np.median(drawn)):,} triangles in view, {os.cpu_count()} cores, "
          f"peak memory {peak:.0f} MB of the whole process, compiler included")  # fmt: skip
    return times


def metadrive(frames: int) -> dict[str, list[float]]:
    """MetaDrive's RGB camera at the same sizes."""
    from metadrive.component.sensors.rgb_camera import RGBCamera
    from metadrive.envs import MetaDriveEnv

    times: dict[str, list[float]] = {}
    for width, height in ((320, 180), (640, 360)):
        env = MetaDriveEnv({
            "use_render": False, "image_observation": True, "sensors": {"rgb_camera": (RGBCamera, width, height)},
            "vehicle_config": {"image_source": "rgb_camera"}, "traffic_density": 0.1, "log_level": 50,
        })  # fmt: skip
        try:
            env.reset()
            for frame in range(frames + 3):
                began = time.perf_counter()
                env.step([0.0, 0.3])
                if frame >= 3:
                    row = f"MetaDrive step with camera, {width} x {height}"
                    times.setdefault(row, []).append(1e3 * (time.perf_counter() - began))
        finally:
            env.close()
    return times


def main() -> None:
    """Print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--town", default="Gridley")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--metadrive", action="store_true")
    options = parser.parse_args()
    rows = ours(options.town, options.frames)
    if options.metadrive:
        rows.update(metadrive(options.frames))
    limits = {"all four, 320 x 180": 18, "all four, 640 x 360": 50, "lidar 64 x 1000": 15}
    print(f"{'':44}{'median':>9}{'best':>9}{'p95':>9}{'bar':>7}  ms")
    for name, values in rows.items():
        v = np.array(values)
        bar = str(limits.get(name, ""))
        print(f"{name:44}{np.median(v):9.1f}{v.min():9.1f}{np.percentile(v, 95):9.1f}{bar:>7}")


if __name__ == "__main__":
    main()
