"""The simulated world as sensors see it: rows of a WorldState become Actors and light states."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.roads.tables import LaneTables
from sim.sensors.actors import LAMP_BITS, PAINTS, PROP, WALKER, Actors
from sim.sensors.meshes.designs import Body, Lamp
from sim.sensors.meshes.people import LOOKS
from sim.sensors.meshes.props import Shape
from sim.sensors.weather import LAMPS, RAIN, Weather
from sim.world import fields as f
from sim.world.presets import BodyType
from sim.world.state import WorldState

VEHICLE_ID, WALKER_ID, STATIC_ID = 1, 10001, 20001
"""Instance id of the vehicle, the pedestrian and the standing thing in slot 0."""
CAR_LENGTH = 3.0
"""A standing thing at least this long, in metres, that nobody says the shape of is a car."""
_CARS = np.array([Body.SEDAN, Body.SUV, Body.HATCHBACK, Body.SEDAN, Body.HATCHBACK], np.int32)
_BODY = {
    BodyType.VAN: Body.VAN, BodyType.TRUCK: Body.TRUCK, BodyType.BUS: Body.BUS,
    BodyType.MOTORCYCLE: Body.MOTORCYCLE, BodyType.BICYCLE: Body.BICYCLE,
}  # fmt: skip


def actors_of(
    state: WorldState, tables: LaneTables, world: int = 0, weather: Weather | None = None, hide: int = -1
) -> Actors:
    """Vehicles, pedestrians and standing things of one world, in this order; `hide`: a vehicle slot of which only
    the lamps' light is seen (whose camera it is).

    Head lamps are on at night and in rain; brake lamps and indicators follow the pedals and the way through the next
    junction. Standing things are cars or cartons, by their length. Instance ids: VEHICLE_ID + slot, WALKER_ID + slot,
    STATIC_ID + slot.
    """
    v, p, o = state.vehicles, state.walkers, state.statics
    rows = np.flatnonzero(v.mode[world] != f.ABSENT)
    feet = np.flatnonzero(p.mode[world] != f.ABSENT)
    things = np.flatnonzero(o.mode[world] != f.ABSENT)
    kinds = v.kind[world, rows]
    body = _CARS[rows * 7 % len(_CARS)]
    for kind, value in _BODY.items():
        body = np.where(kinds == kind, value, body)
    env = (weather or Weather()).environment()
    lamps = np.full(len(rows), LAMP_BITS[Lamp.HEAD] if env[LAMPS] > 0 or env[RAIN] > 0.2 else 0, np.int32)
    parked = v.mode[world, rows] == f.PARKED
    lamps[parked] = 0
    braking = ((v.brake[world, rows] > 0.03) | (v.accel[world, rows] < -0.8) | (v.speed[world, rows] < 0.05)) & ~parked
    lamps |= np.where(braking, LAMP_BITS[Lamp.BRAKE], 0).astype(np.int32)
    lamps |= _indicators(state, tables, world, rows)
    reverse = (v.flags[world, rows] & f.REVERSE) != 0
    lamps |= np.where(reverse, LAMP_BITS[Lamp.REVERSE], 0).astype(np.int32)

    def all_of(vehicle: NDArray, walker: NDArray, static: NDArray) -> NDArray[np.float32]:
        return np.concatenate([vehicle[world, rows], walker[world, feet], static[world, things]]).astype(np.float32)

    x, y, z, yaw = (all_of(*(getattr(group, name) for group in (v, p, o))) for name in ("x", "y", "z", "yaw"))
    nothing = np.zeros(len(feet) + len(things), np.float32)
    pitch = np.concatenate([v.pitch[world, rows], nothing])
    speed = all_of(v.speed, p.speed, np.zeros_like(o.x))
    size = 2 * np.stack(
        [
            all_of(*(getattr(group, name) for group in (v, p, o)))
            for name in ("half_length", "half_width", "half_height")
        ],
        1,
    )
    # along a straight way this grows as the distance travelled does; it needs no memory of its own
    travelled = np.abs(x * np.cos(yaw) + y * np.sin(yaw)) + 1.0
    travelled[len(rows) :] = np.where(speed[len(rows) :] > 0.1, travelled[len(rows) :], -1.0)
    long = 2 * o.half_length[world, things] >= CAR_LENGTH
    ids = np.concatenate([VEHICLE_ID + rows, WALKER_ID + feet, STATIC_ID + things]).astype(np.int32)
    return Actors.of(
        np.concatenate([body, np.full(len(feet), WALKER), np.where(long, Body.SEDAN, PROP + Shape.CARTON)]),
        np.stack([x, y, z, 0 * x, pitch, yaw], 1),
        id=ids,
        look=ids * 7 % LOOKS,
        size=size,
        paint=PAINTS[(ids * 5 + ids // 7) % len(PAINTS)],
        lamps=np.concatenate([lamps, nothing.astype(np.int32)]),
        steer=np.concatenate([v.wheel[world, rows], nothing]),
        travelled=travelled,
        velocity=np.stack([speed * np.cos(yaw), speed * np.sin(yaw), 0 * x], 1),
        shown=ids != VEHICLE_ID + hide if hide >= 0 else np.ones(len(ids), np.bool_),
    )


def _indicators(state: WorldState, tables: LaneTables, world: int, rows: NDArray) -> NDArray[np.int32]:
    """Left or right lamp where the present lane, or the next one within 25 m, turns; they blink once a second."""
    v = state.vehicles
    if (float(state.time[world]) % 0.8) > 0.45 or not len(rows):
        return np.zeros(len(rows), np.int32)
    lane, following = v.lane[world, rows], v.next1[world, rows]
    here = np.where(lane >= 0, tables.turn[np.maximum(lane, 0)], 0)
    rest = np.where(lane >= 0, tables.length[np.maximum(lane, 0)] - v.s[world, rows], np.inf)
    ahead = np.where((following >= 0) & (rest < 25), tables.turn[np.maximum(following, 0)], 0)
    way = np.where(here != 0, here, ahead)
    left, right = LAMP_BITS[Lamp.LEFT], LAMP_BITS[Lamp.RIGHT]
    return np.where(way < 0, left, np.where(way > 0, right, 0)).astype(np.int32)


def lights_of(state: WorldState, world: int = 0) -> NDArray[np.int32]:
    """[S] LightState of every traffic light of one world."""
    return state.signals.state[world].copy()
