"""Colour pictures on a GPU: the same functions, the same picture; and what can be checked of it without one."""

import importlib.util
import os
import re
import subprocess
import sys
import textwrap

import numba
import numpy as np
import pytest
from numba import cuda

from contracts import UserError
from sim.sensors import gpu
from sim.sensors.camera import Camera, Renderer
from sim.sensors.mesh import Builder, Material
from sim.sensors.scene.town import scene_of_mesh
from sim.sensors.weather import Weather

COMPILER = importlib.util.find_spec("numba_cuda") is not None
DEVICE = COMPILER and cuda.is_available()
REDUCTION = "0d3BF921FB54442D19"
"""pi / 2 / 2^64: NVIDIA's sinf reduces angles beyond 105,615 in double precision; ours are small."""
needs_gpu = pytest.mark.skipif(not DEVICE, reason="there is no CUDA device, or no numba-cuda")


def test_a_device_that_is_not_there_is_refused(town):
    with pytest.raises(UserError, match="device 'tpu'"):
        Renderer(scene=town.scene, device="tpu")
    if not DEVICE:
        with pytest.raises(UserError, match="device cuda"):
            Renderer(scene=town.scene, device="cuda")


def test_the_simulated_device_gives_the_processor_s_bytes():
    """Numba's CUDA simulator launches the kernels: what goes to the device, in which order, and what comes back."""
    code = """
    import numpy as np
    from sim.sensors import jit
    # the simulator's kernels are plain Python; a pixel's functions are those of the processor, which want plain arrays
    jit.on_device = lambda kernel: lambda *values: kernel(*(getattr(v, "_ary", v) for v in values))
    from sim.sensors.actors import Actors
    from sim.sensors.camera import Camera, Renderer
    from sim.sensors.mesh import Builder, Material
    from sim.sensors.scene.town import scene_of_mesh
    from sim.sensors.weather import Weather

    room = Builder()
    room.quad([(-9, -9, 0), (40, -9, 0), (40, 9, 0), (-9, 9, 0)], Material.ASPHALT, (0.2, 0.2, 0.2))
    room.quad([(20, -9, 0), (20, 9, 0), (20, 9, 6), (20, -9, 6)], Material.FACADE, (0.5, 0.4, 0.3))
    scene = scene_of_mesh(room)
    cars = Actors.of([0, 3], np.array([[8, -2, 0, 0, 0, 0.3], [12, 2, 0, 0, 0, 2.0]]), lamps=[3, 1])
    host, device = Renderer(scene=scene), Renderer(scene=scene, device="cuda")
    for size in ((20, 12), (12, 8)):
        for weather in ("ClearNoon", "HardRainNight"):
            camera = Camera(*size, z=2.0, pitch=-0.1)
            a, b = (r.render(camera, cars, Weather.named(weather), time=3.0)["rgb"] for r in (host, device))
            assert a.std() > 3 and np.array_equal(a, b), (size, weather, np.abs(a.astype(int) - b).max())
    print("same")
    """
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["same"], done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not COMPILER, reason="numba-cuda is not installed (pip install 'throttle-drive[cuda]')")
def test_the_kernels_compile_for_a_gpu_without_float64(monkeypatch):
    """To PTX of compute capability 9.0, with the types of what a picture gives to each kernel. It needs no GPU."""
    monkeypatch.setattr("numba.cuda.dispatcher.get_current_device", lambda: cuda_chip(9, 0))
    monkeypatch.setattr(gpu.cuda, "to_device", lambda array, to=None: np.array(array))
    monkeypatch.setattr(gpu.cuda, "device_array", np.empty)
    quad = Builder()
    quad.quad([(-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0)], Material.ASPHALT, (0.1, 0.1, 0.1))
    scene = scene_of_mesh(quad)
    steps = []

    class Taken(gpu.CudaPainter):
        def paint(self, raster, moving, moment):
            steps.extend(self.steps(raster, moving, moment))
            return np.zeros((16, 16, 3), np.uint8)

    renderer = Renderer(scene=scene)
    renderer.painter = Taken(scene)
    renderer.render(Camera(width=16, height=16), weather=Weather.named("HardRainNight"), outputs=("rgb",))
    kernels = {id(kernel): (kernel, arguments) for kernel, _, arguments in steps}
    assert len(kernels) == 7
    for kernel, arguments in kernels.values():
        signature = (numba.int64, numba.int64, numba.typeof(arguments))
        code, _ = cuda.compile_ptx(kernel.py_func, signature, cc=(9, 0))
        assert ".entry" in code
        wide = [line for line in code.splitlines() if re.search(r"(add|sub|mul|fma|div|sqrt)\S*\.f64", line)]
        wide = [line for line in wide if REDUCTION not in line]
        assert not wide, (kernel.py_func.__name__, wide[:3])


def cuda_chip(*capability):
    return type("Chip", (), {"compute_capability": capability})()


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("weather", ["ClearNoon", "HardRainNoon", "HardRainNight", "FogNoon", "CloudySunset"])
def test_pictures_are_the_processor_s_but_for_rounding(town, weather):
    rng = np.random.default_rng(5)
    host, device = Renderer(scene=town.scene), Renderer(scene=town.scene, device="cuda")
    for k, (width, height) in enumerate(((320, 180), (333, 187), (640, 360))):
        x, y, z, yaw = town.place(rng)
        camera = Camera(width, height, x=x, y=y, z=z + 1.6, yaw=yaw)
        actors = town.actors(rng, around=(x, y))
        pictures = [
            r.render(camera, actors, Weather.named(weather), np.full(len(town.scene.light_position), k % 3 + 1), time=k)
            for r in (host, device)
        ]
        for name in ("semantic", "instance", "depth"):
            assert np.array_equal(pictures[0][name], pictures[1][name])
        gap = np.abs(pictures[0]["rgb"].astype(int) - pictures[1]["rgb"]).max(-1)
        assert gap.mean() < 0.05
        assert (gap > 1).mean() < 2e-3
        assert (gap > 8).mean() < 2e-4


@pytest.mark.gpu
@needs_gpu
def test_a_device_s_pictures_are_the_same_in_every_run(town):
    camera = Camera(320, 180, x=0.0, y=0.0, z=20.0, pitch=-0.5)
    rain = Weather.named("HardRainNight")
    one, two = (Renderer(scene=town.scene, device="cuda").render(camera, weather=rain)["rgb"] for _ in range(2))
    assert np.array_equal(one, two)
