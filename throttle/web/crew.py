"""What a running world holds, as rows for the page, and how fast its time runs."""

from __future__ import annotations

import math
import time
from typing import Any

from sim.client import Simulator

LIGHTS = {"Green": 1, "Yellow": 2, "Red": 3}
"""CARLA's states as LightState."""


class Pace:
    """Simulated seconds a second, over the last two seconds or so."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, float]] = []

    def of(self, snapshot: Any) -> float:
        """With this snapshot."""
        now = time.monotonic()
        self._marks = [m for m in self._marks if now - m[0] < 2.0] + [(now, snapshot.timestamp.elapsed_seconds)]
        first = self._marks[0]
        return round((self._marks[-1][1] - first[1]) / max(now - first[0], 1e-3), 2) if len(self._marks) > 1 else 0.0


class Crew:
    """The actors of an episode as rows for the page; descriptions are asked for once."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self._known: dict[int, Any] = {}
        self._lights: list[tuple[Any, float, float]] = []

    def hero(self) -> int:
        """The vehicle that somebody drives, 0 where none says so."""
        for number, actor in self._known.items():
            if actor.attributes.get("role_name") in ("hero", "ego", "ego_vehicle") and actor.type_id[:7] == "vehicle":
                return number
        return 0

    def look(self, snapshot: Any) -> dict[str, list[list[float]]]:
        """vehicles: id, x, y, yaw (rad), half length, half width, m/s; walkers: id, x, y; lights: x, y, LightState."""
        present = {item.id: item for item in snapshot}
        if present.keys() - self._known.keys():
            self._known = {actor.id: actor for actor in self._sim.world.get_actors()}
            lights = [a for a in self._known.values() if a.type_id == "traffic.traffic_light"]
            self._lights = [(a, *_spot(a)) for a in lights]
        elif len(present) < len(self._known):  # a hero that has gone is nobody to follow
            self._known = {number: actor for number, actor in self._known.items() if number in present}
        vehicles, walkers = [], []
        for number, item in present.items():
            actor = self._known.get(number)
            if actor is None:
                continue
            kind = actor.type_id.split(".")[0]
            if kind not in ("vehicle", "walker"):
                continue
            pose = item.get_transform()
            row = [number, round(pose.location.x, 2), round(pose.location.y, 2)]
            if kind == "walker":
                walkers.append(row)
                continue
            half, speed = actor.bounding_box.extent, item.get_velocity().length()
            yaw = math.radians(pose.rotation.yaw)
            vehicles.append([*row, round(yaw, 3), round(half.x, 2), round(half.y, 2), round(speed, 1)])
        lights = [[x, y, LIGHTS.get(str(light.state), 0)] for light, x, y in self._lights if light.id in present]
        return {"vehicles": vehicles, "walkers": walkers, "lights": lights}


def _spot(light: Any) -> tuple[float, float]:
    """Where a light is drawn: the middle of the stretch of road that it watches."""
    place = light.get_transform().transform(light.trigger_volume.location)
    return round(place.x, 1), round(place.y, 1)
