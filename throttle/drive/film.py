"""A camera behind the ego, and the clips of what went wrong: some seconds before each infraction and after it."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Any

import carla
import cv2
import numpy as np
from numpy.typing import NDArray

from sim.client import Simulator
from sim.driving.loop import Step
from sim.sensors.show import open_video

WIDTH, HEIGHT = 400, 224
RATE = 5
"""Pictures a second of simulated time."""
BEFORE, AFTER = 4.0, 2.0
"""Seconds of a clip."""
MOST = 6
"""Clips of one route."""
EVERY = 4
"""Steps between two pictures."""


class Film:
    """Keeps the last seconds; `mark` begins a clip, `save` writes them."""

    def __init__(self, sim: Simulator, ego: Any, steady: bool) -> None:
        """steady: the server's sensors can be told to measure every so many seconds."""
        place = carla.Transform(carla.Location(-7.5, 0.0, 3.6), carla.Rotation(pitch=-12.0))
        tick = {"sensor_tick": f"{1 / RATE:.6f}"} if steady else {}
        self._camera = sim.spawn(
            "sensor.camera.rgb", place, ego, image_size_x=WIDTH, image_size_y=HEIGHT, fov=90, **tick
        )
        self._latest: NDArray[np.uint8] | None = None
        self._lock = threading.Lock()
        self._recent: deque[bytes] = deque(maxlen=round(BEFORE * RATE))
        self._clips: dict[int, list[bytes]] = {}
        self._left: dict[int, int] = {}
        self._words = ""
        self._camera.listen(self._take)

    def _take(self, image: Any) -> None:
        pixels = np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)[..., :3]
        with self._lock:
            self._latest = np.ascontiguousarray(pixels)

    def add(self, step: Step, seconds: float) -> None:
        """Take in the latest picture, with time, speed and what happened written on it."""
        if step.number % EVERY:
            return
        with self._lock:
            picture = None if self._latest is None else self._latest.copy()
        if picture is None:
            return
        words = f"{seconds:6.1f} s  {3.6 * max(step.around.ego.speed, 0.0):3.0f} km/h  {self._words}"
        cv2.rectangle(picture, (0, 0), (WIDTH, 18), (20, 16, 12), -1)
        cv2.putText(picture, words, (6, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (235, 235, 235), 1, cv2.LINE_AA)
        fine, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        if not fine:
            return
        self._recent.append(data.tobytes())
        for number in list(self._left):
            self._clips[number].append(self._recent[-1])
            self._left[number] -= 1
            if self._left[number] <= 0:
                del self._left[number]
        if not self._left:
            self._words = ""

    def mark(self, number: int, kind: str) -> None:
        """Infraction `number` happens now."""
        if len(self._clips) < MOST:
            self._clips[number] = list(self._recent)
            self._left[number] = round(AFTER * RATE)
            self._words = kind.replace("_", " ").upper()

    def save(self, folder: Path, stem: str) -> dict[int, str]:
        """Write the clips into `folder`; number of the infraction -> file name."""
        found = {}
        for number, pictures in self._clips.items():
            if not pictures:
                continue
            name = f"{stem}-{number}.mp4"
            with open_video(folder / name, WIDTH, HEIGHT, RATE) as write:
                for data in pictures:
                    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
                    if decoded is not None:
                        write(np.ascontiguousarray(decoded[..., ::-1], np.uint8))
            found[number] = name
        return found
