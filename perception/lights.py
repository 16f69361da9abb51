"""The states of traffic lights, read from each light's own part of the picture, cut out at full resolution.

A head is 5 to 30 pixels high: cut out and brought to one size, near and far heads look alike, and few pictures of
either are enough to learn both.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

from perception.classes import LIGHT, STATES
from perception.heatmap import mean
from perception.target import Target, certain

SIZE = (20, 12)
"""Height and width, pixels, of a light that was cut out."""
MARGIN = 0.3
"""Share of a box's side that is cut out beside it, half on each side: boxes that are found are not exact."""
USUAL = 12.0  # height of a box, pixels
SHIFTS = ((0, 0, 1), (-0.15, -0.1, 1), (0.15, 0.1, 1), (0.12, -0.12, 0.85), (-0.12, 0.12, 0.85), (0, 0.12, 1.2),
          (0.1, -0.1, 1.2))  # fmt: skip
"""Boxes to learn from: shares of its sides by which a true one is moved right and down, and its scale."""

EVEN = 0.5
"""Tau of Menon et al. (arXiv:2007.07314, eq. 10): how far states of lights are learned as if all were equally frequent;

with 1 more yellow lights are told right and more red ones as yellow.
"""


class LightReader(nn.Module):
    """Pictures [B, 3, H, W] as the network sees them and boxes of lights [N, 4] of each to logits [sum of N, 5]

    (`classes.STATES`). No other layer learns from their loss.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        # not by the batch: some batches have one light or none
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, 1, 1), nn.GroupNorm(4, width), nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.GroupNorm(4, 2 * width), nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, 2 * width, 3, 2, 1), nn.ReLU(inplace=True), nn.Flatten(),
        )  # fmt: skip
        self.out = nn.Linear(2 * width * (SIZE[0] // 4) * (SIZE[1] // 4) + 1, len(STATES))

    def forward(self, images: Tensor, boxes: list[Tensor]) -> Tensor:
        crops = roi_align(images, [scaled(b, 1 + MARGIN) for b in boxes], SIZE, sampling_ratio=2, aligned=True)
        sides = torch.cat(boxes)
        height = (sides[:, 3:] - sides[:, 1:2]).clamp(min=1).log() - math.log(USUAL)
        logits: Tensor = self.out(torch.cat([self.layers(crops), height], 1))
        return logits

    def loss(self, images: Tensor, targets: list[Target], shares: Tensor | None = None) -> Tensor:
        """The mean cross entropy over the lights that count, each looked at as SHIFTS say.

        shares: [STATES] of the states of the lights to learn from, see `state_losses`.
        """
        targets = [certain(target) for target in targets]
        rows = [target["labels"] == LIGHT for target in targets]
        boxes = [shifted(target["boxes"][mine]) for target, mine in zip(targets, rows)]
        wanted = torch.cat([t["state"][mine].repeat(len(SHIFTS)) for t, mine in zip(targets, rows)])
        if not len(wanted):  # all parameters take part in every step, as training on several devices asks
            boxes[0], wanted = images.new_tensor([[0.0, 0.0, USUAL, USUAL]]), wanted.new_tensor([-1])
        values, weight = state_losses(self(images, boxes).float(), wanted, shares)
        return mean(values, weight)

    def read(self, images: Tensor, boxes: list[Tensor], shares: Tensor | None = None) -> list[Tensor]:
        """States [N] (places in STATES) of boxes [N, 4] in each picture; a state of share 0 is not told."""
        logits = self(images, boxes)
        if shares is not None:
            logits = logits.masked_fill(shares.to(logits.device) == 0, -math.inf)
        return list(logits.argmax(1).split([len(each) for each in boxes]))


def state_losses(logits: Tensor, wanted: Tensor, shares: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Cross entropies [M] of logits [M, STATES] for wanted states [M] (-1: none), and whether each counts [M].

    shares: [STATES], whose logarithms times EVEN are added to the logits. What has a state of share 0 is not learned
    from.
    """
    known = wanted >= 0
    if shares is not None:
        shares = shares.to(logits.device)
        logits = logits + EVEN * shares.clamp(min=1e-9).log()
        known &= shares[wanted.clamp(min=0)] > 0
    return F.cross_entropy(logits, wanted.clamp(min=0), reduction="none"), known.float()


def scaled(boxes: Tensor, scale: float, right: float = 0.0, down: float = 0.0) -> Tensor:
    """Boxes [N, 4] scaled about their middles, which are moved by shares of the boxes' own sides."""
    sides = boxes[:, 2:] - boxes[:, :2]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 + sides * sides.new_tensor([right, down])
    return torch.cat([middle - sides * scale / 2, middle + sides * scale / 2], 1)


def shifted(boxes: Tensor) -> Tensor:
    """Boxes [N, 4] as a detector may find them: [N * len(SHIFTS), 4], each shift of all boxes after another."""
    return torch.cat([scaled(boxes, scale, right, down) for right, down, scale in SHIFTS])
