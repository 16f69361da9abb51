"""Sensors that stream measurements: events, position, motion, messages between vehicles."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from typing import Any

import carla

from tests.sim.server.clients.common import car, connect, scenario


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
