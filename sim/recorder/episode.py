"""One episode: set the scene, drive the expert, write what happens. Works on any CARLA server in synchronous mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import carla
import numpy as np

from contracts import UserError
from sim.client import Simulator
from sim.driving.carla_view import CarlaView, network_of
from sim.driving.expert import Expert, ExpertConfig
from sim.driving.loop import Step, hand_over, steps
from sim.driving.route import RouteTracker
from sim.metrics import route_score
from sim.recorder.agenda import Assignment, route_of
from sim.recorder.config import RecordConfig
from sim.recorder.noise import Noise
from sim.recorder.posts import posts_of
from sim.recorder.rows import Tracks, row_of, things_of
from sim.recorder.scenarios import SCRIPTS
from sim.recorder.sensors import Rig
from sim.recorder.shot import make_shot
from sim.recorder.staging import NoPlace, Scenario
from sim.recorder.traffic import populate
from sim.recorder.writer import EpisodeWriter, Shot
from sim.sensors.weather import Weather

DELTA = 0.05
"""Seconds a step of the simulation."""
WARM_UP = 3.0
"""Seconds that the traffic has to get going before the episode begins."""
CANDIDATES = 6
"""Routes looked at for one that has a place for a scenario."""
PATIENCE = 60.0
"""Seconds to wait for a measurement; the first of an installation compiles."""
SALVAGED = 20
"""Steps that an episode cut short on a server that cannot repeat it must have to be kept."""
Report = Callable[[int, int], None]
"""Told (rows, pictures) after each row."""


class Diverged(RuntimeError):
    """An episode that was cut short cannot be repeated: the server does not give the same again."""


def record_episode(
    sim: Simulator, config: RecordConfig, assignment: Assignment, writer: EpisodeWriter, exact: bool, report: Report
) -> None:
    """Record one episode to its end, or go on with one that was cut short.

    exact: the server repeats an episode to the last bit (ours does): steps that are kept are driven again without
    pictures and compared. On another server they are kept as an episode that ended early.
    """
    if writer.kept >= SALVAGED and not exact:
        _salvage(sim, config, assignment, writer)
        return
    if writer.kept and not exact:
        writer.restart()
    try:
        _record(sim, config, assignment, writer, exact, report)
    except Diverged:
        writer.restart()
        _record(sim, config, assignment, writer, exact, report)


def weather_of(name: str) -> carla.WeatherParameters:
    """A named weather as the client has it."""
    values = Weather.named(name)
    return carla.WeatherParameters(**{key: getattr(values, key) for key in Weather.__dataclass_fields__})


class Stage:
    """A loaded town with everybody in place: ego, scenario, traffic; and the sensors to come."""

    def __init__(self, sim: Simulator, config: RecordConfig, assignment: Assignment, exact: bool) -> None:
        self.sim, self.config, self.exact = sim, config, exact
        self.scenario_name = assignment.scenario
        self.scenario = self._place(assignment)
        self.crowd = populate(
            sim, self.route.route, config.traffic, assignment.density, assignment.seed, self.scenario.places
        )
        for _ in range(round(WARM_UP / DELTA)):
            sim.tick()
        self.view = CarlaView(sim, self.ego)
        self.posts = posts_of(sim, self.view.network)
        self.tracks = Tracks()
        self.rig = Rig(sim, self.ego, config, config.ticks * config.image_every * DELTA, DELTA, exact)
        self.cameras = {name: camera.info() for name, camera in config.cameras.items()}
        self.about = {"town": assignment.town, "weather": assignment.weather}

    def _place(self, assignment: Assignment) -> Scenario:
        """Ego and scenario on the first route that has a place for it; on the plain route without one."""
        if assignment.scenario:
            for number in range(CANDIDATES):
                self._ego(assignment, number)
                try:
                    return self._script(assignment.scenario, assignment.seed)
                except (NoPlace, UserError):
                    continue
        self.scenario_name = ""
        self._ego(assignment, None)
        return self._script("", assignment.seed)

    def _script(self, name: str, seed: int) -> Scenario:
        return SCRIPTS[name](self.sim, self.network, self.route.route, seed)

    def _ego(self, assignment: Assignment, candidate: int | None) -> None:
        """A fresh town with the ego at the begin of its route: the assigned one, or a candidate for its scenario."""
        sim, config = self.sim, self.config
        sim.load(assignment.town)
        sim.world.set_weather(weather_of(assignment.weather))
        idle = np.random.default_rng([assignment.seed, 5]).integers(round(config.idle / DELTA) + 1)
        for _ in range(int(idle)):
            sim.tick()
        self.network = network_of(sim.map.to_opendrive(), sim.map.name.split("/")[-1])
        self.route = route_of(config, self.network, assignment, candidate)
        x, y, z, yaw = self.route.start
        place = carla.Transform(carla.Location(x, y, z + 0.3), carla.Rotation(yaw=math.degrees(yaw)))
        self.ego = sim.spawn(config.ego, place, role_name="hero")
        self.ego.apply_control(carla.VehicleControl(brake=1.0))
        self.expert = Expert(self.network, self.route.route, ExpertConfig(dt=DELTA))

    def shoot(self, step: Step, episode: int, frame: int) -> Shot:
        """The pictures of a step."""
        pictures, points = self.rig.of(int(self.sim.world.get_snapshot().frame), PATIENCE)
        things = things_of(step.around, self.expert.tracker, self.posts, self.tracks)
        about = {**self.about, "ego_speed": round(step.around.ego.speed, 3)}
        return make_shot(episode, frame, self.cameras, pictures, points, things, about)


def _record(
    sim: Simulator, config: RecordConfig, assignment: Assignment, writer: EpisodeWriter, exact: bool, report: Report
) -> None:
    stage = Stage(sim, config, assignment, exact)
    noise = Noise(config.noise, assignment.seed, DELTA)
    images_at, fresh_from = config.ticks * config.image_every, writer.kept * config.ticks
    events: list[str] = []
    began: float | None = None
    last: Step | None = None
    images = 0
    if fresh_from == 0:
        stage.rig.listen()
    autopilot = config.driver == "traffic_manager"
    if autopilot:
        hand_over(stage.ego, sim.traffic_manager(assignment.seed), stage.route.route)
    sim.tick()
    for step in steps(
        sim, stage.ego, stage.view, stage.expert, noise.change, config.seconds, autopilot, stage.scenario.task
    ):
        last = step
        began = step.around.time if began is None else began
        events += [found.kind for found in step.infractions]
        stage.scenario.act(step)
        if step.number % round(1.0 / DELTA) == 0:
            stage.crowd.tend(step.around)
        if step.number % config.ticks == 0:
            frame = step.number // config.ticks
            taken = config.sensors() and step.number % images_at == 0
            images += taken
            row = row_of(
                assignment.index, frame, began, step.around, stage.expert.tracker, step.decision.plan,
                step.decision.control, step.applied, stage.posts, stage.tracks, events, noise.active,
                step.decision.reason, taken,
            )  # fmt: skip
            events = []
            if frame >= writer.kept:
                writer.add(row, stage.shoot(step, assignment.index, frame) if taken else None)
            else:
                if not writer.matches(frame, row):
                    raise Diverged(f"episode {assignment.index} differs at step {frame}")
                if taken:  # things get the numbers that they had
                    things_of(step.around, stage.expert.tracker, stage.posts, stage.tracks)
            report(frame + 1, images)
        if not stage.rig.listening and step.number + 1 >= fresh_from:
            stage.rig.listen()
    if last is None:
        raise UserError(f"episode {assignment.index}: the route {stage.route.name} was over before it began")
    stage.rig.stop()
    result = last.referee.result()
    writer.commit(
        _summary(assignment, stage.route.name, stage.scenario_name)
        | {
            "length": stage.expert.tracker.length,
            "completion": result.completion,
            "driving_score": route_score(result, "carla-lb-2.0"),
            "ended": last.referee.ended or "limit",
        }
    )


def _salvage(sim: Simulator, config: RecordConfig, assignment: Assignment, writer: EpisodeWriter) -> None:
    """Keep what there is of an episode that cannot be driven again as it was."""
    sim.load(assignment.town)
    network = network_of(sim.map.to_opendrive(), sim.map.name.split("/")[-1])
    named = route_of(config, network, assignment)
    tracker = RouteTracker(network, named.route)
    x, y = (writer.steps[-1]["row"]["pose"][k] for k in (0, 1))
    done = int(np.argmin(np.hypot(named.route.x - x, named.route.y - y))) / max(tracker.length, 1.0)
    writer.commit(
        _summary(assignment, named.name, assignment.scenario)
        | {"length": tracker.length, "completion": done, "driving_score": 0.0, "ended": "interrupted"}
    )


def _summary(assignment: Assignment, route: str, scenario: str) -> dict[str, Any]:
    return {
        "episode_index": assignment.index, "split": assignment.split, "town": assignment.town, "route": route,
        "weather": assignment.weather, "density": assignment.density, "scenario": scenario,
        "seed": assignment.seed,
    }  # fmt: skip
