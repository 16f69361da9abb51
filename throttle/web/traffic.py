"""Traffic through a CARLA client: vehicles under the Traffic Manager, pedestrians under CARLA's walker controllers.

python -m throttle.web.traffic PORT VEHICLES WALKERS SEED keeps traffic in a server that runs its own clock. It is a
process of its own because the Traffic Manager takes its process with it when the server dies.
"""

from __future__ import annotations

import random
import sys
import time
from typing import Any

import carla

from sim.client import ClientConfig, Simulator, connect

WALKING = 1.4
"""m/s."""


def populate(sim: Simulator, vehicles: int, walkers: int, seed: int, away: Any = None, gap: float = 25.0) -> int:
    """Spawn up to that many vehicles and walkers; `sim` destroys them at its end. Returns how many vehicles there are.

    away: a carla.Location around which nothing is spawned within `gap` metres (where the ego will start).
    """
    rng = random.Random(seed)
    library = sim.world.get_blueprint_library()
    cars = sorted(
        (b for b in library.filter("vehicle.*") if int(b.get_attribute("number_of_wheels")) == 4), key=lambda b: b.id
    )
    points = [p for p in sim.map.get_spawn_points() if away is None or p.location.distance(away) > gap]
    rng.shuffle(points)
    manager = sim.traffic_manager(seed)
    port = manager.get_port()
    orders = []
    for point in points[:vehicles]:
        blueprint = rng.choice(cars)
        if blueprint.has_attribute("color"):
            blueprint.set_attribute("color", rng.choice(blueprint.get_attribute("color").recommended_values))
        order = carla.command.SpawnActor(blueprint, point)
        orders.append(order.then(carla.command.SetAutopilot(carla.command.FutureActor, True, port)))
    made = _spawn(sim, orders)
    _walk(sim, walkers, rng)
    return len(made)


def _walk(sim: Simulator, count: int, rng: random.Random) -> None:
    """Pedestrians on the sidewalks, each with a controller that sends it somewhere."""
    bodies = sorted(sim.world.get_blueprint_library().filter("walker.pedestrian.*"), key=lambda b: b.id)
    sim.world.set_pedestrians_seed(rng.randrange(1 << 31))
    orders = []
    for _ in range(count):
        place = sim.world.get_random_location_from_navigation()
        if place is None:
            return
        place.z += 1.0
        orders.append(carla.command.SpawnActor(rng.choice(bodies), carla.Transform(place)))
    people = _spawn(sim, orders)
    mind = sim.world.get_blueprint_library().find("controller.ai.walker")
    minds = _spawn(sim, [carla.command.SpawnActor(mind, carla.Transform(), person) for person in people])
    if not minds:
        return
    if sim.config.delta is not None:
        sim.tick()
    for controller in sim.world.get_actors(minds):
        controller.start()
        goal = sim.world.get_random_location_from_navigation()
        if goal is not None:
            controller.go_to_location(goal)
        controller.set_max_speed(WALKING)


def _spawn(sim: Simulator, orders: list[Any]) -> list[int]:
    """Ids of those that found a place."""
    answers = sim.client.apply_batch_sync(orders, False) if orders else []
    found = [answer.actor_id for answer in answers if not answer.error]
    sim.own(*sim.world.get_actors(found))
    return found


def main(port: int, vehicles: int, walkers: int, seed: int) -> None:
    """Make traffic, say so, and stay as long as the server and whoever started this."""
    with connect(ClientConfig(port=port, delta=None)) as sim:
        settings = sim.world.get_settings()
        settings.fixed_delta_seconds = 0.05  # a busy server becomes slow rather than coarse
        sim.world.apply_settings(settings)
        populate(sim, vehicles, walkers, seed)
        print("ready", flush=True)
        while sim.alive():
            time.sleep(1.0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
