"""Other vehicles, driven by CARLA's Traffic Manager, and pedestrians, walked by CARLA's AI, around a route."""

from __future__ import annotations

from typing import Any

import carla
import numpy as np
from numpy.typing import NDArray

from sim.client import Simulator
from sim.recorder.config import TrafficConfig
from sim.roads.routing import Route

CLEAR = 14.0
"""Metres around the ego's start that stay free."""
WALKERS_REACH = 60.0
"""Metres from the route within which pedestrians begin."""
TRIES = 12
"""Places on the navigation mesh looked at for each pedestrian."""


def populate(
    sim: Simulator, route: Route, config: TrafficConfig, density: float, seed: int, taken: list[tuple[float, float]]
) -> Any:
    """Spawn traffic and pedestrians; returns the Traffic Manager.

    taken: places (x, y) that must stay free beside the ego's start (actors of a scenario).
    """
    rng = np.random.default_rng([seed, 2])
    manager = sim.traffic_manager(seed)
    manager.set_global_distance_to_leading_vehicle(2.5)
    line = np.stack([route.x, route.y], 1)
    keep = [(float(route.x[0]), float(route.y[0])), *taken]
    _vehicles(sim, manager, line, config, round(density * config.vehicles), rng, keep)
    _walkers(sim, line, config, round(density * config.walkers), seed, rng)
    return manager


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
) -> None:
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
    minds = [(sim.world.get_actor(a.actor_id), s) for a, (_, s) in zip(answers, walkers) if not a.error]
    sim.own(*[controller for controller, _ in minds])
    sim.tick()
    for controller, speed in minds:
        controller.start()
        goal = sim.world.get_random_location_from_navigation()
        if goal is not None:
            controller.go_to_location(goal)
        controller.set_max_speed(speed)
