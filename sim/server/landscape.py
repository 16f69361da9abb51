"""What stands in a town besides its actors: buildings, fences, poles, trees, as boxes.

They are the separate things of the scene that cameras see (see sim.server.stage). Traffic lights and signs are actors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.sensors.labels import Tag

if TYPE_CHECKING:
    from sim.sensors.scene.town import Scene

FIRST_ID = 1 << 32
"""Added to a thing's number in the scene, so that no actor has its id."""
_ACTORS = (Tag.TRAFFIC_LIGHT, Tag.TRAFFIC_SIGN)


class Thing(NamedTuple):
    """One of them: id, CityObjectLabel, and its box along the world's axes (centre and half extents, m)."""

    id: int
    label: int
    centre: tuple[float, float, float]
    half: tuple[float, float, float]


def things_of(scene: Scene) -> list[Thing]:
    """All of a scene, by id."""
    mesh, ids = scene.static.mesh, scene.lidar_ids
    number, label = scene.instance[ids], scene.semantic[ids]
    keep = (number > 0) & ~np.isin(label, [int(tag) for tag in _ACTORS])
    ids, number, label = ids[keep], number[keep], label[keep]
    order = np.argsort(number, kind="stable")
    ids, number, label = ids[order], number[order], label[order]
    if not len(ids):
        return []
    first = np.flatnonzero(np.r_[True, number[1:] != number[:-1]])
    corners = mesh.position[mesh.face[ids]]
    low = np.minimum.reduceat(corners.min(axis=1), first)
    high = np.maximum.reduceat(corners.max(axis=1), first)
    centre, half = ((low + high) / 2).tolist(), ((high - low) / 2).tolist()
    return [
        Thing(FIRST_ID + int(number[at]), int(label[at]), tuple(centre[i]), tuple(half[i]))
        for i, at in enumerate(first)
    ]
