"""The world as a whole: first steps, maps, rays, boxes, weather."""

from __future__ import annotations

from typing import Any

import carla

from tests.sim.server.clients.common import car, connect, fails, scenario, xyz


@scenario
def first_steps(port: int) -> dict[str, Any]:
    """Connect, look around, spawn, drive, destroy."""
    client, world = connect(port)
    town = world.get_map()
    points = town.get_spawn_points()
    offset = []
    for point in points:
        lane = town.get_waypoint(point.location).transform
        turn = (lane.rotation.yaw - point.rotation.yaw + 180) % 360 - 180
        offset.append((lane.location.distance(point.location), abs(turn)))
    vehicle = car(world)
    start = vehicle.get_transform()
    vehicle.apply_control(carla.VehicleControl(throttle=0.7))
    frames = [world.tick() for _ in range(60)]
    snapshot = world.get_snapshot()
    moved = vehicle.get_location().distance(start.location)
    ahead = start.get_forward_vector()
    way = vehicle.get_location() - start.location
    speed = vehicle.get_velocity().length()
    control = vehicle.get_control()
    vehicle.apply_control(carla.VehicleControl(brake=1.0))
    for _ in range(80):
        world.tick()
    result = {
        "versions": [client.get_server_version(), client.get_client_version()],
        "spawn_points": len(points),
        "off_lane": max(o[0] for o in offset),
        "off_heading": max(o[1] for o in offset),
        "blueprints": len(world.get_blueprint_library()),
        "frames": frames == list(range(frames[0], frames[0] + 60)),
        "delta": snapshot.timestamp.delta_seconds,
        "moved": moved,
        "straight": (way.x * ahead.x + way.y * ahead.y) / moved,
        "speed": speed,
        "throttle": control.throttle,
        "gear": control.gear,
        "speed_limit": vehicle.get_speed_limit(),
        "stopped": vehicle.get_velocity().length(),
        "box": xyz(vehicle.bounding_box.extent),
        "occupied": fails(
            lambda: world.spawn_actor(world.get_blueprint_library().find("vehicle.audi.tt"), vehicle.get_transform())
        ),
        "try_spawn": world.try_spawn_actor(
            world.get_blueprint_library().find("vehicle.audi.tt"), vehicle.get_transform()
        )
        is None,
        "actors": sorted({a.type_id.split(".")[0] for a in world.get_actors()}),
    }
    number = vehicle.id
    result["destroyed"] = vehicle.destroy()
    world.tick()
    result["gone"] = number not in [a.id for a in world.get_actors()]
    world.apply_settings(carla.WorldSettings())
    return result


@scenario
def maps(port: int) -> dict[str, Any]:
    """List, load, reload, an unknown name, a generated world."""
    client, world = connect(port, delta=None)
    names = sorted(name.split("/")[-1] for name in client.get_available_maps())
    loaded = []
    for name in names:
        world = client.load_world(name)
        town = world.get_map()
        loaded.append([town.name.split("/")[-1], len(town.get_topology()) > 10, len(town.get_spawn_points()) > 10])
    layered = client.load_world("Alder_Opt").get_map().name.split("/")[-1]
    before = world.get_snapshot().frame
    ids = [sorted(a.id for a in client.reload_world().get_actors()) for _ in range(2)]
    xodr = world.get_map().to_opendrive()
    generated = client.generate_opendrive_world(xodr, carla.OpendriveGenerationParameters())
    result = {
        "names": names,
        "loaded": loaded,
        "layered": layered,
        "unknown": fails(lambda: client.load_world("Town99")),
        "same_ids": ids[0] == ids[1] and len(ids[0]) > 0,
        "generated": generated.get_map().name.split("/")[-1],
        "generated_points": len(generated.get_map().get_spawn_points()),
        "broken": fails(lambda: client.generate_opendrive_world("<OpenDRIVE>", carla.OpendriveGenerationParameters())),
        "frames_grow": client.get_world().wait_for_tick().frame > before,
    }
    client.load_world("Alder")
    return result


@scenario
def scene(port: int) -> dict[str, Any]:
    """Rays, boxes, environment objects, weather, debug drawing, textures, spectator, and what is refused."""
    client, world = connect(port)
    client.set_timeout(300.0)  # rays meet the town: the first one waits for its scene
    vehicle = car(world)
    place = vehicle.get_transform()
    above = place.location + carla.Location(z=20)
    hits = world.cast_ray(above, place.location - carla.Location(z=5))
    ground = world.ground_projection(above + place.get_forward_vector() * 20.0, 100.0)
    ahead = world.project_point(
        place.location + carla.Location(z=1) - place.get_forward_vector() * 9, place.get_forward_vector(), 30.0
    )
    building = max(world.get_level_bbs(carla.CityObjectLabel.Buildings), key=lambda box: box.extent.x * box.extent.y)
    top = building.location.z + building.extent.z
    over = carla.Location(building.location.x, building.location.y, top + 10.0)
    roof = world.project_point(over, carla.Vector3D(0, 0, -1), 100.0)
    aside = carla.Location(building.extent.x + 5.0, 0, 0)
    walls = world.cast_ray(building.location - aside, building.location + aside)
    weather = carla.WeatherParameters(cloudiness=80.0, precipitation=30.0, sun_altitude_angle=-5.0)
    world.set_weather(weather)
    now = world.get_weather()
    debug = world.debug
    debug.draw_point(place.location)
    debug.draw_line(place.location, above)
    debug.draw_arrow(place.location, above)
    debug.draw_box(vehicle.bounding_box, place.rotation)
    debug.draw_string(place.location, "text")
    spectator = world.get_spectator()
    spectator.set_transform(carla.Transform(carla.Location(1, 2, 30), carla.Rotation(pitch=-90)))
    world.tick()
    result = {
        "ray_labels": [str(h.label) for h in hits],
        "ray_heights": [h.location.z for h in hits],
        "ground": [str(ground.label), ground.location.z] if ground else None,
        "ahead": str(ahead.label) if ahead else None,
        "roof": [str(roof.label), roof.location.z, top] if roof else None,
        "through": sum(
            hit.label == carla.CityObjectLabel.Buildings and building.contains(hit.location, carla.Transform())
            for hit in walls
        ),
        "weather": [now.cloudiness, now.precipitation, now.sun_altitude_angle],
        "spectator": xyz(spectator.get_location()),
        "boxes": len(world.get_level_bbs(carla.CityObjectLabel.TrafficLight)),
        "objects": len(world.get_environment_objects(carla.CityObjectLabel.Any)),
        "names": len(world.get_names_of_all_objects()),
        "texture": fails(
            lambda: world.apply_color_texture_to_object("x", carla.MaterialParameter.Diffuse, carla.TextureColor(1, 1))
        ),
        "lamps": len(list(world.get_lightmanager().get_all_lights())),
        "vehicle_lights": list(world.get_vehicles_light_states()),
        "layers": fails(lambda: world.load_map_layer(carla.MapLayer.Buildings)),
    }
    world.apply_settings(carla.WorldSettings())
    return result
