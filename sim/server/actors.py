"""The registry: every actor of the episode, its row in the snapshot and its place in the world."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sim.server.arguments import Pose, Vec
from sim.server.blueprints import Blueprint, Kind
from sim.server.errors import CallError, Gone
from sim.server.frames import compose, wrap_degrees
from sim.server.snapshot import Snapshot

if TYPE_CHECKING:
    from sim.server.arms import Arm
    from sim.server.rays import Rays

TOMBSTONES = 4096
"""Destroyed actors that are remembered."""
ORIGIN = Pose()
"""Where a walker's controller is attached: there are dozens of them."""


@dataclass(eq=False)
class VehicleData:
    """What a vehicle has besides its body in the world."""

    lights: int = 0
    doors: int = 0
    """Bit per VehicleDoor that is open."""
    physics: list[Any] = field(default_factory=list)
    """The VehiclePhysicsControl in force."""
    fresh: tuple[Any, list[Any]] | None = None
    """The world's parameters and the control at spawn."""
    gravity: bool = True
    simulated: bool = True
    collides: bool = True
    autopilot: bool = False
    sticky: bool = True
    """A control holds until the next one (attribute sticky_control), not for one tick only."""
    constant_velocity: Vec | None = None
    ackermann: list[float] | None = None
    ackermann_gains: list[float] = field(default_factory=lambda: [0.15, 0.0, 0.25, 0.01, 0.0, 0.01])
    ackermann_memory: list[float] = field(default_factory=lambda: [0.0] * 5)
    """Steer, speed integral, last speed error, pedal integral, last acceleration asked for."""
    ignored: frozenset[int] = frozenset()
    wheel_pitch: dict[int, float] = field(default_factory=dict)
    wheel_steer: dict[int, float] = field(default_factory=dict)


@dataclass(eq=False)
class WalkerData:
    """What a walker has besides its body in the world."""

    direction: Vec = field(default_factory=lambda: Vec(1.0, 0.0, 0.0))
    speed: float = 0.0
    slide: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """What pushes added to its walk: m/s in x and y, and a turn in rad/s."""
    blend: float = 0.0
    bones: dict[str, Pose] = field(default_factory=dict)

    def walk(self) -> Vec:
        """Velocity of its walk, m/s."""
        return Vec(self.direction.x * self.speed, self.direction.y * self.speed, 0.0)


@dataclass(eq=False)
class Actor:
    """One actor. `slot` is its place in the world's arrays (-1 without a body), `row` that in the snapshot."""

    id: int
    kind: Kind
    type_id: str
    description: list[Any]
    box: list[Any]
    tags: bytes
    blueprint: Blueprint | None = None
    parent: int = 0
    relative: Pose | None = None
    arm: Arm | None = None
    """The spring arm that it hangs on; without it an attachment is rigid."""
    stream: int = 0
    token: bytes = b""
    row: int = -1
    slot: int = -1
    alive: bool = True
    signal: int = -1
    """Index of the light or sign in the town."""
    attributes: dict[str, str] = field(default_factory=dict)
    vehicle: VehicleData | None = None
    walker: WalkerData | None = None

    def wire(self) -> list[Any]:
        """As a wire Actor."""
        return [self.id, self.parent, self.description, self.box, self.tags, self.token]

    def number(self, name: str, default: float) -> float:
        """A numeric attribute of its description; `default` where it is absent or not a number."""
        try:
            return float(self.attributes[name])
        except (KeyError, ValueError):
            return default


def box(half: tuple[float, float, float], lift: float, actor: int = 0) -> list[Any]:
    """A wire BoundingBox around the origin, its centre `lift` metres up."""
    return [[0.0, 0.0, lift], list(half), [0.0, 0.0, 0.0], actor]


class Registry:
    """All actors by id. Ids grow within an episode and are never given twice in it.

    `former` is the registry of the episode before, whose actors become tombstones: a Traffic Manager that did not hear
    of the new episode asks for them, and dies of an error.
    """

    def __init__(self, former: Registry | None = None) -> None:
        self.snapshot = Snapshot()
        self.actors: dict[int, Actor] = {}
        self.by_row: list[Actor] = []
        self.attached: list[Actor] = []
        """In order of creation, so parents come before their children."""
        self.tombs: OrderedDict[int, Actor] = OrderedDict()
        if former is not None:
            self.tombs.update(former.tombs)
            self.tombs.update(former.actors)
        self.version = 0
        """Grows with every actor that comes or goes."""
        self._next = 1

    def add(self, actor: Actor, pose: Pose) -> Actor:
        """Give `actor` an id, a row and a pose."""
        actor.id = self._next
        self._next += 1
        actor.box[3] = actor.id
        actor.row = self.snapshot.add(actor.id)
        self.actors[actor.id] = actor
        self.by_row.append(actor)
        if actor.parent:
            self.attached.append(actor)
        self.write_pose(actor, pose)
        self.version += 1
        return actor

    def remove(self, actor: Actor) -> None:
        """Take an actor out; it stays known as a tombstone. Its children stay where they are."""
        moved = self.by_row[-1]
        self.snapshot.remove(actor.row)
        self.by_row[actor.row] = moved
        moved.row = actor.row
        self.by_row.pop()
        del self.actors[actor.id]
        actor.alive = False
        self.attached = [a for a in self.attached if a is not actor and a.parent != actor.id]
        self.tombs[actor.id] = actor
        if len(self.tombs) > TOMBSTONES:
            self.tombs.popitem(last=False)
        self.version += 1

    def live(self, actor: Any) -> Actor:
        """A living actor; raises Gone for one that was destroyed, CallError for one that never was."""
        found = self.actors.get(actor) if type(actor) is int else None
        if found is None:
            text = f"Actor could not be found in the registry. Actor Id: {actor!r:.20}"
            raise (Gone(text) if type(actor) is int and actor in self.tombs else CallError(text))
        return found

    def known(self, actor: Any) -> Actor:
        """A living actor or a destroyed one: a Traffic Manager reads those that it lost a tick ago."""
        if type(actor) is int:
            found = self.actors.get(actor) or self.tombs.get(actor)
            if found is not None:
                return found
        return self.live(actor)

    def pose(self, actor: Actor) -> Pose:
        """World pose as of the last tick or placement."""
        if not actor.alive:
            return Pose()
        row = self.snapshot.rows[actor.row]
        return Pose(*(float(row[name]) for name in ("x", "y", "z", "pitch", "yaw", "roll")))

    def write_pose(self, actor: Actor, pose: Pose) -> None:
        """Set the row's pose; the world's body is the episode's business."""
        rows, row = self.snapshot.rows, actor.row
        rows["x"][row], rows["y"][row], rows["z"][row] = pose.x, pose.y, pose.z
        rows["pitch"][row] = wrap_degrees(pose.pitch)
        rows["yaw"][row], rows["roll"][row] = wrap_degrees(pose.yaw), wrap_degrees(pose.roll)

    def follow(self, rays: Rays, dt: float) -> None:
        """Move everything that is attached to where its parent is now, dt seconds later, with its parent's motion."""
        riders, below, rest = [], [], []
        for actor in self.attached:
            parent = self.actors[actor.parent]
            if actor.relative == ORIGIN and actor.arm is None and not parent.parent:
                riders.append(actor.row)
                below.append(parent.row)
            else:
                rest.append((actor, parent))
        self.snapshot.copy_motion(riders, below)
        for actor, parent in rest:
            if actor.arm is not None:
                actor.arm.turn(self.pose(parent).yaw, dt)
            self.snapshot.copy_motion([actor.row], [parent.row])
            self.write_pose(actor, self.hung(actor, rays))

    def hung(self, actor: Actor, rays: Rays) -> Pose:
        """Where an attached actor is now, by where its parent is."""
        parent, relative = self.pose(self.actors[actor.parent]), actor.relative or Pose()
        if actor.arm is not None:
            return actor.arm.end(parent, relative, rays, actor.parent)
        return compose(parent, relative)

    def of_kind(self, *kinds: Kind) -> list[Actor]:
        """All living actors of these kinds, by id."""
        return [actor for actor in self.actors.values() if actor.kind in kinds]
