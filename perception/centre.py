"""The default network: objects as points of a heat map, every task on one small backbone, from scratch on a CPU.

After CenterNet (arXiv:1904.07850): one peak an object, here with TTFNet's elliptic Gaussians, whose whole inside
learns the box (arXiv:1909.00700). At a peak further maps tell depth, heading, the state of a light, the type of a sign,
whether it binds the ego and how far its stop line is. A last map is the segmentation.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, generalized_box_iou_loss

from perception.classes import CLASSES, IGNORE, LIGHT, SIGN, STATES, TRAIN_IDS
from perception.config import ModelConfig
from perception.target import Target

STRIDE = 4
SPREAD = 0.09
"""Standard deviation of an object's Gaussian, share of its box's side."""
INSIDE = 0.3
"""Cells where the Gaussian is at least this learn the object's box and numbers."""
WEIGHTS = {
    "heat": 1.0, "box": 2.0, "depth": 1.0, "heading": 0.3, "state": 0.5, "sign": 0.3, "binding": 0.5, "stop": 0.3,
    "semantic": 1.0,
}  # fmt: skip
MOST = 100  # objects of a picture
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
            "heat": len(CLASSES), "box": 4, "depth": 1, "heading": 2, "state": len(STATES), "sign": signs, "binding": 1,
            "stop": 1,
        }  # fmt: skip
        self.objects = _conv(config.neck, config.neck, config.norm)
        self.numbers = _conv(config.neck, config.neck, config.norm)
        self.heat = nn.Conv2d(config.neck, self.sizes["heat"], 1)
        self.rest = nn.Conv2d(config.neck, sum(self.sizes.values()) - self.sizes["heat"], 1)
        self.semantic = Segments(config) if config.segmenter == "shared" else None
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
        # each picture by its own mean and deviation: night and fog are then less unlike day
        x = images.float()
        x = x - x.mean((1, 2, 3), keepdim=True)
        x = x / x.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=LEAST_CONTRAST)
        maps: dict[str, Tensor] = self.heads(*self.backbone(x.contiguous(memory_format=torch.channels_last)))
        return maps

    def loss(self, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Losses by name and their weighted sum "loss"; objects count alike over all processes."""
        maps = {name: value.float() for name, value in self(images).items()}
        parts = losses(maps, targets)
        return {"loss": sum((WEIGHTS[name] * value for name, value in parts.items()), torch.zeros(())), **parts}


# -- learning ---------------------------------------------------------------------------------------------------------


def losses(maps: dict[str, Tensor], targets: list[Target]) -> dict[str, Tensor]:
    """The loss of each task, means over the objects that it concerns (pixels, for the segmentation)."""
    heat = maps["heat"]
    wanted: list[Tensor] = []
    where: dict[str, list[Tensor]] = {name: [] for name in ("image", "row", "column", "weight", *FIELDS)}
    for number, target in enumerate(targets):
        peaks, (rows, columns, owner, weight) = _gaussians(target["boxes"], target["labels"], heat.shape[1:])
        wanted.append(peaks)
        where["image"].append(torch.full_like(rows, number))
        where["row"].append(rows)
        where["column"].append(columns)
        where["weight"].append(weight)
        for name in FIELDS:
            value = target["depth"] / target["focal"] if name == "depth" else target[name]
            where[name].append(value[owner])
    at = {name: torch.cat(parts) for name, parts in where.items()}
    objects = sum(len(t["labels"]) for t in targets)
    found = {"heat": _focal(heat, torch.stack(wanted)) / _shared(objects, heat)}
    picked = {
        name: value[at["image"], :, at["row"], at["column"]]
        for name, value in maps.items()
        if name not in ("heat", "semantic")
    }
    found |= _object_losses(picked, at)
    if "semantic" in maps:
        found["semantic"] = _semantic_loss(maps["semantic"], torch.stack([t["semantic"] for t in targets]))
    return found


FIELDS = ("boxes", "labels", "depth", "alpha", "state", "sign", "binding", "stop")


def _object_losses(picked: dict[str, Tensor], at: dict[str, Tensor]) -> dict[str, Tensor]:
    """picked: [M, channels] of each map at the cells that learn; at: what they are to say, and their weights [M]."""
    weight = at["weight"]
    boxes = decode_boxes(picked["box"], at["row"], at["column"])
    heading = F.normalize(picked["heading"], dim=1, eps=1e-6)
    turn = heading[:, 0] * at["alpha"].sin() + heading[:, 1] * at["alpha"].cos()
    moving = (at["labels"] < LIGHT).float()
    known = (at["binding"] >= 0).float()
    stopping = at["stop"].isfinite()
    far = torch.where(stopping, at["stop"], torch.ones(())).clamp(min=0.5).log()
    answer = picked["binding"][:, 0]
    return {
        "box": _mean(generalized_box_iou_loss(boxes, at["boxes"]), weight),
        "depth": _mean(F.smooth_l1_loss(picked["depth"][:, 0], at["depth"].log(), reduction="none", beta=0.1), weight),
        "heading": _mean(1 - turn, weight * moving),
        "state": _mean(_classes(picked["state"], at["state"]), weight * (at["state"] >= 0)),
        "sign": _mean(_classes(picked["sign"], at["sign"]), weight * (at["sign"] >= 0)),
        "binding": _mean(
            F.binary_cross_entropy_with_logits(answer, at["binding"].clamp(min=0).float(), reduction="none"),
            weight * known,
        ),
        "stop": _mean(F.smooth_l1_loss(picked["stop"][:, 0], far, reduction="none", beta=0.1), weight * stopping),
    }


def _classes(logits: Tensor, wanted: Tensor) -> Tensor:
    return F.cross_entropy(logits, wanted.clamp(min=0), reduction="none")


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / _shared(weight.sum(), values)


def _shared(count: Tensor | float, like: Tensor, least: float = 1.0) -> Tensor:
    """`count` over all processes, a process' share of it, not below `least`: so that objects weigh alike."""
    total = torch.as_tensor(count, dtype=torch.float32, device=like.device).detach().clone()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(total)
        return total.clamp(min=least) / torch.distributed.get_world_size()
    return total.clamp(min=least)


def _focal(logits: Tensor, wanted: Tensor) -> Tensor:
    """CornerNet's focal loss (arXiv:1808.01244, eq. 1), summed: alpha 2, beta 4."""
    chance = logits.sigmoid()
    peak = wanted == 1
    positive = (1 - chance) ** 2 * F.logsigmoid(logits) * peak
    negative = (1 - wanted) ** 4 * chance**2 * F.logsigmoid(-logits) * ~peak
    return -(positive + negative).sum()


def _gaussians(
    boxes: Tensor, labels: Tensor, shape: torch.Size
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """The heat map [classes, h, w] wanted of one picture; rows, columns, owner and weight of the cells that learn.

    Where objects overlap the smaller one owns a cell. The weights of an object sum to 1.
    """
    classes, height, width = shape
    x = (torch.arange(width, device=boxes.device) + 0.5) * STRIDE
    y = (torch.arange(height, device=boxes.device) + 0.5) * STRIDE
    heat = boxes.new_zeros(classes, height, width)
    if not len(boxes):
        nothing = torch.zeros(0, dtype=torch.int64, device=boxes.device)
        return heat, (nothing, nothing, nothing, boxes.new_zeros(0))
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    column = (middle[:, 0] / STRIDE).long().clamp(0, width - 1)
    row = (middle[:, 1] / STRIDE).long().clamp(0, height - 1)
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1.0)
    spread = (size * SPREAD).clamp(min=0.45 * STRIDE)
    # the Gaussian's top is the centre of the middle's cell, so that the peak is exactly 1
    dx = (x[None] - x[column, None]) / spread[:, :1]
    dy = (y[None] - y[row, None]) / spread[:, 1:]
    each = torch.exp(-0.5 * (dy[:, :, None] ** 2 + dx[:, None, :] ** 2))
    for label in labels.unique().tolist():
        heat[label] = each[labels == label].amax(0)
    area = size.prod(1)
    order = area.argsort(descending=True, stable=True)
    owner = torch.full((height, width), -1, dtype=torch.int64, device=boxes.device)
    for k in order.tolist():
        owner[each[k] >= INSIDE] = k
    owner[row[order], column[order]] = order  # every object owns its middle, unless a smaller one has the same
    rows, columns = (owner >= 0).nonzero(as_tuple=True)
    mine = owner[rows, columns]
    weight = each[mine, rows, columns]
    total = torch.zeros(len(boxes), device=boxes.device).index_add_(0, mine, weight)
    return heat, (rows, columns, mine, weight / total[mine])


def decode_boxes(numbers: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Boxes [M, 4] from the logarithms of the distances (in cells) of a cell's middle to the box's sides [M, 4]."""
    reach = numbers.clamp(-6, 6).exp() * STRIDE
    x, y = (columns + 0.5) * STRIDE, (rows + 0.5) * STRIDE
    return torch.stack([x - reach[:, 0], y - reach[:, 1], x + reach[:, 2], y + reach[:, 3]], 1)


def _semantic_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy at half the picture's size, where the logits are: half of it a mean over pixels, half a mean over

    the classes that occur, so that lights and poles count beside road and sky.
    """
    half = labels[:, ::2, ::2].long()
    counted = half != IGNORE
    every = F.cross_entropy(logits, half, ignore_index=IGNORE, reduction="none")[counted]
    classes = half[counted]
    pixels = torch.bincount(classes, minlength=len(TRAIN_IDS)).float()
    shared = _shared(pixels, logits)
    occurs = _shared((pixels > 0).float(), logits, least=0.0) > 0
    sums = torch.zeros_like(pixels).index_add(0, classes, every)
    by_class = (sums / shared)[occurs].sum() / occurs.sum().clamp(min=1)
    return 0.5 * sums.sum() / _shared(pixels.sum(), logits) + 0.5 * by_class


# -- answering --------------------------------------------------------------------------------------------------------


def decode(maps: dict[str, Tensor], image: int, focal: float, threshold: float = 0.05) -> dict[str, Any]:
    """The objects of one picture as arrays of `output.Detections`; focal: pixels of the scaled picture."""
    heat = maps["heat"][image].float().sigmoid()
    peak = heat * (F.max_pool2d(heat[None], 3, 1, 1)[0] == heat)
    score, place = peak.flatten().topk(min(MOST, peak.numel()))
    place = place[score >= threshold]
    score = score[score >= threshold]
    cells = heat.shape[1] * heat.shape[2]
    label, rest = place // cells, place % cells
    row, column = rest // heat.shape[2], rest % heat.shape[2]
    at = {name: maps[name][image, :, row, column].float().T for name in maps if name not in ("heat", "semantic")}
    boxes = decode_boxes(at["box"], row, column)
    limit = torch.tensor([heat.shape[2], heat.shape[1], heat.shape[2], heat.shape[1]], device=boxes.device) * STRIDE
    boxes = torch.minimum(boxes.clamp(min=0), limit.float())
    good = batched_nms(boxes, score, label, 0.6)
    post = ((label == LIGHT) | (label == SIGN))[good]
    nothing = torch.tensor(-1, device=label.device)
    values = {
        "boxes": boxes[good],
        "labels": label[good],
        "scores": score[good],
        "depth": at["depth"][good, 0].clamp(-12, 4).exp() * focal,
        "alpha": torch.atan2(at["heading"][good, 0], at["heading"][good, 1]),
        "state": torch.where(label[good] == LIGHT, at["state"][good].argmax(1), nothing),
        "sign": torch.where(label[good] == SIGN, at["sign"][good].argmax(1), nothing),
        "binding": torch.where(post, at["binding"][good, 0].sigmoid(), torch.tensor(math.nan)),
        "stop": torch.where(post, at["stop"][good, 0].clamp(-2, 6).exp(), torch.tensor(math.nan)),
    }
    return {name: value.cpu().numpy() for name, value in values.items()}
