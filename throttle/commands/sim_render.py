"""Render a town: one picture or a video, from any pose, in any weather, by any sensor, with traffic.

throttle sim render --town Alder --weather HardRainNight --out night.png
throttle sim render --town Gridley --view bird --seconds 10 --out bird.mp4
throttle sim render --town Marlin --view fly --seconds 20 --out fly.mp4
throttle sim render --pose 1.75,-30,1.6,0,-90 --sensor depth --out depth.png
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from contracts import UserError

if TYPE_CHECKING:
    from sim.sensors.camera import Camera
    from sim.sensors.show import Stage

VIEWS = ("driver", "chase", "roadside", "bird", "fly")
SENSORS = ("rgb", "semantic", "instance", "depth", "normal", "flow", "lidar")


@dataclass(frozen=True)
class RenderConfig:
    """What to render.

    Args:
        town: a shipped town, or the path of an .xodr file
        weather: a preset: ClearNoon, CloudySunset, HardRainNight, FogNoon, ... (an unknown name lists them)
        sensor: rgb, semantic, instance, depth, normal, flow or lidar (seen from above)
        view: driver, chase, roadside, bird or fly (a flight over the town); not used with --pose
        vehicle: which vehicle driver, chase and roadside look from or at
        pose: x,y,z,pitch,yaw in metres and degrees, CARLA's frame; a fixed camera (--pose=-12,... where x is negative)
        size: width x height in pixels
        fov: horizontal, degrees
        out: file to write: .png, .jpg or .mp4
        seconds: length of a video
        fps: pictures a second of a video
        vehicles: how many vehicles drive
        walkers: how many pedestrians walk
        warmup: seconds the traffic runs before the first picture
        seed: of the town's dressing and of the traffic
        device: cpu, or cuda to shade colour pictures on a GPU (needs the extra "cuda")
    """

    town: str = "Alder"
    weather: str = "ClearNoon"
    sensor: str = "rgb"
    view: str = "driver"
    vehicle: int = 0
    pose: str = ""
    size: str = "1280x720"
    fov: float = 90.0
    out: str = "render.png"
    seconds: float = 8.0
    fps: int = 20
    vehicles: int = 50
    walkers: int = 40
    warmup: float = 12.0
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.sensor not in SENSORS:
            raise UserError(f"--sensor {self.sensor}: known are {', '.join(SENSORS)}")
        if self.view not in VIEWS:
            raise UserError(f"--view {self.view}: known are {', '.join(VIEWS)}")
        if Path(self.out).suffix.lower() not in (".png", ".jpg", ".mp4"):
            raise UserError(f"--out {self.out}: the name must end in .png, .jpg or .mp4")
        if not 0 < self.seconds <= 3600 or not 1 <= self.fps <= 120:
            raise UserError("--seconds must be in (0, 3600] and --fps between 1 and 120")
        if self.vehicles < 1 or self.walkers < 0 or not 0 <= self.vehicle < self.vehicles:
            raise UserError("--vehicles must be at least 1, --walkers at least 0, --vehicle one of the vehicles")
        self.pixels()
        self.place()

    def pixels(self) -> tuple[int, int]:
        """Width and height."""
        try:
            width, height = (int(word) for word in self.size.lower().split("x"))
        except ValueError:
            raise UserError(f"--size {self.size}: give it as 1280x720") from None
        return width, height

    def place(self) -> tuple[float, ...] | None:
        """x, y, z, pitch, yaw in metres and radians, None without --pose."""
        if not self.pose:
            return None
        try:
            x, y, z, pitch, yaw = (float(word) for word in self.pose.split(","))
        except ValueError:
            raise UserError(f"--pose {self.pose}: give it as x,y,z,pitch,yaw") from None
        return x, y, z, math.radians(pitch), math.radians(yaw)


def add_arguments(parser: ArgumentParser) -> None:
    """The fields of RenderConfig."""
    parser.add_class_arguments(RenderConfig)


def run(arguments: Namespace) -> int:
    """Render and say where the file is; exit code 0."""
    from rich.console import Console
    from rich.progress import track

    from sim.sensors.camera import Camera
    from sim.sensors.show import Stage, open_video, save_picture

    config = RenderConfig(**{name: arguments[name] for name in RenderConfig.__dataclass_fields__})
    width, height = config.pixels()
    optics = Camera(width=width, height=height, fov=config.fov)
    console = Console()
    with console.status(f"building {config.town} (the first run also compiles the renderer, about half a minute)"):
        stage = Stage(config.town, config.weather, config.vehicles, config.walkers, config.seed, config.device)
        stage.advance(config.warmup)
        picture = stage.picture(_aim(stage, config, optics, 0.0), config.sensor, _hidden(config))
    if Path(config.out).suffix.lower() != ".mp4":
        save_picture(config.out, picture)
        console.print(f"{config.out}: {config.town}, {config.weather}, {config.sensor}, {width} x {height}")
        return 0
    frames = max(2, round(config.seconds * config.fps))
    with open_video(config.out, width, height, config.fps) as write:
        for k in track(range(frames), f"rendering {frames} pictures", console=console):
            camera = _aim(stage, config, optics, k / (frames - 1))
            write(stage.picture(camera, config.sensor, _hidden(config), frame=k))
            stage.advance(1 / config.fps)
    console.print(f"{config.out}: {frames} pictures, {frames / config.fps:.1f} s at {config.fps} a second")
    return 0


def _hidden(config: RenderConfig) -> int:
    """The vehicle slot whose eyes the camera is, -1 for none."""
    return config.vehicle if config.view == "driver" and not config.pose else -1


def _aim(stage: Stage, config: RenderConfig, optics: Camera, share: float) -> Camera:
    """The camera at `share` (0..1) of the video."""
    fixed = config.place()
    if fixed:
        x, y, z, pitch, yaw = fixed
        return replace(optics, x=x, y=y, z=z, pitch=pitch, yaw=yaw)
    return stage.aim(config.view, config.vehicle, optics, share)
