"""The planner as an ONNX file, for runtimes without torch."""

from __future__ import annotations

import importlib.util
import logging
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from contracts import UserError
from planning.model import PlanningNet, to_plan
from planning.scenes import FAR, MOST_OBJECTS, OBJECT_FIELDS, Scenes

INPUTS = ("ego", "objects", "kind", "route", "light", "rules")
"""Names of the inputs: the fields of planning.scenes.Scenes."""
OUTPUTS = ("path", "speed")


class _Plans(nn.Module):
    def __init__(self, net: PlanningNet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, ego: Tensor, objects: Tensor, kind: Tensor, route: Tensor, light: Tensor, rules: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The fields of Scenes to path and speed."""
        return to_plan(self.net(Scenes(ego, objects, kind, route, light, rules)))


def example(net: PlanningNet, count: int, seed: int = 0) -> Scenes:
    """`count` made-up scenes, 32 places for objects and as many route points as the network sees."""
    random = np.random.default_rng(seed)
    objects, points = MOST_OBJECTS, net.config.route_points
    boxes = (random.standard_normal((count, objects, OBJECT_FIELDS)) * [20, 8, 1, 0.3, 1, 4, 4, 0]).astype(np.float32)
    boxes[..., 2:4] = np.abs(boxes[..., 2:4]) + 0.4
    boxes[..., 7] = 1.0
    bend = random.normal(0, 0.02, (count, 1)).cumsum(1) * np.arange(points)
    route = np.stack([np.cos(bend), np.sin(bend)], -1).cumsum(1).astype(np.float32)
    rules = np.stack([random.choice([5.0, 30.0, FAR], count), random.integers(0, 2, count), np.full(count, 13.9)], 1)
    return Scenes(
        ego=np.abs(random.standard_normal((count, 6)) * [8, 1, 0.1, 0.1, 0.1, 0.1] + [0, 0, 0, 0, 4.5, 1.9]).astype(
            np.float32
        ),
        objects=boxes,
        kind=random.integers(-1, 7, (count, objects)),
        route=route,
        light=random.integers(0, 4, count),
        rules=rules.astype(np.float32),
    ).tensors()


def export(net: PlanningNet, path: Path) -> float:
    """Write `net` as ONNX with any batch size and check it with ONNX Runtime on other scenes than it was traced with.

    Inputs: the fields of Scenes with 32 objects and `net.config.route_points` route points; outputs:
    path, speed. Returns the greatest difference to torch (metres, m/s); raises UserError where it is above 1 mm or
    the packages of the extra `onnx` are missing.
    """
    if any(importlib.util.find_spec(name) is None for name in ("onnxruntime", "onnxscript")):
        raise UserError("ONNX export needs the extra onnx: in the clone, pip install '.[onnx]'")
    module = _Plans(net.eval())
    batch = torch.export.Dim("batch", min=1, max=65536)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    before = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module, tuple(example(net, 3)), str(temporary), input_names=list(INPUTS), output_names=list(OUTPUTS),
                dynamic_shapes={name: {0: batch} for name in INPUTS}, dynamo=True, verbose=False, external_data=False,
            )  # fmt: skip
    finally:
        logging.getLogger("torch.onnx").setLevel(before)
    runtime = session(temporary)
    difference = 0.0
    for count in (1, 7):
        scenes = example(net, count, seed=count)
        found = runtime.run(list(OUTPUTS), {name: field.numpy() for name, field in zip(INPUTS, scenes)})
        with torch.inference_mode():
            wanted = module(*scenes)
        difference = max(difference, *(float(np.abs(a - b.numpy()).max()) for a, b in zip(found, wanted)))
    if not difference < 1e-3:
        temporary.unlink()
        raise UserError(f"the ONNX file would plan otherwise than torch, by up to {difference:.2g}; it was not written")
    temporary.replace(path)
    return difference


def session(path: Path) -> Any:
    """An ONNX Runtime session of a planner's file, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
