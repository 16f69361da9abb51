"""What a perception network says about one picture; the same type from every detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Detections:
    """N objects found in a picture, in pixels of the scaled picture, the most certain first.

    boxes: [N, 4] left, top, right, bottom. labels: [N] place in CLASSES. scores: [N] 0..1. depth: [N] metres along the
    optical axis, nan where the network does not estimate it. alpha: [N] yaw less the bearing, radians, nan likewise.
    state: [N] place in STATES (of lights), sign: [N] place in the dataset's signs (of signs), -1 for other classes.
    binding: [N] 0..1, whether the light or sign binds the ego, nan for other classes. stop: [N] metres to the stop line
    if it does. semantic: [H, W] uint8 trainIds, None without segmentation.
    """

    boxes: F32
    labels: I64
    scores: F32
    depth: F32
    alpha: F32
    state: I64
    sign: I64
    binding: F32
    stop: F32
    semantic: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def above(self, score: float) -> Detections:
        """Those with at least this score."""
        rows = self.scores >= score
        values = {name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "semantic"}
        return Detections(**values, semantic=self.semantic)
