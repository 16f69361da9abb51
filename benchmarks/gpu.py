"""Colour pictures on a GPU beside those of the processor: how far they differ, and how long both take.

    python benchmarks/gpu.py [--town Alder] [--repeats 30] [--threads 2] [--out DIR]

Needs a CUDA device and `pip install 'throttle-drive[cuda]'`. In each weather both paint from the same rasterised
triangles. Differences are in levels of 255; `shade` is the shading kernel alone (CUDA events; on the processor the
clock), `paint` the whole way from rasterised triangles to bytes in the host's memory, with all transfers, `render` a
picture with semantic, instance and depth, where the processor rasterises for both. Medians in milliseconds, first calls
left out. --threads: processor threads to time, one column group for each number (none: the GPU alone). --out: folder
for the pictures of both.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import cuda

from sim.sensors import colour, gpu
from sim.sensors.camera import Camera, Renderer
from sim.sensors.show import Stage, save_picture
from sim.sensors.weather import Weather
from sim.sensors.world_view import actors_of, lights_of

SIZES = ((320, 180), (640, 360), (1280, 720), (1920, 1080))
WEATHERS = ("ClearNoon", "HardRainNoon", "HardRainNight")
FOUR = ("rgb", "semantic", "instance", "depth")


def median(call: Callable[[], object], repeats: int) -> float:
    """Milliseconds of a call by the clock."""
    call()
    spent = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        spent.append(time.perf_counter() - began)
    return 1e3 * float(np.median(spent))


def on_device(steps: list[Any], repeats: int) -> float:
    """Milliseconds of kernels by CUDA events."""
    spent = []
    for k in range(repeats + 1):
        first, last = cuda.event(), cuda.event()
        first.record()
        for step in steps:
            gpu.launch(*step)
        last.record()
        last.synchronize()
        if k:
            spent.append(cuda.event_elapsed_time(first, last))
    return float(np.median(spent))


class Tap:
    """Passes on to a painter and keeps what it was given."""

    def __init__(self, painter: colour.Painter) -> None:
        self.painter = painter
        self.given: tuple[Any, ...] = ()

    def paint(self, *given: Any) -> Any:
        """See sim.sensors.colour.Painter."""
        self.given = given
        return self.painter.paint(*given)


def shade_on_host(painter: colour.CpuPainter, given: tuple[Any, ...], repeats: int) -> float:
    """Milliseconds of the shading kernel on the processor."""
    spent: list[float] = []
    kernel = colour.shade

    def timed(*arguments: Any) -> None:
        began = time.perf_counter()
        kernel(*arguments)
        spent.append(1e3 * (time.perf_counter() - began))

    colour.shade = timed
    try:
        for _ in range(repeats + 1):
            painter.paint(*given)
    finally:
        colour.shade = kernel
    return float(np.median(spent[1:]))


def compare(a: Any, b: Any) -> str:
    """How far two pictures differ."""
    gap = np.abs(a.astype(int) - b)
    worst = gap.max(-1)
    channels = " / ".join(f"{gap[..., c].mean():.4f}" for c in range(3))
    shares = ", ".join(f"more than {n}: {100 * (worst > n).mean():.4f}%" for n in (0, 1, 2, 8))
    return f"mean of red / green / blue {channels}, greatest {worst.max()}; pixels {shares}"


def main() -> None:
    """Print differences and times, picture by picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--town", default="Alder")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, nargs="*", default=[numba.config.NUMBA_NUM_THREADS])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    gpu.check()
    began = time.perf_counter()
    stage = Stage(options.town, vehicles=50, walkers=40)
    stage.advance(12.0)
    host = stage.renderer
    device = Renderer(scene=host.scene, device="cuda")
    on_host, on_gpu = host.painter, device.painter
    assert isinstance(on_host, colour.CpuPainter)
    assert isinstance(on_gpu, gpu.CudaPainter)
    tap = Tap(on_host)
    host.painter = tap
    actors, lights = actors_of(stage.world.state, stage.tables, hide=0), lights_of(stage.world.state)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)  # the world was stepped by one
    name = cuda.get_current_device().name
    print(f"{name.decode() if isinstance(name, bytes) else name}; {os.cpu_count()} cores, {platform.processor()}; "
          f"Python {platform.python_version()}, numba {numba.__version__}; {options.town} built in "
          f"{time.perf_counter() - began:.0f} s", flush=True)  # fmt: skip
    heads = ["gpu shade", "gpu kernels", "gpu paint", "gpu render"]
    heads += [f"cpu {what} ({n})" for n in options.threads for what in ("shade", "paint", "render")]
    for weather_name in WEATHERS:
        weather = Weather.named(weather_name)
        for width, height in SIZES:
            camera = replace(stage.aim("driver", 0, Camera()), width=width, height=height)

            def render(
                renderer: Renderer, camera: Camera = camera, weather: Weather = weather
            ) -> dict[str, np.ndarray[Any, Any]]:
                return renderer.render(camera, actors, weather, lights, FOUR, stage.time)

            a = render(host)["rgb"]
            began = time.perf_counter()
            b = render(device)["rgb"]
            first = time.perf_counter() - began
            print(f"{weather_name}, {width} x {height}: {compare(a, b)} (first call {first:.1f} s)", flush=True)
            if options.out:
                for kind, picture in (("cpu", a), ("gpu", b)):
                    save_picture(options.out / f"{weather_name}-{width}-{kind}.png", picture)
            given = tap.given
            steps = on_gpu.steps(*given)
            shade = [step for step in steps if step[0] is gpu.shade]
            row = [on_device(shade, options.repeats), on_device(steps, options.repeats)]
            row.append(median(lambda given=given: on_gpu.paint(*given), options.repeats))  # type: ignore[misc]
            row.append(median(lambda: render(device), options.repeats))
            for threads in options.threads:
                numba.set_num_threads(threads)
                row.append(shade_on_host(on_host, given, max(3, options.repeats // 6)))
                row.append(median(lambda given=given: on_host.paint(*given), max(3, options.repeats // 6)))  # type: ignore[misc]
                row.append(median(lambda: render(host), max(3, options.repeats // 6)))
            numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
            print("    ms: " + "; ".join(f"{head} {value:.2f}" for head, value in zip(heads, row)), flush=True)


if __name__ == "__main__":
    main()
