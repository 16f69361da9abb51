"""The whole state of W worlds as arrays; nothing that matters for the next step lives anywhere else.

All is in the CARLA world frame: x forward, y right, z up, metres, seconds, m/s, radians; yaw turns from x towards y.
Every named array is a view into a buffer (see `sim.world.fields`), so writing to it changes the state.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim.world import fields as f

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Vehicles:
    """[W, N] each. The first `egos` slots of every world are egos where they are present."""

    x: F32
    y: F32
    z: F32
    """Height of the ground below the centre; a body reaches from z to z + 2 half_height."""
    yaw: F32
    cos: F32
    """cos(yaw); kept equal to it by the step and by World.set_pose."""
    sin: F32
    half_length: F32
    half_width: F32
    half_height: F32
    pitch: F32
    """Positive with the nose up, as the slope of the lane."""
    speed: F32
    """m/s along the heading, negative backwards."""
    side_speed: F32
    """m/s to the right."""
    yaw_rate: F32
    accel: F32
    """m/s^2 along the heading, over the last step."""
    side_accel: F32
    wheel: F32
    """Present angle of the front wheels, radians, positive to the right."""
    throttle: F32
    """0..1, the pedal of an EXTERNAL vehicle (or what the driver model pressed)."""
    brake: F32
    steer: F32
    """-1..1, a share of max_wheel."""
    mass: F32
    """kg"""
    inertia: F32
    """Yaw moment of inertia, kg m^2."""
    wheelbase: F32
    max_wheel: F32
    """Greatest angle of the front wheels, radians."""
    mu: F32
    """Friction of the tyres on dry road."""
    power: F32
    """Greatest engine power, W."""
    force: F32
    """Greatest driving force, N."""
    brake_force: F32
    """Braking force at a full pedal, N, before the tyres' limit."""
    drag: F32
    """Air drag, N / (m/s)^2."""
    roll: F32
    """Rolling resistance, N."""
    wheel_rate: F32
    """Fastest turn of the front wheels, rad/s."""
    top_speed: F32
    """m/s at which the drive train stops pulling."""
    s: F32
    """Metres along `lane`."""
    lat: F32
    """Metres to the right of the centre of `lane`."""
    heading: F32
    """Own yaw minus the lane's."""
    wish: F32
    """Share of the speed limit that the built-in driver wants."""
    headway: F32
    """Time gap it keeps, s."""
    min_gap: F32
    """Gap it keeps at a standstill, m."""
    urge: F32
    """Greatest acceleration it uses, m/s^2."""
    comfort: F32
    """Comfortable deceleration, m/s^2."""
    polite: F32
    """MOBIL's politeness."""
    wait: F32
    """Seconds at a standstill at the present stop line."""
    change_timer: F32
    """Seconds until it may think of another lane change."""
    gap: F32
    """Free metres to what bounds it ahead (its leader or a stop line)."""
    target: F32
    """Acceleration the driver model asked for, m/s^2."""
    stuck: F32
    """Seconds without moving."""
    held: F32
    """Seconds of them with a grant to enter the junction ahead."""
    shift: F32
    """Metres to the right of its lane's centre where the built-in driver wants to be."""
    mode: I32
    """0 absent, 1 external (pedals), 2 built-in traffic, 3 parked, 4 kinematic (set from outside)."""
    kind: I32
    """sim.world.presets.BodyType"""
    lane: I32
    """Present lane, -1 before the first projection."""
    next1: I32
    """The lanes it will take after `lane`, -1 where not known or none."""
    next2: I32
    next3: I32
    flags: I32
    """Bit 0 reverse, bit 1 hand brake, bit 2 emergency vehicle on duty."""
    grant: I32
    """The connecting lane that it may enter now, -1 none."""
    stopped: I32
    """1 once it has stopped at the stop sign ahead."""
    change_lane: I32
    """The lane it came from while a lane change lasts, else -1."""
    touch: I32
    """Bits: 1 touches a vehicle, 2 a pedestrian, 4 an obstacle."""
    light: I32
    """LightState that binds it: that of the light of the next entrance within 40 m, NONE else."""
    reason: I32
    """What bounds its speed: see sim.world.junctions (FREE, LEADER, ...)."""
    goal: I32
    """1 + the neighbour lane that it must reach for the turn it has chosen; 0 none; -1: it is on the lane for it."""
    goal_next: I32
    """The lane that it will take from the end of that lane."""


@dataclass(frozen=True)
class Walkers:
    """[W, M] each."""

    x: F32
    y: F32
    z: F32
    yaw: F32
    cos: F32
    sin: F32
    half_length: F32
    half_width: F32
    half_height: F32
    speed: F32
    vx: F32
    """m/s in world axes."""
    vy: F32
    wish: F32
    """m/s it wants to walk."""
    ahead: F32
    """Metres still to walk on its edge."""
    side: F32
    """Metres right of the edge's centre line where it likes to walk."""
    wait: F32
    """Seconds it has waited at a kerb."""
    road_z: F32
    """Height of the road that it stepped out on, until it is on a sidewalk again."""
    mode: I32
    """0 absent, 1 external (velocity set from outside), 2 built-in, 3 standing, 4 kinematic."""
    edge: I32
    """Edge of WalkTables; the one it came from while it steps out over the road."""
    to: I32
    """Vertex it walks to."""
    state: I32
    """0 walking, 1 waiting at a kerb, 2 crossing, 3 stepping out over the road, 4 down after a collision."""
    touch: I32
    """Bit 0: touches a vehicle."""


@dataclass(frozen=True)
class Statics:
    """[W, O] each: parked things, cones, walls."""

    x: F32
    y: F32
    z: F32
    yaw: F32
    cos: F32
    sin: F32
    half_length: F32
    half_width: F32
    half_height: F32
    mode: I32
    """0 absent, 3 present."""
    touch: I32
    """Bit 0: a vehicle touches it."""


@dataclass(frozen=True)
class Egos:
    """[W, E] each; ego e is vehicle slot e. Counters are edge-triggered and start at 0 with each reset."""

    along: F32
    """Metres along the route."""
    offset: F32
    """Metres to the right of the route."""
    error: F32
    """Own yaw minus the route's."""
    distance: F32
    """Metres driven."""
    outside: F32
    """Of them outside the route's lanes (tolerance .5 m) or against the traffic."""
    blocked: F32
    """Seconds below .1 m/s."""
    time: F32
    """Seconds since the reset."""
    allowed: F32
    """Seconds the route may take: 300 + each metre advanced / (10% of the speed limit)."""
    stop_distance: F32
    """Metres from the centre along the route to the stop line of the next light or stop sign not honoured, within 60 m;
    inf for none."""
    speed_limit: F32
    completion: F32
    """Share of the route, 0..1."""
    length: F32
    """Metres of the route."""
    speed_share: F32
    """Sum over the minimum-speed checks of min(1, own mean speed / mean speed of the traffic around)."""
    jerk: F32
    """m/s^3 along the heading, over the last step."""
    holding_up: F32
    """Seconds that it has been in the way of the emergency vehicle behind it."""
    scenario_begin: F32
    """Metres along the route where the present scenario begins, and where it is passed."""
    scenario_end: F32
    scenario_limit: F32
    """Seconds that the scenario may take."""
    scenario_time: F32
    """Seconds since it began."""
    route_points: I32
    """Points of its route."""
    progress: I32
    """Index of the route point last passed."""
    hit_vehicle: I32
    """Collisions that count: not those while the ego is below .1 m/s."""
    hit_walker: I32
    hit_static: I32
    hits_forgiven: I32
    """Collisions while it stood."""
    red_light: I32
    """Red lights run."""
    stop_sign: I32
    """Stop signs run: crossed without having been below .1 m/s before the line."""
    off_road: I32
    """Times it left every driving lane."""
    wrong_way: I32
    """Times it came to drive against the traffic."""
    deviated: I32
    """1 once more than 30 m off the route."""
    stalled: I32
    """1 once blocked for 180 s."""
    timeout: I32
    strayed: I32
    """1 once it has driven outside the route's lanes for more than 30% of the route's length."""
    yield_emergency: I32
    """Emergency vehicles that it did not let pass: see sim.world.events."""
    scenario_timeout: I32
    """Scenarios not passed in their time."""
    scenarios_passed: I32
    scenario: I32
    """0 none, 1 ahead, 2 begun."""
    emergency: I32
    """Slot of the emergency vehicle behind it, plus 1; 0 for none; negative once that one has been counted."""
    completed: I32
    """1 once more than 99% of the route is done and the target is within 10 m."""
    speed_checks: I32
    """Minimum-speed checks so far, 4 a route."""
    is_off_road: I32
    is_wrong_way: I32
    is_outside: I32
    """It is now outside the route's lanes by more than .5 m, or against the traffic."""
    light: I32
    """LightState of the next light on the route within 60 m."""
    stop_sign_ahead: I32
    """1: the stop line belongs to a stop sign that is not honoured yet."""
    steps: I32


@dataclass(frozen=True)
class Signals:
    """Junction cycles [W, J] and lights [W, S]."""

    elapsed: F32
    """[W, J] seconds in the present stage."""
    stage_time: F32
    """[W, J] seconds that the stage lasts."""
    group: I32
    """[W, J] the group whose turn it is."""
    stage: I32
    """[W, J] 0 green, 1 yellow, 2 all red."""
    frozen: I32
    """[W, J] 1: the cycle stands still."""
    green: F32
    """[W, S] seconds of the light's green."""
    yellow: F32
    red: F32
    """[W, S] seconds that all lights are red after its yellow."""
    state: I32
    """[W, S] LightState."""


class Buffers(NamedTuple):
    """What kernels get. See `sim.world.fields` for the rows."""

    vf: F32
    vi: I32
    pf: F32
    pi: I32
    of: F32
    oi: I32
    ef: F32
    ei: I32
    jf: F32
    ji: I32
    lf: F32
    li: I32
    wf: F32
    wi: I32
    route: F32
    """[W, E, R, 6]: x, y, yaw, half width, s on its lane, speed limit; points 1 m apart."""
    route_lane: I32
    """[W, E, R] lane of each point."""
    contact: I32
    """[W, C, 4]: kind and slot of one, kind and slot of the other; kinds: 0 vehicle, 1 pedestrian, 2 obstacle."""
    contact_impulse: F32
    """[W, C, 4]: impulse on the first in N s along x and y, then the point's x and y."""


T = TypeVar("T")


def _views(kind: type[T], prefix: str, floats: F32, ints: I32) -> T:
    """Named views of two buffers, by the constants of `sim.world.fields`."""
    found = {}
    for field in fields(kind):  # type: ignore[arg-type]
        name = field.name.upper()
        row = getattr(f, prefix + name, None)
        if row is None:
            row = getattr(f, name)
        found[field.name] = (ints if field.type == "I32" else floats)[:, row]
    return kind(**found)


CONTACTS = 16


class WorldState:
    """Buffers and their named views: vehicles, walkers, statics, egos, signals; `tick` [W], `time` [W] seconds."""

    def __init__(
        self, worlds: int, vehicles: int, walkers: int, statics: int, egos: int, junctions: int, lights: int, route: int
    ) -> None:
        def reals(*shape: int) -> F32:
            return np.zeros((worlds, *shape), np.float32)

        def whole(*shape: int) -> I32:
            return np.zeros((worlds, *shape), np.int32)

        self.buffers = Buffers(
            vf=reals(f.VEHICLE_FLOATS, vehicles),
            vi=whole(f.VEHICLE_INTS, vehicles),
            pf=reals(f.WALKER_FLOATS, walkers),
            pi=whole(f.WALKER_INTS, walkers),
            of=reals(f.STATIC_FLOATS, statics),
            oi=whole(f.STATIC_INTS, statics),
            ef=reals(f.EGO_FLOATS, egos),
            ei=whole(f.EGO_INTS, egos),
            jf=reals(f.JUNCTION_FLOATS, junctions),
            ji=whole(f.JUNCTION_INTS, junctions),
            lf=reals(f.LIGHT_FLOATS, lights),
            li=whole(f.LIGHT_INTS, lights),
            wf=reals(f.WORLD_FLOATS),
            wi=whole(f.WORLD_INTS),
            route=reals(egos, route, 6),
            route_lane=whole(egos, route),
            contact=whole(CONTACTS, 4),
            contact_impulse=reals(CONTACTS, 4),
        )
        b = self.buffers
        self.vehicles = _views(Vehicles, "V_", b.vf, b.vi)
        self.walkers = _views(Walkers, "P_", b.pf, b.pi)
        self.statics = _views(Statics, "O_", b.of, b.oi)
        self.egos = _views(Egos, "E_", b.ef, b.ei)
        self.signals = Signals(
            elapsed=b.jf[:, f.J_ELAPSED],
            stage_time=b.jf[:, f.J_STAGE_TIME],
            group=b.ji[:, f.J_GROUP],
            stage=b.ji[:, f.J_STAGE],
            frozen=b.ji[:, f.J_FROZEN],
            green=b.lf[:, f.L_GREEN],
            yellow=b.lf[:, f.L_YELLOW],
            red=b.lf[:, f.L_RED],
            state=b.li[:, f.L_STATE],
        )
        self.tick = b.wi[:, f.W_TICK]
        self.time = b.wf[:, f.W_TIME]
        self.contacts = b.wi[:, f.W_CONTACTS]
        """[W] contacts of the last step in `buffers.contact`, at most 16 a world."""

    def snapshot(self) -> Buffers:
        """An exact copy."""
        return Buffers._make(array.copy() for array in self.buffers)

    def restore(self, saved: Buffers) -> None:
        """Become `saved` again, exactly."""
        for array, value in zip(self.buffers, saved):
            array[...] = value
