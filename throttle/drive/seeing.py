"""A trained perception at the wheel: its cameras, and the Scene that it makes of their pictures."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from contracts import Scene
from perception.perceive import Perceiver
from sim.recorder.config import CameraConfig
from throttle.drive.parts import DT, View

STAND_BACK = 3.0
"""Metres that the car stays farther from a stop line than it would with the truth: lights and signs stand at their
line, so that from there they are beside or above the picture."""


class Seeing:
    """The perception of a run. cameras: those that it was trained with, as sensors for the ego."""

    def __init__(self, run: Path, every: int) -> None:
        """every: steps between two looks."""
        self._perceiver = Perceiver(run)
        self._seconds = every * DT
        self.cameras: dict[str, CameraConfig] = {}
        for name, camera in self._perceiver.description.cameras.items():
            x, y, z, _, pitch, yaw = camera.pose
            self.cameras[name] = CameraConfig(
                x=x, y=y, z=z, pitch=math.degrees(pitch), yaw=math.degrees(yaw), width=camera.width,
                height=camera.height, fov=math.degrees(camera.fov), outputs=("rgb",),
            )  # fmt: skip

    def begin(self) -> None:
        """A new route."""
        self._perceiver.reset()

    def see(self, view: View, known: Scene) -> Scene:
        """What the network finds; route, own motion and speed limit are known."""
        pictures = {name: np.ascontiguousarray(bgr[..., ::-1]) for name, bgr in view.pictures.items()}
        scene = self._perceiver(pictures, view.lidar, known.ego, known.route, known.speed_limit, self._seconds)
        return replace(scene, stop_distance=max(scene.stop_distance - STAND_BACK, 0.0))
