"""The network as ONNX, checked number by number against torch. Needs the extra `onnx`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from contracts import UserError
from perception.centre import CentreNet, normalised
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


class _Lights(nn.Module):
    """Logits of the states of lights, given their boxes."""

    names = ("state",)

    def __init__(self, detector: CentreNet) -> None:
        super().__init__()
        self.reader = detector.heads.lights

    def forward(self, images: Tensor, boxes: Tensor) -> tuple[Tensor, ...]:
        return (self.reader(normalised(images), [boxes]),)


def lights_file(path: Path) -> Path:
    """Where the reader of lights lies beside the maps' file."""
    return path.with_name(f"{path.stem}-lights.onnx")


def export(net: PerceptionNet, width: int, height: int, path: Path) -> dict[str, float]:
    """Write `path`: input "images" [1, 3, H, W] float32 of 0..255 (RGB), outputs the maps of `centre.Heads` by name.

    With the detector centre also `lights_file(path)`: inputs "images" and "boxes" [N, 4] float32 (lights, in pixels),
    output "state" [N, 5]. Returns the greatest relative difference of each output on a random picture. Raises UserError
    without the extra `onnx`, for torchvision's detectors (whose boxes are made inside), and where a difference is above
    TOLERANCE.
    """
    if net.detector is not None and not isinstance(net.detector, CentreNet):
        raise UserError(f"the detector {net.config.detector} cannot be exported to ONNX; centre and the segmenters can")
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401 - torch exports through it
    except ImportError:
        raise UserError("ONNX needs the extra onnx: in the clone, pip install '.[onnx]'") from None
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (1, 3, height, width), generator=generator).float()
    gaps = _write(_Maps(net, (height, width)), {"images": images}, path)
    if net.detector is not None:
        boxes = torch.tensor([[0.1, 0.1, 0.2, 0.3], [0.5, 0.4, 0.55, 0.5], [0.9, 0.0, 1.0, 0.1]])
        inputs = {"images": images, "boxes": boxes * torch.tensor([width, height] * 2)}
        gaps |= _write(_Lights(net.detector), inputs, lights_file(path))
    return gaps


def _write(module: _Maps | _Lights, inputs: dict[str, Tensor], path: Path) -> dict[str, float]:
    """Export one file and compare its outputs with torch's; any number of boxes is allowed."""
    import onnxruntime

    module.eval()
    shapes = {name: {0: torch.export.Dim("lights")} if name == "boxes" else None for name in inputs}
    program: Any = torch.onnx.export(
        module, tuple(inputs.values()), input_names=list(inputs), output_names=list(module.names), dynamo=True,
        dynamic_shapes=shapes, verbose=False,
    )  # fmt: skip
    program.save(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got = session.run(list(module.names), {name: value.numpy() for name, value in inputs.items()})
    with torch.no_grad():
        wanted = [value.numpy() for value in module(*inputs.values())]
    gaps = {n: float(np.abs(a - b).max() / max(1e-6, np.abs(b).max())) for n, a, b in zip(module.names, got, wanted)}
    bad = {name: gap for name, gap in gaps.items() if not gap <= TOLERANCE}
    if bad:
        raise UserError(f"{path}: ONNX and torch differ by {max(bad.values()):.2g} in {', '.join(bad)}")
    return gaps
