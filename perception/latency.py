"""How long a network takes for a picture."""

from __future__ import annotations

import time

import numpy as np

from perception.data import Frames
from perception.evaluate import Predictor
from training import Draw


def latency(predictor: Predictor, frames: Frames, pictures: int = 50, warmup: int = 5) -> dict[str, float]:
    """Milliseconds a picture, one at a time, boxes and masks ready on the host: median, p95."""
    times = []
    for number in range(min(pictures, 10_000) + warmup):
        sample = frames[Draw(number % len(frames), None)]
        began = time.perf_counter()
        predictor.predict(sample.image[None], [float(sample.target["focal"])])
        times.append(1000 * (time.perf_counter() - began))
    kept = times[warmup:]
    return {"median_ms": float(np.median(kept)), "p95_ms": float(np.percentile(kept, 95))}
