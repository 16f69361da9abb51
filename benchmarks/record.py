"""Recording against rendering alone: pictures a second of `throttle record`, and of the renderer with nothing else.

Both use as many processes as there are cores, each with one thread; a picture is all four outputs and a lidar scan.
The towns' scenes are built before the clock starts. Between two pictures a recording drives: two steps of the
simulation at 10 pictures a second (--every 1), ten at 2 a second (--every 5, the default of `throttle record`).

python benchmarks/record.py
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import shutil
import tempfile
import time
from pathlib import Path

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

from sim.recorder.config import RecordConfig
from sim.recorder.recording import Recording, State, Where

TOWN = "Alder"


def rendering(config: RecordConfig, pictures: int, ready, go, result) -> None:
    """Render as recording does, from poses along the lanes with traffic around."""
    import numpy as np

    from sim import roads
    from sim.sensors.camera import Camera, Renderer
    from sim.sensors.lidar import Lidar, Pose, RayCaster, scan
    from sim.sensors.weather import Weather
    from sim.sensors.world_view import actors_of, lights_of
    from sim.world.config import WorldConfig
    from sim.world.world import World

    network = roads.load(TOWN)
    tables = network.lane_tables()
    world = World(tables, network.walk_tables(), WorldConfig(vehicles=60, walkers=48))
    world.reset()
    renderer = Renderer(network)
    caster = RayCaster(renderer.scene)
    front = config.cameras["front"]
    lidar = Lidar(
        channels=config.lidar.channels, range=config.lidar.range, points_per_second=config.lidar.points * 20,
        rotation_frequency=20.0, upper_fov=config.lidar.upper, lower_fov=config.lidar.lower,
    )  # fmt: skip
    points = np.linspace(0, len(tables.x) - 1, pictures + 2).astype(int)
    weathers = [Weather.named(name) for name in config.weathers]

    def draw(n: int) -> None:
        k = points[n]
        x, y, z, yaw = (float(v[k]) for v in (tables.x, tables.y, tables.z, tables.yaw))
        actors = actors_of(world.state, tables)
        camera = Camera(front.width, front.height, front.fov, x, y, z + front.z, yaw=yaw)
        renderer.render(camera, actors, weathers[n * len(weathers) // len(points)], lights_of(world.state), frame=n)
        caster.update(actors)
        scan(caster, lidar, Pose(x, y, z + config.lidar.z, 0.0, 0.0, yaw), 0.05, 0.0, n)

    draw(0)
    draw(1)
    ready.release()
    go.wait()
    began = time.perf_counter()
    for n in range(2, pictures + 2):
        draw(n)
        for _ in range(3):
            world.step()
    result.put(time.perf_counter() - began)


def render_alone(config: RecordConfig, crew: int, pictures: int) -> float:
    """Pictures a second of `crew` processes."""
    context = multiprocessing.get_context("spawn")
    ready, go, result = context.Semaphore(0), context.Event(), context.Queue()
    team = [context.Process(target=rendering, args=(config, pictures, ready, go, result)) for _ in range(crew)]
    for process in team:
        process.start()
    for _ in team:
        ready.acquire()
    go.set()
    seconds = max(result.get() for _ in team)
    for process in team:
        process.join()
    return crew * pictures / seconds


def record(config: RecordConfig, crew: int) -> tuple[float, float, float, dict[str, float]]:
    """(pictures a second from the first one on, bytes a picture, seconds in all, mean figures of the episodes)."""
    folder = Path(tempfile.mkdtemp(prefix="record-bench-"))
    try:
        recording = Recording(folder / "data", config, Where(workers=crew))
        first: list[tuple[float, int]] = []

        def look(state: State) -> None:
            images = sum(state.images.values())
            # all workers must be at it before the clock starts
            if not first and len(state.images) >= crew and images:
                first.append((time.perf_counter(), images))

        began = time.perf_counter()
        recording.run(look, lambda: False)
        end = time.perf_counter()
        total = sum(recording.state.images.values())
        hashes = json.loads((folder / "data/meta/hashes.json").read_text())
        from sim.recorder.reader import Dataset

        episodes = Dataset(folder / "data").episodes
        figures = {
            "driving score": sum(e["driving_score"] for e in episodes) / len(episodes),
            "rows": float(sum(e["rows"] for e in episodes)),
        }
        size = sum(entry["size"] for entry in hashes.values())
        start, before = first[0] if first else (began, 0)
        return (total - before) / (end - start), size / max(total, 1), end - began, figures
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--shots", type=int, default=60, help="pictures of an episode")
    parser.add_argument("--every", type=int, nargs="+", default=[1, 5], help="rows from picture to picture")
    parser.add_argument("--pictures", type=int, default=150, help="of rendering alone, for each process")
    options = parser.parse_args()
    crew = len(os.sched_getaffinity(0))
    alone = render_alone(config_of(options, 1), crew, options.pictures)
    print(f"processes                     {crew}")
    print(f"rendering alone               {alone:7.1f} pictures/s", flush=True)
    for every in options.every:
        config = config_of(options, every)
        speed, size, seconds, figures = record(config, crew)
        after = render_alone(config, crew, options.pictures)
        rate = f"{config.fps / every:g} pictures a second"
        print(f"recording, {rate}")
        print(f"  rendering alone afterwards  {after:7.1f} pictures/s")
        print(
            f"  recording                   {speed:7.1f} pictures/s, {100 * speed / math.sqrt(alone * after):.0f}% of "
            f"rendering alone, {speed * every:.1f} rows/s"
        )
        print(f"                              {size / 1000:7.1f} kB a picture (colour, labels, depth, lidar, rows)")
        print(f"  whole recording             {seconds:7.0f} s with the start of servers, {figures['rows']:.0f} rows")
        print(f"  expert, carla-lb-2.0        {figures['driving score']:7.1f} on these episodes", flush=True)
        alone = after


def config_of(options: argparse.Namespace, every: int) -> RecordConfig:
    """Episodes of plain traffic with so many pictures each."""
    return RecordConfig(
        towns=(TOWN,), train=options.episodes, validation=0, test=0, scenarios=("",), image_every=every,
        seconds=options.shots * every / RecordConfig.fps, shortest=150.0,
    )  # fmt: skip


if __name__ == "__main__":
    main()
