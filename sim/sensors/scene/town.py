"""From a road network to everything the sensors need: static geometry, templates of actors, lamps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim.roads.network import RoadNetwork
from sim.sensors.bvh import Tree
from sim.sensors.lights import LampGrid
from sim.sensors.mesh import Builder
from sim.sensors.noise import make_textures
from sim.sensors.records import INSTANCE, LookBook, group
from sim.sensors.scene import ground, markings
from sim.sensors.scene.assembly import Collector, Static, assemble
from sim.sensors.scene.dressing import dress
from sim.sensors.templates import Templates, make_templates

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Scene:
    """A town ready to be rendered; shared by any number of cameras and lidars (they only read it).

    `records` [n, 4] (see sim.sensors.records, also for `looks` and `uv`) and `semantic` [n] hold the static triangles,
    then the templates'. `light_position` [S, 3]: where the traffic lights stand, in the order of the network's lights.
    """

    static: Static
    templates: Templates
    lamps: LampGrid
    light_position: F32
    records: I32
    looks: F32
    uv: F32
    semantic: NDArray[np.uint8]
    textures: F32

    @property
    def instance(self) -> I32:
        """[n] of the triangles of `records`: 0 for ground; the templates have numbers of their outlines instead."""
        return self.records[:, INSTANCE]

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
    def template_trees(self) -> tuple[F32, I32, F32, I32, I32, I32]:
        """Nodes, children, corners, order of all templates' trees in one, then root and first triangle of each."""
        t = self.templates
        whole, roots = Tree.joined([
            Tree.of(t.mesh.position[t.vertex[k] : t.vertex[k + 1]], t.mesh.face[t.triangle[k] : t.triangle[k + 1]])
            for k in range(len(t.low))
        ])  # fmt: skip
        return whole.nodes, whole.children, whole.corners, whole.order, roots, t.triangle[:-1].astype(np.int32)

    def nbytes(self) -> int:
        """Bytes of the arrays that the cameras read."""
        m, t = self.static.mesh, self.templates.mesh
        arrays = (m.position, m.normal, m.face, t.position, t.normal, t.face, self.records, self.looks, self.uv,
                  self.semantic, self.textures)  # fmt: skip
        return sum(a.nbytes for a in arrays)


def _join(parts: Collector, lamps: list[NDArray], lights: NDArray) -> Scene:
    book = LookBook()
    static, still, tags = assemble(parts, book)
    templates, mesh = make_templates()
    moving = np.concatenate([book.enter(mesh), mesh.instance[:, None], np.zeros((mesh.size, 1), np.int32)], 1)
    looks = book.looks()
    group(static.mesh, still, looks)
    group(templates.mesh, moving, looks)
    return Scene(
        static, templates, LampGrid.of(np.array(lamps, np.float32)), lights.astype(np.float32),
        np.concatenate([still, moving]), looks, book.uv(), np.concatenate([tags, mesh.semantic.astype(np.uint8)]),
        make_textures(),
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
    return _join(parts, dressing.lamps, lights)


def scene_of_mesh(builder: Builder) -> Scene:
    """A scene of one hand-made mesh, without lamps or lights: test rooms and calibration targets."""
    return _join(Collector([builder.build()]), [], np.zeros((0, 3)))


def _crossings(network: RoadNetwork) -> list[tuple[NDArray, NDArray, float]]:
    """Where pedestrians cross the roadway: from, to, half width."""
    walk = network.walk_tables()
    rows = np.flatnonzero(walk.edge_crossing)
    p = np.stack([walk.x, walk.y, walk.z], -1).astype(np.float64)
    return [(p[walk.edge_from[e]], p[walk.edge_to[e]], float(walk.edge_half_width[e])) for e in rows]
