"""What to record: `throttle record` reads these from a preset of configs/record/ and the command line."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from contracts import UserError
from sim.driving.routes import CONTROLS
from sim.recorder.schema import CameraInfo, LidarInfo
from sim.sensors.weather import Weather

OUTPUTS = ("rgb", "semantic", "instance", "depth")
DRIVERS = ("expert", "traffic_manager")
PASSING = ("", *CONTROLS)
SCENARIOS = (
    "cut_in", "hard_brake", "pedestrian", "red_light_runner", "unprotected_turn", "obstacle", "merging",
)  # fmt: skip


@dataclass(frozen=True)
class CameraConfig:
    """A camera on the ego: place in metres (x ahead, y right, z up of the car's ground point), angles in degrees."""

    x: float = 1.3
    y: float = 0.0
    z: float = 1.7
    pitch: float = 0.0
    yaw: float = 0.0
    width: int = 384
    height: int = 192
    fov: float = 100.0
    """Horizontal, degrees."""
    outputs: tuple[str, ...] = OUTPUTS
    """Of rgb, semantic, instance, depth. Boxes and masks need the last three."""

    def __post_init__(self) -> None:
        if not (32 <= self.width <= 4096 and 32 <= self.height <= 4096):
            raise UserError(f"camera: {self.width} x {self.height} is not between 32 and 4096 pixels")
        if not 10 <= self.fov <= 150:
            raise UserError(f"camera: fov {self.fov:g} is not in 10..150 degrees")
        unknown = [output for output in self.outputs if output not in OUTPUTS]
        if unknown or not self.outputs:
            raise UserError(f"camera: outputs are some of {', '.join(OUTPUTS)}, not {', '.join(unknown) or 'none'}")

    def info(self) -> CameraInfo:
        """As the dataset has it."""
        pose = (self.x, self.y, self.z, 0.0, math.radians(self.pitch), math.radians(self.yaw))
        return CameraInfo(pose, self.width, self.height, math.radians(self.fov), tuple(self.outputs))


@dataclass(frozen=True)
class LidarConfig:
    """The lidar on the ego's roof: a whole turn a scan."""

    enabled: bool = True
    """Record a lidar at all."""
    x: float = 0.0
    """Metres ahead of the car's middle."""
    z: float = 1.9
    """Metres above the ground."""
    channels: int = 24
    """Beams one above the other."""
    points: int = 6000
    """Rays a scan."""
    range: float = 70.0
    """Metres."""
    upper: float = 8.0
    """Degrees above the horizon."""
    lower: float = -25.0
    """Degrees, negative below the horizon."""

    def __post_init__(self) -> None:
        if not (1 <= self.channels <= 256 and self.channels <= self.points <= 1_000_000):
            raise UserError(f"lidar: {self.channels} channels with {self.points} points a scan cannot be")
        if not (1 <= self.range <= 500 and -90 <= self.lower < self.upper <= 90):
            raise UserError("lidar: range is 1..500 m, lower less than upper, both in -90..90 degrees")

    def info(self) -> LidarInfo | None:
        """As the dataset has it."""
        if not self.enabled:
            return None
        pose = (self.x, 0.0, self.z, 0.0, 0.0, 0.0)
        return LidarInfo(pose, self.channels, self.range, math.radians(self.upper), math.radians(self.lower))


@dataclass(frozen=True)
class NoiseConfig:
    """Pushes on the steering wheel from which the expert recovers: what a planner learns to come back from."""

    every: float = 12.0
    """Seconds between two pushes on average; 0 for none."""
    strength: float = 0.25
    """Greatest steer that is added, -1..1; less at speed."""
    seconds: float = 0.7
    """How long a push lasts: it swells and ebbs."""

    def __post_init__(self) -> None:
        if self.every < 0 or not 0 <= self.strength <= 1 or not 0.1 <= self.seconds <= 5:
            raise UserError("noise: every is at least 0, strength 0..1, seconds 0.1..5")


@dataclass(frozen=True)
class TrafficConfig:
    """Who else is there, around the ego's route."""

    densities: tuple[float, ...] = (0.4, 0.8, 1.2)
    """One is drawn for each episode; 1 is `vehicles` and `walkers` of them."""
    vehicles: int = 30
    """Vehicles at a density of 1."""
    walkers: int = 30
    """Pedestrians at a density of 1."""
    reach: float = 120.0
    """Metres from the route within which they begin."""
    two_wheelers: float = 0.15
    """Share of motorcycles and bicycles."""
    crossing: float = 0.15
    """Share of pedestrians that may cross anywhere."""

    def __post_init__(self) -> None:
        if not self.densities or any(not 0 <= d <= 5 for d in self.densities):
            raise UserError("traffic: densities are numbers in 0..5")
        if not (0 <= self.vehicles <= 200 and 0 <= self.walkers <= 200 and self.reach >= 20):
            raise UserError("traffic: vehicles and walkers are 0..200, reach at least 20 m")
        if not (0 <= self.two_wheelers <= 1 and 0 <= self.crossing <= 1):
            raise UserError("traffic: two_wheelers and crossing are shares in 0..1")


@dataclass(frozen=True)
class RecordConfig:
    """A dataset. The same config and seed give the same bytes on our own server."""

    towns: tuple[str, ...] = ("Alder", "Gridley")
    """Towns of the train and validation splits, which have no route in common."""
    test_towns: tuple[str, ...] = ("Marlin",)
    """Towns of the test split."""
    train: int = 16
    """Episodes of the split train."""
    validation: int = 4
    """Episodes of the split validation, in the same towns."""
    test: int = 4
    """Episodes of the split test."""
    shortest: float = 120.0
    """Metres of the shortest route."""
    longest: float = 350.0
    """Metres of the longest route."""
    seconds: float = 75.0
    """Simulated seconds after which an episode ends as it is."""
    weathers: tuple[str, ...] = (
        "ClearNoon", "CloudyNoon", "WetNoon", "SoftRainNoon", "ClearSunset", "CloudySunset", "WetCloudySunset",
        "HardRainNoon", "ClearNight", "FogNoon",
    )  # fmt: skip
    """Dealt out in turn over the episodes of a split."""
    scenarios: tuple[str, ...] = ("", "", *SCENARIOS)
    """Dealt out in turn; "" is plain traffic."""
    passing: tuple[str, ...] = ("",)
    """Dealt out in turn over a town's episodes to train and validate with: what their routes come through, of `light`,
    `stop` and `yield`, as far as the town has such routes; "" for any."""
    idle: float = 0.0
    """Longest time, seconds, for which an episode's town is empty first, drawn for each: so its lights are somewhere in
    their cycles. Ours begin alike whenever a town is loaded."""
    traffic: TrafficConfig = field(default_factory=TrafficConfig)
    cameras: dict[str, CameraConfig] = field(default_factory=lambda: {"front": CameraConfig()})
    """Cameras by name, as {front: {}, left: {y: -0.5, yaw: -60}}; {} for none. docs/own-sensors.md has more."""
    lidar: LidarConfig = field(default_factory=LidarConfig)
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    fps: int = 10
    """Rows a second."""
    image_every: int = 5
    """Rows from picture to picture."""
    driver: str = "expert"
    """Who drives: `expert`, our rule-based driver, or `traffic_manager`, CARLA's; the labels are the expert's."""
    ego: str = "vehicle.tesla.model3"
    """CARLA's blueprint of the car that is driven."""
    seed: int = 0
    """Routes, traffic, weather and noise follow from it."""

    def __post_init__(self) -> None:
        if min(self.train, self.validation, self.test) < 0 or not 1 <= self.episodes <= 100_000:
            raise UserError("record: train, validation and test are at least 0 and make 1..100000 episodes")
        if (self.train or self.validation) and not self.towns:
            raise UserError("record: 'towns' is empty")
        if self.test and not self.test_towns:
            raise UserError("record: 'test_towns' is empty")
        both = set(self.towns) & set(self.test_towns)
        if both and self.test and (self.train or self.validation):
            raise UserError(
                f"record: {sorted(both)[0]} is in 'towns' and in 'test_towns'; a test town is seen nowhere else"
            )
        if not (20 <= self.shortest <= self.longest and 2 <= self.seconds <= 3600):
            raise UserError("record: shortest <= longest from 20 m on, seconds in 2..3600")
        if self.fps not in (5, 10, 20) or not 1 <= self.image_every <= 1000:
            raise UserError("record: fps is 5, 10 or 20, image_every 1..1000")
        if self.driver not in DRIVERS:
            raise UserError(f"record: driver '{self.driver}' is none of {', '.join(DRIVERS)}")
        if not self.weathers or not self.scenarios:
            raise UserError("record: 'weathers' and 'scenarios' must not be empty")
        for name in self.weathers:
            Weather.named(name)
        for name in self.scenarios:
            if name and name not in SCENARIOS:
                raise UserError(f"record: scenario '{name}' is none of {', '.join(SCENARIOS)}")
        for name in self.passing:
            if name not in PASSING:
                raise UserError(f"record: passing '{name}' is none of {', '.join(CONTROLS)}")
        if not self.passing or not 0 <= self.idle <= 600:
            raise UserError("record: 'passing' must not be empty, idle 0..600 seconds")
        for name in self.cameras:
            if not name.replace("_", "").isalnum():
                raise UserError(f"record: a camera's name has letters, digits and '_' only, not '{name}'")

    @property
    def episodes(self) -> int:
        """Of all splits."""
        return self.train + self.validation + self.test

    @property
    def ticks(self) -> int:
        """Steps of the simulation (20 a second) to a row."""
        return 20 // self.fps

    def sensors(self) -> bool:
        """There are any."""
        return bool(self.cameras) or self.lidar.enabled

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        found: dict[str, Any] = asdict(self)
        return found
