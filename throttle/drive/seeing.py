"""A trained perception at the wheel: its cameras, and the Scene that it makes of their pictures."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from contracts import LightState, Scene
from perception.perceive import Perceiver
from sim.recorder.config import CameraConfig
from throttle.drive.parts import DT, View

LIGHT_BACK, SIGN_BACK = 11.0, 3.0
"""Metres that the car stays farther from the line of a light or a stop sign than it would with the truth: both stand at
their line, so that from there they are above or beside the picture. A mast's lights leave it 13 m before the line; a
planner stands some 4 m before what it is told, and creeps up to 2 m nearer as the looks at the line differ."""


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
        back = SIGN_BACK if scene.light == LightState.NONE else LIGHT_BACK
        return replace(scene, stop_distance=max(scene.stop_distance - back, 0.0))
