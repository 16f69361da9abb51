"""The world's vehicle dynamics once more in torch, so that a loss can be differentiated through a drive.

Each function is that of the same name in sim/world/dynamics.py, for tensors [B]; a test holds the two together. Where
the original branches, both branches are computed and chosen from; values that only the other branch needs are kept away
from zero and infinity, so that the gradient of the branch not taken is never NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from sim.world.dynamics import DYNAMIC_ABOVE, ENGINE_BRAKE, GRIP_ALONG, KINEMATIC_BELOW, STIFFNESS
from sim.world.presets import PRESETS, BodyType

GRAVITY = 9.81


@dataclass(frozen=True)
class Body:
    """Parameters of a vehicle, SI units, as in sim.world.presets."""

    mass: float
    inertia: float
    wheelbase: float
    mu: float
    power: float
    force: float
    brake_force: float
    drag: float
    roll: float
    top_speed: float
    max_wheel: float
    wheel_rate: float

    @classmethod
    def of(cls, kind: BodyType = BodyType.CAR) -> Body:
        """The body that the world gives vehicles of this kind."""
        p = PRESETS[kind]
        derived = {"inertia": p.mass * (p.length**2 + p.width**2) / 12 * 0.9, "roll": 0.012 * 9.81 * p.mass}
        return cls(**{f.name: derived.get(f.name) or getattr(p, f.name) for f in fields(cls)})


@dataclass
class Motion:
    """State of B vehicles, each field [B]: position m, heading rad, speeds m/s, yaw rate rad/s, wheel angle rad."""

    x: Tensor
    y: Tensor
    heading: Tensor
    speed: Tensor
    side: Tensor
    yaw_rate: Tensor
    wheel: Tensor

    @classmethod
    def standing(cls, count: int) -> Motion:
        """B vehicles at the origin, at rest."""
        return cls(*(torch.zeros(count) for _ in fields(cls)))


def saturate(x: Tensor) -> Tensor:
    """A smooth step from -1 to 1."""
    x = x.clamp(-3.0, 3.0)
    return x * (27.0 + x * x) / (27.0 + 9.0 * x * x)


def turn_wheel(wheel: Tensor, steer: Tensor, speed: Tensor, body: Body, dt: float) -> Tensor:
    """The wheel's angle after dt."""
    share = 1.0 - 0.3 * (speed.abs() / 33.3).clamp(0.0, 1.0)
    step = body.wheel_rate * dt
    return wheel + (steer * body.max_wheel * share - wheel).clamp(-step, step)


def along_force(speed: Tensor, throttle: Tensor, body: Body) -> Tensor:
    """Driving force in N, forwards."""
    fade = ((body.top_speed - speed) * 0.5).clamp(0.0, 1.0)
    return throttle * (body.power / speed.clamp(min=0.5)).clamp(max=body.force) * fade


def advance(
    speed: Tensor, side: Tensor, yaw_rate: Tensor, wheel: Tensor, throttle: Tensor, brake: Tensor, body: Body, dt: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(speed, side speed, yaw rate) after dt on a level road, forwards, without a hand brake."""
    grip = body.mu * body.mass * GRAVITY
    drive = along_force(speed, throttle, body).clamp(-grip, grip)
    closed = (throttle <= 0.0).to(speed.dtype)
    resist = body.roll + body.drag * speed * speed
    engine = float(ENGINE_BRAKE) * body.mass * (speed.abs() * 0.5).clamp(0.0, 1.0)
    resist = resist + closed * engine.clamp(max=grip)
    stopping = (brake * body.brake_force).clamp(max=float(GRIP_ALONG) * grip)
    free = speed + (drive / body.mass + side * yaw_rate) * dt
    loss = (resist + stopping) / body.mass * dt
    new_speed = torch.where(free.abs() <= loss, torch.zeros_like(free), free - torch.sign(free) * loss)
    along = (drive.abs() + stopping).clamp(0.0, float(GRIP_ALONG) * grip)

    half = 0.5 * body.wheelbase
    pace = new_speed.abs()
    most = body.mu * GRAVITY / pace.clamp(min=0.1)
    kinematic_rate = (new_speed * torch.tan(wheel) / body.wheelbase).clamp(-most, most)
    kinematic_side = kinematic_rate * half
    excess = side - kinematic_side
    keep = (excess.abs() - body.mu * GRAVITY * dt).clamp(0.0, 50.0)
    slow_side = kinematic_side + torch.where(side > kinematic_side, keep, -keep)
    slow = (pace <= float(KINEMATIC_BELOW)) | (new_speed < 0.0)

    u = torch.where(slow, torch.full_like(pace, float(KINEMATIC_BELOW)), pace)
    axle = 0.5 * torch.sqrt(grip * grip - along * along)
    k_front = _secant(wheel - (side + half * yaw_rate) / u, axle)
    k_rear = _secant(-(side - half * yaw_rate) / u, axle)
    m, inertia = body.mass, body.inertia
    a11 = 1.0 + dt * (k_front + k_rear) / (m * u)
    a12 = dt * ((k_front - k_rear) * half / (m * u) + u)
    a21 = dt * half * (k_front - k_rear) / (inertia * u)
    a22 = 1.0 + dt * half * half * (k_front + k_rear) / (inertia * u)
    b1 = side + dt * k_front * wheel / m
    b2 = yaw_rate + dt * half * k_front * wheel / inertia
    determinant = a11 * a22 - a12 * a21
    side_1 = (b1 * a22 - a12 * b2) / determinant
    rate_1 = (a11 * b2 - a21 * b1) / determinant
    front = k_front * (wheel - (side_1 + half * rate_1) / u)
    rear = -k_rear * (side_1 - half * rate_1) / u
    sliding = (front.abs() > axle) | (rear.abs() > axle)
    front, rear = front.clamp(-axle, axle), rear.clamp(-axle, axle)
    slid_rate = yaw_rate + dt * half * (front - rear) / inertia
    slid_side = side + dt * ((front + rear) / m - slid_rate * u)
    rate_1 = torch.where(sliding, slid_rate, rate_1)
    side_1 = torch.where(sliding, slid_side, side_1)
    low, high = float(KINEMATIC_BELOW), float(DYNAMIC_ABOVE)
    blend = ((pace - low) / (high - low)).clamp(0.0, 1.0)
    new_side = torch.where(slow, slow_side, kinematic_side + blend * (side_1 - kinematic_side))
    new_rate = torch.where(slow, kinematic_rate, kinematic_rate + blend * (rate_1 - kinematic_rate))
    return new_speed, new_side, new_rate


def _secant(slip: Tensor, axle: Tensor) -> Tensor:
    """Side force over slip; its limit where there is no slip."""
    x = float(STIFFNESS) * slip
    small = x.abs() <= 1e-3
    safe = torch.where(small, torch.ones_like(slip), slip)
    return torch.where(small, axle * float(STIFFNESS), axle * saturate(float(STIFFNESS) * safe) / safe)


def step(state: Motion, throttle: Tensor, brake: Tensor, steer: Tensor, body: Body, dt: float) -> Motion:
    """All of a vehicle's motion after dt: wheel, speeds, then the pose by the mean of old and new motion.

    throttle and brake 0..1, steer -1..1 (positive right), each [B].
    """
    wheel = turn_wheel(state.wheel, steer, state.speed, body, dt)
    speed, side, rate = advance(state.speed, state.side, state.yaw_rate, wheel, throttle, brake, body, dt)
    middle = state.heading + 0.5 * (state.yaw_rate + rate) * 0.5 * dt
    along, across = 0.5 * (state.speed + speed), 0.5 * (state.side + side)
    x = state.x + (along * torch.cos(middle) - across * torch.sin(middle)) * dt
    y = state.y + (along * torch.sin(middle) + across * torch.cos(middle)) * dt
    heading = state.heading + 0.5 * (state.yaw_rate + rate) * dt
    return Motion(x, y, torch.remainder(heading + math.pi, 2 * math.pi) - math.pi, speed, side, rate, wheel)
