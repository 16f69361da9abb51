"""Other vehicles, driven by CARLA's Traffic Manager, and pedestrians, walked by CARLA's AI, around a route."""

from __future__ import annotations

import math
from typing import Any

import carla
import numpy as np
from numpy.typing import NDArray

from sim.client import Simulator
from sim.driving.route import STANDING
from sim.driving.surroundings import Surroundings
from sim.recorder.config import TrafficConfig
from sim.roads.routing import Route

CLEAR = 14.0
"""Metres around the ego's start that stay free."""
WALKERS_REACH = 60.0
"""Metres from the route within which pedestrians begin."""
NEAR, STANDS, ASIDE = 8.0, 4, 4
"""Metres from the ego within which pedestrians may stand for STANDS seconds; then they walk aside for ASIDE seconds."""
WAY = 2.5
"""Metres to each side of the ego's middle that are its way."""
TRIES = 12
"""Places on the navigation mesh looked at for each pedestrian."""


def populate(
    sim: Simulator, route: Route, config: TrafficConfig, density: float, seed: int, taken: list[tuple[float, float]]
) -> Crowd:
    """Spawn traffic and pedestrians.

    taken: places (x, y) that must stay free beside the ego's start (actors of a scenario).
    """
    rng = np.random.default_rng([seed, 2])
    manager = sim.traffic_manager(seed)
    manager.set_global_distance_to_leading_vehicle(2.5)
    line = np.stack([route.x, route.y], 1)
    keep = [(float(route.x[0]), float(route.y[0])), *taken]
    _vehicles(sim, manager, line, config, round(density * config.vehicles), rng, keep)
    return Crowd(sim, _walkers(sim, line, config, round(density * config.walkers), seed, rng))


class Crowd:
    """The pedestrians. CARLA's wait for the vehicle that waits for them: `tend` makes them leave the ego's way."""

    def __init__(self, sim: Simulator, walkers: list[tuple[Any, Any]]) -> None:
        self._sim, self._walkers = sim, walkers
        self._stood: dict[int, int] = {}
        self._leaving: dict[int, int] = {}

    def tend(self, around: Surroundings) -> None:
        """Call once a second with what is around the ego.

        Who has stood close to it for some calls, or has been in its way for as long while it stood, walks aside for
        some seconds and then goes somewhere else.
        """
        x, y, waits = around.x, around.y, abs(around.ego.speed) < STANDING
        cos, sin = math.cos(around.yaw_of_ego), math.sin(around.yaw_of_ego)
        for walker, mind in self._walkers:
            number = walker.id
            if number in self._leaving:
                self._leaving[number] -= 1
                if not self._leaving[number]:
                    del self._leaving[number]
                    mind.start()
                    self._send(mind)
                continue
            here, speed = walker.get_location(), walker.get_velocity()
            ahead = (here.x - x) * cos + (here.y - y) * sin
            aside = (here.y - y) * cos - (here.x - x) * sin
            stands = abs(speed.x) + abs(speed.y) < 0.1 and math.hypot(ahead, aside) < NEAR
            hinders = waits and 0.0 < ahead < NEAR and abs(aside) < WAY
            self._stood[number] = self._stood.get(number, 0) + 1 if stands or hinders else 0
            if self._stood[number] >= STANDS:
                self._stood[number], self._leaving[number] = 0, ASIDE
                side = 1.0 if aside > 0.0 else -1.0
                mind.stop()
                way = carla.Vector3D(-side * sin, side * cos, 0.0)
                walker.apply_control(carla.WalkerControl(way, 1.3, False))

    def _send(self, mind: Any) -> None:
        goal = self._sim.world.get_random_location_from_navigation()
        if goal is not None:
            mind.go_to_location(goal)


def _vehicles(
    sim: Simulator, manager: Any, line: NDArray, config: TrafficConfig, count: int, rng: np.random.Generator,
    keep: list[tuple[float, float]],
) -> None:  # fmt: skip
    places = sim.map.get_spawn_points()
    at = np.array([[p.location.x, p.location.y] for p in places])
    gap = np.min(np.linalg.norm(at[:, None] - line[None, ::5], axis=2), axis=1)
    free = np.all([np.linalg.norm(at - np.array(k), axis=1) > CLEAR for k in keep], axis=0)
    near = np.flatnonzero((gap < config.reach) & free)
    chosen = rng.permutation(near)[:count]
    library = sorted(sim.world.get_blueprint_library().filter("vehicle.*"), key=lambda b: b.id)
    two = [b for b in library if int(b.get_attribute("number_of_wheels")) == 2]
    four = [b for b in library if int(b.get_attribute("number_of_wheels")) == 4]
    batch = []
    for k in chosen.tolist():
        pool = two if rng.random() < config.two_wheelers else four
        blueprint = pool[int(rng.integers(len(pool)))]
        if blueprint.has_attribute("color"):
            colors = blueprint.get_attribute("color").recommended_values
            blueprint.set_attribute("color", colors[int(rng.integers(len(colors)))])
        blueprint.set_attribute("role_name", "autopilot")
        spawn = carla.command.SpawnActor(blueprint, places[k])
        batch.append(spawn.then(carla.command.SetAutopilot(carla.command.FutureActor, True, manager.get_port())))
    answers = sim.client.apply_batch_sync(batch, False)
    actors = [sim.world.get_actor(a.actor_id) for a in answers if not a.error]
    sim.own(*actors)
    for actor in actors:
        manager.vehicle_percentage_speed_difference(actor, float(rng.uniform(-5.0, 25.0)))
        manager.update_vehicle_lights(actor, True)


def _walkers(
    sim: Simulator, line: NDArray, config: TrafficConfig, count: int, seed: int, rng: np.random.Generator
) -> list[tuple[Any, Any]]:
    """(walker, its controller) of each."""
    sim.world.set_pedestrians_seed(seed % 2**31)
    sim.world.set_pedestrians_cross_factor(config.crossing)
    library = sorted(sim.world.get_blueprint_library().filter("walker.pedestrian.*"), key=lambda b: b.id)
    batch: list[Any] = []
    speeds: list[float] = []
    for _ in range(count * TRIES):
        if len(batch) >= count:
            break
        place = sim.world.get_random_location_from_navigation()
        if place is None:
            break
        if np.min(np.hypot(line[::5, 0] - place.x, line[::5, 1] - place.y)) > WALKERS_REACH:
            continue
        blueprint = library[int(rng.integers(len(library)))]
        if blueprint.has_attribute("is_invincible"):
            blueprint.set_attribute("is_invincible", "false")
        batch.append(carla.command.SpawnActor(blueprint, carla.Transform(place + carla.Location(z=1.0))))
        speeds.append(float(rng.uniform(0.9, 1.7)))
    answers = sim.client.apply_batch_sync(batch, False)
    walkers = [(a.actor_id, s) for a, s in zip(answers, speeds) if not a.error]
    sim.own(*[sim.world.get_actor(number) for number, _ in walkers])
    mind = sim.world.get_blueprint_library().find("controller.ai.walker")
    answers = sim.client.apply_batch_sync(
        [carla.command.SpawnActor(mind, carla.Transform(), number) for number, _ in walkers], False
    )
    minds = [
        (sim.world.get_actor(number), sim.world.get_actor(a.actor_id), speed)
        for a, (number, speed) in zip(answers, walkers) if not a.error
    ]  # fmt: skip
    sim.own(*[controller for _, controller, _ in minds])
    sim.tick()
    for _, controller, speed in minds:
        controller.start()
        goal = sim.world.get_random_location_from_navigation()
        if goal is not None:
            controller.go_to_location(goal)
        controller.set_max_speed(speed)
    return [(walker, controller) for walker, controller, _ in minds]
