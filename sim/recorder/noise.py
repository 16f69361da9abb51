"""Pushes on the steering wheel from which the expert recovers."""

from __future__ import annotations

import math

import numpy as np

from contracts import Control
from sim.driving.loop import Step
from sim.recorder.config import NoiseConfig

CLEAR = 7.0
"""Metres: no push begins with anything nearer than this beside or before the ego."""


class Noise:
    """Give `change` to sim.driving.loop.steps; `active` says whether this step is being pushed."""

    def __init__(self, config: NoiseConfig, seed: int, dt: float) -> None:
        self.config, self._dt = config, dt
        self._rng = np.random.default_rng([seed, 3])
        self._wait = self._draw()
        self._since, self._peak = math.inf, 0.0
        self.active = False

    def _draw(self) -> float:
        return float(self._rng.exponential(self.config.every)) + 2.0 if self.config.every > 0 else math.inf

    def change(self, step: Step) -> Control:
        """The control that the car is given."""
        wanted = step.decision.control
        self._wait -= self._dt
        self._since += self._dt
        if self._wait <= 0 and not self.active and _free(step):
            self._wait = self._draw()
            self._since = 0.0
            self._peak = float(self._rng.choice([-1.0, 1.0]) * self._rng.uniform(0.4, 1.0) * self.config.strength)
        self.active = self._since < self.config.seconds
        if not self.active:
            return wanted
        swell = 1.0 - abs(2.0 * self._since / self.config.seconds - 1.0)
        slow = min(1.0, 6.0 / max(step.around.ego.speed, 1.0))
        steer = min(max(wanted.steer + self._peak * swell * slow, -1.0), 1.0)
        return Control(wanted.throttle, wanted.brake, steer)


def _free(step: Step) -> bool:
    """The ego drives along a lane outside junctions and nobody is close."""
    around, tracker = step.around, step.referee.tracker
    lane = int(tracker.lanes[min(tracker.index + 10, len(tracker.lanes) - 1)])
    if around.ego.speed < 3.0 or abs(tracker.offset) > 0.4 or tracker.tables.junction[lane] >= 0:
        return False
    return bool((around.away - around.half_extent[:, 0] > CLEAR).all())
