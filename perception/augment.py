"""Augmentation with torchvision's transforms v2: mirror, zoom and crop, colours, blur; labels follow the picture."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from perception.config import DataConfig
from perception.target import Target, big_enough, keep

SEEN = 0.35  # share of a box that must stay in the picture for the object to stay in the target


def augment(image: Tensor, target: Target, config: DataConfig, seed: int) -> tuple[Tensor, Target]:
    """An altered picture and its target, the same for the same seed.

    Depth stays true under a zoom, as the focal length grows with it. Where the picture is mirrored, what a sign says
    and whom a light binds is not known any more.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed keeps a stack trace for each device, each time
        target = dict(target)
        if config.zoom and torch.rand(()) < 0.7:
            image, target = _zoom(image, target, 1 + config.zoom * float(torch.rand(())))
        if torch.rand(()) < config.flip:
            image, target = _mirror(image, target)
        if config.jitter:
            image = _colours(config.jitter)(image)
        if torch.rand(()) < config.blur:
            image = F.gaussian_blur(image, [3, 3])
        return image, target


@functools.cache
def _colours(share: float) -> v2.ColorJitter:
    return v2.ColorJitter(brightness=share, contrast=share, saturation=share)


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
    height, width = image.shape[-2:]
    h, w = round(height / factor), round(width / factor)
    top = int(torch.randint(0, height - h + 1, ()))
    left = int(torch.randint(0, width - w + 1, ()))
    across, down = width / w, height / h
    moved = (target["boxes"] - torch.tensor([left, top, left, top])) * torch.tensor([across, down, across, down])
    limit = torch.tensor([width, height, width, height], dtype=torch.float32)
    inside = torch.minimum(moved.clamp(min=0), limit)
    areas = [(b[:, 2] - b[:, 0]).clamp(min=0) * (b[:, 3] - b[:, 1]).clamp(min=0) for b in (moved, inside)]
    target["boxes"] = inside
    target = keep(target, (areas[1] >= SEEN * areas[0]) & big_enough(inside))
    target["focal"] = target["focal"] * across
    semantic = target["semantic"][None]
    target["semantic"] = F.resized_crop(
        semantic, top, left, h, w, [height, width], interpolation=F.InterpolationMode.NEAREST
    )[0]
    return F.resized_crop(image, top, left, h, w, [height, width], antialias=False), target
