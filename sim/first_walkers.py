"""The first AI pedestrian of a process, spent on a world that is about to be left.

CARLA's client collects the traffic lights that its pedestrians look at before they cross once in a process, for the
world in which the first of them starts. In that world they look at lights, in every later one they do not. What
happens on a route would then follow from what the process did before: whether others were driven first, whether a
worker was replaced. So no world that counts is the first one.
"""

from __future__ import annotations

from typing import Any

import carla

PLACES = 8
"""Places tried for it: somebody may stand there."""
_spent = False


def spend_first_walker(world: Any) -> None:
    """Start a pedestrian in `world` unless this process has had one; one without a place for it is left as it is."""
    global _spent
    if _spent:
        return
    library = world.get_blueprint_library()
    looks, mind = library.filter("walker.pedestrian.*"), library.find("controller.ai.walker")
    for _ in range(PLACES):
        place = world.get_random_location_from_navigation()
        if place is None or not len(looks):
            return
        walker = world.try_spawn_actor(looks[0], carla.Transform(place + carla.Location(z=1.0)))
        if walker is not None:
            world.spawn_actor(mind, carla.Transform(), attach_to=walker).start()
            _spent = True
            return
