"""Plays a recording back: its actors live again and are put where they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sim.server.actors import Actor
from sim.server.arguments import Pose
from sim.server.blueprints import Kind
from sim.server.errors import CallError
from sim.server.frames import compose
from sim.server.recorder import RecordingError, Tick

if TYPE_CHECKING:
    from sim.server.simulation import Simulation

_MOTION = ("vx", "vy", "vz", "wx", "wy", "wz", "ax", "ay", "az", "union")


class Replayer:
    """One recording at a time."""

    def __init__(self) -> None:
        self.factor = 1.0
        self.ignore_hero = False
        self.ignore_spectator = True
        self._ticks: Iterator[Tick] | None = None
        self._next: Tick | None = None
        self._shown: Tick | None = None
        self._ids: dict[int, Actor] = {}
        self._clock = 0.0
        self._end = 0.0
        self._follow = 0
        self._view: Pose | None = None
        self._sensors = False

    def start(
        self, sim: Simulation, name: str, begin: float, duration: float, follow: int, view: Pose | None, sensors: bool
    ) -> str:
        """Load the recording's town if it is another, remove vehicles, walkers and props, begin; `sensors`: spawn the
        recorded ones too. Raises RecordingError, CallError.
        """
        self.stop(sim, False)
        header, ticks = sim.recorder.read(name)
        if header[2] != sim.episode.town.name:
            sim.load_for_replay(sim.towns.load(header[2]))
        for actor in sim.episode.registry.of_kind(Kind.VEHICLE, Kind.WALKER, Kind.PROP):
            sim.episode.destroy(actor)
        first = next(ticks, None)
        if first is None:
            raise RecordingError(f"{name} holds no ticks")
        zero = first.elapsed
        if begin < 0:
            last = zero
            for tick in sim.recorder.read(name)[1]:
                last = tick.elapsed
            begin = max(0.0, last - zero + begin)
        self._ticks, self._next = ticks, first
        self._clock = zero + begin
        self._end = self._clock + duration if duration > 0 else float("inf")
        self._follow, self._view, self._sensors = follow, view, sensors
        return f"Replaying {name} (map {header[2]}) from {begin:g} s"

    def stop(self, sim: Simulation, keep: bool) -> None:
        """End it; its actors go, or stay and obey physics again."""
        for actor in self._ids.values():
            if actor.alive and actor.id in sim.episode.registry.actors and actor.kind is not Kind.SPECTATOR:
                if keep:
                    sim.episode.bodies.set_mode(actor, True)
                else:
                    sim.episode.destroy(actor)
        self._ids = {}
        self._ticks = self._next = self._shown = None

    def before_step(self, sim: Simulation, dt: float) -> None:
        """Go on by dt: the actors that came and went, and where all are."""
        if self._ticks is None:
            return
        self._clock += dt * self.factor
        while self._next is not None and self._next.elapsed <= min(self._clock, self._end):
            self._shown = self._next
            self._people(sim, self._shown)
            self._next = next(self._ticks, None)
        if self._shown is None:
            return
        for row in self._shown.rows:
            actor = self._ids.get(int(row["id"]))
            if actor is not None and actor.alive:
                sim.episode.place(actor, _pose(row))
        if self._next is None or self._clock > self._end:
            self.stop(sim, True)

    def after_step(self, sim: Simulation) -> None:
        """Show the recorded motion, controls and lights in place of what the standing bodies have."""
        if self._shown is None:
            return
        rows = sim.episode.registry.snapshot.rows
        for row in self._shown.rows:
            actor = self._ids.get(int(row["id"]))
            if actor is None:
                self._light(sim, row)
            if actor is None or not actor.alive:
                continue
            sim.episode.registry.write_pose(actor, _pose(row))
            for name in _MOTION:
                rows[name][actor.row] = row[name]
            if actor.id == self._follow or int(row["id"]) == self._follow:
                where = compose(_pose(row), self._view or Pose(-8.0, 0.0, 4.0, -15.0, 0.0, 0.0))
                sim.episode.place(sim.episode.spectator, where)

    @staticmethod
    def _light(sim: Simulation, row: Any) -> None:
        """Show a traffic light as it was; a town's lights have the same ids in all its episodes."""
        actor = sim.episode.registry.actors.get(int(row["id"]))
        if actor is not None and actor.kind is Kind.LIGHT:
            sim.episode.registry.snapshot.rows["union"][actor.row] = row["union"]

    def _people(self, sim: Simulation, tick: Tick) -> None:
        for wire, relative, *attachment in tick.spawned:
            actor = self._spawn(sim, wire, relative, attachment[0] if attachment else 0, tick)
            if actor is not None:
                self._ids[wire[0]] = actor
        for number, flags in tick.lamps:
            driven = self._ids.get(number)
            if driven is not None and driven.vehicle is not None:
                driven.vehicle.lights = flags
        for number in tick.destroyed:
            gone = self._ids.pop(number, None)
            if gone is not None and gone.alive and gone.kind is not Kind.SPECTATOR:
                sim.episode.destroy(gone)

    def _spawn(
        self, sim: Simulation, wire: list[Any], relative: list[float] | None, attachment: int, tick: Tick
    ) -> Actor | None:
        """A recorded actor lives again; None for one that is left out."""
        number, parent, description = wire[:3]
        name = description[1]
        if name == "spectator":
            return None if self.ignore_spectator else sim.episode.spectator
        if not name.startswith(("vehicle.", "walker.", "static.prop.", *(("sensor.",) if self._sensors else ()))):
            return None
        roles = [row[2] for row in description[2] if row[0] == "role_name"]
        if self.ignore_hero and "hero" in roles:
            return None
        where = next((_pose(row) for row in tick.rows if int(row["id"]) == number), None)
        if where is None:
            return None
        holder = self._ids.get(parent)
        if parent and (holder is None or not holder.alive):
            return None  # what it was attached to is left out
        try:
            if holder is not None and relative is not None:
                return sim.episode.spawn(description, Pose(*relative), holder.id, attachment)
            actor = sim.episode.spawn(description, where)
        except CallError:
            return None  # something of the present episode stands there
        if actor.kind is not Kind.PROP:
            sim.episode.bodies.set_mode(actor, False)
        return actor


def _pose(row: Any) -> Pose:
    return Pose(*(float(row[name]) for name in ("x", "y", "z", "pitch", "yaw", "roll")))
