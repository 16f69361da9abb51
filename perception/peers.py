"""Torchvision's detectors and segmenters behind the same two calls; nothing is ever downloaded."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import detection, segmentation
from torchvision.ops import roi_align

from contracts import UserError
from perception.classes import CLASSES, IGNORE, LIGHT, SIGN, STATES, TRAIN_IDS
from perception.config import ModelConfig
from perception.lights import scaled
from perception.target import Target, certain
from training import load_weights

log = logging.getLogger(__name__)
DETECTORS: dict[str, Callable[..., nn.Module]] = {
    "ssdlite": detection.ssdlite320_mobilenet_v3_large,
    "fcos": detection.fcos_resnet50_fpn,
    "retinanet": detection.retinanet_resnet50_fpn_v2,
    "fasterrcnn": detection.fasterrcnn_resnet50_fpn_v2,
}
SEGMENTERS: dict[str, Callable[..., nn.Module]] = {
    "lraspp": segmentation.lraspp_mobilenet_v3_large,
    "deeplabv3": segmentation.deeplabv3_mobilenet_v3_large,
}
CROP = 24  # pixels of the side of a light's or sign's picture
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PeerDetector(nn.Module):
    """A torchvision detector, and a small network that looks at lights and signs again."""

    def __init__(self, config: ModelConfig, signs: int) -> None:
        super().__init__()
        options: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": len(CLASSES) + 1}
        if config.detector != "ssdlite":  # which has one size of its own
            options |= {"min_size": 192, "max_size": 4096}
        self.body = DETECTORS[config.detector](**options)
        transform: Any = self.body.transform
        if config.detector != "ssdlite":
            transform._skip_resize = True  # pictures come in the size that the configuration asks for
        self.posts = PostNet(signs)
        if config.weights:
            load_matching(self.body, Path(config.weights))

    def loss(self, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Losses by name and their sum "loss"."""
        pictures = images.float() / 255
        targets = [certain(t) for t in targets]  # torchvision has no way to ignore an object: it becomes background
        wanted = [{"boxes": t["boxes"], "labels": t["labels"] + 1} for t in targets]
        found: dict[str, Tensor] = dict(self.body(list(pictures), wanted))
        found |= self.posts.loss(pictures, targets)
        return {"loss": sum(found.values(), torch.zeros((), device=images.device)), **found}

    def features(self, images: Tensor) -> list[Tensor]:
        """The backbone's maps of images [B, 3, H, W] (0..255)."""
        body: Any = self.body
        prepared, _ = body.transform(list(images / 255))
        found = body.backbone(prepared.tensors)
        return list(found.values()) if isinstance(found, dict) else [found]

    def predict(self, images: Tensor) -> list[dict[str, Any]]:
        """Arrays of `output.Detections` of each picture; depth and alpha are not estimated."""
        pictures = images.float() / 255
        answers = self.body(list(pictures))
        out = []
        for picture, answer in zip(pictures, answers):
            labels = answer["labels"] - 1
            state, sign, binding, stop = self.posts.look(picture, answer["boxes"], labels)
            unknown = torch.full_like(answer["scores"], math.nan)
            values = {
                "boxes": answer["boxes"], "labels": labels, "scores": answer["scores"], "depth": unknown,
                "alpha": unknown, "state": state, "sign": sign, "binding": binding, "stop": stop,
            }  # fmt: skip
            out.append({name: value.float().cpu().numpy() if value.is_floating_point() else value.cpu().numpy()
                        for name, value in values.items()})  # fmt: skip
        return out


class PostNet(nn.Module):
    """Pictures of lights and signs, cut out, to their state, type, whether they bind, and the way to the stop line."""

    def __init__(self, signs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in ((3, 24), (24, 48), (48, 64)):
            layers += [nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        # where in the picture it is, and how large, says most about whether it binds
        self.out = nn.Sequential(nn.Linear(64 + 4, 64), nn.ReLU(), nn.Linear(64, len(STATES) + signs + 2))
        self.parts = [len(STATES), signs, 1, 1]

    def forward(self, images: Tensor, boxes: list[Tensor]) -> tuple[Tensor, ...]:
        """Logits of state [M, 5], sign [M, signs], binding [M, 1], logarithm of the way to the line [M, 1]."""
        size = torch.tensor([images.shape[3], images.shape[2]] * 2, device=images.device)
        crops = roi_align(images, [scaled(b, 1.2) for b in boxes], CROP, aligned=True)
        seen = self.body((crops - 0.45) / 0.25)
        return self.out(torch.cat([seen, torch.cat(boxes) / size], 1)).split(self.parts, 1)  # type: ignore[no-any-return]

    def loss(self, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Losses of the true boxes of lights and signs."""
        rows = [t["labels"] >= LIGHT for t in targets]
        known = {n: torch.cat([t[n][r] for t, r in zip(targets, rows)]) for n in ("state", "sign", "binding", "stop")}
        if len(known["state"]) < 2:  # batch norm needs two
            zero = images.new_zeros(())
            return {"state": zero, "sign": zero, "binding": zero, "stop": zero}
        state, sign, binding, stop = self(images, [t["boxes"][r] for t, r in zip(targets, rows)])
        far = known["stop"].nan_to_num(1.0).clamp(min=0.5).log()
        binds = F.binary_cross_entropy_with_logits(
            binding[:, 0], known["binding"].clamp(min=0).float(), reduction="none"
        )
        return {
            "state": _mean(F.cross_entropy(state, known["state"].clamp(min=0), reduction="none"), known["state"] >= 0),
            "sign": _mean(F.cross_entropy(sign, known["sign"].clamp(min=0), reduction="none"), known["sign"] >= 0),
            "binding": _mean(binds, known["binding"] >= 0),
            "stop": _mean(F.smooth_l1_loss(stop[:, 0], far, reduction="none"), known["stop"].isfinite()),
        }

    def look(self, image: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """State, sign, binding and stop of N boxes of one picture, as `output.Detections` has them."""
        rows = (labels >= LIGHT).nonzero()[:, 0]
        state, sign = torch.full_like(labels, -1), torch.full_like(labels, -1)
        binding = torch.full_like(boxes[:, 0], math.nan)
        stop = binding.clone()
        if len(rows):
            found = self(image[None], [boxes[rows]])
            state[rows] = torch.where(labels[rows] == LIGHT, found[0].argmax(1), -1)
            sign[rows] = torch.where(labels[rows] == SIGN, found[1].argmax(1), -1)
            binding[rows] = found[2][:, 0].sigmoid()
            stop[rows] = found[3][:, 0].clamp(-2, 6).exp()
        return state, sign, binding, stop


class PeerSegmenter(nn.Module):
    """A torchvision segmenter: images [B, 3, H, W] (0..255) to logits [B, 19, H, W]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.body = SEGMENTERS[config.segmenter](weights=None, weights_backbone=None, num_classes=len(TRAIN_IDS))
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", 255 * torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", 255 * torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)
        if config.segmenter_weights:
            load_matching(self.body, Path(config.segmenter_weights))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body((images.float() - self.mean) / self.deviation)["out"]
        return logits

    def loss(self, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """The loss "semantic"; pixels to be ignored do not count."""
        labels = torch.stack([t["semantic"] for t in targets]).long()
        total = F.cross_entropy(self(images).float(), labels, ignore_index=IGNORE, reduction="sum")
        return {"semantic": total / (labels != IGNORE).sum().clamp(min=1)}


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def load_matching(module: nn.Module, path: Path) -> None:
    """Take from a file of weights what has the same name and shape; raises UserError where nothing has."""
    given, mine = load_weights(path), module.state_dict()
    fitting = {name: value for name, value in given.items() if name in mine and mine[name].shape == value.shape}
    if not fitting:
        raise UserError(f"{path}: no weight in it fits the network")
    module.load_state_dict({**mine, **fitting})
    log.info("%s: %d of %d tensors taken; the rest of the network starts fresh", path, len(fitting), len(mine))
