"""Traffic lights and the vehicle at one."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import carla

from tests.sim.server.clients.common import connect, scenario


@scenario
def lights(port: int) -> dict[str, Any]:
    """Traffic lights: phases, forcing, freezing, groups, times, stop waypoints, and the vehicle at one."""
    _, world = connect(port)
    world.tick()
    lamps = list(world.get_actors().filter("traffic.traffic_light*"))
    town = world.get_map()
    seen: dict[int, set[str]] = defaultdict(set)
    for _ in range(900):
        world.tick()
        for lamp in lamps:
            seen[lamp.id].add(str(lamp.state))
    result: dict[str, Any] = {
        "count": len(lamps),
        "all_colours": all({"Red", "Yellow", "Green"} <= s for s in seen.values()),
        "groups": sorted(len(lamp.get_group_traffic_lights()) for lamp in lamps),
        "stop_waypoints": min(len(lamp.get_stop_waypoints()) for lamp in lamps),
        "affected": min(len(lamp.get_affected_lane_waypoints()) for lamp in lamps),
        "opendrive": all(
            world.get_traffic_light_from_opendrive_id(lamp.get_opendrive_id()).id == lamp.id for lamp in lamps
        ),
        "boxes": min(len(lamp.get_light_boxes()) for lamp in lamps),
    }
    lamp = lamps[0]
    world.freeze_all_traffic_lights(True)
    lamp.set_state(carla.TrafficLightState.Red)
    for _ in range(400):
        world.tick()
    result["frozen"] = [str(lamp.state), lamp.is_frozen()]
    stop = lamp.get_stop_waypoints()[0]
    before = stop.previous(15.0)[0]
    place = before.transform
    place.location.z += 0.3
    vehicle = world.spawn_actor(world.get_blueprint_library().find("vehicle.tesla.model3"), place)
    world.tick()
    result["far"] = vehicle.is_at_traffic_light()
    vehicle.set_target_velocity(before.transform.get_forward_vector() * 7.0)
    for _ in range(80):
        world.tick()
        if vehicle.is_at_traffic_light():
            break
    result["at"] = [vehicle.is_at_traffic_light(), str(vehicle.get_traffic_light_state())]
    result["same_light"] = vehicle.get_traffic_light().id in [other.id for other in lamps]
    result["distance"] = stop.transform.location.distance(vehicle.get_location()) - vehicle.bounding_box.extent.x
    lamp.set_state(carla.TrafficLightState.Green)
    world.tick()
    result["turned"] = str(lamp.state)
    world.freeze_all_traffic_lights(False)
    lamp.set_green_time(4.0)
    world.tick()
    result["green_time"] = lamp.get_green_time()
    lamp.reset_group()
    world.reset_all_traffic_lights()
    result["town"] = town.name
    world.apply_settings(carla.WorldSettings())
    return result
