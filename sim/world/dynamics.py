# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""How a vehicle moves: one scalar function of plain numbers, so that it can be written again in torch and compared.

Planar bicycle model, centre of mass half-way between the axles (a = b = wheelbase / 2), body axes x forward, y right:

    m (du/dt)            = Fx                      u speed along, v speed to the right, r yaw rate
    m (dv/dt + u r)      = Ff + Fr
    I dr/dt              = a Ff - b Fr
    slip_f = wheel - (v + a r) / u,  slip_r = -(v - b r) / u

An axle's side force is sat(STIFFNESS slip) times what the friction circle leaves of mu m g / 2 beside the driving or
braking force. Side speed and yaw rate are stepped by implicit Euler with secant stiffness, hence stable at every dt.
Below 5 m/s it blends into the kinematic bicycle, which is exact where tyres do not slip.
"""

from __future__ import annotations

import math

from sim.world.maths import GRAVITY, F, clamp, part, sincos

STIFFNESS = F(14.0)
"""Side force of an axle per radian of slip, in units of its greatest force; a road tyre peaks near 6 degrees."""
GRIP_ALONG = F(0.95)
"""Share of mu m g that driving and braking may use: what an anti-lock brake leaves for steering."""
ENGINE_BRAKE = F(0.3)
"""m/s^2 of a closed throttle."""
REVERSE_SPEED = F(8.0)
"""m/s backwards."""
KINEMATIC_BELOW = F(2.0)
DYNAMIC_ABOVE = F(5.0)


@part
def saturate(x: float) -> float:
    """A smooth step from -1 to 1 of slope 1 at 0 (Pade form of tanh), exactly 1 from x = 3."""
    x = clamp(x, F(-3.0), F(3.0))
    return x * (F(27.0) + x * x) / (F(27.0) + F(9.0) * x * x)


@part
def turn_wheel(wheel: float, steer: float, speed: float, max_wheel: float, wheel_rate: float, dt: float) -> float:
    """The wheel's angle after dt: towards steer x max_wheel, less at speed (x .7 from 120 km/h on, as in CARLA)."""
    share = F(1.0) - F(0.3) * clamp(abs(speed) / F(33.3), F(0.0), F(1.0))
    goal = steer * max_wheel * share
    return wheel + clamp(goal - wheel, -wheel_rate * dt, wheel_rate * dt)


@part
def along_force(
    speed: float, throttle: float, reverse: bool, mass: float, power: float, force: float, top_speed: float
) -> float:
    """Driving force in N, signed: the lesser of the greatest force and power / speed, fading out at the top speed."""
    if reverse:
        fade = clamp((REVERSE_SPEED + speed) * F(0.5), F(0.0), F(1.0))
        return -throttle * force * F(0.6) * fade
    fade = clamp((top_speed - speed) * F(0.5), F(0.0), F(1.0))
    return throttle * min(force, power / max(speed, F(0.5))) * fade


@part
def advance(
    speed: float,
    side: float,
    yaw_rate: float,
    wheel: float,
    throttle: float,
    brake: float,
    reverse: bool,
    hand_brake: bool,
    slope: float,
    mass: float,
    inertia: float,
    wheelbase: float,
    mu: float,
    power: float,
    force: float,
    brake_force: float,
    drag: float,
    roll: float,
    top_speed: float,
    dt: float,
) -> tuple[float, float, float]:
    """(speed, side speed, yaw rate) after dt. `slope` is the sine of the road's pitch. SI units; see the module."""
    grip = mu * mass * GRAVITY
    # along: what drives may change the sign of the speed, what resists may not
    drive = clamp(along_force(speed, throttle, reverse, mass, power, force, top_speed), -grip, grip)
    resist = roll + drag * speed * speed
    if throttle <= F(0.0):
        # it brakes through the tyres
        resist += min(ENGINE_BRAKE * mass * clamp(abs(speed) * F(0.5), F(0.0), F(1.0)), grip)
    stopping = brake * brake_force
    if hand_brake:
        stopping += F(0.5) * grip
    stopping = min(stopping, GRIP_ALONG * grip)
    free = speed + (drive / mass - GRAVITY * slope + side * yaw_rate) * dt
    loss = (resist + stopping) / mass * dt
    if abs(free) <= loss:
        new_speed = F(0.0)
    else:
        new_speed = free - loss if free > F(0.0) else free + loss
    along = clamp(abs(drive) + stopping, F(0.0), GRIP_ALONG * grip)

    # across
    half = F(0.5) * wheelbase
    sin_wheel, cos_wheel = sincos(wheel)
    tangent = sin_wheel / cos_wheel
    pace = abs(new_speed)
    kinematic_rate = new_speed * tangent / wheelbase
    most = mu * GRAVITY / max(pace, F(0.1))
    kinematic_rate = clamp(kinematic_rate, -most, most)
    kinematic_side = kinematic_rate * half
    if pace <= KINEMATIC_BELOW or new_speed < F(0.0):
        # a slide left over from a spin or a collision dies by friction
        keep = clamp(abs(side - kinematic_side) - mu * GRAVITY * dt, F(0.0), F(50.0))
        kinematic_side += keep if side > kinematic_side else -keep
        return new_speed, kinematic_side, kinematic_rate

    u = pace
    axle = F(0.5) * math.sqrt(grip * grip - along * along)
    rear_axle = axle * (F(0.4) if hand_brake else F(1.0))
    slip_front = wheel - (side + half * yaw_rate) / u
    slip_rear = -(side - half * yaw_rate) / u
    k_front = axle * STIFFNESS
    k_rear = rear_axle * STIFFNESS
    x_front = STIFFNESS * slip_front
    x_rear = STIFFNESS * slip_rear
    if abs(x_front) > F(1e-3):
        k_front = axle * saturate(x_front) / slip_front
    if abs(x_rear) > F(1e-3):
        k_rear = rear_axle * saturate(x_rear) / slip_rear
    # (1 + dt A) [side, yaw_rate] = old + dt k_front wheel [1 / m, half / I]
    a11 = F(1.0) + dt * (k_front + k_rear) / (mass * u)
    a12 = dt * ((k_front - k_rear) * half / (mass * u) + u)
    a21 = dt * half * (k_front - k_rear) / (inertia * u)
    a22 = F(1.0) + dt * half * half * (k_front + k_rear) / (inertia * u)
    b1 = side + dt * k_front * wheel / mass
    b2 = yaw_rate + dt * half * k_front * wheel / inertia
    determinant = a11 * a22 - a12 * a21
    side_1 = (b1 * a22 - a12 * b2) / determinant
    rate_1 = (a11 * b2 - a21 * b1) / determinant
    # the forces that this step used, held to the friction circle
    front = k_front * (wheel - (side_1 + half * rate_1) / u)
    rear = -k_rear * (side_1 - half * rate_1) / u
    if abs(front) > axle or abs(rear) > rear_axle:
        front = clamp(front, -axle, axle)
        rear = clamp(rear, -rear_axle, rear_axle)
        rate_1 = yaw_rate + dt * half * (front - rear) / inertia
        side_1 = side + dt * ((front + rear) / mass - rate_1 * u)
    blend = clamp((pace - KINEMATIC_BELOW) / (DYNAMIC_ABOVE - KINEMATIC_BELOW), F(0.0), F(1.0))
    new_side = kinematic_side + blend * (side_1 - kinematic_side)
    new_rate = kinematic_rate + blend * (rate_1 - kinematic_rate)
    return new_speed, new_side, new_rate
