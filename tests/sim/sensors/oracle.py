"""The oracle: every pixel's centre ray against every triangle, float64, sharing nothing with the renderer."""

import numpy as np
from numba import njit, prange


@njit(parallel=True)
def cast_all(vertices, faces, draw, origin, directions, best, hit):
    """Nearest hit of each ray: distance parameter to best [n], triangle id to hit [n] (-1: none)."""
    for r in prange(len(directions)):
        dx, dy, dz = directions[r]
        for k in range(len(draw)):
            t = draw[k]
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            ax, ay, az = vertices[a, 0], vertices[a, 1], vertices[a, 2]
            ux, uy, uz = vertices[b, 0] - ax, vertices[b, 1] - ay, vertices[b, 2] - az
            vx, vy, vz = vertices[c, 0] - ax, vertices[c, 1] - ay, vertices[c, 2] - az
            px, py, pz = dy * vz - dz * vy, dz * vx - dx * vz, dx * vy - dy * vx
            det = ux * px + uy * py + uz * pz
            if det == 0.0:
                continue
            sx, sy, sz = origin[0] - ax, origin[1] - ay, origin[2] - az
            u = (sx * px + sy * py + sz * pz) / det
            if u < 0.0 or u > 1.0:
                continue
            qx, qy, qz = sy * uz - sz * uy, sz * ux - sx * uz, sx * uy - sy * ux
            v = (dx * qx + dy * qy + dz * qz) / det
            if v < 0.0 or u + v > 1.0:
                continue
            d = (vx * qx + vy * qy + vz * qz) / det
            if d > 0.05 and d < best[r]:
                best[r] = d
                hit[r] = t


def labels_of(renderer, camera, actors):
    """(semantic, instance, depth) [H, W] of what `renderer` drew last from `camera`, by brute force."""
    view = camera.view()
    still, moving = renderer.scene.static.mesh, renderer._moving
    statics = still.size
    vertices = np.concatenate([still.position, moving.mesh.position]).astype(np.float64)
    faces = np.concatenate([still.face, moving.mesh.face + len(still.position)])
    draw = np.concatenate([
        np.arange(statics, statics + moving.triangles), np.sort(renderer.scene.static.visible(view, 1000.0))
    ])  # fmt: skip
    px = (np.arange(camera.width) + 0.5 - view.cx) / view.fx
    py = (np.arange(camera.height) + 0.5 - view.cy) / view.fy
    rays = np.stack([*np.meshgrid(px, py), np.ones((camera.height, camera.width))], -1).reshape(-1, 3)
    directions = rays @ view.rotation.astype(np.float64)
    best = np.full(len(rays), np.inf)
    hit = np.full(len(rays), -1, np.int64)
    cast_all(vertices, faces, draw, view.position.astype(np.float64), directions, best, hit)
    scene = renderer.scene
    dynamic = hit >= statics
    source = np.where(hit < 0, 0, hit)
    source[dynamic] = moving.source[hit[dynamic] - statics]
    semantic = np.where(hit < 0, 11, scene.semantic[source])
    instance = np.where(hit < 0, 0, scene.instance[source])
    instance[dynamic] = actors.id[moving.owner[hit[dynamic] - statics]]
    shape = (camera.height, camera.width)
    return semantic.reshape(shape), instance.reshape(shape), np.where(hit < 0, 1000.0, best).reshape(shape)
