"""The configuration of a training loop: one documented field per option, checked before anything starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from contracts import UserError

OptimizerName = Literal["sgd", "momentum", "rmsprop", "adam", "adamw"]
Schedule = Literal["constant", "linear", "cosine", "step"]
Precision = Literal["32", "16-mixed", "bf16-mixed", "auto"]
Strategy = Literal["single", "ddp", "fsdp"]
INF = math.inf
TINY = 1e-12  # the least value of what must be above 0


def within(owner: str, config: object, **limits: tuple[float, float]) -> None:
    """Raise UserError unless each named field is a finite number within its limits, both included."""
    for name, (low, high) in limits.items():
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UserError(f"{owner}{name} must be a number, not {value!r}")
        if not low <= value <= high:
            above = "" if high == INF else f" and at most {high:g}"
            raise UserError(f"{owner}{name} must be at least {low:g}{above}, got {value!r}")


@dataclass
class TrainConfig:
    """How to train. The training ends at the first of `steps`, `epochs` and `minutes` that is set (0: not set)."""

    optimizer: OptimizerName = "adamw"
    """sgd has no momentum; momentum is SGD with it."""
    lr: float = 1e-3
    """Peak learning rate."""
    momentum: float = 0.9
    """Of the optimisers momentum and rmsprop."""
    weight_decay: float = 1e-4
    """Not applied to biases and norms. adam adds it to the gradient, adamw to the step."""
    schedule: Schedule = "cosine"
    """Of the learning rate, over the whole training; step: a tenth from 60% on, a hundredth from 85% on."""
    warmup: int = 50
    """Steps over which the learning rate rises from 0."""
    final_lr: float = 0.01
    """Share of lr that linear and cosine end at."""
    steps: int = 0
    """Optimiser steps after which it ends."""
    epochs: float = 0.0
    """Passes over the data after which it ends."""
    minutes: float = 0.0
    """By the clock; alone, the schedule follows the clock, and no two runs are the same to the last bit."""
    batch: int = 16
    """Samples of one pass forward and back, over all devices."""
    accumulate: int = 1
    """Passes whose gradients one optimiser step adds up (their mean)."""
    ema: float = 0.0
    """Decay of a moving average of the weights, with which validations are made and which best.pt holds; 0: the weights
    themselves."""
    precision: Precision = "32"
    """auto: bf16-mixed where the device computes it at more than the speed of 32 (processors with avx512_bf16 or amx,
    GPUs since Ampere), else 32."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """auto: a GPU where there is one."""
    devices: int = 1
    """Processes, each with a device (a GPU, or the CPU with the gloo backend)."""
    strategy: Strategy = "single"
    """ddp or fsdp (parameters and optimiser state sharded) for more than one device."""
    threads: int = 2
    """Torch's threads in each process."""
    workers: int = 0
    """Processes that load data; 0: the training's own."""
    log_every: int = 20
    """Steps between two rows of numbers."""
    validate_every: int = 0
    """Steps between two validations; 0: only at the end."""
    patience: int = 0
    """Stop after so many validations in a row without a better figure; 0: never."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        within("train.", self, lr=(TINY, 1e6), momentum=(0, 0.9999), weight_decay=(0, 100), warmup=(0, 1 << 40),
               final_lr=(0, 1), ema=(0, 0.99999), steps=(0, 1 << 50), epochs=(0, 1e6), minutes=(0, 1e6),
               batch=(1, 1 << 20), accumulate=(1, 1 << 20), devices=(1, 4096), threads=(1, 1024), workers=(0, 1024),
               log_every=(1, 1 << 40), validate_every=(0, 1 << 50), patience=(0, 1 << 20),
               checkpoint_every=(1, 1 << 50))  # fmt: skip
        if not (self.steps or self.epochs or self.minutes):
            raise UserError("train.steps, train.epochs or train.minutes must be set")
        if (self.devices > 1) != (self.strategy != "single"):
            raise UserError(f"train.strategy {self.strategy} does not go with train.devices {self.devices}")
        if self.batch % self.devices:
            raise UserError(f"train.batch {self.batch} cannot be divided among {self.devices} devices")
        if self.ema and self.strategy == "fsdp":
            raise UserError("train.ema needs whole weights in each process, so not train.strategy fsdp")
        if self.patience and not self.validate_every:
            raise UserError("train.patience needs train.validate_every")

    def total(self, samples: int) -> int:
        """Optimiser steps of the whole training over a set of `samples`; 0 where only the clock ends it."""
        ends = [self.steps] if self.steps else []
        if self.epochs:
            ends.append(max(1, round(self.epochs * samples / (self.batch * self.accumulate))))
        return min(ends, default=0)
