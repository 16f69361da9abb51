"""Bodies in the world: what an actor's slot holds, and the world's motion written into the snapshot.

The world is planar with ground heights: roll is always 0, pitch is the slope of the lane.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.server.actors import Actor, Registry
from sim.server.arguments import Pose, Vec
from sim.server.blueprints import Kind
from sim.server.catalogue import VehicleModel
from sim.server.errors import CallError
from sim.world import fields as f
from sim.world.presets import PRESETS
from sim.world.world import World

Index = slice | NDArray[np.intp]
DEGREES = 180.0 / math.pi
NO_ROOM = "Spawn failed because of collision at spawn position"
FULL = "Spawn failed because the server's places for this kind of actor are all taken"
HEIGHT_APART = 4.0
"""Metres between the feet of two things that cannot touch (a bridge and the road below)."""


class Bodies:
    """Slots of world 0, by kind, and who lives in them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.of_vehicle: dict[int, Actor] = {}
        self.of_walker: dict[int, Actor] = {}
        self.of_prop: dict[int, Actor] = {}
        self._version = -1
        self._vehicles: tuple[Index, Index] = (slice(0), slice(0))
        self._walkers: tuple[Index, Index] = (slice(0), slice(0))
        self.fields: NDArray[np.float32] = np.zeros((f.MASS, 0), np.float32)
        """The world's fields (up to HEADING) of all vehicles after the last step, in the order of `rows`."""

    # -- coming and going ---------------------------------------------------------------------------------------------

    def occupied(self, pose: Pose, half: tuple[float, float, float], skip: int = -1) -> bool:
        """A body stands in the box of half extents `half` (m) at `pose`; `skip` is a vehicle slot to leave out."""
        yaw = math.radians(pose.yaw)
        state = self.world.state
        for group, place in ((state.vehicles, skip), (state.walkers, -1), (state.statics, -1)):
            there = group.mode[0] != f.ABSENT
            if place >= 0:
                there[place] = False
            if there.any() and _overlaps(pose, yaw, half, group, np.flatnonzero(there)):
                return True
        return False

    def add_vehicle(self, actor: Actor, model: VehicleModel, pose: Pose) -> None:
        """A slot for a vehicle of `model`; raises CallError where the place or the slots are taken."""
        if self.occupied(pose, model.half):
            raise CallError(NO_ROOM)
        slot = self.world.spawn(0, model.body, pose.x, pose.y, pose.z, math.radians(pose.yaw), f.EXTERNAL)
        if slot < 0:
            raise CallError(FULL)
        row = self.world.state.buffers.vf[0, :, slot]
        preset = PRESETS[model.body]
        row[f.HALF_LENGTH], row[f.HALF_WIDTH], row[f.HALF_HEIGHT] = model.half
        share = model.mass / preset.mass
        row[f.MASS] = model.mass
        row[f.INERTIA] *= share * (model.half[0] * 2 / preset.length) ** 2
        row[f.WHEELBASE] = wheelbase(model)
        for field in (f.FORCE, f.POWER, f.BRAKE_FORCE, f.ROLL):
            row[field] *= share
        row[f.Z] = pose.z
        actor.slot = slot
        self.of_vehicle[slot] = actor

    def add_walker(self, actor: Actor, half: tuple[float, float, float], pose: Pose) -> None:
        """A slot for a walker that goes where it is told."""
        if self.occupied(pose._replace(z=pose.z - half[2]), half):
            raise CallError(NO_ROOM)
        b = self.world.state.buffers
        actor.slot = slot = _free(b.pi[0, f.P_MODE])
        b.pf[0, :, slot] = 0.0
        b.pi[0, :, slot] = 0
        b.pi[0, f.P_EDGE, slot] = b.pi[0, f.P_TO, slot] = -1
        b.pi[0, f.P_MODE, slot] = f.EXTERNAL
        row = b.pf[0, :, slot]
        row[f.HALF_LENGTH], row[f.HALF_WIDTH], row[f.P_HALF_HEIGHT] = half
        self.of_walker[slot] = actor
        self.place(actor, pose)

    def add_prop(self, actor: Actor, half: tuple[float, float, float], pose: Pose) -> None:
        """A slot for a thing that stands still."""
        b = self.world.state.buffers
        actor.slot = slot = _free(b.oi[0, f.O_MODE])
        b.of[0, :, slot] = 0.0
        b.oi[0, :, slot] = 0
        b.oi[0, f.O_MODE, slot] = f.PARKED
        row = b.of[0, :, slot]
        row[f.HALF_LENGTH], row[f.HALF_WIDTH], row[f.O_HALF_HEIGHT] = half
        self.of_prop[slot] = actor
        self.place(actor, pose)

    def remove(self, actor: Actor) -> None:
        """Free the slot; nothing of the actor stays in it."""
        slot, b = actor.slot, self.world.state.buffers
        if slot < 0:
            return
        if actor.kind is Kind.VEHICLE:
            self.world.remove(0, slot)
            del self.of_vehicle[slot]
        elif actor.kind is Kind.WALKER:
            b.pf[0, :, slot], b.pi[0, :, slot] = 0.0, 0
            del self.of_walker[slot]
        else:
            b.of[0, :, slot], b.oi[0, :, slot] = 0.0, 0
            del self.of_prop[slot]
        actor.slot = -1

    # -- placing and pushing ------------------------------------------------------------------------------------------

    def place(self, actor: Actor, pose: Pose) -> None:
        """Move a body; its motion stays. A walker's z is its centre, a vehicle's its ground."""
        slot = actor.slot
        if slot < 0:
            return
        b, yaw = self.world.state.buffers, math.radians(pose.yaw)
        if actor.kind is Kind.VEHICLE:
            self.world.set_pose(0, slot, pose.x, pose.y, pose.z, yaw)
            return
        row = b.pf[0, :, slot] if actor.kind is Kind.WALKER else b.of[0, :, slot]
        lift = row[f.P_HALF_HEIGHT] if actor.kind is Kind.WALKER else 0.0
        row[f.X], row[f.Y], row[f.Z] = pose.x, pose.y, pose.z - lift
        row[f.YAW], row[f.COS], row[f.SIN] = math.remainder(yaw, 2 * math.pi), math.cos(yaw), math.sin(yaw)

    def set_velocity(self, actor: Actor, velocity: Vec) -> None:
        """Of a vehicle, world axes, m/s."""
        if actor.slot >= 0:
            self.world.set_velocity(0, actor.slot, velocity.x, velocity.y)

    def set_spin(self, actor: Actor, degrees: float) -> None:
        """Yaw rate of a vehicle, degrees/s."""
        if actor.slot >= 0:
            self.world.state.vehicles.yaw_rate[0, actor.slot] = math.radians(degrees)

    def walk(self, actor: Actor, vx: float, vy: float) -> None:
        """Let a walker go at this velocity, m/s in world axes, and look where it goes."""
        row = self.world.state.buffers.pf[0, :, actor.slot]
        row[f.P_VX], row[f.P_VY] = vx, vy
        row[f.P_SPEED] = speed = math.hypot(vx, vy)
        if speed > 1e-3:
            row[f.YAW], row[f.COS], row[f.SIN] = math.atan2(vy, vx), vx / speed, vy / speed

    def push(self, actor: Actor, impulse: Vec, spin: float = 0.0) -> None:
        """Impulse on a vehicle in N s (world axes) and N m s about the vertical."""
        if actor.slot >= 0:
            self.world.apply_impulse(0, actor.slot, impulse.x, impulse.y, spin)

    def set_mode(self, actor: Actor, simulated: bool) -> None:
        """Let a body move by the world's physics, or only by being placed."""
        if actor.slot < 0:
            return
        mode = f.EXTERNAL if simulated else f.KINEMATIC
        b = self.world.state.buffers
        if actor.kind is Kind.VEHICLE:
            b.vi[0, f.V_MODE, actor.slot] = mode
            if not simulated:
                for field in (f.SPEED, f.SIDE_SPEED, f.YAW_RATE, f.ACCEL, f.SIDE_ACCEL):
                    b.vf[0, field, actor.slot] = 0.0
        elif actor.kind is Kind.WALKER:
            b.pi[0, f.P_MODE, actor.slot] = mode

    def resize(self, actor: Actor, half: tuple[float, float, float]) -> None:
        """Change the half extents of a body, metres."""
        b, slot = self.world.state.buffers, actor.slot
        if actor.kind is Kind.VEHICLE:
            row, tall = b.vf[0, :, slot], f.HALF_HEIGHT
        elif actor.kind is Kind.WALKER:
            row, tall = b.pf[0, :, slot], f.P_HALF_HEIGHT
        else:
            row, tall = b.of[0, :, slot], f.O_HALF_HEIGHT
        row[f.HALF_LENGTH], row[f.HALF_WIDTH], row[tall] = half

    def pedals(self, slot: int, throttle: float, steer: float, brake: float, hand_brake: bool, reverse: bool) -> None:
        """The control that a vehicle keeps from now on."""
        b = self.world.state.buffers
        row = b.vf[0, :, slot]
        row[f.THROTTLE], row[f.STEER], row[f.BRAKE] = throttle, steer, brake
        b.vi[0, f.V_FLAGS, slot] = (f.REVERSE if reverse else 0) | (f.HAND_BRAKE if hand_brake else 0)

    # -- reading ------------------------------------------------------------------------------------------------------

    def rows(self, registry: Registry) -> tuple[Index, Index]:
        """(snapshot rows, world slots) of all vehicles, in the order of their slots."""
        if self._version != registry.version:
            self._version = registry.version
            self._vehicles, self._walkers = _index(self.of_vehicle), _index(self.of_walker)
        return self._vehicles

    def write(self, registry: Registry) -> None:
        """The world's state of every body into the snapshot's rows."""
        rows, slots = self.rows(registry)
        if self.of_vehicle:
            self._write_vehicles(registry, rows, slots)
        rows, slots = self._walkers
        if self.of_walker:
            s, w = registry.snapshot.rows, self.world.state.walkers
            s["x"][rows], s["y"][rows] = w.x[0, slots], w.y[0, slots]
            s["z"][rows] = w.z[0, slots] + w.half_height[0, slots]
            s["yaw"][rows] = w.yaw[0, slots] * np.float32(DEGREES)
            s["vx"][rows], s["vy"][rows] = w.vx[0, slots], w.vy[0, slots]

    def _write_vehicles(self, registry: Registry, rows: Index, slots: Index) -> None:
        self.fields = part = self.world.state.buffers.vf[0, : f.MASS][:, slots]
        cos, sin, speed, side = part[f.COS], part[f.SIN], part[f.SPEED], part[f.SIDE_SPEED]
        along, across = part[f.ACCEL], part[f.SIDE_ACCEL]
        motion = np.zeros((15, len(speed)), np.float32)  # x y z, pitch yaw roll, vx vy vz, wx wy wz, ax ay az
        motion[:3] = part[f.X : f.Z + 1]
        motion[3], motion[4], motion[11] = part[f.PITCH], part[f.YAW], part[f.YAW_RATE]
        motion[[3, 4, 11]] *= np.float32(DEGREES)
        motion[6], motion[7] = speed * cos - side * sin, speed * sin + side * cos
        motion[12], motion[13] = along * cos - across * sin, along * sin + across * cos
        registry.snapshot.move(rows, np.ascontiguousarray(motion.T))
        union = registry.snapshot.vehicles
        gear = GEAR_SPEEDS.searchsorted(speed, "right") + 1
        gear[union["reverse"][rows] > 0] = -1
        manual = union["manual"][rows] > 0
        union["gear"][rows] = np.where(manual, union["gear"][rows], gear) if manual.any() else gear


GEAR_SPEEDS = np.array([6.0, 11.0, 17.0, 24.0, 32.0], np.float32)
"""m/s above which an automatic box takes the second to the sixth gear."""


def wheelbase(model: VehicleModel) -> float:
    """Metres between the axles: the preset's share of the length."""
    preset = PRESETS[model.body]
    return preset.wheelbase / preset.length * 2 * model.half[0]


def _free(modes: NDArray[np.int32]) -> int:
    free = np.flatnonzero(modes == f.ABSENT)
    if not len(free):
        raise CallError(FULL)
    return int(free[0])


def _index(who: dict[int, Actor]) -> tuple[Index, Index]:
    slots = sorted(who)
    return _dense([who[slot].row for slot in slots]), _dense(slots)


def _dense(places: list[int]) -> Index:
    """A slice where the places follow one another: a copy of one is several times faster."""
    if places and places == list(range(places[0], places[0] + len(places))):
        return slice(places[0], places[0] + len(places))
    return np.array(places, np.intp)


def _overlaps(pose: Pose, yaw: float, half: tuple[float, float, float], group: Any, slots: NDArray[np.intp]) -> bool:
    """Does the box at `pose` touch one of the group's boxes? Separating axes of both boxes, all slots at once."""
    dx, dy = group.x[0, slots] - pose.x, group.y[0, slots] - pose.y
    near = (np.hypot(dx, dy) < 30.0) & (np.abs(group.z[0, slots] - pose.z) < HEIGHT_APART)
    if not near.any():
        return False
    slots, dx, dy = slots[near], dx[near], dy[near]
    cos, sin = math.cos(yaw), math.sin(yaw)
    c, s = group.cos[0, slots], group.sin[0, slots]
    length, width = group.half_length[0, slots], group.half_width[0, slots]
    dot, cross = np.abs(c * cos + s * sin), np.abs(s * cos - c * sin)
    apart = np.abs(dx * cos + dy * sin) > half[0] + length * dot + width * cross
    apart |= np.abs(dy * cos - dx * sin) > half[1] + length * cross + width * dot
    apart |= np.abs(dx * c + dy * s) > length + half[0] * dot + half[1] * cross
    apart |= np.abs(dy * c - dx * s) > width + half[0] * cross + half[1] * dot
    return bool((~apart).any())
