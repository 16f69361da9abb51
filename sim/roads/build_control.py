"""What governs the entrance of each connecting lane: traffic lights with their groups, stop and yield signs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim.roads.lane_graph import LaneKey
from sim.roads.model import F64, Signal, SignalReference
from sim.roads.tables import F32, I32, StopControl

if TYPE_CHECKING:
    from sim.roads.network import RoadNetwork

# Types of the OpenDRIVE 1.4 signal catalogue (lights for vehicles) and of the German catalogue that CARLA's towns use.
LIGHT_TYPES = frozenset({"1000001", "1000008", "1000009", "1000010", "1000011", "1000012"})
STOP_TYPES = frozenset({"206", "R1-1"})
YIELD_TYPES = frozenset({"205", "R1-2"})
REACH = 60.0
"""How far before a junction a signal on the approach may stand, metres."""


@dataclass(frozen=True)
class EntranceControl:
    """Columns of LaneTables of the same names."""

    control: I32
    light: I32
    light_x: F32
    light_y: F32
    light_yaw: F32
    light_signal: I32
    light_junction: I32
    light_group: I32
    group_count: I32


def control_of(signal: Signal) -> StopControl:
    """What a signal does to the traffic it binds."""
    kind = signal.type.replace(".", "")
    if kind in LIGHT_TYPES:
        return StopControl.LIGHT
    if kind in STOP_TYPES:
        return StopControl.STOP_SIGN
    return StopControl.YIELD if kind in YIELD_TYPES else StopControl.NONE


def entrance_control(
    network: RoadNetwork,
    keys: list[LaneKey],
    shapes: list[F64],
    following: list[list[int]],
    leading: list[list[int]],
    junction: I32,
) -> EntranceControl:
    """Bind lights and signs to the first lanes of ways through junctions."""
    entrance = np.array([junction[k] >= 0 and any(junction[o] < 0 for o in leading[k]) for k in range(len(keys))])
    # Connecting lanes that nothing leads into start a way, too.
    entrance |= np.array([junction[k] >= 0 and not leading[k] for k in range(len(keys))])
    control = np.zeros(len(keys), np.int32)
    light_of = np.full(len(keys), -1, np.int32)
    governed: dict[int, set[int]] = {}
    by_id = {signal.id: k for k, signal in enumerate(network.signals)}
    rank = {StopControl.NONE: 0, StopControl.YIELD: 1, StopControl.STOP_SIGN: 2, StopControl.LIGHT: 3}
    on_road: dict[int, list[int]] = {}
    for k, key in enumerate(keys):
        on_road.setdefault(key[0], []).append(k)
    places: list[tuple[int, Signal | SignalReference]] = [(k, signal) for k, signal in enumerate(network.signals)]
    places += [(by_id[ref.id], ref) for ref in network.signal_references if ref.id in by_id]
    for index, place in places:
        kind = control_of(network.signals[index])
        if kind == StopControl.NONE:
            continue
        for lane in on_road.get(place.road, ()):
            if not _valid(place, keys[lane][2]):
                continue
            for target in _entrances(network, keys, shapes, following, junction, entrance, lane, place.s):
                if kind == StopControl.LIGHT:
                    governed.setdefault(index, set()).add(target)
                if rank[kind] >= rank[StopControl(control[target])]:
                    control[target] = int(kind)
    return _lights(network, shapes, governed, junction, control, light_of)


def _valid(place: Signal | SignalReference, lane: int) -> bool:
    """Whether a signal binds a lane of the road it stands on (or is referenced from)."""
    if place.validity is not None:
        # RoadRunner's towns name the lanes right and the orientation not always; (0, 0) binds none: the signal only
        # stands there and is referenced where it binds.
        return any(low <= lane <= high and (low, high) != (0, 0) for low, high in place.validity)
    return place.orientation == "none" or (place.orientation == "+") == (lane < 0)


def _entrances(
    network: RoadNetwork,
    keys: list[LaneKey],
    shapes: list[F64],
    following: list[list[int]],
    junction: I32,
    entrance: np.ndarray,
    lane: int,
    s: float,
) -> list[int]:
    """Entrances that a signal at s on a lane binds: that lane's own, or those of the junction that it leads to."""
    if junction[lane] >= 0:
        return [lane] if entrance[lane] else []
    section = network.section(keys[lane][0], keys[lane][1])
    # A signal binds the section it stands in; one behind the lane's end (in travel) binds nothing of this lane.
    if not section.s - 0.5 <= s <= section.end + 0.5:
        return []
    rest = section.end - s if keys[lane][2] < 0 else s - section.s
    found: list[int] = []
    stack = [(other, rest) for other in following[lane]]
    seen = {lane}
    while stack:
        other, distance = stack.pop()
        if other in seen or distance > REACH:
            continue
        seen.add(other)
        if junction[other] >= 0:
            if entrance[other]:
                found.append(other)
        else:
            stack += [(after, distance + float(shapes[other][-1, 5])) for after in following[other]]
    return found


def _lights(
    network: RoadNetwork,
    shapes: list[F64],
    governed: dict[int, set[int]],
    junction: I32,
    control: I32,
    light_of: I32,
) -> EntranceControl:
    signals = sorted(governed, key=lambda index: (min(junction[lane] for lane in governed[index]), index))
    x, y, yaw = [], [], []
    light_junction = np.zeros(len(signals), np.int32)
    for k, index in enumerate(signals):
        signal = network.signals[index]
        px, py, _, _ = network.point(signal.road, np.array([signal.s]), np.array([signal.t]))
        lanes = sorted(governed[index])
        headings = np.array([shapes[lane][0, 3] for lane in lanes])
        x.append(px[0])
        y.append(py[0])
        yaw.append(math.atan2(-np.sin(headings).sum(), -np.cos(headings).sum()))
        light_junction[k] = junction[lanes[0]]
        for lane in lanes:
            if light_of[lane] < 0:
                light_of[lane] = k
    group, count = _groups(network, signals, light_junction, np.array(yaw))
    return EntranceControl(
        control=control,
        light=light_of,
        light_x=np.array(x, np.float32),
        light_y=np.array(y, np.float32),
        light_yaw=np.array(yaw, np.float32),
        light_signal=np.array(signals, np.int32),
        light_junction=light_junction,
        light_group=group,
        group_count=count,
    )


def _groups(network: RoadNetwork, signals: list[int], junction: I32, yaw: F64) -> tuple[I32, I32]:
    """Place of each light in its junction's cycle: by the file's controllers, else opposite approaches together."""
    group = np.full(len(signals), -1, np.int32)
    count = np.zeros(len(network.junctions), np.int32)
    controllers = {controller.id: controller for controller in network.map.controllers}
    for j in np.unique(junction):
        here = np.flatnonzero(junction == j)
        listed = [
            controllers[i] for i, _ in sorted(network.junctions[j].controllers, key=lambda c: c[1]) if i in controllers
        ]
        if not listed:
            listed = sorted(controllers.values(), key=lambda controller: controller.sequence)
        steps = 0
        for controller in listed:
            mine = [k for k in here if network.signals[signals[k]].id in controller.signals and group[k] < 0]
            group[mine] = steps
            steps += bool(mine)
        for k in here:
            if group[k] >= 0:
                continue
            axis = [o for o in here if group[o] < 0 and abs(math.sin(yaw[o] - yaw[k])) < math.sin(math.radians(45))]
            group[axis] = steps
            steps += 1
        count[j] = steps
    return group, count
