"""The expert's driving score on named routes of the shipped towns, beside the baselines; and through a CARLA server.

    python benchmarks/expert.py [--towns Alder Gridley Marlin] [--routes 60] [--split test] [--densities 6] [--seeds 0]
        [--planners expert "lane follower" "constant velocity"] [--out FILE.json]
    python benchmarks/expert.py --server [--routes 8] [--cars 40] [--only 3 5] [--autopilot]    # real client

Batch: every route in a world of its own, judged by the world. Server: one after another among
vehicles of CARLA's Traffic Manager, judged by the referee, a line about each; with --only some of the routes; with
--autopilot the Traffic Manager drives the ego, too.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # not this folder: a benchmark in it is called clipping

import numpy as np  # noqa: E402

from sim import metrics  # noqa: E402
from sim.driving.baselines import constant_velocity, lane_follower  # noqa: E402
from sim.driving.batch import (  # noqa: E402
    CLEAR,
    START_SPEED,
    Batch,
    BatchConfig,
    Planner,
    RowsPlanner,
)
from sim.driving.evaluation import Drive, Evaluation  # noqa: E402
from sim.driving.expert import ExpertPlanner  # noqa: E402
from sim.driving.routes import named_routes  # noqa: E402
from sim.roads import load, towns  # noqa: E402

PLANNERS = {
    "expert": ExpertPlanner,
    "lane follower": lambda: RowsPlanner(lane_follower),
    "constant velocity": lambda: RowsPlanner(constant_velocity),
}
SCORE = "carla-lb-2.0"
STEP, WARM_UP = 0.05, 2.0
"""Seconds a step of a server, and in which its traffic gets going before the ego sets off."""


class Timed:
    """A planner whose time is taken."""

    def __init__(self, planner: Planner) -> None:
        self.planner, self.seconds, self.plans = planner, 0.0, 0

    def begin(self, batch: Batch) -> None:
        """Compile outside the measurement."""
        self.planner.begin(batch)
        self.planner.plan(batch)
        self.planner.begin(batch)

    def plan(self, batch: Batch) -> Any:
        """The planner's."""
        began = time.perf_counter()
        plans = self.planner.plan(batch)
        self.seconds += time.perf_counter() - began
        self.plans += int(batch.active.sum())
        return plans


def line(town: str, density: str, result: Evaluation, millis: float) -> dict[str, Any]:
    """One row of the table."""
    f = result.figures()
    scores = [metrics.route_score(d.result, SCORE) for d in result.drives]
    events = {kind: round(f[f"events/{kind}"]) for kind in ("vehicle", "walker", "static", "red_light", "stop_sign")}
    return {
        "planner": result.planner, "town": town, "density": density, "routes": len(scores),
        "score": round(f[f"driving_score/{SCORE}"], 1), "deviation": round(float(np.std(scores)), 1),
        "score 1.0": round(f["driving_score/carla-lb-1.0"], 1), "completion": round(f["completion"], 1),
        "success": round(100 * f["success"], 1), **events,
        "km": round(sum(d.result.distance for d in result.drives) / 1e3, 1),
        "m/s": round(f["mean_speed"], 1), "ms a plan": round(millis, 3),
    }  # fmt: skip


def batches(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Drive everything in the batched world."""
    rows = []
    for town in args.towns:
        network = load(town)
        for density in args.densities:
            for name in args.planners:
                drives: tuple[Any, ...] = ()
                timed = Timed(PLANNERS[name]())
                for seed in args.seeds:
                    routes = named_routes(network, args.split, args.routes, seed)
                    config = BatchConfig(density=density, seed=1000 * (seed + 1))
                    drives += Batch(network, routes, config).run(name, timed).drives
                millis = 1e3 * timed.seconds / max(timed.plans, 1)
                rows.append(line(town, f"{density:g}", Evaluation(name, drives), millis))
                show(rows[-1:], header=len(rows) == 1)
    return rows


def show(rows: list[dict[str, Any]], header: bool) -> None:
    """As a table of Markdown."""
    for row in rows:
        if header:
            print("| " + " | ".join(row) + " |\n|" + "---|" * len(row), flush=True)
        print("| " + " | ".join(map(str, row.values())) + " |", flush=True)


def served(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Drive with the real client on a server of our own, among vehicles of the Traffic Manager."""
    command = [sys.executable, "-m", "throttle.cli", "sim", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        found = re.search(r":(\d+)$", server.stdout.readline().strip())
        assert found, "the server did not start"
        return [row for town in args.towns for row in on_server(args, town, int(found[1]))]
    finally:
        server.terminate()
        server.wait(30)


def on_server(args: argparse.Namespace, town: str, port: int) -> list[dict[str, Any]]:
    """All routes of a town on a server."""
    from sim.client import ClientConfig, connect

    drives = []
    began = time.perf_counter()
    with connect(ClientConfig(port=port, town=town)) as sim:
        network = load(town)
        for number, named in enumerate(named_routes(network, args.split, args.routes, args.seeds[0])):
            if args.only and number not in args.only:
                continue
            referee = one_route(sim, network, named, args.cars, number, args.autopilot)
            result, events = referee.result(), tuple(referee.infractions)
            drives.append(Drive(named.name, town, number, referee.seconds, referee.ended, result, events, {}))
            tell(drives[-1])
    seconds = sum(d.seconds for d in drives)
    row = line(
        town, f"{args.cars} cars", Evaluation("Traffic Manager" if args.autopilot else "expert", tuple(drives)), 0.0
    )
    row.pop("ms a plan")
    row["ticks/s"] = round(seconds / STEP / (time.perf_counter() - began))
    show([row], header=town == args.towns[0])
    return [row]


def tell(drive: Drive) -> None:
    """A line about a route, beside the table: what its score lost, and where."""
    speeds = " ".join(f"{v:.2f}" for v in drive.result.speeds)
    events = "".join(
        f"; {i.kind} of {i.other} at {i.time:.1f} s ({i.place[0]:.0f}, {i.place[1]:.0f})" for i in drive.infractions
    )
    print(
        f"{drive.name} ({drive.seed}): {metrics.route_score(drive.result, SCORE):.1f}, {drive.ended} after "
        f"{drive.seconds:.0f} s, {100 * drive.result.completion:.0f}%, speed of traffic's {speeds}{events}",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def one_route(sim: Any, network: Any, named: Any, cars: int, seed: int, autopilot: bool) -> Any:
    """One route in a fresh episode with `cars` vehicles of the Traffic Manager around it.

    As in a batch, nobody is within CLEAR metres of the ego at the begin, and it comes in at half the speed limit.
    """
    import carla

    from sim.driving.carla_view import CarlaView
    from sim.driving.expert import Expert
    from sim.driving.loop import drive_route, hand_over

    sim.load(network.name.removesuffix(".xodr"))
    x, y, z, yaw = named.start
    pose = carla.Transform(carla.Location(x, y, z + 0.1), carla.Rotation(yaw=math.degrees(yaw)))
    ego = sim.spawn("vehicle.tesla.model3", pose, role_name="hero")
    ego.apply_control(carla.VehicleControl(brake=1.0))
    manager = sim.traffic_manager(seed)
    rng = np.random.default_rng(seed)
    library = sim.world.get_blueprint_library().filter("vehicle.*")
    models = [b for b in library if int(b.get_attribute("number_of_wheels")) == 4]
    points = around(named, [p for p in sim.map.get_spawn_points() if p.location.distance(pose.location) > CLEAR], cars)
    rng.shuffle(points)
    others = [sim.world.try_spawn_actor(models[int(rng.integers(len(models)))], point) for point in points[:cars]]
    others = [actor for actor in others if actor is not None]
    sim.own(*others)
    sim.tick()
    for actor in others:
        actor.set_autopilot(True, manager.get_port())
    for _ in range(round(WARM_UP / STEP)):
        sim.tick()
    speed = START_SPEED * float(network.lane_tables().speed_limit[named.route.lane[0]])
    ego.apply_control(carla.VehicleControl())
    ego.set_target_velocity(carla.Vector3D(speed * math.cos(yaw), speed * math.sin(yaw), 0.0))
    if autopilot:
        hand_over(ego, manager, named.route)
    sim.tick()
    view = CarlaView(sim, ego)
    return drive_route(sim, ego, view, Expert(view.network, named.route), 400.0, autopilot)


def around(named: Any, points: list[Any], cars: int) -> list[Any]:
    """The spawn points nearest to a route, twice as many as cars: traffic that is elsewhere is none."""
    line = np.stack([named.route.x, named.route.y], 1)[::5]
    gap = [float(np.min(np.hypot(line[:, 0] - p.location.x, line[:, 1] - p.location.y))) for p in points]
    return [points[k] for k in np.argsort(gap, kind="stable")[: 2 * cars]]


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--towns", nargs="+", default=sorted(towns()))
    parser.add_argument("--routes", type=int, default=60)
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--densities", nargs="+", type=float, default=[6.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--planners", nargs="+", default=list(PLANNERS), choices=list(PLANNERS))
    parser.add_argument("--server", action="store_true")
    parser.add_argument("--autopilot", action="store_true")
    parser.add_argument("--cars", type=int, default=40)
    parser.add_argument("--only", type=int, nargs="+", default=[], help="numbers of the routes to drive (--server)")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = served(args) if args.server else batches(args)
    if args.out is not None:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
