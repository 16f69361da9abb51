"""Augmentation with torchvision's transforms v2: mirror, zoom, colours, levels, blur; labels follow the picture."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from perception.classes import IGNORE
from perception.config import DataConfig
from perception.target import Target, keep

GREY = 110  # levels of 255 around a picture that was made smaller
SEEN = 0.35  # share of a box that must stay in the picture; objects with less of it are ignored


def augment(image: Tensor, target: Target, config: DataConfig, seed: int) -> tuple[Tensor, Target]:
    """An altered picture and its target, the same for the same seed.

    Depth stays true under a zoom, as the focal length grows with it. Where the picture is mirrored, what a sign says
    and whom a light binds is not known any more.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed keeps a stack trace for each device, each time
        target = dict(target)
        if config.zoom and torch.rand(()) < 0.7:
            image, target = _zoom(image, target, (1 + config.zoom) ** float(2 * torch.rand(()) - 1))
        if torch.rand(()) < config.flip:
            image, target = _mirror(image, target)
        if config.jitter:
            image = _colours(config.jitter)(image)
        if config.gamma and torch.rand(()) < 0.5:
            image = _levels(image, (1 + config.gamma) ** float(2 * torch.rand(()) - 1))
        if torch.rand(()) < config.blur:
            image = F.gaussian_blur(image, [3, 3])
        return image, target


@functools.cache
def _colours(share: float) -> v2.ColorJitter:
    return v2.ColorJitter(brightness=share, contrast=share, saturation=share)


def _levels(image: Tensor, power: float) -> Tensor:
    table = (255 * np.linspace(0, 1, 256) ** power).round().astype(np.uint8)
    return torch.from_numpy(table[image.numpy()])


def _mirror(image: Tensor, target: Target) -> tuple[Tensor, Target]:
    width = image.shape[-1]
    boxes = target["boxes"]
    target["boxes"] = torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
    target["alpha"] = -target["alpha"]
    target["sign"] = torch.full_like(target["sign"], -1)
    target["binding"] = torch.full_like(target["binding"], -1)
    target["stop"] = torch.full_like(target["stop"], float("nan"))
    target["semantic"] = F.horizontal_flip(target["semantic"])
    return F.horizontal_flip(image), target


def _zoom(image: Tensor, target: Target, factor: float) -> tuple[Tensor, Target]:
    """A part of the picture fills all where the factor is above 1; else all of it lies within a grey frame."""
    height, width = image.shape[-2:]
    share = min(factor, 1 / factor)
    h, w = round(height * share), round(width * share)
    top = int(torch.randint(0, height - h + 1, ()))
    left = int(torch.randint(0, width - w + 1, ()))
    corner, limit = torch.tensor([left, top, left, top]), torch.tensor([width, height, width, height])
    scale = torch.tensor([width / w, height / h, width / w, height / h])
    boxes, semantic, nearest = target["boxes"], target["semantic"][None], F.InterpolationMode.NEAREST
    if factor >= 1:
        moved = (boxes - corner) * scale
        whole = [height, width]
        target["semantic"] = F.resized_crop(semantic, top, left, h, w, whole, interpolation=nearest)[0]
        target["focal"] = target["focal"] * scale[0]
        image = F.resized_crop(image, top, left, h, w, whole, antialias=False)
    else:
        moved = boxes / scale + corner
        frame = [left, top, width - w - left, height - h - top]
        small = F.resize(semantic, [h, w], interpolation=nearest)
        target["semantic"] = F.pad(small, frame, fill=IGNORE)[0]
        target["focal"] = target["focal"] / scale[0]
        image = F.pad(F.resize(image, [h, w], antialias=True), frame, fill=GREY)
    inside = torch.minimum(moved.clamp(min=0), limit).float()
    areas = [(b[:, 2] - b[:, 0]).clamp(min=0) * (b[:, 3] - b[:, 1]).clamp(min=0) for b in (moved, inside)]
    target["boxes"] = inside
    target["ignore"] = target["ignore"] | (areas[1] < SEEN * areas[0])
    return image, keep(target, areas[1] > 0)
