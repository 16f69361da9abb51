"""A network under perturbations: its figures against severity, the area under that curve, and local sensitivity."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from perception.centre import CentreNet
from perception.data import Frames
from perception.evaluate import Evaluation, Predictor, evaluate
from perception.model import PerceptionNet
from perception.perturb import LIDAR, SEVERITIES, perturb, perturb_lidar
from training import Draw

SMALL = 1.0
"""Standard deviation of the noise that local sensitivity is measured with, levels of 255."""
FIGURES = ("map50", "miou", "ap3d_2m")


@dataclass(frozen=True)
class Curve:
    """Figures of one kind of perturbation at severities 0 to 5; area: mean of the curve (trapezoids), by figure."""

    kind: str
    values: dict[str, list[float]]

    @property
    def area(self) -> dict[str, float]:
        """By figure."""
        return {n: float(np.mean([(a + b) / 2 for a, b in itertools.pairwise(v)])) for n, v in self.values.items()}


def robustness(
    predictor: Predictor,
    frames: Frames,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    severities: int = 5,
) -> list[Curve]:
    """A curve for each perturbation of pictures, and of lidar where the set has any."""
    plain = evaluate("0", predictor, frames, details=False)
    kinds = [*SEVERITIES, *(LIDAR if any("lidar" in r for r in frames.records) else ())]
    curves = []
    for kind in kinds:
        rows = [plain]
        for severity in range(1, severities + 1):
            rows.append(_perturbed(predictor, frames, kind, severity))
            progress(kind, severity, severities)
        curves.append(Curve(kind, {name: [row.overall[name] for row in rows] for name in FIGURES}))
    return curves


def _perturbed(predictor: Predictor, frames: Frames, kind: str, severity: int) -> Evaluation:
    name = f"{kind} {severity}"
    if kind in SEVERITIES:
        return evaluate(name, predictor, frames, details=False, change=lambda p, item: perturb(p, kind, severity, item))
    return evaluate(name, predictor, frames, details=False, scan=lambda p, item: perturb_lidar(p, kind, severity, item))


def sensitivity(net: PerceptionNet, frames: Frames, pictures: int = 64, seed: int = 0) -> dict[str, float]:
    """||change of output|| / ||change of input|| at small noise, pictures in units of 1: median and 95th percentile.

    The output are the probabilities of all maps (centre, segmenters), or a torchvision detector's feature maps.
    """
    generator = torch.Generator().manual_seed(seed)
    ratios = []
    for k in np.linspace(0, len(frames) - 1, min(pictures, len(frames))).round().astype(int):
        image = frames[Draw(int(k), None)].image[None].float()
        noise = SMALL * torch.randn(image.shape, generator=generator)
        with torch.no_grad():
            change = (_output(net, image + noise) - _output(net, image)).norm()
        ratios.append(float(change / (noise.norm() / 255)))
    return {"median": float(np.median(ratios)), "p95": float(np.percentile(ratios, 95))}


def _output(net: PerceptionNet, images: torch.Tensor) -> torch.Tensor:
    parts: list[torch.Tensor] = []
    if isinstance(net.detector, CentreNet):
        maps = net.detector(images)
        parts.append(maps["heat"].sigmoid().flatten())
        if "semantic" in maps:
            parts.append(maps["semantic"].softmax(1).flatten())
    elif net.detector is not None:
        parts += [value.flatten() for value in net.detector.features(images)]
    if net.segmenter is not None:
        parts.append(net.segmenter(images).softmax(1).flatten())
    return torch.cat([part.float() for part in parts])
