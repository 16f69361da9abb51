"""Spring arms: how they turn after their parent, and keep out of what stands in the way."""

from __future__ import annotations

from typing import Any

import carla

from tests.sim.server.clients.common import car, connect, scenario


def seen_from(parent: Any, actor: Any) -> list[float]:
    """The place of `actor` in the parent's level axes, metres."""
    pose, at = parent.get_transform(), actor.get_location()
    ahead, right, way = pose.get_forward_vector(), pose.get_right_vector(), at - pose.location
    return [way.x * ahead.x + way.y * ahead.y, way.x * right.x + way.y * right.y, way.z]


@scenario
def arms(port: int) -> dict[str, Any]:
    """Sensors that need no scene hang behind a car, on a spring arm, on a ghost of one, and rigidly."""
    client, world = connect(port)
    client.set_timeout(300.0)
    library, kinds = world.get_blueprint_library(), carla.AttachmentType
    vehicle = car(world, 3)
    start = vehicle.get_transform()
    imu, high, low = library.find("sensor.other.imu"), carla.Location(-6, 0, 3), carla.Location(-6, 0, 1)
    ghost = world.spawn_actor(imu, carla.Transform(high, carla.Rotation(pitch=5)), vehicle, kinds.SpringArmGhost)
    rigid = world.spawn_actor(imu, carla.Transform(high), vehicle, kinds.Rigid)
    spawn = carla.command.SpawnActor(imu, carla.Transform(high), vehicle, kinds.SpringArmGhost, "")
    (answer,) = client.apply_batch_sync([spawn], False)
    world.tick()

    def turned(actor: Any) -> float:
        return float((actor.get_transform().rotation.yaw - start.rotation.yaw + 180) % 360 - 180)

    result: dict[str, Any] = {
        "ghost": {
            "place": seen_from(vehicle, ghost),
            "rotation": [ghost.get_transform().rotation.pitch, turned(ghost)],
        },
        "batch": seen_from(vehicle, world.get_actor(answer.actor_id)),
    }
    vehicle.set_simulate_physics(False)
    vehicle.set_transform(
        carla.Transform(start.location, carla.Rotation(start.rotation.pitch, start.rotation.yaw + 90, 0))
    )
    world.tick()
    result["lag"] = {"ghost": turned(ghost), "rigid": turned(rigid)}
    for _ in range(60):
        world.tick()
    result["settled"] = turned(ghost)
    vehicle.set_transform(start)
    for _ in range(60):
        world.tick()

    world.cast_ray(start.location, start.location)  # waits for the scene
    behind = carla.Transform(start.location - start.get_forward_vector() * 4.0, start.rotation)
    behind.rotation.yaw += 90.0  # its narrow side, .45 m deep, looks along the arm
    prop = world.spawn_actor(library.find("static.prop.vendingmachine"), behind)
    arm = world.spawn_actor(imu, carla.Transform(low), vehicle, kinds.SpringArm)
    through = world.spawn_actor(imu, carla.Transform(low), vehicle, kinds.SpringArmGhost)
    digging = world.spawn_actor(imu, carla.Transform(carla.Location(-4, 0, -2)), vehicle, kinds.SpringArm)
    world.tick()
    result["blocked"] = {"arm": -seen_from(vehicle, arm)[0], "ghost": -seen_from(vehicle, through)[0]}
    prop.destroy()
    world.tick()
    result["free"] = seen_from(vehicle, arm)
    result["dug"], result["road"] = digging.get_location().z, start.location.z - 0.01
    world.apply_settings(carla.WorldSettings())
    return result
