"""Traffic lights and signs of any CARLA server, from its actors."""

from __future__ import annotations

import math
from typing import Any

from sim.client import Simulator
from sim.recorder.rows import Post, Posts
from sim.recorder.schema import SIGNS
from sim.roads.network import RoadNetwork


def posts_of(sim: Simulator, network: RoadNetwork) -> Posts:
    """All lights that bind a lane and all signs, in the order of their ids."""
    tables = network.lane_tables()
    by_signal = {network.signals[k].id: n for n, k in enumerate(tables.light_signal.tolist())}
    found = []
    for actor in sorted(sim.world.get_actors().filter("traffic.*"), key=lambda a: a.id):
        place = actor.get_transform()
        foot = (place.location.x, place.location.y, place.location.z)
        if actor.type_id.startswith("traffic.traffic_light"):
            light = by_signal.get(actor.get_opendrive_id())
            if light is not None:
                boxes = tuple(_box(box) for box in actor.get_light_boxes())
                found.append(Post(foot, float(tables.light_yaw[light]), boxes, light))
        else:
            kind = actor.type_id.removeprefix("traffic.").replace(".", "_")
            box = actor.bounding_box
            middle = place.transform(box.location)
            half = (max(box.extent.x, 0.05), max(box.extent.y, 0.05), max(box.extent.z, 0.05))
            found.append(
                Post(
                    foot,
                    math.radians(place.rotation.yaw),
                    (((middle.x, middle.y, middle.z), half),),
                    sign=kind if kind in SIGNS else "other",
                )
            )
    return Posts(found)


def _box(box: Any) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    place, half = box.location, box.extent
    return (place.x, place.y, place.z), (half.x, half.y, half.z)
