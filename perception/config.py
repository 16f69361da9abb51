"""The configuration of a perception training: one documented field per option, checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clipping import ClipConfig, ClippingError, GradientClipper
from contracts import UserError
from training import TrainConfig, within

Detector = Literal["centre", "ssdlite", "fcos", "retinanet", "fasterrcnn", "none"]
Segmenter = Literal["shared", "lraspp", "deeplabv3", "none"]
Policy = Literal["error", "skip"]


@dataclass
class DataConfig:
    """Which pictures, and what to do with bad ones."""

    path: str = ""
    """Folder of a dataset as docs/datasets.md describes it."""
    cameras: list[str] = field(default_factory=list)
    """Cameras to use; empty: all of the dataset."""
    width: int = 448
    """Width that pictures are scaled to, a multiple of 32."""
    height: int = 224
    """Height that pictures are scaled to, a multiple of 32."""
    limit: int = 0
    """At most so many pictures of each split, evenly spread; 0: all."""
    damaged: Policy = "error"
    """A picture or mask that is missing or cannot be read, an annotation that makes no sense (an unknown class, a box
    without size): stop and name it, or leave it out and count it."""
    empty: bool = True
    """Use pictures without any object too."""
    cache: bool = True
    """Keep the scaled pictures in memory: 400 kB each at the default size."""
    least_height: float = 0.025
    """Objects lower than this share of the focal length are ignored: not trained on, and finding them is neither right
    nor wrong. 0.025 is a traffic light's head at 40 m, a car at 60 m; KITTI's limit (25 pixels of 721) is 0.035."""
    least_visible: float = 0.3
    """Objects of which a smaller share is visible are ignored likewise."""
    flip: float = 0.5
    """Augmentation: share of pictures mirrored."""
    zoom: float = 0.6
    """Augmentation: pictures are scaled by a factor between 1 / (1 + zoom) and 1 + zoom, and cropped or framed."""
    jitter: float = 0.4
    """Augmentation: brightness, contrast and saturation vary by this share."""
    gamma: float = 1.0
    """Augmentation: levels of half of the pictures are raised to a power between 1 / (1 + gamma) and 1 + gamma."""
    blur: float = 0.1
    """Augmentation: share of pictures blurred."""

    def __post_init__(self) -> None:
        within("data.", self, width=(64, 4096), height=(64, 4096), limit=(0, 1 << 40),
               least_height=(0, 10), least_visible=(0, 1), flip=(0, 1), zoom=(0, 4),
               jitter=(0, 1), gamma=(0, 9), blur=(0, 1))  # fmt: skip
        if self.width % 32 or self.height % 32:
            raise UserError(f"data.width and data.height must be multiples of 32, not {self.width} x {self.height}")


@dataclass
class ModelConfig:
    """The networks."""

    detector: Detector = "centre"
    """centre: our own, all tasks on one small backbone, trained from scratch. The others are torchvision's."""
    segmenter: Segmenter = "shared"
    """shared: a head on the backbone of `centre`. The others are torchvision's (mobilenet v3)."""
    channels: list[int] = field(default_factory=lambda: [24, 32, 64, 128, 192])
    """Widths of centre's backbone at strides 2, 4, 8, 16, 32."""
    neck: int = 48
    """Width of centre's feature map at stride 4."""
    norm: Literal["batch", "group"] = "batch"
    """Of centre. group does not depend on how a batch is divided among devices."""
    weights: str = ""
    """A local file of weights for the torchvision detector (a state dict as torchvision publishes it): layers whose
    shape differs, such as the classes, start fresh. Nothing is ever downloaded."""
    segmenter_weights: str = ""
    """The same for the torchvision segmenter."""

    def __post_init__(self) -> None:
        if len(self.channels) != 5 or any(isinstance(c, bool) or not 4 <= c <= 4096 or c % 4 for c in self.channels):
            raise UserError(f"model.channels must be five multiples of 4, got {self.channels}")
        within("model.", self, neck=(4, 4096))
        if self.neck % 4:
            raise UserError(f"model.neck must be a multiple of 4, got {self.neck}")
        if self.segmenter == "shared" and self.detector != "centre":
            raise UserError(f"model.segmenter shared needs model.detector centre, not {self.detector}")
        if self.detector == "none" and self.segmenter == "none":
            raise UserError("model.detector and model.segmenter are both none: nothing would be learned")
        if self.weights and self.detector in ("centre", "none"):
            raise UserError(f"model.weights are for torchvision's detectors, not for {self.detector}")
        if self.segmenter_weights and self.segmenter in ("shared", "none"):
            raise UserError(f"model.segmenter_weights are for torchvision's segmenters, not for {self.segmenter}")
        for path in (self.weights, self.segmenter_weights):
            if path and not Path(path).is_file():
                raise UserError(f"{path}: there is no such file of weights")


def _train() -> TrainConfig:
    # by steps, not by the clock: the same weights for a seed, however busy the machine is
    return TrainConfig(
        steps=2000, batch=8, lr=3e-3, weight_decay=1e-3, warmup=100, ema=0.99, precision="auto", validate_every=500,
        checkpoint_every=250,
    )  # fmt: skip


@dataclass
class PerceptionConfig:
    """A perception training."""

    name: str = "perception"
    """The run's folder is runs/<date>-<name>."""
    seed: int = 0
    """Weights, order of the data and augmentation follow from it."""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=_train)
    clip: ClipConfig = field(default_factory=lambda: ClipConfig("global_norm", threshold=10.0, subsystem="perception"))
    """The shared gradient clipper. Groups may hold the patterns detector.backbone* and detector.heads*."""
    keep: int = 2
    """Newest checkpoints that stay on disk."""

    def __post_init__(self) -> None:
        within("", self, seed=(0, 10**9), keep=(1, 1000))
        try:
            GradientClipper.from_config(self.clip)
        except ClippingError as error:
            raise UserError(f"clip: {error}") from None
