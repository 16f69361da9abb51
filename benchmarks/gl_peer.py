"""A peer for benchmarks/render.py: the triangles of our picture drawn by OpenGL, on Mesa's software renderer or a GPU.

A lamp at the eye and no more: no textures, sun, shadows, ambient occlusion, fog, bloom or tone map; colour with four
samples a pixel, then triangle numbers and depth with one. All are read back, and tags and ids looked up from the
numbers.
"""

from __future__ import annotations

import moderngl
import numpy as np
from numpy.typing import NDArray

from sim.sensors.camera import FAR, Camera, Renderer
from sim.sensors.records import LOOK

_VERTEX = """
#version 330
uniform mat4 view;
in vec3 place;
in vec3 normal;
in vec3 tint;
out vec3 lit;
void main() { gl_Position = view * vec4(place, 1.0); lit = tint * (0.4 + 0.6 * abs(normal.z)); }
"""
_COLOUR = """
#version 330
in vec3 lit;
out vec4 colour;
void main() { colour = vec4(pow(lit, vec3(1.0 / 2.2)), 1.0); }
"""
_LABEL = """
#version 330
in vec3 lit;
out float label;
void main() { label = float(gl_PrimitiveID + 1) + 0.0 * lit.x; }
"""
ROOM = 1_500_000
"""Vertices of actors that there is room for."""


class Peer:
    """Draws the static triangles that a renderer would draw, and the actors as it has just posed them."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._gl = gl = moderngl.create_standalone_context(backend="egl")
        gl.enable(moderngl.DEPTH_TEST)
        self.name = f"moderngl, {gl.info['GL_RENDERER'].split(' (')[0]}: flat colour and labels"
        mesh = renderer.scene.static.mesh
        self._statics, self._corners = mesh.size, len(mesh.position)
        table = renderer.scene.looks[renderer.scene.records[: mesh.size, LOOK], :3]
        tints = np.full((self._corners + ROOM, 3), 0.3, np.float32)
        tints[mesh.face.ravel()] = np.repeat(table, 3, 0)
        self._places, self._normals = (gl.buffer(reserve=tints.nbytes) for _ in range(2))
        self._places.write(mesh.position.tobytes())
        self._normals.write(mesh.normal.tobytes())
        self._indices = gl.buffer(reserve=1 << 24)
        parts = ((self._places, "3f", "place"), (self._normals, "3f", "normal"), (gl.buffer(tints), "3f", "tint"))
        self._programs = [gl.program(_VERTEX, fragment) for fragment in (_COLOUR, _LABEL)]
        self._arrays = [gl.vertex_array(p, list(parts), self._indices, skip_errors=True) for p in self._programs]
        self._targets: dict[tuple[int, int], tuple[moderngl.Framebuffer, ...]] = {}

    def draw(self, camera: Camera) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """(colour, semantic, instance, depth as OpenGL has it) of what the renderer drew last, from `camera`."""
        gl, r, view = self._gl, self._renderer, camera.view()
        size = (camera.width, camera.height)
        if size not in self._targets:
            self._targets[size] = (
                gl.framebuffer([gl.renderbuffer(size, 4, samples=4)], gl.depth_renderbuffer(size, samples=4)),
                gl.framebuffer([gl.renderbuffer(size, 4)]),
                gl.framebuffer([gl.renderbuffer(size, 1, dtype="f4")], gl.depth_texture(size)),
            )
        smooth, flat, labels = self._targets[size]
        moving, still = r._moving, r.scene.static.visible(view, FAR)
        actors = moving.mesh
        ids = np.concatenate([np.arange(self._statics, self._statics + moving.triangles, dtype=np.int32), still])
        self._places.write(actors.position[:ROOM].tobytes(), offset=self._corners * 12)
        self._normals.write(actors.normal[:ROOM].tobytes(), offset=self._corners * 12)
        faces = actors.face[: moving.triangles] + np.int32(self._corners)
        self._indices.write(np.concatenate([faces, r.scene.static.mesh.face[still]]).tobytes())
        turn = np.eye(4)
        turn[:3, :3] = view.rotation * np.array([[1], [-1], [1]])
        turn[:3, 3] = -turn[:3, :3] @ view.position
        near, x, y = view.near, 2 * view.fx / view.width, 2 * view.fy / view.height
        lens = np.array([[x, 0, 0, 0], [0, y, 0, 0], [0, 0, 1, -2 * near], [0, 0, 1, 0]])
        for program in self._programs:
            program["view"].write((lens @ turn).T.astype("f4").tobytes())
        for target, array in ((smooth, self._arrays[0]), (labels, self._arrays[1])):
            target.use()
            target.clear()
            array.render(moderngl.TRIANGLES, vertices=3 * len(ids))
        gl.copy_framebuffer(flat, smooth)
        colour = np.frombuffer(flat.read(components=3), np.uint8).reshape(*size[::-1], 3)[::-1]
        number = np.frombuffer(labels.read(components=1, dtype="f4"), np.float32).astype(np.int32)
        depth = np.frombuffer(labels.depth_attachment.read(), np.float32)  # type: ignore[union-attr]
        triangle = np.where(number > 0, ids[number - 1], 0)
        source = triangle.copy()
        dynamic = triangle >= self._statics
        source[dynamic] = moving.source[triangle[dynamic] - self._statics]
        semantic = np.where(number > 0, r.scene.semantic[source], 11)
        instance = np.where(number > 0, r.scene.instance[source], 0)
        return colour, *(a.reshape(size[::-1])[::-1] for a in (semantic, instance, depth))  # type: ignore[return-value]
