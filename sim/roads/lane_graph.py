"""Which lane follows which: the links of an OpenDRIVE file resolved to lane indices, as carla.Map resolves them.

carla.Map looks at the sign of the lane that follows, not at contact points: a negative lane is entered at its road's
start, a positive one at its end. A lane's predecessors are the lanes that have it as successor.
"""

from __future__ import annotations

from sim.roads.model import RoadMap

LaneKey = tuple[int, int, int]
"""Road index, section index, lane id."""


def successors(roads: RoadMap) -> dict[LaneKey, list[LaneKey]]:
    """Successors of every lane (lane 0 left out) in its direction of travel."""
    index = {road.id: k for k, road in enumerate(roads.roads)}
    ways: dict[tuple[str, int, int], list[tuple[int, int]]] = {}
    for junction in roads.junctions:
        for connection in junction.connections:
            if not connection.incoming or connection.incoming not in index:
                continue
            target = index[connection.connecting]
            for start, other in connection.lane_links:
                ways.setdefault((junction.id, index[connection.incoming], start), []).append((target, other))
    result: dict[LaneKey, list[LaneKey]] = {}
    for r, road in enumerate(roads.roads):
        for k, section in enumerate(road.sections):
            for lane in section.lanes.values():
                if lane.id == 0:
                    continue
                step = 1 if lane.id < 0 else -1
                following = lane.successor if lane.id < 0 else lane.predecessor
                found: list[LaneKey] = []
                if 0 <= k + step < len(road.sections):
                    if following in road.sections[k + step].lanes and following != 0:
                        found.append((r, k + step, following))
                else:
                    link = road.successor if lane.id < 0 else road.predecessor
                    if link is None:
                        targets = []
                    elif link.is_junction:
                        targets = ways.get((link.id, r, lane.id), [])
                    else:
                        targets = [(index[link.id], following)]
                    for other, number in targets:
                        sections = roads.roads[other].sections
                        at = 0 if number < 0 else len(sections) - 1
                        if number != 0 and number in sections[at].lanes and (other, at, number) not in found:
                            found.append((other, at, number))
                result[r, k, lane.id] = found
    return result


def predecessors(following: dict[LaneKey, list[LaneKey]]) -> dict[LaneKey, list[LaneKey]]:
    """The inverse of `successors`."""
    result: dict[LaneKey, list[LaneKey]] = {key: [] for key in following}
    for key, others in following.items():
        for other in others:
            result[other].append(key)
    return result
