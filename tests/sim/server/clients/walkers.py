"""Walkers by hand and by the client's controllers."""

from __future__ import annotations

import hashlib
from typing import Any

import carla
import numpy as np

from sim.client import ClientConfig
from sim.client import connect as through_the_door
from sim.driving.carla_view import network_of
from sim.driving.routes import named_routes
from sim.recorder.config import TrafficConfig
from sim.recorder.traffic import populate
from tests.sim.server.clients.common import connect, scenario, xyz


def pushes(client: Any, world: Any, walker: Any) -> dict[str, Any]:
    """A walker that stands is pushed, given a velocity, and turned."""
    walker.apply_control(carla.WalkerControl(carla.Vector3D(0, 1, 0), 0.0))
    world.tick()

    def rest() -> Any:
        for _ in range(30):
            world.tick()
        return walker.get_location()

    start = rest()
    walker.add_impulse(carla.Vector3D(150, 0, 0))
    world.tick()
    pushed = walker.get_velocity().x
    middle = rest()
    walker.set_target_velocity(carla.Vector3D(0, 3, 0))
    world.tick()
    shoved = walker.get_velocity()
    rest()
    yaw = walker.get_transform().rotation.yaw
    walker.set_target_angular_velocity(carla.Vector3D(0, 0, 148))
    world.tick()
    turning = walker.get_angular_velocity().z
    rest()
    turned = walker.get_transform().rotation.yaw - yaw
    place = carla.Transform(middle + carla.Location(x=4))
    prop = world.spawn_actor(world.get_blueprint_library().find("static.prop.bin"), place)
    refused = client.apply_batch_sync([carla.command.ApplyImpulse(prop.id, carla.Vector3D(9, 0, 0))], False)
    prop.destroy()
    return {
        "pushed": [pushed, middle.x - start.x],
        "shoved": [shoved.y, shoved.x],
        "turning": [turning, walker.get_angular_velocity().z],
        "turned": turned,
        "fixed": refused[0].error,
        "still": walker.get_velocity().length(),
    }


@scenario
def walkers(port: int) -> dict[str, Any]:
    """Walkers by hand, and controllers."""
    client, world = connect(port)
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
    result |= pushes(client, world, walker)
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


@scenario
def crossings(port: int, town: str, worlds: int) -> dict[str, Any]:
    """The same traffic and pedestrians in `worlds` worlds of one process, one after the other; a digest of each."""
    marks = []
    with through_the_door(ClientConfig(port=port, delta=0.05, manager_port=8000 + port % 1000)) as sim:
        for _ in range(worlds):
            sim.load(town)
            route = named_routes(network_of(sim.map.to_opendrive()), "test", 1)[0].route
            populate(sim, route, TrafficConfig(), 0.5, 1, [])
            digest = hashlib.sha256()
            for _ in range(600):
                sim.tick()
                poses = [(a.id, *xyz(a.get_transform().location)) for a in sim.world.get_snapshot()]
                digest.update(np.array(sorted(poses)).tobytes())
            marks.append(digest.hexdigest())
    return {"marks": marks}
