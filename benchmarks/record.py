"""Recording against rendering alone: pictures a second of three things that see the same town, traffic and weathers.

recording: `throttle record`. server alone: the same episodes with the same cameras and lidar at the same rate, driven
by CARLA's Traffic Manager; the client takes the pictures and drops them: no expert, no labels, no files. renderer
alone: what the recording's cameras and lidar saw, with the actors that its rows name, drawn again in the same order
without a server and without any driving.

All use as many processes (servers) as there are cores, each with one thread; a picture is all four outputs and a lidar
scan. The clock, and the processor time of all processes together, begin with everybody's first picture; that of a
recording ends when the first worker has nothing left to do, that of the others is each process's own. Between two
pictures there are two steps of the simulation at 10 pictures a second (--every 1), ten at 2 a second (--every 5, the
default of `throttle record`).

python benchmarks/record.py
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

from sim.recorder.config import RecordConfig
from sim.recorder.recording import Recording, State, Where

TOWN = "Alder"


def rendering(config: RecordConfig, folder: Path, episodes: list[int], gate: Gate) -> None:
    """Draw the pictures of some episodes of a dataset."""
    import numpy as np

    from sim import roads
    from sim.sensors.actors import LAMP_BITS, WALKER, Actors, rotations
    from sim.sensors.camera import Camera, Renderer
    from sim.sensors.lidar import Lidar, Pose, RayCaster, scan
    from sim.sensors.meshes.designs import Lamp
    from sim.sensors.weather import LAMPS, RAIN, Weather

    renderer = Renderer(roads.load(TOWN))
    caster = RayCaster(renderer.scene)
    front, bodies = config.cameras["front"], bodies_of()
    lights = np.zeros(len(renderer.scene.light_position), np.int32)
    lidar = Lidar(
        channels=config.lidar.channels, range=config.lidar.range, points_per_second=config.lidar.points * 20,
        rotation_frequency=20.0, upper_fov=config.lidar.upper, lower_fov=config.lidar.lower,
    )  # fmt: skip

    def draw(row: dict[str, Any], weather: Weather) -> None:
        env = weather.environment()
        lit = LAMP_BITS[Lamp.HEAD] if env[LAMPS] > 0 or env[RAIN] > 0.2 else 0
        pose = np.array(row["pose"], np.float32)
        turn = rotations(*pose[3:, None])[0]
        roll, pitch, yaw = (float(v) for v in pose[3:])
        n = len(row["objects.kind"])
        middle = np.zeros((n + 1, 3), np.float32)  # the ego's own body comes last
        middle[:n, :2] = np.reshape(row["objects.centre"], (n, 2))
        poses = np.zeros((n + 1, 6), np.float32)
        poses[:, :3], poses[:, 5] = pose[:3] + middle @ turn.T, yaw + np.array([*row["objects.yaw"], 0.0])
        kinds = bodies[[*row["objects.kind"], 0]]
        actors = Actors.of(kinds, poses, lamps=np.where(kinds < WALKER, lit, 0))
        x, y, z = (float(v) for v in pose[:3] + turn @ np.array([front.x, front.y, front.z], np.float32))
        camera = Camera(front.width, front.height, front.fov, x, y, z, roll, pitch, yaw)
        renderer.render(camera, actors, weather, lights, time=row["timestamp"], frame=row["frame_index"])
        caster.update(actors)
        x, y, z = (float(v) for v in pose[:3] + turn @ np.array([config.lidar.x, 0.0, config.lidar.z], np.float32))
        scan(caster, lidar, Pose(x, y, z, roll, pitch, yaw), 0.05, 0.0, row["frame_index"], ignore=n + 1)

    drives = pictures_of(folder, episodes)
    for row in drives[0][1][:2]:
        draw(row, Weather.named(drives[0][0]))
    gate.wait()
    for weather, rows in drives:
        for row in rows:
            draw(row, Weather.named(weather))
    gate.done(sum(len(rows) for _, rows in drives))


def serving(config: RecordConfig, folder: Path, episodes: list[int], gate: Gate) -> None:
    """Drive some episodes on a server and drop the pictures."""
    home = Path(tempfile.mkdtemp(dir=folder))  # where the client keeps navigation meshes
    os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    os.environ["HOME"] = str(home)
    from sim.client import ClientConfig, connect
    from sim.driving.loop import hand_over
    from sim.recorder.agenda import agenda
    from sim.recorder.episode import DELTA, PATIENCE, Stage
    from sim.recorder.hosted import HostedServer

    server, pictures = HostedServer(TOWN, home), 0
    options = ClientConfig(port=server.port, delta=DELTA, timeout=300.0, manager_port=9000 + 200 * episodes[0])
    try:
        with connect(options) as sim:
            for assignment in (agenda(config)[k] for k in episodes):
                stage = Stage(sim, config, assignment, True)
                stage.rig.listen()
                hand_over(stage.ego, sim.traffic_manager(assignment.seed), stage.route.route)
                for step in range(round(config.seconds / DELTA)):
                    frame = sim.tick()
                    if step % (config.ticks * config.image_every):
                        continue
                    stage.rig.of(frame, PATIENCE)
                    if assignment.index == episodes[0] and step == 0:
                        gate.wait()
                    else:
                        pictures += 1
                stage.rig.stop()
            gate.done(pictures)
    finally:
        server.stop()


def bodies_of() -> Any:
    """What stands for each contracts.ObjectClass."""
    import numpy as np

    from sim.sensors.actors import PROP, WALKER
    from sim.sensors.meshes.designs import Body
    from sim.sensors.meshes.props import Shape

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


class Gate:
    """Where processes wait for one another before the clock starts, and say what they did."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.ready, self.go, self.found = context.Semaphore(0), context.Event(), context.Queue()
        self._began = 0.0

    def wait(self) -> None:
        """Until all are there."""
        self.ready.release()
        self.go.wait()
        self._began = time.perf_counter()

    def done(self, pictures: int) -> None:
        """So many pictures since then."""
        self.found.put((pictures, time.perf_counter() - self._began))


def together(work: Callable[..., None], config: RecordConfig, folder: Path, crew: int) -> tuple[float, float]:
    """Pictures a second of `crew` processes that share the episodes, and processor seconds a picture."""
    context, gate = multiprocessing.get_context("spawn"), Gate()
    shares = [list(range(k, config.episodes, crew)) for k in range(crew)]
    team = [context.Process(target=work, args=(config, folder, mine, gate)) for mine in shares]
    for process in team:
        process.start()
    for _ in team:
        gate.ready.acquire()
    before = processor_time()[0]
    gate.go.set()
    found = [gate.found.get() for _ in team]
    for process in team:
        process.join()
    used = (processor_time()[0] - before) / sum(pictures for pictures, _ in found)
    return sum(pictures / seconds for pictures, seconds in found), used


def processor_time() -> list[float]:
    """Seconds that all processes below this one have used, those that ended included; the servers among them; the first
    threads of the others (Python, and CARLA's pedestrians)."""
    ended, parents, used = resource.getrusage(resource.RUSAGE_CHILDREN), {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            whole, first = (
                (entry / name).read_text().rsplit(")", 1)[1].split() for name in ("stat", f"task/{entry.name}/stat")
            )
            server = "sim.recorder.hosted" in (entry / "cmdline").read_text()
        except OSError:  # it has ended meanwhile
            continue
        all_, own = (sum(map(int, part)) / os.sysconf("SC_CLK_TCK") for part in (whole[11:15], first[11:13]))
        parents[int(entry.name)] = int(whole[1])
        used[int(entry.name)] = [all_, all_ if server else 0.0, 0.0 if server else own]
    below = {os.getpid()}
    while more := {number for number, parent in parents.items() if parent in below} - below:
        below |= more
    every = [[ended.ru_utime + ended.ru_stime, 0.0, 0.0], *(used[n] for n in below - {os.getpid()} if n in used)]
    return [sum(column) for column in zip(*every)]


@dataclass(frozen=True)
class Recorded:
    """speed: pictures a second, processor: `processor_time` a picture, while all workers were at it. size: bytes a
    picture. seconds: of the whole recording. score: mean driving score of the episodes."""

    speed: float
    processor: list[float]
    size: float
    seconds: float
    rows: int
    score: float


def record(config: RecordConfig, folder: Path, crew: int) -> Recorded:
    """Record a dataset."""
    recording = Recording(folder, config, Where(workers=crew))
    marks: list[tuple[float, list[float], int]] = []

    def look(state: State) -> None:
        images = sum(state.images.values())
        begins = not marks and len(state.images) >= crew and min(state.images.values()) > 0
        ends = len(marks) == 1 and len(state.done) > config.episodes - crew
        if begins or ends:
            marks.append((time.perf_counter(), processor_time(), images))

    began = time.perf_counter()
    recording.run(look, lambda: False)
    seconds, total = time.perf_counter() - began, sum(recording.state.images.values())
    hashes = json.loads((folder / "meta/hashes.json").read_text())
    from sim.recorder.reader import Dataset

    episodes = Dataset(folder).episodes
    (start, before, first), (end, after, last) = marks
    return Recorded(
        (last - first) / (end - start), [(b - a) / (last - first) for a, b in zip(before, after)],
        sum(entry["size"] for entry in hashes.values()) / total, seconds, sum(e["rows"] for e in episodes),
        sum(e["driving_score"] for e in episodes) / len(episodes),
    )  # fmt: skip


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
            found = record(config, folder / "data", crew)
            served = together(serving, config, folder, crew)
            drawn = together(rendering, config, folder / "data", crew)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{config.fps / every:g} pictures a second")
        print("                  pictures/s   ms of processor a picture")
        work_all, servers, first = (1000 * part for part in found.processor)
        print(f"  recording          {found.speed:7.1f}   {work_all:7.0f}")
        print(f"    of it servers {servers:.0f}, Python and pedestrians {first:.0f}", end=", ")
        print(f"CARLA's other threads {work_all - servers - first:.0f}")
        for name, (speed, used) in {"server alone": served, "renderer alone": drawn}.items():
            share, work = f"{100 * found.speed / speed:.0f}%", f"{100 * used / found.processor[0]:.0f}%"
            print(f"  {name:14s}     {speed:7.1f}   {1000 * used:7.0f}   share {share}, {work} by processor time")
        size = found.size / 1000
        print(f"  {found.speed * every:.1f} rows/s; {size:.1f} kB a picture with labels, depth, lidar and rows")
        print(f"  {found.rows} rows in {found.seconds:.0f} s with the start of servers")
        print(f"  expert, carla-lb-2.0: {found.score:.1f} on these episodes", flush=True)


def config_of(options: argparse.Namespace, every: int) -> RecordConfig:
    """Episodes of plain traffic with so many pictures each."""
    return RecordConfig(
        towns=(TOWN,), train=options.episodes, validation=0, test=0, scenarios=("",), image_every=every,
        seconds=options.shots * every / RecordConfig.fps, shortest=150.0,
    )  # fmt: skip


if __name__ == "__main__":
    main()
