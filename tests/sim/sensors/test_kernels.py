"""The shading core stays fit for a GPU: float32 throughout, no Python objects, no calls of the C library by day."""

import re

import numba
import pytest

from sim.sensors import camera
from sim.sensors.camera import Camera, Renderer
from sim.sensors.mesh import Builder, Material
from sim.sensors.scene.town import scene_of_mesh


@pytest.mark.slow
def test_the_shading_core_has_no_float64_and_no_python_objects(monkeypatch):
    quad = Builder()
    quad.quad([(-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0)], Material.ASPHALT, (0.1, 0.1, 0.1))
    taken = []
    shade = camera.shade
    monkeypatch.setattr(camera, "shade", lambda *values: (taken.append(values), shade(*values)))
    Renderer(scene=scene_of_mesh(quad)).render(Camera(width=16, height=16), outputs=("rgb",))
    # the same source as one serial kernel, compiled here: what a cache holds cannot be read
    kernel = numba.njit(error_model="numpy", fastmath={"arcp", "nsz"})(shade.py_func)
    kernel(*taken[0])
    (types,) = kernel.nopython_signatures
    assert "pyobject" not in str(types)
    assert "float64" not in str(types)
    code = kernel.inspect_llvm(kernel.signatures[0])
    body = code[code.index("define") :]
    wrappers = body.find("define i8* @_ZN7cpython")
    body = body if wrappers < 0 else body[:wrappers]
    wide = [line for line in body.splitlines() if re.search(r"= f(add|sub|mul|div|cmp)\b.*\bdouble\b", line)]
    assert not wide, wide[:3]
