"""The configuration of a planning training: one documented field per option, checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from clipping import ClipConfig, ClippingError, GradientClipper
from contracts import UserError
from planning.checks import CHECKS, Check
from training import TrainConfig, within


@dataclass
class NetConfig:
    """The network: tokens, a transformer, a decoder."""

    dim: int = 64
    """Width of a token."""
    layers: int = 2
    """Layers of the transformer."""
    heads: int = 4
    """Attention heads of a layer."""
    objects: int = 12
    """Objects that are seen, a token each: the most relevant of the 32 nearest."""
    route_points: int = 64
    """Points of the route that are seen, 1 m apart."""
    route_chunk: int = 8
    """Route points in a token."""
    decoder: Literal["mlp", "gru"] = "mlp"
    """How path and speed are made from the ego's token: at once, or step by step."""
    speed: Literal["classes", "values"] = "classes"
    """Speeds as probabilities of speed classes (their mean is the plan) or as numbers."""
    forecast: bool = True
    """Also learn where each object will be; used in training only."""

    def __post_init__(self) -> None:
        within("net.", self, dim=(8, 1024), layers=(1, 24), heads=(1, 32), objects=(1, 32), route_points=(24, 64),
               route_chunk=(1, 64))  # fmt: skip
        if self.dim % self.heads:
            raise UserError(f"net.dim {self.dim} is not a multiple of net.heads {self.heads}")
        if self.route_points % self.route_chunk:
            raise UserError(
                f"net.route_points {self.route_points} is not a multiple of net.route_chunk {self.route_chunk}"
            )


@dataclass
class AugmentConfig:
    """Changes to training scenes, so that the planner survives its own errors and those of perception."""

    pose: float = 0.5
    """Share of scenes seen from beside the recorded pose; the plan is moved along."""
    lateral: float = 0.8
    """Standard deviation of that shift to the side, metres."""
    heading: float = 0.08
    """Standard deviation of that turn, radians."""
    noise: float = 0.3
    """Share of scenes whose objects are measured badly."""
    position: float = 0.25
    """Standard deviation of an object's centre in those scenes, metres; its speed and yaw err in proportion."""
    drop: float = 0.02
    """Share of objects that those scenes lack."""
    false: float = 0.3
    """Mean number of objects that those scenes have and the world has not; always away from the route."""
    erring: float = 0.5
    """Share of scenes told with the errors of a perception, where `errors` names any; `noise` is of the others."""

    def __post_init__(self) -> None:
        within("augment.", self, pose=(0, 1), lateral=(0, 3), heading=(0, 0.5), noise=(0, 1), position=(0, 5),
               drop=(0, 0.9), false=(0, 10), erring=(0, 1))  # fmt: skip


@dataclass
class LossConfig:
    """Weights of the loss's terms."""

    path: float = 1.0
    """Of the path's error."""
    speed: float = 1.0
    """Of the speeds' error."""
    forecast: float = 0.1
    """Of where objects will be."""

    def __post_init__(self) -> None:
        within("loss.", self, path=(0, 1e6), speed=(0, 1e6), forecast=(0, 1e6))


@dataclass
class DaggerConfig:
    """Rounds in which the planner drives and the expert says what it would have done (DAgger, Ross et al. 2011)."""

    rounds: int = 0
    """0: learn from the dataset alone."""
    steps: int = 1000
    """Optimiser steps after each round, with a learning rate schedule of their own."""
    lr: float = 7e-4
    """Peak learning rate of those steps."""
    worlds: int = 32
    """Worlds driven at once."""
    seconds: float = 60.0
    """Simulated seconds a round, in each world."""
    every: int = 5
    """Simulation steps between two states that are added."""
    gap: float = 1.5
    """m/s: where some speed that the planner plans is further from the expert's, the state is added at any step; not in
    the worlds of `fastest`."""
    expert: float = 0.2
    """Share of the worlds of the first round that the expert drives; half of it in the second and so on."""
    fastest: float = 2.4
    """In half of the worlds limits and traffic are faster, by a factor drawn from 1 to this: no street of Alder or
    Gridley has more than 14 m/s, a motorway has 33."""
    walkers: int = 48
    """Pedestrians in each world."""
    jaywalk: float = 20.0
    """In the worlds of ordinary speed they step onto the road more often than the ordinary .2 times a minute, by a
    factor drawn from 1 to this: to give way to them is seldom asked otherwise."""
    towns: list[str] = field(default_factory=lambda: ["Alder", "Gridley"])
    """Towns driven in."""
    erring: float = 0.5
    """Share of the worlds in which the planner is told of objects with the errors of a perception, where `errors` names
    any; the expert sees the truth."""

    def __post_init__(self) -> None:
        within("dagger.", self, rounds=(0, 100), steps=(1, 1 << 40), lr=(1e-12, 10), worlds=(1, 4096),
               seconds=(1, 3600), every=(1, 1000), gap=(0, 1e3), expert=(0, 1), fastest=(1, 4), walkers=(0, 1000),
               jaywalk=(1, 100), erring=(0, 1))  # fmt: skip
        if self.rounds and not self.towns:
            raise UserError("dagger.towns must name a town")


@dataclass
class PlanningConfig:
    """A planning training."""

    name: str = "planning"
    """The run's folder is runs/<date>-<name>."""
    dataset: str = "datasets/driving"
    """Folder of a dataset that `throttle record` made."""
    seed: int = 0
    """Weights, order of the data, augmentation and DAgger's routes follow from it."""
    errors: str = ""
    """File with the errors of a perception (configs/planning/errors.yaml; `throttle evaluate scenes` makes one), for
    augmentation and rounds of DAgger; empty: none."""
    standing: float = 0.2
    """Share kept of the training rows at which the ego stands and is to stand: one red light gives hundreds of them."""
    validation_rows: int = 2000
    """Rows of the validation split, evenly spread, that the best weights are chosen by."""
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            lr=1.5e-3,
            weight_decay=0.01,
            warmup=100,
            steps=4000,
            batch=128,
            log_every=50,
            validate_every=1000,
            checkpoint_every=500,
        )
    )
    net: NetConfig = field(default_factory=NetConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    dagger: DaggerConfig = field(default_factory=DaggerConfig)
    safety: list[Check] = field(default_factory=lambda: list(CHECKS))
    """Checks of the plans that are driven (planning/safety.py); in rounds of DAgger the planner drives unchecked."""
    clip: ClipConfig = field(default_factory=lambda: ClipConfig(subsystem="planning", threshold=6.0))
    """The shared gradient clipper."""
    keep: int = 2
    """Newest checkpoints that stay on disk."""

    def __post_init__(self) -> None:
        within("", self, seed=(0, 10**9), standing=(0, 1), validation_rows=(1, 1 << 40), keep=(1, 1000))
        if self.dagger.rounds and self.train.minutes:
            raise UserError("dagger.rounds and train.minutes do not go together: a round begins after a known step")
        try:
            GradientClipper.from_config(self.clip)
        except ClippingError as error:
            raise UserError(f"clip: {error}") from None
