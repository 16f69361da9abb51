"""Vehicles moved by hand: velocities, impulses, physics control, grip."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import carla

from tests.sim.server.clients.common import car, connect, scenario


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
