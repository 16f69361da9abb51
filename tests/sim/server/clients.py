"""What the real CARLA client does to the server: run as `python clients.py SCENARIO PORT [ARGUMENT...]`.

Each scenario prints one JSON object of what it saw; the tests assert on that. A crash of the client is an exit code.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import socket
import struct
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import carla

SCENARIOS: dict[str, Callable[..., dict[str, Any]]] = {}


def scenario(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    SCENARIOS[function.__name__] = function
    return function


def connect(port: int, town: str | None = None, delta: float | None = 0.05) -> tuple[Any, Any]:
    """Client and world on a fresh episode, synchronous unless `delta` is None."""
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(30.0)
    world = client.load_world(town) if town else client.reload_world()
    if delta is not None:
        settings = world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, delta
        world.apply_settings(settings)
    return client, world


def car(world: Any, n: int = 0, blueprint: str = "vehicle.tesla.model3") -> Any:
    vehicle = world.spawn_actor(world.get_blueprint_library().find(blueprint), world.get_map().get_spawn_points()[n])
    world.tick()
    return vehicle


def xyz(v: Any) -> list[float]:
    return [v.x, v.y, v.z]


def fails(call: Callable[[], Any]) -> str:
    """The error that a call raises; empty where it raises none."""
    try:
        call()
    except RuntimeError as error:
        return str(error)
    return ""


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
    before = world.get_snapshot().frame
    ids = [sorted(a.id for a in client.reload_world().get_actors()) for _ in range(2)]
    xodr = world.get_map().to_opendrive()
    generated = client.generate_opendrive_world(xodr, carla.OpendriveGenerationParameters())
    result = {
        "names": names,
        "loaded": loaded,
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
def moving(port: int) -> dict[str, Any]:
    """Teleports, velocities, impulses, physics switched off, physics control, Ackermann control."""
    _, world = connect(port)
    vehicle = car(world)
    start = vehicle.get_transform()
    forward = start.get_forward_vector()

    def along(v: Any) -> float:
        return float(v.x * forward.x + v.y * forward.y)

    def back() -> None:
        vehicle.apply_control(carla.VehicleControl(brake=1.0, hand_brake=True))
        vehicle.set_target_velocity(carla.Vector3D())
        vehicle.set_target_angular_velocity(carla.Vector3D())
        vehicle.set_transform(start)
        world.tick()
        vehicle.apply_control(carla.VehicleControl())

    result: dict[str, Any] = {}
    target = carla.Location(start.location.x + 8 * forward.x, start.location.y + 8 * forward.y, start.location.z)
    vehicle.set_location(target)
    world.tick()
    result["teleport"] = math.hypot(vehicle.get_location().x - target.x, vehicle.get_location().y - target.y)
    back()
    vehicle.set_target_velocity(carla.Vector3D(10 * forward.x, 10 * forward.y, 0))
    world.tick()
    result["velocity"] = along(vehicle.get_velocity())
    back()
    vehicle.enable_constant_velocity(carla.Vector3D(7, 0, 0))
    for _ in range(20):
        world.tick()
    result["constant"] = along(vehicle.get_velocity())
    vehicle.disable_constant_velocity()
    back()
    mass = vehicle.get_physics_control().mass
    vehicle.add_impulse(carla.Vector3D(5 * mass * forward.x, 5 * mass * forward.y, 0))
    world.tick()
    result["impulse"] = along(vehicle.get_velocity())
    back()
    vehicle.set_simulate_physics(False)
    vehicle.apply_control(carla.VehicleControl(throttle=1.0))
    for _ in range(20):
        world.tick()
    result["frozen"] = vehicle.get_location().distance(start.location)
    vehicle.set_simulate_physics(True)

    def sprint() -> float:
        back()
        vehicle.apply_control(carla.VehicleControl(throttle=1.0))
        for _ in range(20):
            world.tick()
        return along(vehicle.get_velocity())

    result["sprint"] = sprint()
    control = vehicle.get_physics_control()
    control.mass = 4 * control.mass
    vehicle.apply_physics_control(control)
    result["sprint_heavy"] = sprint()
    result["mass_kept"] = vehicle.get_physics_control().mass / mass
    control.mass = mass
    wheels = control.wheels
    for wheel in wheels:
        wheel.tire_friction = 0.3
    control.wheels = wheels
    vehicle.apply_physics_control(control)
    result["sprint_icy"] = sprint()
    vehicle.apply_physics_control(car(world, 5).get_physics_control())
    back()
    vehicle.apply_ackermann_control(carla.VehicleAckermannControl(speed=6.0, acceleration=3.0))
    for _ in range(160):
        world.tick()
    result["ackermann"] = along(vehicle.get_velocity())
    vehicle.apply_control(carla.VehicleControl(throttle=0.5, reverse=True))
    for _ in range(100):
        world.tick()
    result["reverse"] = along(vehicle.get_velocity())
    vehicle.open_door(carla.VehicleDoor.All)
    vehicle.set_light_state(carla.VehicleLightState(carla.VehicleLightState.LowBeam | carla.VehicleLightState.Brake))
    result["lamps"] = int(vehicle.get_light_state())
    result["telemetry_wheels"] = len(vehicle.get_telemetry_data().wheels)
    result["steer_angle"] = vehicle.get_wheel_steer_angle(carla.VehicleWheelLocation.FL_Wheel)
    world.apply_settings(carla.WorldSettings())
    return result


@scenario
def grip(port: int) -> dict[str, Any]:
    """Friction, gravity, friction triggers, controls that hold for one tick."""
    _, world = connect(port)
    world.apply_settings(carla.WorldSettings(synchronous_mode=True, fixed_delta_seconds=0.05))
    library = world.get_blueprint_library()
    result: dict[str, Any] = {}
    blueprint = library.find("vehicle.tesla.model3")
    pose = world.get_map().get_spawn_points()[0]
    ahead = pose.get_forward_vector()

    def coast(change: Callable[[carla.Vehicle], None]) -> float:
        """Speed, m/s, of a car that left at 20 m/s, after two seconds."""
        vehicle = world.spawn_actor(blueprint, pose)
        world.tick()
        change(vehicle)
        vehicle.set_target_velocity(ahead * 20)
        for _ in range(40):
            world.tick()
        speed = vehicle.get_velocity().length()
        vehicle.destroy()
        world.tick()
        return speed

    def without_drag(friction: float) -> Callable[[carla.Vehicle], None]:
        def change(vehicle: carla.Vehicle) -> None:
            control = vehicle.get_physics_control()
            control.drag_coefficient = 0.0
            wheels = control.wheels
            for wheel in wheels:
                wheel.tire_friction = friction
            control.wheels = wheels
            vehicle.apply_physics_control(control)

        return change

    def falling(vehicle: carla.Vehicle) -> None:
        without_drag(3.5)(vehicle)
        vehicle.set_enable_gravity(False)

    result["rolling"], result["sliding"] = coast(without_drag(3.5)), coast(without_drag(0.0))
    result["falling"] = coast(falling)

    def friction_of(vehicle: carla.Vehicle) -> float:
        return vehicle.get_physics_control().wheels[3].tire_friction

    trigger_blueprint = library.find("static.trigger.friction")
    for name, value in (("friction", 0.7), ("extent_x", 500), ("extent_y", 300), ("extent_z", 200)):
        trigger_blueprint.set_attribute(name, str(value))
    place = carla.Transform(pose.location + ahead * 20, pose.rotation)
    trigger = world.spawn_actor(trigger_blueprint, place)
    vehicle = world.spawn_actor(library.find("vehicle.kawasaki.ninja"), pose)
    world.tick()
    seen = [friction_of(vehicle)]
    for metres in (16, 24, 26, 20):
        vehicle.set_transform(carla.Transform(pose.location + ahead * metres, pose.rotation))
        world.tick()
        seen.append(friction_of(vehicle))
    trigger.destroy()
    world.tick()
    result["trigger"] = [*seen, friction_of(vehicle)]
    vehicle.destroy()

    blueprint.set_attribute("sticky_control", "False")
    vehicle = world.spawn_actor(blueprint, pose)
    world.tick()
    vehicle.apply_control(carla.VehicleControl(throttle=1.0))
    world.tick()
    first = vehicle.get_velocity().length()
    for _ in range(10):
        world.tick()
    result["momentary"] = [first, vehicle.get_velocity().length()]
    world.apply_settings(carla.WorldSettings())
    return result


@scenario
def streams(port: int) -> dict[str, Any]:
    """Every sensor that streams, decoded by the client; a crash into a prop."""
    _, world = connect(port)
    library = world.get_blueprint_library()
    vehicle = car(world)
    got: dict[str, list[Any]] = defaultdict(list)
    sensors = []
    for name in ("imu", "gnss", "collision", "obstacle", "lane_invasion"):
        blueprint = library.find(f"sensor.other.{name}")
        if name == "obstacle":
            blueprint.set_attribute("distance", "20")
        sensor = world.spawn_actor(blueprint, carla.Transform(carla.Location(x=2.5, z=1.0)), attach_to=vehicle)
        sensor.listen(lambda data, name=name: got[name].append((data.frame, data.timestamp, data)))
        sensors.append(sensor)
    slow = library.find("sensor.other.imu")
    slow.set_attribute("sensor_tick", "0.2")
    sensors.append(world.spawn_actor(slow, carla.Transform(), attach_to=vehicle))
    sensors[-1].listen(lambda data: got["slow"].append((data.frame, data.timestamp, data)))
    place = vehicle.get_transform()
    place.location += place.get_forward_vector() * 15.0
    prop = world.spawn_actor(library.find("static.prop.vendingmachine"), place)
    vehicle.apply_control(carla.VehicleControl(throttle=0.8))
    stamps = {}
    for _ in range(90):
        frame = world.tick()
        stamps[frame] = world.get_snapshot().timestamp.elapsed_seconds
    time.sleep(0.5)
    collision = got["collision"][0][2] if got["collision"] else None
    fix = got["gnss"][-1][2]
    place = world.get_map().transform_to_geolocation(sensors[1].get_location())
    imu = got["imu"][0][2]
    result = {
        "counts": {name: len(rows) for name, rows in got.items()},
        "exact": all(stamps.get(f) == t for name in ("imu", "gnss", "slow") for f, t, _ in got[name]),
        "collision": [collision.actor.id == vehicle.id, collision.other_actor.id == prop.id] if collision else None,
        "impulse": collision.normal_impulse.length() if collision else 0.0,
        "obstacle": [rows[2].other_actor.id == prop.id for rows in got["obstacle"]],
        "obstacle_distances": [rows[2].distance for rows in got["obstacle"]],
        "geo_error": max(abs(fix.latitude - place.latitude), abs(fix.longitude - place.longitude)) * 111e3,
        "gravity": imu.accelerometer.z,
        "compass": [imu.compass, math.radians((vehicle.get_transform().rotation.yaw + 90) % 360)],
    }
    for sensor in sensors:
        sensor.stop()
        sensor.destroy()
    world.apply_settings(carla.WorldSettings())
    return result


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


@scenario
def scene(port: int) -> dict[str, Any]:
    """Rays, boxes, environment objects, weather, debug drawing, textures, spectator, and what is refused."""
    _, world = connect(port)
    vehicle = car(world)
    place = vehicle.get_transform()
    above = place.location + carla.Location(z=20)
    hits = world.cast_ray(above, place.location - carla.Location(z=5))
    ground = world.ground_projection(above + place.get_forward_vector() * 20.0, 100.0)
    ahead = world.project_point(
        place.location + carla.Location(z=1) - place.get_forward_vector() * 9, place.get_forward_vector(), 30.0
    )
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


@scenario
def batch(port: int) -> dict[str, Any]:
    """Commands: spawn with follow-ups, control, errors in the middle, destroy."""
    client, world = connect(port)
    library, points = world.get_blueprint_library(), world.get_map().get_spawn_points()
    command = carla.command
    spawn = [
        command.SpawnActor(library.find("vehicle.audi.tt"), point).then(
            command.ApplyTargetVelocity(command.FutureActor, point.get_forward_vector() * 5.0)
        )
        for point in [*points[:10], points[0]]
    ]
    answers = client.apply_batch_sync(spawn, True)
    ids = [a.actor_id for a in answers if not a.has_error()]
    speeds = [world.get_actor(i).get_velocity().length() for i in ids]
    mixed = client.apply_batch_sync(
        [
            command.ApplyVehicleControl(ids[0], carla.VehicleControl(throttle=1.0)),
            command.DestroyActor(987654),
            command.ApplyTransform(ids[1], points[20]),
            command.SetVehicleLightState(ids[2], carla.VehicleLightState.Fog),
            command.SetSimulatePhysics(ids[3], False),
            command.ApplyImpulse(ids[4], carla.Vector3D(100, 0, 0)),
        ],
        True,
    )
    result = {
        "spawned": len(ids),
        "error": [a.error for a in answers if a.has_error()],
        "speeds": [min(speeds), max(speeds)],
        "mixed": [a.has_error() for a in mixed],
        "moved": world.get_actor(ids[1]).get_location().distance(points[20].location),
        "fog": int(world.get_actor(ids[2]).get_light_state()),
        "destroyed": sum(
            not a.has_error() for a in client.apply_batch_sync([command.DestroyActor(i) for i in ids], True)
        ),
    }
    result["left"] = len(world.get_actors().filter("vehicle.*"))
    world.apply_settings(carla.WorldSettings())
    return result


@scenario
def v2x(port: int) -> dict[str, Any]:
    """Two vehicles and a road-side unit that hear one another, as the client decodes it; custom messages."""
    _, world = connect(port)
    library, points = world.get_blueprint_library(), world.get_map().get_spawn_points()
    first = world.spawn_actor(library.find("vehicle.tesla.model3"), points[0])
    second = world.spawn_actor(library.find("vehicle.ford.ambulance"), points[1])
    heard: dict[int, list[Any]] = defaultdict(list)
    said: list[Any] = []
    mast = carla.Transform(carla.Location(z=1.6))
    radios = [world.spawn_actor(library.find("sensor.other.v2x"), mast, attach_to=car) for car in (first, second)]
    high = carla.Transform(points[0].location + carla.Location(z=5))
    radios.append(world.spawn_actor(library.find("sensor.other.v2x"), high))
    for n, radio in enumerate(radios):
        radio.listen(lambda data, n=n: heard[n].extend((data.frame, m.get()) for m in data))
    custom = library.find("sensor.other.v2x_custom")
    ends = [world.spawn_actor(custom, mast, attach_to=car) for car in (first, second)]
    ends[1].listen(lambda data: said.extend((data.frame, m.get()) for m in data))
    far = library.find("sensor.other.v2x_custom")
    far.set_attribute("filter_distance", "1")
    deaf, missed = world.spawn_actor(far, mast, attach_to=second), []
    deaf.listen(lambda data: missed.append(data.frame))
    first.apply_control(carla.VehicleControl(throttle=0.7))
    for _ in range(10):
        world.tick()
    ends[0].send("hello")
    frames = [world.tick() for _ in range(50)]
    speed = first.get_velocity().length()
    place = world.get_map().transform_to_geolocation(first.get_location())
    time.sleep(0.5)
    result = {
        "heard": {n: len(rows) for n, rows in heard.items()},
        "last": [m["Message"] for _, m in heard[2] if m["Message"]["Header"]["Station ID"] == first.id][-1],
        "stations": sorted({m["Message"]["Header"]["Station ID"] for _, m in heard[2]}),
        "ids": [first.id, second.id],
        "speed": speed,
        "place": [place.latitude, place.longitude],
        "said": [[frame - frames[0], m["Power"], m["Message"]] for frame, m in said],
        "missed": len(missed),
    }
    world.apply_settings(carla.WorldSettings())
    return result


class Watch:
    """A connection of its own to the stream of snapshots, and what they were, but for frame, episode and wall time."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port + 1))
        self._sock.sendall(struct.pack("<I", 1))
        self._seen: dict[int, bytes] = {}
        threading.Thread(target=self._read, daemon=True).start()
        while not self._seen:  # the last one comes at once
            time.sleep(0.01)

    def _read(self) -> None:
        stream = self._sock.makefile("rb")
        while head := stream.read(4):
            payload = stream.read(struct.unpack("<I", head)[0])
            frame = struct.unpack_from("<Q", payload, 8)[0]
            self._seen[frame] = hashlib.sha256(payload[16:24] + payload[64:]).digest()

    def marks(self, frames: range) -> list[str]:
        """A digest of all snapshots so far, at each thousandth of these frames and at the last."""
        end = time.monotonic() + 30
        while frames[-1] not in self._seen and time.monotonic() < end:
            time.sleep(0.05)
        digest, found = hashlib.sha256(), []
        for n, frame in enumerate(frames, 1):
            digest.update(self._seen[frame])
            if n % 1000 == 0 or n == len(frames):
                found.append(digest.hexdigest())
        return found


@scenario
def traffic(port: int, town: str, count: int, ticks: int) -> dict[str, Any]:
    """Traffic Manager with `count` vehicles in synchronous mode; digests of all snapshots, one every 1,000 ticks."""
    client, _ = connect(port)
    world = client.load_world(town, reset_settings=False)  # no time passes before the first tick
    manager = client.get_trafficmanager(8000 + port % 1000)
    manager.set_synchronous_mode(True)
    manager.set_random_device_seed(7)
    library = sorted(world.get_blueprint_library().filter("vehicle.*"), key=lambda b: b.id)
    library = [b for b in library if int(b.get_attribute("number_of_wheels")) == 4]
    points = world.get_map().get_spawn_points()
    random.Random(1).shuffle(points)
    vehicles = []
    for n, point in enumerate(points[:count]):
        vehicle = world.try_spawn_actor(library[n % len(library)], point)
        if vehicle is not None:
            vehicle.set_autopilot(True, manager.get_port())
            vehicles.append(vehicle)
    watch = Watch(port)
    first = world.get_snapshot().frame + 1
    places: dict[int, Any] = {}
    travelled = 0.0
    began = time.monotonic()
    for _ in range(ticks):
        world.tick()
        snapshot = world.get_snapshot()
        for vehicle in vehicles:
            state = snapshot.find(vehicle.id)
            if state is not None:
                now = state.get_transform().location
                before = places.get(vehicle.id, now)
                travelled += math.hypot(now.x - before.x, now.y - before.y)
                places[vehicle.id] = now
    ran = time.monotonic() - began
    town_map = world.get_map()
    alive = [v for v in vehicles if v.is_alive]
    off = sum(town_map.get_waypoint(v.get_location(), project_to_road=False) is None for v in alive)
    result = {
        "vehicles": len(vehicles),
        "marks": watch.marks(range(first, first + ticks)),
        "ticks_per_second": ticks / ran,
        "mean_speed": travelled / max(1, len(vehicles)) / (ticks * 0.05),
        "off_road": off,
    }
    manager.set_synchronous_mode(False)
    world.apply_settings(carla.WorldSettings())
    manager.shut_down()
    return result


@scenario
def hold(port: int) -> dict[str, Any]:
    """Take synchronous mode and a Traffic Manager, say so, and wait to be killed."""
    client, world = connect(port)
    manager = client.get_trafficmanager(8000 + port % 1000)
    manager.set_synchronous_mode(True)
    vehicle = car(world)
    vehicle.set_autopilot(True, manager.get_port())
    for _ in range(10):
        world.tick()
    print(json.dumps({"holding": vehicle.id}), flush=True)
    time.sleep(600)
    return {}


@scenario
def recording(port: int) -> dict[str, Any]:
    """Record a drive, read the file, replay it."""
    client, world = connect(port)
    lamps = list(world.get_actors().filter("traffic.traffic_light"))
    world.freeze_all_traffic_lights(True)
    lamps[0].set_state(carla.TrafficLightState.Off)
    client.start_recorder("drive.log", True)
    vehicle = car(world)
    place = vehicle.get_transform()
    place.location += place.get_forward_vector() * 15.0
    world.spawn_actor(world.get_blueprint_library().find("static.prop.vendingmachine"), place)
    vehicle.apply_control(carla.VehicleControl(throttle=0.6))
    path = []
    for _ in range(60):
        world.tick()
        path.append(vehicle.get_location())
    client.stop_recorder()
    world.freeze_all_traffic_lights(False)
    world.reset_all_traffic_lights()
    info = client.show_recorder_file_info("drive.log", False)
    result: dict[str, Any] = {
        "info": info,
        "collisions": client.show_recorder_collisions("drive.log", "v", "a"),
        "blocked": client.show_recorder_actors_blocked("drive.log", 0.3, 0.5),
        "missing": client.show_recorder_file_info("nothing.log", False),
        "outside": [bool(fails(lambda name=name: client.start_recorder(name, False))) for name in ("/etc/x", "../x")],
    }
    vehicle.destroy()
    client.replay_file("drive.log", 0.0, 0.0, 0, False)
    worst = 1e9
    for _ in range(56):
        world.tick()
        again = list(world.get_actors().filter("vehicle.*"))
        if again:
            worst = min(worst, again[0].get_location().distance(path[50]))
    result["replayed"] = len(again)
    result["light"] = str(lamps[0].state)
    result["reached"] = worst
    client.stop_replayer(False)
    world.tick()
    result["left"] = len(world.get_actors().filter("vehicle.*"))
    world.apply_settings(carla.WorldSettings())
    return result


@scenario
def pictures(port: int) -> dict[str, Any]:
    """Every rendered sensor, decoded by the client, matched to its tick."""
    import numpy as np

    client, world = connect(port)
    client.set_timeout(300.0)
    library = world.get_blueprint_library()
    vehicle = car(world)
    point = vehicle.get_transform()
    point.location += point.get_forward_vector() * 12.0
    point.location.z += 0.3
    other = world.spawn_actor(library.find("vehicle.audi.tt"), point)
    got: dict[str, list[Any]] = defaultdict(list)
    sensors = []
    for name in (
        "camera.rgb", "camera.depth", "camera.semantic_segmentation", "camera.instance_segmentation", "camera.normals",
        "camera.optical_flow", "camera.dvs", "lidar.ray_cast", "lidar.ray_cast_semantic", "other.radar",
    ):  # fmt: skip
        blueprint = library.find(f"sensor.{name}")
        if name.startswith("camera"):
            blueprint.set_attribute("image_size_x", "160")
            blueprint.set_attribute("image_size_y", "96")
        elif name.startswith("lidar"):
            blueprint.set_attribute("range", "60")
        place = carla.Transform(carla.Location(x=0.2, z=1.9))
        sensor = world.spawn_actor(blueprint, place, attach_to=vehicle)
        sensor.listen(lambda data, name=name: got[name].append(data))
        sensors.append(sensor)
    frames = [world.tick() for _ in range(4)]
    time.sleep(0.5)

    def pixels(name: str) -> Any:
        image = got[name][-1]
        return np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4).astype(int)

    tags, depth, colour = pixels("camera.semantic_segmentation"), pixels("camera.depth"), pixels("camera.rgb")
    metres = (depth[..., 2] + 256 * depth[..., 1] + 65536 * depth[..., 0]) / (2**24 - 1) * 1000
    seen = (tags[..., 2] == 14) & (np.arange(96)[:, None] < 70) & (np.abs(np.arange(160) - 80)[None] < 25)
    points = got["lidar.ray_cast_semantic"][-1]
    result = {
        "frames": {name: [d.frame for d in rows] == frames for name, rows in got.items()},
        "tags": sorted(set(tags[..., 2].ravel().tolist())),
        "car_depth": float(np.median(metres[seen])) if seen.any() else None,
        "colours": float(colour[..., :3].std()),
        "instances": int(
            np.bincount((pixels("camera.instance_segmentation")[..., 1]).ravel(), minlength=256)[other.id & 255]
        ),
        "lidar_points": [len(d) for d in got["lidar.ray_cast"]],
        "lidar_channels": got["lidar.ray_cast"][-1].channels,
        "lidar_sees": other.id in [p.object_idx for p in points],
        "radar": len(got["other.radar"][-1]),
        "radar_depths": [d.depth for d in got["other.radar"][-1]][:5],
    }
    for sensor in sensors:
        sensor.stop()
        sensor.destroy()
    world.apply_settings(carla.WorldSettings())
    return result


if __name__ == "__main__":
    name, server_port, *rest = sys.argv[1:]
    arguments = [int(word) if word.lstrip("-").isdigit() else word for word in rest]
    print(json.dumps(SCENARIOS[name](int(server_port), *arguments)), flush=True)
