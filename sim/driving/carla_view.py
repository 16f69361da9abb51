"""Surroundings from any CARLA server through the snapshots that its client receives: no call to the server per tick."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from contracts import Ego, LightState, ObjectClass
from sim.client import Simulator
from sim.driving.surroundings import Collision, Surroundings
from sim.roads.network import RoadNetwork

_STATES = (LightState.RED, LightState.YELLOW, LightState.GREEN, LightState.NONE, LightState.NONE)
"""By carla.TrafficLightState: Red, Yellow, Green, Off, Unknown."""
_BASE_TYPES = {
    "truck": ObjectClass.TRUCK, "bus": ObjectClass.BUS, "motorcycle": ObjectClass.MOTORCYCLE,
    "bicycle": ObjectClass.BICYCLE,
}  # fmt: skip
_BY_NAME = (
    ("firetruck", ObjectClass.TRUCK), ("carlacola", ObjectClass.TRUCK), ("european_hgv", ObjectClass.TRUCK),
    ("fusorosa", ObjectClass.BUS), ("omafiets", ObjectClass.BICYCLE), ("crossbike", ObjectClass.BICYCLE),
    ("century", ObjectClass.BICYCLE), ("harley", ObjectClass.MOTORCYCLE), ("ninja", ObjectClass.MOTORCYCLE),
    ("yamaha", ObjectClass.MOTORCYCLE), ("zx125", ObjectClass.MOTORCYCLE),
)  # fmt: skip
"""For blueprints without the attribute base_type."""
ASKED_WITHIN, ASKED_EVERY = 60.0, 1.0
"""Metres within which emergency vehicles are asked for their lights, and seconds between two times."""
THIN = 0.2
"""Metres; a box is never taken to be narrower (CARLA gives bicycles a width of 0)."""


@lru_cache(maxsize=4)
def network_of(opendrive: str, name: str = "map") -> RoadNetwork:
    """The road network of an OpenDRIVE text, kept."""
    return RoadNetwork.parse(opendrive, name)


def class_of(type_id: str, base_type: str = "") -> ObjectClass | None:
    """What an actor is, None for what is not an obstacle (sensors, lights, the spectator)."""
    if type_id.startswith("walker."):
        return ObjectClass.PEDESTRIAN
    if type_id.startswith("static."):
        return ObjectClass.STATIC
    if not type_id.startswith("vehicle."):
        return None
    if base_type:
        return _BASE_TYPES.get(base_type.lower(), ObjectClass.CAR)
    return next((cls for part, cls in _BY_NAME if part in type_id), ObjectClass.CAR)


class CarlaView:
    """Looks at the world around one ego. `network` is the road network of the server's map.

    With `collisions` a collision sensor is attached to the ego.
    """

    def __init__(self, sim: Simulator, ego: Any, collisions: bool = True) -> None:
        self.sim, self.ego = sim, ego
        self.network = network_of(sim.map.to_opendrive(), sim.map.name.split("/")[-1])
        tables = self.network.lane_tables()
        by_signal = {self.network.signals[k].id: n for n, k in enumerate(tables.light_signal.tolist())}
        self._lights: list[tuple[int, Any]] = []
        for light in sim.world.get_actors().filter("traffic.traffic_light*"):
            index = by_signal.get(light.get_opendrive_id())
            if index is not None:
                self._lights.append((index, light))
        self._state = np.zeros(len(tables.light_signal), np.int32)
        self._known: dict[int, tuple[float, ...] | None] = {}
        """Every actor of the last snapshot: what never changes of an obstacle (see `_static`), None for the rest."""
        self._seen: list[int] = []
        """Their ids in the snapshot's order."""
        self._obstacles: list[int] = []
        """Places of the obstacles in it; `_ids` [N] and `_fixed` [N, 7] are theirs."""
        self._ids, self._fixed = np.zeros(0, np.int64), np.zeros((0, 7))
        self._blue: dict[int, tuple[Any, float, bool]] = {}
        """Emergency vehicles by id, when they were asked for their lights last, and what they said."""
        self._size = self._static(ego)
        self._hits: list[Collision] = []
        if collisions:
            import carla

            sensor = sim.spawn("sensor.other.collision", carla.Transform(), attach_to=ego)
            sensor.listen(self._hit)

    def _hit(self, event: Any) -> None:
        other = event.other_actor
        cls = class_of(other.type_id, other.attributes.get("base_type", "")) if other is not None else None
        self._hits.append(Collision(0 if other is None else int(other.id), ObjectClass.STATIC if cls is None else cls))

    @staticmethod
    def _static(actor: Any) -> tuple[float, ...] | None:
        """Class, half extents, middle of the box in the actor's frame; None for what is no obstacle."""
        cls = class_of(actor.type_id, actor.attributes.get("base_type", ""))
        if cls is None:
            return None
        box = actor.bounding_box
        e, c = box.extent, box.location
        return float(cls), max(e.x, THIN), max(e.y, THIN), e.z, c.x, c.y, c.z

    def _learn(self, unknown: list[int]) -> None:
        """Ask the server once about actors that are new."""
        found = {actor.id: actor for actor in self.sim.world.get_actors(unknown)}
        for number in unknown:
            actor = found.get(number)
            self._known[number] = None if actor is None or number == self.ego.id else self._static(actor)
            if actor is not None and actor.attributes.get("special_type") == "emergency" and number != self.ego.id:
                self._blue[number] = actor, -math.inf, False

    def look(self) -> Surroundings:
        """The surroundings as of the last tick. Raises RuntimeError where the ego is gone."""
        snapshot = self.sim.world.get_snapshot()
        own = snapshot.find(self.ego.id)
        if own is None:
            raise RuntimeError("the ego is not in the world any more")
        actors = list(snapshot)
        seen = [actor.id for actor in actors]
        if seen != self._seen:
            self._meet(seen)
        rows = []
        for k in self._obstacles:
            pose, speed = actors[k].get_transform(), actors[k].get_velocity()
            place = pose.location
            rows.append((place.x, place.y, place.z, pose.rotation.yaw, speed.x, speed.y))
        for index, light in self._lights:
            self._state[index] = _STATES[int(light.get_state())]
        hits, self._hits = self._hits, []
        return self._assemble(snapshot, own, np.array(rows, np.float64).reshape(-1, 6), tuple(hits))

    def _meet(self, seen: list[int]) -> None:
        """Others are in the world than in the last snapshot, or in another order."""
        unknown = [number for number in seen if number not in self._known]
        if unknown:
            self._learn(unknown)
        self._known = {number: self._known[number] for number in seen}
        self._blue = {number: actor for number, actor in self._blue.items() if number in self._known}
        fixed = [self._known[number] for number in seen]
        self._seen, self._obstacles = seen, [k for k, values in enumerate(fixed) if values is not None]
        self._ids = np.array([seen[k] for k in self._obstacles], np.int64)
        self._fixed = np.array([fixed[k] for k in self._obstacles], np.float64).reshape(-1, 7)

    def _on_duty(self, away: Any, time: float) -> Any:
        """[N] the blue lights are on, as CARLA's own scenarios have it (VehicleLightState.Special1).

        away: [N] metres from the ego. Lights are a call to the server, so near vehicles are asked once a second.
        """
        found = np.zeros(len(self._ids), np.bool_)
        if not self._blue:
            return found
        import carla

        for k, number in enumerate(self._ids.tolist()):
            if number not in self._blue or away[k] > ASKED_WITHIN:
                continue
            vehicle, asked, on = self._blue[number]
            if time - asked >= ASKED_EVERY - 1e-6:
                on = bool(int(vehicle.get_light_state()) & int(carla.VehicleLightState.Special1))
                self._blue[number] = vehicle, time, on
            found[k] = on
        return found

    def _assemble(self, snapshot: Any, own: Any, rows: Any, hits: tuple[Collision, ...]) -> Surroundings:
        """rows: [N, 6] x, y, z, yaw (degrees), velocity of the obstacles."""
        yaw, fixed = np.radians(rows[:, 3]), self._fixed
        cos, sin = np.cos(yaw), np.sin(yaw)
        x = rows[:, 0] + fixed[:, 4] * cos - fixed[:, 5] * sin
        y = rows[:, 1] + fixed[:, 4] * sin + fixed[:, 5] * cos
        pose, speed = own.get_transform(), own.get_velocity()
        gained, spin = own.get_acceleration(), own.get_angular_velocity()
        place, turn = pose.location, pose.rotation
        heading = math.radians(turn.yaw)
        ahead, right = math.cos(heading), math.sin(heading)
        size = self._size or (0.0, 2.25, 0.95)
        return Surroundings(
            time=float(snapshot.timestamp.elapsed_seconds),
            pose=np.array(
                [place.x, place.y, place.z, math.radians(turn.roll), math.radians(turn.pitch), heading], np.float32
            ),
            ego=Ego(
                speed=speed.x * ahead + speed.y * right,
                acceleration=gained.x * ahead + gained.y * right,
                yaw_rate=math.radians(spin.z),
                steer=min(max(float(self.ego.get_control().steer), -1.0), 1.0),
                length=2.0 * size[1],
                width=2.0 * size[2],
            ),
            velocity_of_ego=np.array([speed.x, speed.y], np.float32),
            id=self._ids,
            kind=fixed[:, 0].astype(np.int32),
            place=np.stack([x, y, rows[:, 2] + fixed[:, 6] - fixed[:, 3]], axis=1).astype(np.float32),
            yaw=(np.mod(yaw + np.pi, 2 * np.pi) - np.pi).astype(np.float32),
            velocity=np.ascontiguousarray(rows[:, 4:6], np.float32),
            half_extent=np.ascontiguousarray(fixed[:, 1:4], np.float32),
            lights=self._state.copy(),
            on_duty=self._on_duty(np.hypot(x - place.x, y - place.y), float(snapshot.timestamp.elapsed_seconds)),
            collisions=hits,
        )
