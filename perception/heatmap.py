"""What the maps of the default network learn, and how objects are read from them.

CenterNet's peaks (arXiv:1904.07850) with TTFNet's elliptic Gaussians, whose whole inside learns the box
(arXiv:1909.00700).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import batched_nms, generalized_box_iou_loss

from perception.classes import IGNORE, LIGHT, SIGN, TRAIN_IDS
from perception.target import Target, certain

STRIDE = 4
SPREAD = 0.09
"""Standard deviation of an object's Gaussian, share of its box's side."""
INSIDE = 0.3
"""Cells where the Gaussian is at least this learn the object's box and numbers."""
MOST = 100  # objects of a picture


def losses(maps: dict[str, Tensor], targets: list[Target]) -> dict[str, Tensor]:
    """The loss of each map's task, means over the objects that it concerns (pixels, for the segmentation)."""
    heat = maps["heat"]
    # what is to be ignored may be found or not: the heat map is not judged there
    free = torch.stack([_free(t["boxes"][t["ignore"]], t["labels"][t["ignore"]], heat.shape[1:]) for t in targets])
    targets = [certain(target) for target in targets]
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
    found = {"heat": _focal(heat, torch.stack(wanted), free) / _shared(objects, heat)}
    picked = {
        name: value[at["image"], :, at["row"], at["column"]]
        for name, value in maps.items()
        if name not in ("heat", "semantic")
    }
    found |= _object_losses(picked, at)
    if "semantic" in maps:
        found["semantic"] = _semantic_loss(maps["semantic"], torch.stack([t["semantic"] for t in targets]))
    return found


FIELDS = ("boxes", "labels", "depth", "alpha", "sign", "binding", "stop")


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
        "box": mean(generalized_box_iou_loss(boxes, at["boxes"]), weight),
        "depth": mean(F.smooth_l1_loss(picked["depth"][:, 0], at["depth"].log(), reduction="none", beta=0.1), weight),
        "heading": mean(1 - turn, weight * moving),
        "sign": mean(
            F.cross_entropy(picked["sign"], at["sign"].clamp(min=0), reduction="none"), weight * (at["sign"] >= 0)
        ),
        "binding": mean(
            F.binary_cross_entropy_with_logits(answer, at["binding"].clamp(min=0).float(), reduction="none"),
            weight * known,
        ),
        "stop": mean(F.smooth_l1_loss(picked["stop"][:, 0], far, reduction="none", beta=0.1), weight * stopping),
    }


def mean(values: Tensor, weight: Tensor) -> Tensor:
    """The mean of values [M] by weight [M], over the objects of all processes."""
    return (values * weight).sum() / _shared(weight.sum(), values)


def _shared(count: Tensor | float, like: Tensor, least: float = 1.0) -> Tensor:
    """`count` over all processes, a process' share of it, not below `least`: so that objects weigh alike."""
    total = torch.as_tensor(count, dtype=torch.float32, device=like.device).detach().clone()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(total)
        return total.clamp(min=least) / torch.distributed.get_world_size()
    return total.clamp(min=least)


def _focal(logits: Tensor, wanted: Tensor, free: Tensor) -> Tensor:
    """CornerNet's focal loss (arXiv:1808.01244, eq. 1), summed: alpha 2, beta 4. Where `free`, only peaks count."""
    chance = logits.sigmoid()
    peak = wanted == 1
    positive = (1 - chance) ** 2 * F.logsigmoid(logits) * peak
    negative = (1 - wanted) ** 4 * chance**2 * F.logsigmoid(-logits) * ~(peak | free)
    return -(positive + negative).sum()


def _free(boxes: Tensor, labels: Tensor, shape: torch.Size) -> Tensor:
    """[classes, h, w] bool: cells within an object [N, 4] of that class, or touched by it."""
    inside = torch.zeros(shape, dtype=torch.bool, device=boxes.device)
    for label, (left, top, right, bottom) in zip(labels.tolist(), (boxes / STRIDE).tolist()):
        inside[label, int(top) : math.ceil(bottom), int(left) : math.ceil(right)] = True
    return inside


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


# -- answering -------------------------------------------------------------------------------------------------------


def decode(maps: dict[str, Tensor], image: int, focal: float, threshold: float = 0.02) -> dict[str, Tensor]:
    """The objects of one picture as tensors of `output.Detections` but the states of lights.

    focal: pixels of the scaled picture.
    """
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
    return {
        "boxes": boxes[good],
        "labels": label[good],
        "scores": score[good],
        "depth": at["depth"][good, 0].clamp(-12, 4).exp() * focal,
        "alpha": torch.atan2(at["heading"][good, 0], at["heading"][good, 1]),
        "sign": torch.where(label[good] == SIGN, at["sign"][good].argmax(1), nothing),
        "binding": torch.where(post, at["binding"][good, 0].sigmoid(), torch.tensor(math.nan)),
        "stop": torch.where(post, at["stop"][good, 0].clamp(-2, 6).exp(), torch.tensor(math.nan)),
    }
