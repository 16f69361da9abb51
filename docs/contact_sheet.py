"""Draws the pictures of docs/images: every shipped town, three views in five weathers, and one view by every sensor.

python docs/contact_sheet.py [TOWN ...], each a shipped town or an .xodr file.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")

import cv2
import numpy as np

from sim import roads
from sim.sensors.camera import Camera
from sim.sensors.show import Stage, save_picture
from sim.sensors.weather import Weather

IMAGES = Path(__file__).parent / "images"
WEATHERS = ("ClearNoon", "CloudySunset", "FogNoon", "HardRainNoon", "HardRainNight")
VIEWS = ("driver", "roadside", "bird")
SENSORS = ("rgb", "semantic", "instance", "depth", "normal", "lidar")


def small(picture: np.ndarray, width: int) -> np.ndarray:
    """The picture scaled to a width."""
    return cv2.resize(picture, (width, picture.shape[0] * width // picture.shape[1]), interpolation=cv2.INTER_AREA)


def busiest(stage: Stage) -> int:
    """A car on a street with many others before it, none of them so near that it hides the rest."""
    v = stage.world.state.vehicles
    x, y, cos, sin = v.x[0], v.y[0], v.cos[0][:, None], v.sin[0][:, None]
    dx, dy = x - x[:, None], y - y[:, None]
    ahead, aside = dx * cos + dy * sin, np.abs(dy * cos - dx * sin)
    crowd = ((ahead > 6) & (ahead < 70) & (aside < 9)).sum(1)
    hidden = ((ahead > 2) & (ahead < 9) & (aside < 2.5)).any(1)
    street = stage.tables.junction[np.maximum(v.lane[0], 0)] < 0
    return int(np.argmax((1 + crowd) * street * ~hidden * (v.kind[0] == 0)))


def draw(town: str) -> None:
    """Sheets of one town: weathers across, views down; and its sensors."""
    stage = Stage(town, vehicles=60, walkers=60, seed=3)
    stage.advance(15.0)
    vehicle = busiest(stage)
    rows = []
    for view in VIEWS:
        pictures = []
        for weather in WEATHERS:
            stage.weather = Weather.named(weather)
            camera = stage.aim(view, vehicle, Camera(width=640, height=360))
            pictures.append(small(stage.picture(camera, hide=vehicle if view == "driver" else -1), 400))
        rows.append(np.hstack(pictures))
    name = Path(town).stem.lower()
    save_picture(IMAGES / f"{name}.jpg", np.vstack(rows))
    stage.weather = Weather.named("ClearNoon")
    camera = stage.aim("driver", vehicle, Camera(width=640, height=360))
    pictures = [small(stage.picture(camera, sensor, hide=vehicle), 480) for sensor in SENSORS]
    save_picture(IMAGES / f"{name}-sensors.jpg", np.vstack([np.hstack(pictures[:3]), np.hstack(pictures[3:])]))
    for weather in ("ClearNoon", "HardRainNight") if town == "Gridley" else ():
        stage.weather = Weather.named(weather)
        big = stage.picture(replace(camera, width=1280, height=720), hide=vehicle)
        save_picture(IMAGES / f"{name}-{weather.lower()}.jpg", big)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or roads.towns():
        draw(chosen)
        print(chosen)
