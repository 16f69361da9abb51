"""The network that a configuration names: it learns from batches and says what pictures show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perception.centre import CentreNet
from perception.config import ModelConfig
from perception.output import Detections
from perception.peers import PeerDetector, PeerSegmenter
from perception.target import Target


class PerceptionNet(nn.Module):
    """A detector and a segmenter, one network or two.

    Parameters are named detector.backbone..., detector.heads... (centre) or as torchvision names them.
    """

    def __init__(self, config: ModelConfig, signs: int, states: Sequence[float] = ()) -> None:
        """states: shares of the states of lights in the training set (`Frames.light_shares`); empty: not known."""
        super().__init__()
        self.config = config
        self.shares = torch.tensor(states) if states else None
        """[STATES], or None where not known; not learned."""
        self.detector: CentreNet | PeerDetector | None = None
        if config.detector == "centre":
            self.detector = CentreNet(config, signs)
        elif config.detector != "none":
            self.detector = PeerDetector(config, signs)
        separate = config.segmenter not in ("shared", "none")
        self.segmenter = PeerSegmenter(config) if separate else None

    def forward(self, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Losses by name of images [B, 3, H, W] uint8, and their sum "loss"."""
        found: dict[str, Tensor] = {}
        if isinstance(self.detector, CentreNet):
            found |= self.detector.loss(images, targets, self.shares)
        elif self.detector is not None:
            found |= self.detector.loss(images, targets)
        if self.segmenter is not None:
            apart = self.segmenter.loss(images, targets)
            total = found.get("loss")
            found |= {**apart, "loss": apart["semantic"] if total is None else total + apart["semantic"]}
        return found

    @torch.no_grad()
    def predict(self, images: Tensor, focals: list[float]) -> list[Detections]:
        """What each of images [B, 3, H, W] uint8 shows; focals: focal lengths in pixels of these images."""
        size = (images.shape[2], images.shape[3])
        semantic: Tensor | None = None
        if isinstance(self.detector, CentreNet):
            objects, semantic = self.detector.predict(images, focals, self.shares)
        elif self.detector is not None:
            objects = self.detector.predict(images)
        else:
            objects = [nothing() for _ in focals]
        if self.segmenter is not None:
            semantic = self.segmenter(images)
        if semantic is None:
            return [Detections(**each) for each in objects]
        large = F.interpolate(semantic.float(), size=size, mode="bilinear", align_corners=False)
        classes = large.argmax(1).to(torch.uint8).cpu().numpy()
        return [Detections(**each, semantic=mine) for each, mine in zip(objects, classes)]


def nothing() -> dict[str, Any]:
    """The arrays of no detection."""
    one, number = np.zeros(0, np.float32), np.zeros(0, np.int64)
    return {
        "boxes": np.zeros((0, 4), np.float32), "labels": number, "scores": one, "depth": one, "alpha": one,
        "state": number, "sign": number, "binding": one, "stop": one,
    }  # fmt: skip
