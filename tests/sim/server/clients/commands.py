"""Batches of commands; recording and replay."""

from __future__ import annotations

from typing import Any

import carla

from tests.sim.server.clients.common import car, connect, fails, scenario


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
def recording(port: int) -> dict[str, Any]:
    """Record a drive, read the file, replay it."""
    client, world = connect(port)
    lamps = list(world.get_actors().filter("traffic.traffic_light"))
    world.freeze_all_traffic_lights(True)
    lamps[0].set_state(carla.TrafficLightState.Off)
    client.start_recorder("drive.log", True)
    vehicle = car(world)
    library = world.get_blueprint_library()
    pose, eye = carla.Transform(carla.Location(x=-5, z=2)), library.find("sensor.camera.depth")
    gnss = world.spawn_actor(library.find("sensor.other.gnss"), pose, vehicle, carla.AttachmentType.SpringArmGhost)
    camera = world.spawn_actor(eye, pose, vehicle)
    place = vehicle.get_transform()
    place.location += place.get_forward_vector() * 15.0
    world.spawn_actor(library.find("static.prop.vendingmachine"), place)
    vehicle.apply_control(carla.VehicleControl(throttle=0.6))
    vehicle.set_light_state(carla.VehicleLightState.Fog)
    path, places = [], []
    for _ in range(60):
        world.tick()
        path.append(vehicle.get_location())
        places.append(gnss.get_location())
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
    for actor in (gnss, camera, vehicle):
        actor.destroy()

    def replay(sensors: bool) -> None:
        client.replay_file("drive.log", 0.0, 0.0, 0, sensors)
        for _ in range(30):
            world.tick()

    def those(pattern: str) -> list[Any]:
        return list(world.get_actors().filter(pattern))

    replay(False)
    result["sensors"] = [sorted(a.type_id for a in those("sensor.*"))]
    worst = 1e9
    for _ in range(26):
        world.tick()
        again = those("vehicle.*")
        if again:
            worst = min(worst, again[0].get_location().distance(path[50]))
    result |= {"replayed": len(again), "props": len(those("static.prop.*")), "light": str(lamps[0].state)}
    result["fog"] = int(again[0].get_light_state())
    result["reached"] = worst
    client.stop_replayer(False)
    world.tick()
    result["left"] = len(those("vehicle.*")) + len(those("static.prop.*"))

    replay(True)
    result["sensors"].append(sorted(a.type_id for a in those("sensor.*")))
    (again,) = those("vehicle.*")
    result["parents"] = all(a.parent.id == again.id for a in those("sensor.*"))
    heard: list[Any] = []
    (gnss,) = those("sensor.other.gnss")
    gnss.listen(heard.append)
    worst = 1e9
    for _ in range(25):
        world.tick()
        worst = min(worst, gnss.get_location().distance(places[50]))
    result |= {"measured": len(heard), "sensor_off": worst}
    client.stop_replayer(False)
    world.apply_settings(carla.WorldSettings())
    return result
