"""Train perception: the network, its validation, and the shared loop of `training`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

import training
from contracts import UserError
from contracts.runs import Progress, RunDirectory, Tracking
from perception.config import DataConfig, PerceptionConfig
from perception.data import Frames
from perception.lift import CameraModel
from perception.metrics import Truth, coco, confusion, mean_iou
from perception.model import PerceptionNet
from perception.output import Detections
from perception.perceive import DESCRIPTION, Description
from perception.target import Batch, collate
from training import Data, Result

log = logging.getLogger(__name__)
VALIDATED = 128
"""Pictures of the validation split that are looked at during a training, evenly spread; `evaluate` takes all."""


class PerceptionModule(training.Module):
    """A perception network with its loss and its figures: map50 and miou on the scaled pictures."""

    def __init__(self, config: PerceptionConfig, signs: int, states: Sequence[float] = ()) -> None:
        super().__init__()
        self.net = PerceptionNet(config.model, signs, states)
        self.monitor = "map50" if config.model.detector != "none" else "miou"

    def configure_model(self) -> None:
        """Shard as the strategy asks; predicting gathers the parameters as a forward pass does."""
        super().configure_model()
        if self.device_mesh is not None:
            from torch.distributed.fsdp import register_fsdp_forward_method

            register_fsdp_forward_method(self.net, "predict")

    def training_step(self, batch: Batch, number: int) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.net(batch.images, batch.targets)
        return losses

    def validation_step(self, batch: Batch, number: int) -> Any:
        found = self.net.predict(batch.images, [float(t["focal"]) for t in batch.targets])
        semantic = [t["semantic"].cpu().numpy() for t in batch.targets]
        matrix = sum(confusion(d.semantic, s) for d, s in zip(found, semantic) if d.semantic is not None)
        truth = [
            Truth(t["boxes"].cpu().numpy(), t["labels"].cpu().numpy(), t["ignore"].cpu().numpy()) for t in batch.targets
        ]
        return [Detections(**{**d.__dict__, "semantic": None}) for d in found], truth, matrix

    def validation_figures(self, results: list[Any]) -> dict[str, float]:
        found = [d for part in results for d in part[0]]
        truth = [t for part in results for t in part[1]]
        out = {}
        if self.net.detector is not None:
            boxes = coco(found, truth)
            out = {"map50": boxes["map50"], "map": boxes["map"]}
        matrix = sum(part[2] for part in results)
        if not isinstance(matrix, int):
            out["miou"] = mean_iou(matrix)
        return out


def load_data(config: PerceptionConfig) -> tuple[Frames, Frames]:
    """The training set and the pictures to validate with, read and checked. Raises UserError for what is wrong."""
    if not config.data.path:
        raise UserError("data.path must name a dataset (make one with `throttle record`)")
    frames = Frames(config.data, "train")
    checks = Frames(_few(config), "validation")
    for part in (frames, checks):
        part.load()
    if not len(frames):
        raise UserError(f"{config.data.path}: the train split has no picture")
    return frames, checks


def folded(config: PerceptionConfig, fold: int, folds: int) -> tuple[Frames, Frames]:
    """K-fold: the training split without every `folds`-th of its episodes, and those; routes are never divided.

    Raises UserError where there are fewer episodes than folds.
    """
    frames = Frames(config.data, "train")
    frames.load()
    episodes = sorted({r["episode_index"] for r in frames.records})
    if len(episodes) < folds:
        raise UserError(f"{config.data.path}: {len(episodes)} episodes to train with cannot make {folds} folds")
    held = set(episodes[fold::folds])
    rows = range(len(frames))
    checks = [k for k in rows if frames.records[k]["episode_index"] in held]
    few = [checks[round(k)] for k in np.linspace(0, len(checks) - 1, min(VALIDATED, len(checks)))]
    return frames.only([k for k in rows if frames.records[k]["episode_index"] not in held]), frames.only(few)


def describe(config: PerceptionConfig, frames: Frames) -> Description:
    """What a user of the trained network must know."""
    known = frames.source.info["cameras"]
    cameras = {name: CameraModel.of(known[name]) for name in config.data.cameras or known}
    return Description(
        config.model, config.data.width, config.data.height, frames.signs, cameras, frames.light_shares()
    )


def _few(config: PerceptionConfig) -> DataConfig:
    limit = min(config.data.limit or VALIDATED, VALIDATED)
    return replace(config.data, limit=limit)


def train(
    config: PerceptionConfig,
    run: RunDirectory,
    tracking: Tracking,
    progress: Progress,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
    data: tuple[Frames, Frames] | None = None,
) -> Result:
    """Train as `config` says, or go on from the run's newest checkpoint; see `training.fit`.

    data: as `load_data` gives it, where it is read already.
    """
    frames, checks = data or load_data(config)
    training.seed_all(config.seed)
    description = describe(config, frames)
    module = PerceptionModule(config, len(frames.signs), description.states)
    if not resume or run.latest() is None:  # one that goes on leaves it as it is, also where its checkpoint is refused
        description.write(run.path / DESCRIPTION)
    if config.train.strategy != "fsdp":  # which shards contiguous parameters alone
        module.to(memory_format=torch.channels_last)
    sets = Data(frames, checks if len(checks) else None, collate)
    return training.fit(
        module, sets, config.train, config.clip, run, tracking, progress, seed=config.seed, resume=resume, stop=stop
    )
