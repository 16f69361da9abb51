"""An episode: one town with its actors, from its loading to the next load_world."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sim.sensors.labels import Tag
from sim.server import sensors
from sim.server.actors import Actor, Registry, VehicleData, WalkerData, box
from sim.server.arguments import Pose, Vec
from sim.server.arms import SPRING_ARM, SPRING_ARM_GHOST, Arm
from sim.server.blueprints import BY_ID, Blueprint, Kind
from sim.server.bodies import Bodies
from sim.server.control import drive
from sim.server.errors import CallError
from sim.server.frames import axes, rotate
from sim.server.friction import FRICTION_TRIGGER, FrictionTriggers
from sim.server.lights import TrafficLights
from sim.server.physics import apply as apply_physics
from sim.server.physics import default as default_physics
from sim.server.rays import Rays
from sim.server.sensors import Contact, Moment, Sensors
from sim.server.slides import Slides
from sim.server.streams import Streams
from sim.server.town import Sign, Town
from sim.world.config import WorldConfig
from sim.world.world import World

BAD_DESCRIPTION = "Spawn failed because of invalid actor description"
WEATHER = [5.0, 0.0, 0.0, 10.0, -1.0, 45.0, 2.0, 0.75, 0.1, 0.0, 1.0, 0.03, 0.0331, 0.0]
"""WeatherParameters of a fresh episode."""


class Episode:
    """The world of one town and everything in it."""

    def __init__(
        self,
        number: int,
        town: Town,
        config: WorldConfig,
        streams: Streams,
        token: Callable[[int], bytes],
        former: Episode | None = None,
    ) -> None:
        self.number, self.town = number, town
        self.elapsed = 0.0
        self.ticks = 0
        """Steps since the town was loaded: what sensors' noise is drawn from, so that episodes can be repeated."""
        self.weather = list(WEATHER)
        self.gravity = sensors.GRAVITY
        self._streams, self._token = streams, token
        self.world = World(town.tables, town.walk, config)
        self.world.reset()
        self.registry: Registry = Registry(former.registry if former else None)
        self.bodies = Bodies(self.world)
        self.sensors = Sensors()
        self.rays = Rays(self.bodies)
        self.contacts: list[Contact] = []
        self._constant: dict[int, Actor] = {}
        self._ackermann: dict[int, Actor] = {}
        self._momentary: list[Actor] = []
        self.friction = FrictionTriggers()
        self.slides = Slides(self.world)
        spectator = Actor(0, Kind.SPECTATOR, "spectator", [0, "spectator", []], box((0.0, 0.0, 0.0), 0.0), b"")
        start = town.spawn_points[0] if town.spawn_points else Pose()
        self.spectator = self.registry.add(spectator, start._replace(z=start.z + 30.0, pitch=-60.0))
        lights = [self._post(light, Kind.LIGHT, i) for i, light in enumerate(town.lights)]
        for i, sign in enumerate(town.signs):
            self._post(sign, Kind.SIGN, i)
        self.lights = TrafficLights(town.tables, self.world, lights, self.registry)

    def _post(self, sign: Sign, kind: Kind, index: int) -> Actor:
        """A light or sign of the town as an actor."""
        light = kind is Kind.LIGHT
        # a light's box is its mast, a sign's its plate
        size, lift = ((0.35, 0.35, 2.6), 2.6) if light else ((0.05, 0.44, 0.44), 2.45)
        tag = Tag.TRAFFIC_LIGHT if light else Tag.TRAFFIC_SIGN
        actor = Actor(0, kind, sign.type_id, [0, sign.type_id, []], box(size, lift), bytes([tag]), signal=index)
        self.registry.add(actor, sign.pose)
        self.registry.snapshot.lights["signal"][actor.row] = sign.signal.encode()[:31]
        return actor

    # -- coming and going ---------------------------------------------------------------------------------------------

    def spawn(self, description: list[Any], pose: Pose, parent: int = 0, attachment: int = 0) -> Actor:
        """A new actor; `pose` is relative where it has a parent. Raises CallError."""
        uid, name, given = description
        blueprint = BY_ID.get(name)
        if blueprint is None or not isinstance(given, list):
            raise CallError(BAD_DESCRIPTION)
        relative = pose if parent else None
        actor = Actor(
            0, blueprint.kind, name, [uid, name, given], self._box(blueprint), blueprint.tags, blueprint, parent,
            relative, attributes=_attributes(given),
        )  # fmt: skip
        if parent:
            above = self.registry.actors.get(parent)
            if above is None:
                raise CallError("unable to attach actor: parent actor not found")
            if attachment in (SPRING_ARM, SPRING_ARM_GHOST):
                actor.arm = Arm(attachment, self.town)
                actor.arm.turn(self.registry.pose(above).yaw, 0.0)
            pose = self.registry.hung(actor, self.rays)
        source = None
        if blueprint.kind is Kind.SENSOR and name not in sensors.CLIENT_SIDE:
            source = sensors.make_source(actor, self.town)
        self._embody(actor, blueprint, pose)
        self.registry.add(actor, pose)
        if source is not None:
            actor.stream = self._streams.open()
            actor.token = self._token(actor.stream)
            self.sensors.add(actor, source)
        if name == FRICTION_TRIGGER:
            self.friction.add(actor)
        if actor.vehicle:
            union = self.registry.snapshot.vehicles
            union["gear"][actor.row], union["light_state"][actor.row] = 1, 2
        return actor

    @staticmethod
    def _box(blueprint: Blueprint) -> list[Any]:
        lift = blueprint.half[2] if blueprint.kind in (Kind.VEHICLE, Kind.PROP) else 0.0
        return box(blueprint.half, lift)

    def _embody(self, actor: Actor, blueprint: Blueprint, pose: Pose) -> None:
        """A body in the world for what has one."""
        if blueprint.kind is Kind.VEHICLE and blueprint.vehicle is not None:
            self.bodies.add_vehicle(actor, blueprint.vehicle, pose)
            self.lights.forget(actor.slot)
            row = self.world.state.buffers.vf[0, :, actor.slot]
            physics = default_physics(row, blueprint.vehicle.wheels, [pose.x, pose.y, pose.z])
            sticky = actor.attributes.get("sticky_control", "").lower() != "false"
            actor.vehicle = VehicleData(physics=physics, fresh=(row.copy(), physics), sticky=sticky)
        elif blueprint.kind is Kind.WALKER:
            self.bodies.add_walker(actor, blueprint.half, pose)
            actor.walker = WalkerData()
        elif blueprint.kind is Kind.PROP:
            self.bodies.add_prop(actor, blueprint.half, pose)

    def destroy(self, actor: Actor) -> None:
        """Take an actor out of the world; lights, signs and the spectator stay."""
        if actor.kind in (Kind.LIGHT, Kind.SIGN, Kind.SPECTATOR):
            raise CallError("unable to destroy actor: it belongs to the map")
        self.bodies.remove(actor)
        if actor.stream:
            self._streams.close(actor.stream)
            self.sensors.remove(actor)
        self._constant.pop(actor.id, None)
        self._ackermann.pop(actor.id, None)
        self.registry.remove(actor)
        self.friction.forget(actor)
        self.slides.forget(actor)

    # -- moving by hand -----------------------------------------------------------------------------------------------

    def place(self, actor: Actor, pose: Pose) -> None:
        """Teleport."""
        self.registry.write_pose(actor, pose)
        self.bodies.place(actor, pose)

    def set_collisions(self, actor: Actor, enabled: bool) -> None:
        """Let others pass through a body, or not: its box in the world shrinks to a point meanwhile."""
        if actor.vehicle is not None:
            actor.vehicle.collides = enabled
        if actor.slot >= 0 and actor.blueprint is not None:
            self.bodies.resize(actor, actor.blueprint.half if enabled else (0.0, 0.0, 0.0))

    def keep_velocity(self, actor: Actor, velocity: Vec | None) -> None:
        """Hold a vehicle at a velocity in its own axes, m/s, until told otherwise (None)."""
        if actor.vehicle is None:
            return
        actor.vehicle.constant_velocity = velocity
        if velocity is None:
            self._constant.pop(actor.id, None)
        else:
            self._constant[actor.id] = actor

    def follow_ackermann(self, actor: Actor, target: list[float] | None) -> None:
        """Drive by steering angle, speed, acceleration from now on; None returns to the pedals."""
        if actor.vehicle is None:
            return
        if target is None:
            self._ackermann.pop(actor.id, None)
        elif actor.id not in self._ackermann:
            actor.vehicle.ackermann_memory = [0.0] * len(actor.vehicle.ackermann_memory)
            self._ackermann[actor.id] = actor
        actor.vehicle.ackermann = target

    def refresh_physics(self, actor: Actor) -> None:
        """Let the world's vehicle be as its physics control and gravity say."""
        vehicle = actor.vehicle
        if vehicle is not None and vehicle.fresh is not None and actor.slot >= 0:
            row = self.world.state.buffers.vf[0, :, actor.slot]
            apply_physics(row, *vehicle.fresh, vehicle.physics, vehicle.gravity)

    def let_go_after_step(self, actor: Actor) -> None:
        """The pedals that it has now hold for the next step only (attribute sticky_control)."""
        self._momentary.append(actor)

    def walk(self, actor: Actor, direction: Vec, speed: float, jump: bool) -> None:
        """Let a walker go on in a direction (world axes) at a speed, m/s."""
        length = math.sqrt(direction.x**2 + direction.y**2 + direction.z**2)
        unit = Vec(*(v / length for v in direction)) if length > 1e-6 else Vec(1.0, 0.0, 0.0)
        pace = speed if length > 1e-6 else 0.0
        if actor.walker is not None:
            actor.walker.direction, actor.walker.speed = unit, pace
        self.bodies.set_mode(actor, True)
        self.bodies.walk(actor, unit.x * pace, unit.y * pace)
        union = self.registry.snapshot.walkers
        union["dx"][actor.row], union["dy"][actor.row], union["dz"][actor.row] = direction
        union["speed"][actor.row], union["jump"][actor.row] = speed, jump

    # -- the step -----------------------------------------------------------------------------------------------------

    def step(self, dt: float, substeps: int) -> None:
        """Advance by dt seconds and write every row of the snapshot."""
        for actor in self._ackermann.values():
            drive(actor, self.world, self.bodies, self.registry, dt)
        self._hold_velocities()
        self.slides.before_step()
        self.world.step(dt=dt, substeps=substeps)
        self._hold_velocities()
        self.slides.after_step(self.registry, dt)
        self._let_go()
        self.friction.update(self)
        self.elapsed += dt
        self.ticks += 1
        self.bodies.write(self.registry)
        self.lights.write(dt)
        self.lights.write_vehicles(self.bodies)
        self.registry.follow(self.rays, dt)
        for actor in self.registry.attached:
            if actor.slot >= 0:
                self.bodies.place(actor, self.registry.pose(actor))
        self.contacts = self._read_contacts()

    def _let_go(self) -> None:
        for actor in self._momentary:
            if actor.slot >= 0:
                self.bodies.pedals(actor.slot, 0.0, 0.0, 0.0, False, False)
        self._momentary.clear()

    def _hold_velocities(self) -> None:
        for actor in self._constant.values():
            velocity = actor.vehicle.constant_velocity if actor.vehicle else None
            if velocity is not None:
                pose = self.registry.pose(actor)
                self.bodies.set_velocity(actor, rotate(axes(0.0, pose.yaw, 0.0), velocity))

    def _read_contacts(self) -> list[Contact]:
        """The contacts of the step, once for each of the two."""
        count = int(self.world.state.contacts[0])
        if not count:
            return []
        b, found = self.world.state.buffers, []
        tables = (self.bodies.of_vehicle, self.bodies.of_walker, self.bodies.of_prop)
        for (kind, slot, other_kind, other_slot), (jx, jy, _, _) in zip(
            b.contact[0, :count].tolist(), b.contact_impulse[0, :count].tolist()
        ):
            one, two = tables[kind].get(slot), tables[other_kind].get(other_slot)
            if one is not None and two is not None:
                found.append(Contact(one, two, Vec(jx, jy, 0.0)))
                found.append(Contact(two, one, Vec(-jx, -jy, 0.0)))
        return found

    def moment(self, frame: int, dt: float) -> Moment:
        """What sensors measure."""
        return Moment(
            self,
            self.registry,
            frame,
            self.elapsed,
            dt,
            self.contacts,
            self.town.geo,
            self.gravity,
            self.rays.nearest_actor,
        )

    def close(self) -> None:
        """End all sensor streams; their connections stay open and silent."""
        for actor in self.registry.of_kind(Kind.SENSOR):
            if actor.stream:
                self._streams.close(actor.stream)


def _attributes(given: list[Any]) -> dict[str, str]:
    """Attribute values of a description."""
    found = {}
    for row in given:
        if not isinstance(row, list) or len(row) < 3 or not isinstance(row[0], str) or not isinstance(row[2], str):
            raise CallError(BAD_DESCRIPTION)
        found[row[0]] = row[2]
    return found
