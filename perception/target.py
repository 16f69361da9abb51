"""What a training sample is: a scaled picture and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MIN_SIDE = 2.0  # pixels of the scaled picture; smaller boxes are ignored

Target = dict[str, Tensor]
"""What is known of a picture, in pixels of the scaled picture. For each of its N objects: boxes [N, 4] (left, top,
right, bottom), labels [N] (place in CLASSES), depth [N] (metres along the optical axis), alpha [N] (yaw less the
bearing, both in the camera's frame), state [N] and sign [N] (-1 where none), binding [N] (1, 0, -1 not known), stop [N]
(metres to the stop line where the object binds, else nan), ignore [N] (nobody could see it well: finding it is neither
right nor wrong). Of the picture: focal [1] (pixels), semantic [H, W] uint8
trainIds."""


@dataclass(frozen=True)
class Sample:
    """One picture, scaled: image [3, H, W] uint8 and its target; item: its place in the set."""

    image: Tensor
    target: Target
    item: int


@dataclass(frozen=True)
class Batch:
    """Pictures of one size: images [B, 3, H, W] uint8, a target each."""

    images: Tensor
    targets: list[Target]
    items: list[int]

    def to(self, device: torch.device) -> Batch:
        """The batch on a device; called by Lightning."""
        moved = [{name: value.to(device) for name, value in target.items()} for target in self.targets]
        return Batch(self.images.to(device), moved, self.items)


def collate(samples: list[Sample]) -> Batch:
    """Samples of one size as a batch."""
    return Batch(torch.stack([s.image for s in samples]), [s.target for s in samples], [s.item for s in samples])


PER_OBJECT = ("boxes", "labels", "depth", "alpha", "state", "sign", "binding", "stop", "ignore")


def keep(target: Target, chosen: Tensor) -> Target:
    """The target with the chosen objects only ([N] bool)."""
    return {name: value[chosen] if name in PER_OBJECT else value for name, value in target.items()}


def certain(target: Target) -> Target:
    """The target without the objects to be ignored."""
    return keep(target, ~target["ignore"])


def ignore_low(target: Target, least: float) -> Target:
    """The target in which objects lower than `least` pixels, or with a side below MIN_SIDE, are to be ignored too."""
    sides = target["boxes"][:, 2:] - target["boxes"][:, :2]
    return {**target, "ignore": target["ignore"] | (sides[:, 1] < least) | (sides < MIN_SIDE).any(1)}
