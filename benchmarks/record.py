"""Recording against rendering alone: pictures a second of `throttle record`, and of the renderer by itself.

A dataset is recorded; then what its cameras and lidar saw, with the actors that its rows name, is rendered again in the
same order by the renderer alone. Both use as many processes as there are cores, each with one thread; a picture is all
four outputs and a lidar scan. The town's scene is built before the clock starts. Between two pictures a recording
drives: two steps of the simulation at 10 pictures a second (--every 1), ten at 2 a second (--every 5, the default of
`throttle record`).

python benchmarks/record.py
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

from sim.recorder.config import RecordConfig
from sim.recorder.recording import Recording, State, Where

TOWN = "Alder"


def rendering(config: RecordConfig, folder: Path, episodes: list[int], ready: Any, go: Any, result: Any) -> None:
    """Render the pictures of some episodes of a dataset."""
    import numpy as np

    from sim import roads
    from sim.sensors.actors import Actors, rotations
    from sim.sensors.camera import Camera, Renderer
    from sim.sensors.lidar import Lidar, Pose, RayCaster, scan
    from sim.sensors.weather import Weather

    renderer = Renderer(roads.load(TOWN))
    caster = RayCaster(renderer.scene)
    front, bodies = config.cameras["front"], bodies_of()
    lights = np.zeros(len(renderer.scene.light_position), np.int32)
    lidar = Lidar(
        channels=config.lidar.channels, range=config.lidar.range, points_per_second=config.lidar.points * 20,
        rotation_frequency=20.0, upper_fov=config.lidar.upper, lower_fov=config.lidar.lower,
    )  # fmt: skip

    def draw(row: dict[str, Any], weather: Weather) -> None:
        pose = np.array(row["pose"], np.float32)
        turn = rotations(*pose[3:, None])[0]
        roll, pitch, yaw = (float(v) for v in pose[3:])
        n = len(row["objects.kind"])
        middle = np.zeros((n + 1, 3), np.float32)  # the ego's own body comes last
        middle[:n, :2] = np.reshape(row["objects.centre"], (n, 2))
        poses = np.zeros((n + 1, 6), np.float32)
        poses[:, :3], poses[:, 5] = pose[:3] + middle @ turn.T, yaw + np.array([*row["objects.yaw"], 0.0])
        actors = Actors.of(bodies[[*row["objects.kind"], 0]], poses)
        x, y, z = (float(v) for v in pose[:3] + turn @ np.array([front.x, front.y, front.z], np.float32))
        camera = Camera(front.width, front.height, front.fov, x, y, z, roll, pitch, yaw)
        renderer.render(camera, actors, weather, lights, time=row["timestamp"], frame=row["frame_index"])
        caster.update(actors)
        x, y, z = (float(v) for v in pose[:3] + turn @ np.array([config.lidar.x, 0.0, config.lidar.z], np.float32))
        scan(caster, lidar, Pose(x, y, z, roll, pitch, yaw), 0.05, 0.0, row["frame_index"], ignore=n + 1)

    drives = pictures_of(folder, episodes)
    for row in drives[0][1][:2]:
        draw(row, Weather.named(drives[0][0]))
    ready.release()
    go.wait()
    began = time.perf_counter()
    for weather, rows in drives:
        for row in rows:
            draw(row, Weather.named(weather))
    result.put((sum(len(rows) for _, rows in drives), time.perf_counter() - began))


def bodies_of() -> Any:
    """What stands for each contracts.ObjectClass."""
    import numpy as np

    from sim.sensors.actors import PROP, WALKER
    from sim.sensors.meshes.props import Shape
    from sim.sensors.meshes.vehicles import Body

    return np.array(
        [Body.SEDAN, Body.TRUCK, Body.BUS, Body.MOTORCYCLE, Body.BICYCLE, WALKER, PROP + Shape.CARTON], np.int32
    )


def pictures_of(folder: Path, episodes: list[int]) -> list[tuple[str, list[dict[str, Any]]]]:
    """(weather, rows with pictures) of each episode."""
    from sim.recorder.reader import Dataset

    data = Dataset(folder)
    columns = ["pose", "objects.kind", "objects.centre", "objects.yaw", "timestamp", "frame_index", "image"]
    return [
        (data.episodes[k]["weather"], [row for row in data.driving(k, columns).to_pylist() if row["image"]])
        for k in episodes
    ]


def render_alone(config: RecordConfig, folder: Path, crew: int) -> float:
    """Pictures a second of `crew` processes."""
    context = multiprocessing.get_context("spawn")
    ready, go, result = context.Semaphore(0), context.Event(), context.Queue()
    shares = [list(range(k, config.episodes, crew)) for k in range(crew)]
    team = [context.Process(target=rendering, args=(config, folder, mine, ready, go, result)) for mine in shares]
    for process in team:
        process.start()
    for _ in team:
        ready.acquire()
    go.set()
    found = [result.get() for _ in team]
    for process in team:
        process.join()
    return sum(pictures / seconds for pictures, seconds in found)


def record(config: RecordConfig, folder: Path, crew: int) -> tuple[float, float, float, dict[str, float]]:
    """(pictures a second from the first one on, bytes a picture, seconds in all, mean figures of the episodes)."""
    recording = Recording(folder, config, Where(workers=crew))
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
    hashes = json.loads((folder / "meta/hashes.json").read_text())
    from sim.recorder.reader import Dataset

    episodes = Dataset(folder).episodes
    figures = {
        "driving score": sum(e["driving_score"] for e in episodes) / len(episodes),
        "rows": float(sum(e["rows"] for e in episodes)),
    }
    size = sum(entry["size"] for entry in hashes.values())
    start, before = first[0] if first else (began, 0)
    return (total - before) / (end - start), size / max(total, 1), end - began, figures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--shots", type=int, default=60, help="pictures of an episode")
    parser.add_argument("--every", type=int, nargs="+", default=[1, 5], help="rows from picture to picture")
    options = parser.parse_args()
    crew = len(os.sched_getaffinity(0))
    print(f"processes                     {crew}", flush=True)
    for every in options.every:
        config = config_of(options, every)
        folder = Path(tempfile.mkdtemp(prefix="record-bench-"))
        try:
            speed, size, seconds, figures = record(config, folder / "data", crew)
            alone = render_alone(config, folder / "data", crew)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(f"recording, {config.fps / every:g} pictures a second")
        print(f"  rendering the same alone    {alone:7.1f} pictures/s")
        print(
            f"  recording                   {speed:7.1f} pictures/s, {100 * speed / alone:.0f}% of rendering alone, "
            f"{speed * every:.1f} rows/s"
        )
        print(f"                              {size / 1000:7.1f} kB a picture (colour, labels, depth, lidar, rows)")
        print(f"  whole recording             {seconds:7.0f} s with the start of servers, {figures['rows']:.0f} rows")
        print(f"  expert, carla-lb-2.0        {figures['driving score']:7.1f} on these episodes", flush=True)


def config_of(options: argparse.Namespace, every: int) -> RecordConfig:
    """Episodes of plain traffic with so many pictures each."""
    return RecordConfig(
        towns=(TOWN,), train=options.episodes, validation=0, test=0, scenarios=("",), image_every=every,
        seconds=options.shots * every / RecordConfig.fps, shortest=150.0,
    )  # fmt: skip


if __name__ == "__main__":
    main()
