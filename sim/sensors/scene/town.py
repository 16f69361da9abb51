"""From a road network to everything the sensors need: static geometry, templates of actors, lamps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim.roads.network import RoadNetwork
from sim.sensors.actors import Templates, make_templates
from sim.sensors.bvh import Tree
from sim.sensors.lights import LampGrid
from sim.sensors.mesh import Builder
from sim.sensors.noise import make_textures
from sim.sensors.scene import ground, markings
from sim.sensors.scene.assembly import Collector, Static, assemble
from sim.sensors.scene.dressing import dress

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Scene:
    """A town ready to be rendered; shared by any number of cameras and lidars (they only read it).

    Attribute arrays (`uv`, `material`, ...) hold the static triangles, then the templates'. `light_position` [S, 3]:
    where the traffic lights stand, in the order of the network's lights.
    """

    static: Static
    templates: Templates
    lamps: LampGrid
    light_position: F32
    uv: F32
    material: I32
    semantic: NDArray[np.uint8]
    instance: I32
    color: F32
    textures: F32

    @property
    def triangles(self) -> int:
        """Number of static triangles (all levels of detail)."""
        return self.static.mesh.size

    @cached_property
    def lidar_ids(self) -> I32:
        """Static triangles that rays hit: props in their middle form."""
        return self.static.at_level(1)

    @cached_property
    def tree(self) -> Tree:
        """Ray hierarchy over `lidar_ids`."""
        return Tree.of(self.static.mesh.position, self.static.mesh.face[self.lidar_ids])

    @cached_property
    def template_trees(self) -> tuple[F32, I32, F32, I32, I32]:
        """Boxes, links, corners, order of all templates' trees one after another, and offsets [n, 2]."""
        t = self.templates
        trees = [
            Tree.of(t.mesh.position[t.vertex[k] : t.vertex[k + 1]], t.mesh.face[t.triangle[k] : t.triangle[k + 1]])
            for k in range(len(t.low))
        ]
        node = np.cumsum([0, *(len(x.boxes) for x in trees)])[:-1]
        offsets = np.stack([node, t.triangle[:-1]], 1).astype(np.int32)
        return (
            np.concatenate([x.boxes for x in trees]), np.concatenate([x.links for x in trees]),
            np.concatenate([x.corners for x in trees]), np.concatenate([x.order for x in trees]), offsets,
        )  # fmt: skip

    def nbytes(self) -> int:
        """Bytes of the arrays that the cameras read."""
        m, t = self.static.mesh, self.templates.mesh
        arrays = (m.position, m.normal, m.face, t.position, t.normal, t.face, self.uv, self.material, self.semantic,
                  self.instance, self.color, self.textures)  # fmt: skip
        return sum(a.nbytes for a in arrays)


def _join(static: Static, templates: Templates, lamps: list[NDArray], lights: NDArray) -> Scene:
    s, t = static.mesh, templates.mesh
    return Scene(
        static, templates, LampGrid.of(np.array(lamps, np.float32)), lights.astype(np.float32),
        np.concatenate([s.uv, t.uv]), np.concatenate([s.material, t.material]),
        np.concatenate([s.semantic, t.semantic]).astype(np.uint8), np.concatenate([s.instance, t.instance]),
        np.concatenate([s.color, t.color]), make_textures(),
    )  # fmt: skip


def scene_of(network: RoadNetwork, seed: int = 0) -> Scene:
    """Build the town: the same network and seed give the same bytes. Takes a few seconds; see `Scene.nbytes`."""
    laid = ground.lay(network.map, network.lines)
    painted = Builder()
    tables = network.lane_tables()
    markings.lane_lines(painted, network)
    markings.stop_lines(painted, tables)
    markings.arrows(painted, tables)
    markings.crossings(painted, _crossings(network), laid.roadway, tables)
    parts = Collector([laid.mesh.build(), painted.build()])
    dressing, lights = dress(parts, laid, network, seed)
    return _join(assemble(parts), make_templates(), dressing.lamps, lights)


def scene_of_mesh(builder: Builder) -> Scene:
    """A scene of one hand-made mesh, without lamps or lights: test rooms and calibration targets."""
    return _join(assemble(Collector([builder.build()])), make_templates(), [], np.zeros((0, 3)))


def _crossings(network: RoadNetwork) -> list[tuple[NDArray, NDArray, float]]:
    """Where pedestrians cross the roadway: from, to, half width."""
    walk = network.walk_tables()
    rows = np.flatnonzero(walk.edge_crossing)
    p = np.stack([walk.x, walk.y, walk.z], -1).astype(np.float64)
    return [(p[walk.edge_from[e]], p[walk.edge_to[e]], float(walk.edge_half_width[e])) for e in rows]
