"""The default network: objects as points of a heat map, every task on one small backbone, from scratch on a CPU.

After CenterNet (arXiv:1904.07850): one peak an object. At a peak further maps tell the box, depth, heading, the type of
a sign, whether it binds the ego and how far its stop line is. Another map is the segmentation. The states of lights
are read from the picture itself (`lights.py`).
What the maps learn and how they are read is in `heatmap.py`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perception.classes import CLASSES, LIGHT, TRAIN_IDS
from perception.config import ModelConfig
from perception.heatmap import decode, losses
from perception.lights import LightReader
from perception.target import Target

WEIGHTS = {
    "heat": 1.0, "box": 2.0, "depth": 1.0, "heading": 0.3, "state": 1.0, "sign": 0.3, "binding": 0.5, "stop": 0.3,
    "semantic": 1.0,
}  # fmt: skip
LEAST_CONTRAST = 4.0  # a picture whose levels deviate by less is not stretched further


def _norm(kind: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.GroupNorm(max(1, channels // 8), channels)


def _conv(a: int, b: int, norm: str, stride: int = 1, size: int = 3) -> nn.Sequential:
    layer = nn.Conv2d(a, b, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, _norm(norm, b), nn.ReLU(inplace=True))


class Block(nn.Module):
    """Two convolutions beside an identity."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.first = _conv(channels, channels, norm)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), _norm(norm, channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


class Backbone(nn.Module):
    """Pictures [B, 3, H, W] to one map [B, neck, H / 4, W / 4] that has seen strides 4 to 32, and the first one

    [B, channels[0], H / 2, W / 2], which knows edges.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c, norm = config.channels, config.norm
        self.stem = _conv(3, c[0], norm, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(_conv(c[k], c[k + 1], norm, stride=2), *(Block(c[k + 1], norm) for _ in range(n)))
            for k, n in enumerate((1, 1, 2, 1))
        )
        self.across = nn.ModuleList(nn.Conv2d(width, config.neck, 1) for width in c[1:])
        self.smooth = _conv(config.neck, config.neck, norm)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = fine = self.stem(x)
        maps = []
        for stage, across in zip(self.stages, self.across):
            x = stage(x)
            maps.append(across(x))
        found = maps[-1]
        for finer in reversed(maps[:-1]):
            found = finer + F.interpolate(found, scale_factor=2.0, mode="nearest")
        return self.smooth(found), fine


class Heads(nn.Module):
    """The map to the maps of all tasks, by name, each [B, channels, H / 4, W / 4]; the segmentation twice as fine."""

    def __init__(self, config: ModelConfig, signs: int) -> None:
        super().__init__()
        self.sizes = {
            "heat": len(CLASSES), "box": 4, "depth": 1, "heading": 2, "sign": signs, "binding": 1, "stop": 1,
        }  # fmt: skip
        self.objects = _conv(config.neck, config.neck, config.norm)
        self.numbers = _conv(config.neck, config.neck, config.norm)
        self.heat = nn.Conv2d(config.neck, self.sizes["heat"], 1)
        self.rest = nn.Conv2d(config.neck, sum(self.sizes.values()) - self.sizes["heat"], 1)
        self.semantic = Segments(config) if config.segmenter == "shared" else None
        self.lights = LightReader()  # called by CentreNet; here, as clipping's groups know backbone and heads
        assert self.heat.bias is not None
        nn.init.constant_(self.heat.bias, -4.0)  # nearly everywhere there is nothing

    def forward(self, x: Tensor, fine: Tensor) -> dict[str, Tensor]:
        names = [name for name in self.sizes if name != "heat"]
        parts = self.rest(self.numbers(x)).split([self.sizes[name] for name in names], 1)
        maps = {"heat": self.heat(self.objects(x)), **dict(zip(names, parts))}
        if self.semantic is not None:
            maps["semantic"] = self.semantic(x, fine)
        return maps


class Segments(nn.Module):
    """Logits [B, 19, H / 2, W / 2]: what things are from the common map, where they end from the fine one."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.channels[0]
        self.what = nn.Conv2d(config.neck, width, 1)
        self.where = nn.Conv2d(width, width, 1)
        self.out = nn.Conv2d(width, len(TRAIN_IDS), 1)

    def forward(self, x: Tensor, fine: Tensor) -> Tensor:
        coarse = F.interpolate(self.what(x), scale_factor=2.0, mode="nearest")
        logits: Tensor = self.out(F.relu(coarse + self.where(fine)))
        return logits


class CentreNet(nn.Module):
    """The whole network: images [B, 3, H, W] (0..255) to maps."""

    def __init__(self, config: ModelConfig, signs: int) -> None:
        super().__init__()
        self.backbone = Backbone(config)
        self.heads = Heads(config, signs)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self._maps(normalised(images))

    def loss(self, images: Tensor, targets: list[Target], shares: Tensor | None = None) -> dict[str, Tensor]:
        """Losses by name and their weighted sum "loss"; objects count alike over all processes.

        shares: [STATES] of the states of the lights to learn from, where known.
        """
        x = normalised(images)
        maps = {name: value.float() for name, value in self._maps(x).items()}
        parts = {**losses(maps, targets), "state": self.heads.lights.loss(x, targets, shares)}
        return {"loss": sum((WEIGHTS[name] * value for name, value in parts.items()), torch.zeros(())), **parts}

    def predict(
        self, images: Tensor, focals: list[float], shares: Tensor | None = None
    ) -> tuple[list[dict[str, Any]], Tensor | None]:
        """Arrays of `output.Detections` of each picture, and the logits of the segmentation where there is one.

        shares: [STATES] of the lights to learn from. A state that none of them had is not told.
        """
        x = normalised(images)
        maps = self._maps(x)
        found = [decode(maps, k, focal) for k, focal in enumerate(focals)]
        rows = [each["labels"] == LIGHT for each in found]
        states = self.heads.lights.read(x, [each["boxes"][mine] for each, mine in zip(found, rows)], shares)
        for each, mine, state in zip(found, rows, states):
            each["state"] = torch.full_like(each["labels"], -1).masked_scatter(mine, state)
        arrays = [{name: value.cpu().numpy() for name, value in each.items()} for each in found]
        return arrays, maps.get("semantic")

    def _maps(self, x: Tensor) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = self.heads(*self.backbone(x))
        return maps


def normalised(images: Tensor) -> Tensor:
    """Pictures [B, 3, H, W] each by its own mean and deviation: night and fog are then less unlike day."""
    x = images.float()
    x = x - x.mean((1, 2, 3), keepdim=True)
    x = x / x.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=LEAST_CONTRAST)
    return x.contiguous(memory_format=torch.channels_last)
