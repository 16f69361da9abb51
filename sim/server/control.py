"""Ackermann control: steering angle, speed and acceleration turned into pedals, every tick."""

from __future__ import annotations

from sim.server.actors import Actor, Registry
from sim.server.bodies import Bodies
from sim.world import fields as f
from sim.world.world import World

HARDEST = 8.0
"""m/s^2 used where the target gives no acceleration."""
STANDING = 0.1


def drive(actor: Actor, world: World, bodies: Bodies, registry: Registry, dt: float) -> None:
    """Set the pedals and the wheel of a vehicle for its Ackermann target.

    Target: [steer rad (positive right), steer speed rad/s, speed m/s, acceleration m/s^2, jerk m/s^3], 0 for no limit.
    Gains [speed kp, ki, kd, acceleration kp, ki, kd]: the speed loop asks for 10 (kp e + ki integral) + .1 kd de/dt
    m/s^2 (the defaults give 1.5 m/s^2 per m/s), fed forward through the mass; the acceleration loop corrects the pedal.
    """
    vehicle = actor.vehicle
    if vehicle is None or vehicle.ackermann is None or actor.slot < 0:
        return
    steer, steer_speed, speed, acceleration, _ = vehicle.ackermann
    row = world.state.buffers.vf[0, :, actor.slot]
    memory, (kp, ki, kd, akp, aki, akd) = vehicle.ackermann_memory, vehicle.ackermann_gains
    most = float(row[f.MAX_WHEEL])
    goal = max(-most, min(most, steer))
    if steer_speed > 0:
        goal = memory[0] + max(-steer_speed * dt, min(steer_speed * dt, goal - memory[0]))
    memory[0] = goal

    now = float(row[f.SPEED])
    backwards = speed < 0 and now < STANDING
    sign = -1.0 if backwards else 1.0
    error = sign * (speed - now)
    limit = abs(acceleration) if acceleration != 0 else HARDEST
    memory[1] = max(-10.0, min(10.0, memory[1] + error * dt))
    wanted = 10.0 * (kp * error + ki * memory[1]) + 0.1 * kd * (error - memory[2]) / dt
    memory[2] = error
    wanted = max(-limit, min(limit, wanted))
    lack = wanted - sign * float(row[f.ACCEL])
    memory[3] = max(-0.3, min(0.3, memory[3] + aki * lack * dt))
    correction = akp * lack + memory[3] + akd * (wanted - memory[4])
    memory[4] = wanted
    mass = float(row[f.MASS])
    resistance = float(row[f.ROLL]) + float(row[f.DRAG]) * now * now
    force = mass * wanted + (resistance if abs(now) > STANDING or wanted > 0 else 0.0)
    if abs(speed) < 1e-3 and abs(now) < STANDING:
        throttle, brake = 0.0, 1.0
    elif force >= 0:
        available = min(float(row[f.FORCE]), float(row[f.POWER]) / max(abs(now), 0.5))
        throttle, brake = max(0.0, min(1.0, force / max(available, 1.0) + correction)), 0.0
    else:
        throttle, brake = 0.0, max(0.0, min(1.0, -force / max(float(row[f.BRAKE_FORCE]), 1.0) - correction))
    # the world turns the wheel by steer x max_wheel x share, less at speed
    share = 1.0 - 0.3 * min(abs(now) / 33.3, 1.0)
    wheel = max(-1.0, min(1.0, goal / (most * share))) if most > 0 else 0.0
    bodies.pedals(actor.slot, throttle, wheel, brake, False, backwards)
    union, at = registry.snapshot.vehicles, actor.row
    union["throttle"][at], union["steer"][at], union["brake"][at] = throttle, wheel, brake
    union["reverse"][at] = int(backwards)
