"""Walkers by hand and by the client's controllers."""

from __future__ import annotations

from typing import Any

import carla

from tests.sim.server.clients.common import connect, scenario, xyz


@scenario
def walkers(port: int) -> dict[str, Any]:
    """Walkers by hand, and controllers."""
    _, world = connect(port)
    library = world.get_blueprint_library()
    point = world.get_map().get_spawn_points()[0]
    point.location += point.get_right_vector() * 5.0
    point.location.z += 1.0
    walker = world.spawn_actor(library.find("walker.pedestrian.0007"), point)
    world.tick()
    start = walker.get_location()
    walker.apply_control(carla.WalkerControl(carla.Vector3D(0, 1, 0), 1.5))
    for _ in range(40):
        world.tick()
    control = walker.get_control()
    result: dict[str, Any] = {
        "moved": [walker.get_location().x - start.x, walker.get_location().y - start.y],
        "speed": walker.get_velocity().length(),
        "control": [control.speed, control.direction.y],
        "yaw": walker.get_transform().rotation.yaw,
        "bones": len(walker.get_bones().bone_transforms),
        "box": xyz(walker.bounding_box.extent),
    }
    controller = world.spawn_actor(library.find("controller.ai.walker"), carla.Transform(), attach_to=walker)
    world.tick()
    goal = world.get_random_location_from_navigation()
    result["navigation"] = goal is not None
    if goal is not None:
        result["goal_label"] = str(world.get_map().get_waypoint(goal, lane_type=carla.LaneType.Any).lane_type)
        crowd = []
        for n in range(8):
            place = carla.Transform(world.get_random_location_from_navigation())
            place.location.z += 1.0
            other = world.try_spawn_actor(library.find(f"walker.pedestrian.{n + 1:04d}"), place)
            if other is not None:
                crowd.append(
                    (other, world.spawn_actor(library.find("controller.ai.walker"), carla.Transform(), attach_to=other))
                )
        world.tick()
        for _, ai in crowd:
            ai.start()
            ai.go_to_location(world.get_random_location_from_navigation())
            ai.set_max_speed(1.4)
        world.tick()
        places = [other.get_location() for other, _ in crowd]
        for _ in range(200):
            world.tick()
        result["crowd"] = [other.get_location().distance(place) for (other, _), place in zip(crowd, places)]
        for _, ai in crowd:
            ai.stop()
    controller.destroy()
    world.apply_settings(carla.WorldSettings())
    return result
