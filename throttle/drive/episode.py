"""One route in closed loop: sensors, perception, planning, control, vehicle, step by step; judged and filmed."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import carla
import numpy as np

from contracts import Scene, UserError
from sim.client import Simulator
from sim.driving.carla_view import CarlaView, network_of
from sim.driving.expert import Decision
from sim.driving.loop import Step, steps
from sim.driving.referee import Infraction
from sim.driving.route import RouteTracker
from sim.driving.routes import NamedRoute, named_routes
from sim.driving.surroundings import Surroundings
from sim.metrics import VERSIONS, Route, penalty, route_score, succeeded
from sim.recorder.config import LidarConfig, RecordConfig, TrafficConfig
from sim.recorder.episode import weather_of
from sim.recorder.scenarios import SCRIPTS
from sim.recorder.sensors import Rig
from sim.recorder.staging import NoPlace, Scenario
from sim.recorder.traffic import Crowd, populate
from sim.roads.network import RoadNetwork
from throttle.drive.config import DriveConfig, Job
from throttle.drive.film import Film
from throttle.drive.pairs import Pairs, pairs_file
from throttle.drive.parts import DT, Parts, View, known_only, move_on

EGO = "vehicle.tesla.model3"
WARM_UP = 3.0
"""Seconds that the traffic has to get going before the ego may."""
PATIENCE = 240.0
"""Seconds to wait for a picture; the first of an installation compiles."""
PARTS = ("sensors", "perception", "planning", "control", "simulator")


class Driver:
    """A stack at the wheel; a driver for `sim.driving.loop.steps`. Keeps how long each part took (milliseconds)."""

    def __init__(
        self, parts: Parts, tracker: RouteTracker, look: Callable[[], View] | None, every: int,
        pairs: Pairs | None = None,
    ) -> None:  # fmt: skip
        """look: what the sensors give at this step; asked every `every` steps, never where perception is the truth.
        pairs: where to keep what was told at each look beside the truth."""
        self.tracker = tracker
        self.took: dict[str, list[float]] = defaultdict(list)
        self.scene: Scene | None = None
        self._parts, self._look, self._every, self._pairs = parts, look, every, pairs
        self._step = 0
        self._seen: tuple[Scene, Surroundings] | None = None
        if parts.perception is not None:
            parts.perception.begin()
        parts.planner.begin(tracker)
        parts.control.begin()

    def act(self, around: Surroundings) -> Decision:
        """What to do in this step."""
        self.tracker.update(around)
        self.scene = self._estimate(around)
        begin = perf_counter()
        plan = self._parts.planner.plan(self.scene, around)
        middle = perf_counter()
        control = self._parts.control.act(plan, self.scene)
        self.took["planning"].append(1e3 * (middle - begin))
        self.took["control"].append(1e3 * (perf_counter() - middle))
        self._step += 1
        return Decision(plan, control, "free")

    def _estimate(self, around: Surroundings) -> Scene:
        truth = self.tracker.scene(around)
        perception, look = self._parts.perception, self._look
        if perception is None or look is None:
            return truth
        known = known_only(truth)
        if self._seen is None or self._step % self._every == 0:
            begin = perf_counter()
            view = look()
            middle = perf_counter()
            self._seen = perception.see(view, known), around
            self.took["sensors"].append(1e3 * (middle - begin))
            self.took["perception"].append(1e3 * (perf_counter() - middle))
            if self._pairs is not None:
                self._pairs.add(truth, self._seen[0], around)
            return self._seen[0]
        scene, then = self._seen
        c, s = math.cos(then.yaw_of_ego), math.sin(then.yaw_of_ego)
        dx, dy = around.x - then.x, around.y - then.y
        turned = math.remainder(around.yaw_of_ego - then.yaw_of_ego, 2 * math.pi)
        return move_on(scene, known, around.time - then.time, (c * dx + s * dy, c * dy - s * dx, turned))


def route_of(config: DriveConfig, network: RoadNetwork, job: Job) -> NamedRoute:
    """The route of a job: the same for every stack and seed."""
    return named_routes(
        network, config.split, job.number + 1, 0, config.shortest or None, config.longest or None
    )[job.number]  # fmt: skip


def drive(
    sim: Simulator, config: DriveConfig, job: Job, parts: Parts, folder: Path, report: Callable[[float], None]
) -> dict[str, Any]:
    """Drive one route to its end; returns what happened, ready for JSON, with clips of the infractions in `folder`.

    report: told the completion (0..1) now and then. Raises ServerLost or RuntimeError where the server goes.
    """
    # the traffic of a route follows from route and seed alone: every stack meets the same
    seed = int(np.random.default_rng([job.seed, job.number]).integers(1, 2**31 - 1))
    try:
        network, named, ego, scenario = _set_up(sim, config, job, job.scenario, seed)
    except NoPlace:  # the route has no place for it: plain traffic
        network, named, ego, scenario = _set_up(sim, config, job, "", seed)
    crowd = populate(sim, named.route, TrafficConfig(), config.density, seed, scenario.places)
    for _ in range(round(WARM_UP / DT)):
        sim.tick()
    view = CarlaView(sim, ego)
    rig = None
    if parts.perception is not None:
        eyes = RecordConfig(cameras=parts.perception.cameras, lidar=LidarConfig())
        rig = Rig(sim, ego, eyes, config.sense_every * DT, DT, not config.server)
        rig.listen()

    def look() -> View:
        assert rig is not None
        pictures, lidar = rig.of(int(sim.world.get_snapshot().frame), PATIENCE)
        return View({name: got.rgb for name, got in pictures.items() if got.rgb is not None}, lidar)

    pairs = Pairs() if config.pairs and rig is not None else None
    tracker = RouteTracker(network, named.route)
    driver = Driver(parts, tracker, look if rig is not None else None, config.sense_every, pairs)
    film = Film(sim, ego, not config.server) if config.video else None
    sim.tick()
    found = _run(sim, ego, view, driver, crowd, scenario, film, config, report)
    if rig is not None:
        rig.stop()
    if pairs is not None:
        pairs.write(pairs_file(folder.parent, job.key))
    clips = film.save(folder, job.key.replace("/", "-")) if film is not None else {}
    for number, clip in clips.items():
        found["infractions"][number]["clip"] = clip
    staged = job.scenario if type(scenario) is SCRIPTS[job.scenario] else ""
    about = {**dataclasses.asdict(job), "scenario": staged, "route": named.name, "length": driver.tracker.length}
    return {**about, **found}


def _set_up(
    sim: Simulator, config: DriveConfig, job: Job, script: str, seed: int
) -> tuple[RoadNetwork, NamedRoute, Any, Scenario]:
    """A fresh town with the ego at the begin of its route and the actors of a scenario; raises NoPlace."""
    sim.load(job.town)
    sim.world.set_weather(weather_of(job.weather))
    network = network_of(sim.map.to_opendrive(), sim.map.name.split("/")[-1])
    named = route_of(config, network, job)
    x, y, z, yaw = named.start
    place = carla.Transform(carla.Location(x, y, z + 0.3), carla.Rotation(yaw=math.degrees(yaw)))
    ego = sim.spawn(EGO, place, role_name="hero")
    ego.apply_control(carla.VehicleControl(brake=1.0))
    try:
        return network, named, ego, SCRIPTS[script](sim, network, named.route, seed)
    except UserError:  # something stands where an actor of the scenario should
        raise NoPlace from None


def _run(
    sim: Simulator, ego: Any, view: CarlaView, driver: Driver, crowd: Crowd, scenario: Scenario, film: Film | None,
    config: DriveConfig, report: Callable[[float], None],
) -> dict[str, Any]:  # fmt: skip
    infractions: list[dict[str, Any]] = []
    speeds, gains = [], []
    last: Step | None = None
    begun, ticked = 0.0, 0.0

    def note(found: list[Infraction]) -> None:
        for item in found:
            place = [round(v, 1) for v in item.place]
            infractions.append(
                {"kind": item.kind, "time": round(item.time - begun, 2), "place": place, "other": item.other}
            )
            if film is not None:
                film.mark(len(infractions) - 1, item.kind)

    for step in steps(sim, ego, view, driver, limit=config.seconds, task=scenario.task):
        if last is None:
            begun = step.around.time
        else:
            driver.took["simulator"].append(1e3 * (perf_counter() - ticked))
        last = step
        note(step.infractions)
        speeds.append(step.around.ego.speed)
        gains.append(step.around.ego.acceleration)
        if film is not None:
            film.add(step, step.around.time - begun)
        scenario.act(step)
        if step.number % 20 == 0:
            crowd.tend(step.around)
            report(driver.tracker.completion)
        ticked = perf_counter()
    if last is None:
        raise UserError("the route was over before it began")
    # what the last tick brought is known to the referee but was in no step
    note(last.referee.infractions[len(infractions) :])
    result = last.referee.result()
    return {
        **summary(result, last.referee.ended or "limit"),
        "seconds": round(last.referee.seconds, 2),
        "mean_speed": float(np.mean(speeds)),
        "comfort": comfort(np.array(gains)),
        "infractions": infractions,
        "latency": {name: spread(driver.took[name]) for name in PARTS if driver.took[name]},
    }


def summary(result: Route, ended: str) -> dict[str, Any]:
    """A route's outcome: counts, completion, scores of every version."""
    return {
        "ended": ended,
        "counts": dataclasses.asdict(result),
        "completion": result.completion,
        "success": succeeded(result),
        "score": {version: route_score(result, version) for version in VERSIONS},
        "penalty": {version: penalty(result, version) for version in VERSIONS},
    }


def comfort(gains: Any) -> dict[str, float]:
    """m/s^2 and m/s^3: 95th percentile of what the passengers felt along the car, over half seconds."""
    if len(gains) < 21:
        return {"acceleration": 0.0, "jerk": 0.0}
    smooth = np.convolve(gains, np.ones(10) / 10, "valid")
    jerk = np.diff(smooth) / DT
    return {
        "acceleration": float(np.percentile(np.abs(smooth), 95)),
        "jerk": float(np.percentile(np.abs(jerk), 95)),
    }


def spread(milliseconds: list[float]) -> dict[str, float]:
    """Median and 95th percentile of a part's times, milliseconds."""
    values = np.array(milliseconds)
    return {"median": float(np.median(values)), "p95": float(np.percentile(values, 95)), "calls": float(len(values))}


def failed(job: Job, reason: str, length: float) -> dict[str, Any]:
    """The outcome of a route that could not be driven: nothing of it was completed."""
    return {
        **dataclasses.asdict(job), "route": "", "length": length, **summary(Route(completion=0.0), "crashed"),
        "seconds": 0.0, "mean_speed": 0.0, "comfort": comfort(np.zeros(0)), "infractions": [], "latency": {},
        "reason": reason,
    }  # fmt: skip
