"""What a driving task is: its world, its scenario, its reward terms and its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from contracts import LightState, UserError
from sim.envs.observation import SCENE, SCENE_SIZE, encode_truth
from sim.sensors.weather import Weather
from sim.world.config import WorldConfig

if TYPE_CHECKING:
    from sim.envs.batch import DrivingBatch

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class TaskConfig:
    """Arguments that every environment takes.

    town: a shipped town's name or the path of an OpenDRIVE file. traffic, walkers: density 0..1 of other vehicles and
    pedestrians. emergency: share of the traffic that are emergency vehicles on duty. vehicles, pedestrians: slots in
    each world, the ego included. route_length: metres. time_limit: seconds of simulated time until an episode is
    truncated. dt: seconds a step. observation: "vector", or "camera" for a picture of image_width x image_height pixels
    and image_fov degrees across, in a weather of `sim.sensors.weather.PRESETS`, beside the car's own state.
    """

    town: str = "Alder"
    traffic: float = 0.0
    walkers: float = 0.0
    vehicles: int = 1
    pedestrians: int = 0
    route_length: float = 250.0
    time_limit: float = 60.0
    dt: float = 0.1
    emergency: float = 0.0
    observation: str = "vector"
    image_width: int = 160
    image_height: int = 96
    image_fov: float = 90.0
    weather: str = "ClearNoon"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("traffic", 0.0, 1.0),
            ("walkers", 0.0, 1.0),
            ("emergency", 0.0, 1.0),
            ("vehicles", 1, 512),
            ("pedestrians", 0, 512),
            ("route_length", 40.0, 5000.0),
            ("time_limit", 1.0, 36000.0),
            ("dt", 0.01, 0.25),
            ("image_width", 16, 1920),
            ("image_height", 16, 1080),
            ("image_fov", 20.0, 150.0),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise UserError(f"{name}: {value!r} is not in [{low:g}, {high:g}]")
        if self.observation not in ("vector", "camera"):
            raise UserError(f"observation: {self.observation!r} is not one of 'vector', 'camera'")
        Weather.named(self.weather)


class Task(ABC):
    """One driving task over a batch of worlds. All arrays are [W]."""

    name: ClassVar[str]
    terms: ClassVar[tuple[str, ...]]
    """Names of the reward's terms, in the order of `DrivingBatch.terms`."""

    def __init__(self, config: TaskConfig) -> None:
        self.config = config

    def world_config(self, worlds: int) -> WorldConfig:
        """Sizes and behaviour of the batch of worlds."""
        c = self.config
        return WorldConfig(
            worlds=worlds,
            vehicles=c.vehicles,
            walkers=c.pedestrians,
            statics=self.statics,
            egos=1,
            dt=c.dt,
            density=c.traffic,
            walker_density=c.walkers,
            emergency=c.emergency,
            route_length=c.route_length,
            route_points=int(c.route_length) + 34,
        )

    statics: ClassVar[int] = 0

    def begin(self, batch: DrivingBatch, mask: NDArray[np.bool_]) -> None:
        """Set the scene in the worlds of `mask`, which have just been reset."""

    def before_step(self, batch: DrivingBatch) -> None:
        """Play the scenario's script, before the world moves."""

    signals_bind: ClassVar[bool] = True
    """Whether lights and signs count in this task; where not, the egos are not shown them."""

    def after_observe(self, batch: DrivingBatch) -> None:
        """Adapt what the egos know."""
        if not self.signals_bind:
            batch.truth.light[...] = int(LightState.NONE)
            batch.truth.stop_distance[...] = np.inf
            batch.truth.stop_sign[...] = 0

    observation_size: ClassVar[int] = SCENE_SIZE
    known: ClassVar[tuple[slice, ...]] = (SCENE["ego"], SCENE["route"])
    """Parts of the observation that a car knows without looking: what stands beside a camera's picture."""

    def encode(self, batch: DrivingBatch, out: F32) -> None:
        """Write the observations [W, observation_size]: by default the Scene (see sim.envs.observation)."""
        encode_truth(batch.truth, out)

    @abstractmethod
    def rewards(self, batch: DrivingBatch) -> dict[str, F32]:
        """The reward's terms for the step just made; keys are `terms`."""

    @abstractmethod
    def terminated(self, batch: DrivingBatch) -> NDArray[np.bool_]:
        """Where the episode has ended by the task's own rules."""
