"""Vehicles: control, physics, lights, doors, wheels, telemetry."""

from __future__ import annotations

import math
from typing import Any

from sim.server import pedals, physics
from sim.server.actors import Actor, VehicleData
from sim.server.arguments import boolean, integer, items, number
from sim.server.errors import CallError
from sim.server.rpc.table import Style, method, value, void
from sim.server.simulation import Simulation
from sim.world import fields as f

DOORS, ALL_DOORS = 6, 6


def live(sim: Simulation, actor: Any) -> tuple[Actor, VehicleData]:
    """A living vehicle."""
    found = sim.episode.registry.live(actor)
    if found.vehicle is None:
        raise CallError(f"actor {found.id} is not a vehicle")
    return found, found.vehicle


def known(sim: Simulation, actor: Any) -> tuple[Actor, VehicleData]:
    """A vehicle, living or destroyed."""
    found = sim.episode.registry.known(actor)
    if found.vehicle is None:
        raise CallError(f"actor {found.id} is not a vehicle")
    return found, found.vehicle


@void
def apply_control_to_vehicle(sim: Simulation, actor: Any, control: Any) -> None:
    """Pedals, wheel and gear that it keeps from now on."""
    found, _ = live(sim, actor)
    pedals.apply(sim.episode, [(found, pedals.parse(control))])


@void
def apply_ackermann_control_to_vehicle(sim: Simulation, actor: Any, control: Any) -> None:
    """Steering angle (rad), its speed, speed (m/s), acceleration, jerk that it follows from now on."""
    found, _ = live(sim, actor)
    sim.episode.follow_ackermann(found, [number(v, "control") for v in items(control, 5, "control")[:5]])


@value
def get_ackermann_controller_settings(sim: Simulation, actor: Any) -> list[float]:
    """Six gains."""
    return known(sim, actor)[1].ackermann_gains


@void
def apply_ackermann_controller_settings(sim: Simulation, actor: Any, gains: Any) -> None:
    """Change them."""
    live(sim, actor)[1].ackermann_gains = [number(v, "gain") for v in items(gains, 6, "gains")[:6]]


@value
def get_physics_control(sim: Simulation, actor: Any) -> list[Any]:
    """VehiclePhysicsControl in force."""
    return known(sim, actor)[1].physics


@void
def apply_physics_control(sim: Simulation, actor: Any, control: Any) -> None:
    """Change it; see sim.server.physics for what acts."""
    found, vehicle = live(sim, actor)
    after = physics.checked(control)
    vehicle.physics = after
    sim.episode.refresh_physics(found)


@value
def get_vehicle_light_state(sim: Simulation, actor: Any) -> list[int]:
    """Flags of the lamps."""
    return [known(sim, actor)[1].lights]


@void
def set_vehicle_light_state(sim: Simulation, actor: Any, state: Any) -> None:
    """Switch lamps."""
    flags = items(state, 1, "lights")[0] if isinstance(state, list) else state
    live(sim, actor)[1].lights = integer(flags, what="lights")


@value
def get_vehicle_light_states(sim: Simulation) -> list[Any]:
    """[id, flags] of every vehicle."""
    sim.looks += sim.manages()
    return [[actor.id, actor.vehicle.lights] for actor in sim.episode.bodies.of_vehicle.values() if actor.vehicle]


@value
def get_telemetry_data(sim: Simulation, actor: Any) -> list[Any]:
    """Speed, controls, engine and wheels, from the model's state; tyre loads and forces from its mass and motion."""
    found, vehicle = known(sim, actor)
    if found.slot < 0:
        return [0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, []]
    row = sim.episode.world.state.buffers.vf[0, :, found.slot]
    union = sim.episode.registry.snapshot.vehicles[found.row]
    speed, mass = float(row[f.SPEED]), float(row[f.MASS])
    gear = int(union["gear"])
    gears = vehicle.physics[physics.GEAR_LIST] or [[1.0]]
    ratio = float(gears[min(max(gear, 1), len(gears)) - 1][0]) * float(vehicle.physics[physics.FINAL])
    wheels = []
    count = max(len(vehicle.physics[physics.WHEELS]), 1)
    load = mass * 9.81 / count
    radius = 0.34
    for wheel in vehicle.physics[physics.WHEELS]:
        radius = max(float(wheel[physics.RADIUS]) / 100.0, 0.05)
        along, across = mass * float(row[f.ACCEL]) / count, mass * float(row[f.SIDE_ACCEL]) / count
        slip = math.atan2(float(row[f.SIDE_SPEED]), max(abs(speed), 1.0))
        forces = [along * radius, along, across, along / load, across / load]
        wheels.append([float(wheel[physics.FRICTION]), slip, 0.0, speed / radius, load, 1.0, *forces])
    rpm = min(max(800.0, abs(speed) / radius * ratio * 30.0 / math.pi), float(vehicle.physics[physics.RPM]))
    drag = float(row[f.DRAG]) * speed * speed
    return [speed, float(union["steer"]), float(union["throttle"]), float(union["brake"]), rpm, gear, drag, wheels]


@void
def open_vehicle_door(sim: Simulation, actor: Any, door: Any) -> None:
    """Kept as state."""
    _set_doors(live(sim, actor)[1], integer(door, 0, DOORS), True)


@void
def close_vehicle_door(sim: Simulation, actor: Any, door: Any) -> None:
    """Kept as state."""
    _set_doors(live(sim, actor)[1], integer(door, 0, DOORS), False)


def _set_doors(vehicle: VehicleData, door: int, opened: bool) -> None:
    bits = (1 << DOORS) - 1 if door == ALL_DOORS else 1 << door
    vehicle.doors = vehicle.doors | bits if opened else vehicle.doors & ~bits


@void
def set_wheel_steer_direction(sim: Simulation, actor: Any, wheel: Any, degrees: Any) -> None:
    """How a wheel is shown, without effect on the motion."""
    live(sim, actor)[1].wheel_steer[integer(wheel, 0, 3)] = number(degrees)


@value
def get_wheel_steer_angle(sim: Simulation, actor: Any, wheel: Any) -> float:
    """Degrees: the front wheels' present angle, unless shown otherwise."""
    found, vehicle = known(sim, actor)
    index = integer(wheel, 0, 3)
    if index in vehicle.wheel_steer:
        return vehicle.wheel_steer[index]
    rear = index >= 2 or (index == 1 and found.attributes.get("number_of_wheels") == "2")
    return 0.0 if rear or found.slot < 0 else math.degrees(float(sim.episode.world.state.vehicles.wheel[0, found.slot]))


@void
def set_wheel_pitch_angle(sim: Simulation, actor: Any, wheel: Any, degrees: Any) -> None:
    """How a wheel is shown."""
    live(sim, actor)[1].wheel_pitch[integer(wheel, 0, 3)] = number(degrees)


@value
def get_wheel_pitch_angle(sim: Simulation, actor: Any, wheel: Any) -> float:
    """Degrees, as set."""
    return known(sim, actor)[1].wheel_pitch.get(integer(wheel, 0, 3), 0.0)


@value
def get_vehicle_bone_world_transforms(sim: Simulation, actor: Any) -> list[Any]:
    """Bodies have no skeleton: the vehicle's own transform."""
    return [sim.episode.registry.pose(known(sim, actor)[0]).wire()]


@void
def set_ignored_vehicles(sim: Simulation, actor: Any, others: Any) -> None:
    """Kept; only CARLA's semantic radar looks at it."""
    live(sim, actor)[1].ignored = frozenset(integer(i) for i in items(others, 0, "ids")[:10_000])


@void
def show_vehicle_debug_telemetry(sim: Simulation, actor: Any, enabled: Any) -> None:
    """Accepted: there is no window."""
    live(sim, actor)
    boolean(enabled)


@method(Style.VOID, "enable_carsim", "use_carsim_road", "enable_chrono_physics")
def other_physics(sim: Simulation, actor: Any, *_: Any) -> None:
    """Refused: there is one vehicle model."""
    raise CallError("this server has its own vehicle model only (no CarSim, no Chrono)")


@void
def restore_physx_physics(sim: Simulation, actor: Any) -> None:
    """The one vehicle model is always in force."""
    live(sim, actor)
