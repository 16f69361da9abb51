"""The shading core stays fit for a GPU: float32 throughout, no Python objects, no calls of the C library by day."""

import re

import numba
import pytest

from sim.sensors import colour
from sim.sensors.camera import Camera, Renderer
from sim.sensors.jit import stamp_of
from sim.sensors.lights import head_light
from sim.sensors.mesh import Builder, Material
from sim.sensors.scene.town import scene_of_mesh
from sim.sensors.shade import shade
from sim.sensors.surface import surface


@pytest.fixture
def arguments(monkeypatch):
    """What the renderer gives to `shade` for a picture."""
    quad = Builder()
    quad.quad([(-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0)], Material.ASPHALT, (0.1, 0.1, 0.1))
    taken = []
    monkeypatch.setattr(colour, "shade", lambda *values: (taken.append(values), shade(*values)))
    Renderer(scene=scene_of_mesh(quad)).render(Camera(width=16, height=16), outputs=("rgb",))
    return taken[0]


def test_a_changed_helper_renews_every_kept_kernel(tmp_path):
    kept = {kernel._cache._cache_file._source_stamp for kernel in (shade, surface, head_light)}
    assert len(kept) == 1
    for name, text in (("helper", "from sim.sensors.jit import single"), ("other", "")):
        (tmp_path / f"{name}.py").write_text(text)
    before = stamp_of(tmp_path)
    stamp_of.cache_clear()
    (tmp_path / "other.py").write_text("changed = True")
    assert stamp_of(tmp_path) == before
    stamp_of.cache_clear()
    (tmp_path / "helper.py").write_text("from sim.sensors.jit import single  # changed")
    assert stamp_of(tmp_path) != before
    stamp_of.cache_clear()


@pytest.mark.slow
def test_the_shading_core_has_no_float64_and_no_python_objects(arguments):
    # the same source as one serial kernel, compiled here: what a cache holds cannot be read
    kernel = numba.njit(error_model="numpy", fastmath={"arcp", "nsz"})(shade.py_func)
    kernel(*arguments)
    (types,) = kernel.nopython_signatures
    assert "pyobject" not in str(types)
    assert "float64" not in str(types)
    code = kernel.inspect_llvm(kernel.signatures[0])
    body = code[code.index("define") :]
    wrappers = body.find("define i8* @_ZN7cpython")
    body = body if wrappers < 0 else body[:wrappers]
    wide = [line for line in body.splitlines() if re.search(r"= f(add|sub|mul|div|cmp)\b.*\bdouble\b", line)]
    assert not wide, wide[:3]
