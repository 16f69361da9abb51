"""The network as ONNX, checked number by number against torch. Needs the extra `onnx`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from contracts import UserError
from perception.centre import CentreNet
from perception.model import PerceptionNet

TOLERANCE = 1e-3
"""Largest difference between ONNX's and torch's numbers, relative to the largest number of each output."""


class _Maps(nn.Module):
    """The network's maps as a tuple in the order of `names`."""

    def __init__(self, net: PerceptionNet, size: tuple[int, int]) -> None:
        super().__init__()
        self.net = net
        self.names = list(self._run(torch.zeros(1, 3, *size)))

    def _run(self, images: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        if isinstance(self.net.detector, CentreNet):
            found |= self.net.detector(images)
        if self.net.segmenter is not None:
            found["semantic"] = self.net.segmenter(images)
        return found

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self._run(images).values())


def export(net: PerceptionNet, width: int, height: int, path: Path) -> dict[str, float]:
    """Write `path`: input "images" [1, 3, H, W] float32 of 0..255 (RGB), outputs the maps of `centre.Heads` by name.

    Returns the greatest relative difference of each output on a random picture. Raises UserError without the extra
    `onnx`, for torchvision's detectors (whose boxes are made inside), and where a difference is above TOLERANCE.
    """
    if net.detector is not None and not isinstance(net.detector, CentreNet):
        raise UserError(f"the detector {net.config.detector} cannot be exported to ONNX; centre and the segmenters can")
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - torch exports through it
    except ImportError:
        raise UserError("ONNX needs the extra onnx: in the clone, pip install '.[onnx]'") from None
    maps = _Maps(net, (height, width)).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (1, 3, height, width), generator=generator).float()
    program: Any = torch.onnx.export(
        maps, (images,), input_names=["images"], output_names=maps.names, dynamo=True, verbose=False
    )
    program.save(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got = session.run(maps.names, {"images": images.numpy()})
    with torch.no_grad():
        wanted = [value.numpy() for value in maps(images)]
    gaps = {n: float(np.abs(a - b).max() / max(1e-6, np.abs(b).max())) for n, a, b in zip(maps.names, got, wanted)}
    bad = {name: gap for name, gap in gaps.items() if not gap <= TOLERANCE}
    if bad:
        raise UserError(f"{path}: ONNX and torch differ by {max(bad.values()):.2g} in {', '.join(bad)}")
    return gaps
