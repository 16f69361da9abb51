"""The perception of a running car: pictures and lidar to a Scene. Route, own motion and speed limit are given (they

come from navigation and odometry); objects, lights and stop lines come from the sensors alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from contracts import Ego, Objects, Scene, UserError
from perception.classes import MOVERS
from perception.config import ModelConfig
from perception.lift import CameraModel, Lifted, lift
from perception.lines import LOOKED_AT, StopLines
from perception.model import PerceptionNet
from perception.output import Detections
from perception.track import Tracker
from training import check_fits, load_weights

DESCRIPTION = "model.json"
SAME_ALONG, SAME_ACROSS = (1.0, 0.1), 0.6
"""Metres, and share of the distance, along the line of sight, and metres across it, within which two movers are one."""


@dataclass(frozen=True)
class Description:
    """What is needed beside the weights to use a network: it lies in the run's folder as model.json."""

    model: ModelConfig
    width: int
    height: int
    signs: tuple[str, ...]
    cameras: dict[str, CameraModel]
    states: tuple[float, ...] = ()
    """Shares of the states of lights (`classes.STATES`) in the training set; empty: not known."""

    def write(self, path: Path) -> None:
        """As a file."""
        cameras = {name: camera.__dict__ for name, camera in self.cameras.items()}
        model = {**self.model.__dict__, "weights": "", "segmenter_weights": ""}  # they are in the run's own weights
        content = {**self.__dict__, "model": model, "cameras": cameras}
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Description:
        """From a file; raises UserError where it is none."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            cameras = {name: CameraModel.of(camera) for name, camera in content["cameras"].items()}
            model = ModelConfig(**content["model"])
            signs, states = tuple(content["signs"]), tuple(content.get("states", ()))
            return Description(model, content["width"], content["height"], signs, cameras, states)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: describes no network: {error}") from None


def load_network(run: Path | str, weights: str = "best.pt") -> tuple[PerceptionNet, Description]:
    """The trained network of a run's folder, ready to predict. weights: a file below it, or a checkpoint's folder.

    Raises UserError where something is missing or does not fit.
    """
    folder = Path(run)
    description = Description.read(folder / DESCRIPTION)
    net = PerceptionNet(description.model, len(description.signs), description.states)
    state = load_weights(folder / weights)
    mine = {name.removeprefix("net."): value for name, value in state.items() if name.startswith("net.")}
    check_fits(net, mine, folder / weights)
    net.load_state_dict(mine)
    return net.eval().to(memory_format=torch.channels_last), description  # type: ignore[call-overload]


class Perceiver:
    """A car's perception; keeps tracks from call to call.

    run: folder of a perception run. score: least confidence of an object that is told.
    """

    def __init__(self, run: Path | str, score: float = 0.3, weights: str = "best.pt") -> None:
        self.net, self.description = load_network(run, weights)
        self.score = score
        self.reset()

    def reset(self) -> None:
        """Forget all that was seen, as at the begin of another route."""
        self.tracker = Tracker()
        self.lines = StopLines(self.description.signs)

    def __call__(
        self,
        image: NDArray[np.uint8] | Mapping[str, NDArray[np.uint8]],
        lidar: NDArray[np.float32] | None,
        ego: Ego,
        route: NDArray[np.float32],
        speed_limit: float,
        seconds: float = 0.1,
    ) -> Scene:
        """The Scene of this moment.

        image: [H, W, 3] uint8 RGB of the network's only (or first) camera, or pictures by camera name, of any size with
        the camera's field of view. lidar: [N, 4] points in the ego frame, or None. route: [R, 2] metres, ego frame.
        seconds: since the last call. Raises UserError for a camera that the network was not trained with.
        """
        pictures = image if isinstance(image, Mapping) else {next(iter(self.description.cameras)): image}
        found = self.look(pictures)
        parts = [
            lift(objects, camera, self._scale(camera), lidar)
            for objects, camera in ((found[name], self.description.cameras[name]) for name in pictures)
        ]
        tracks = []
        for track in self.tracker.update(distinct(parts), ego, seconds):
            if track.score >= self.score:
                tracks.append((track, *self.tracker.in_ego(track)))
        light, stop, stop_sign = self.lines.update(list(found.values()), ego, seconds)
        return Scene(ego, _objects(tracks), route, light, stop, stop_sign, speed_limit).validate()

    def look(self, pictures: Mapping[str, NDArray[np.uint8]]) -> dict[str, Detections]:
        """What the network finds in each picture."""
        known, size = self.description.cameras, (self.description.width, self.description.height)
        for name in pictures:
            if name not in known:
                raise UserError(f"the network knows no camera '{name}', only {', '.join(known)}")
        scaled = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in pictures.values()]
        images = torch.from_numpy(np.stack(scaled)).permute(0, 3, 1, 2)
        focals = [known[name].focal * self._scale(known[name])[0] for name in pictures]
        found = self.net.predict(images, focals)
        return {name: mine.above(min(self.score, LOOKED_AT)) for name, mine in zip(pictures, found)}

    def _scale(self, camera: CameraModel) -> tuple[float, float]:
        return self.description.width / camera.width, self.description.height / camera.height


def _objects(tracks: list[Any]) -> Objects:
    if not tracks:
        return Objects.empty()
    single = np.float32
    yaw = [0.0 if math.isnan(heading) else heading for _, _, _, heading in tracks]
    return Objects(
        np.array([track.label for track, *_ in tracks], np.int32),
        np.array([centre for _, centre, _, _ in tracks], single),
        np.array([track.half[:2] for track, *_ in tracks], single),
        np.array(yaw, single),
        np.array([velocity for _, _, velocity, _ in tracks], single),
        np.array([min(max(track.score, 0.0), 1.0) for track, *_ in tracks], single),
    )


def distinct(parts: list[Lifted]) -> Lifted:
    """Objects of several cameras, each once, the surest first taken.

    One that two cameras see, each at its border, is one. So are movers of any classes that one camera sees at almost
    the same place: a cyclist is found as a bicycle and as a pedestrian, a van as a car and as a truck.
    """
    names = list(Lifted.__dataclass_fields__)
    values = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    camera = np.concatenate([np.full(len(part), k) for k, part in enumerate(parts)])
    place, mover = values["centre"][:, :2], values["labels"] < MOVERS
    away = np.linalg.norm(place, axis=1)
    view = place / np.maximum(away, 1e-6)[:, None]
    kept: list[int] = []
    for k in np.argsort(-values["scores"], kind="stable").tolist():
        others = np.array(kept, np.intp)
        gap = place[k] - place[others]
        along = np.abs((gap * view[others]).sum(1))
        across = np.abs(gap[:, 1] * view[others, 0] - gap[:, 0] * view[others, 1])
        same = mover[k] & mover[others] & (along < SAME_ALONG[0] + SAME_ALONG[1] * away[k]) & (across < SAME_ACROSS)
        twice = np.linalg.norm(gap, axis=1) <= float(values["half_extent"][k, 0]) + 0.5
        if not np.where(camera[others] == camera[k], same, twice).any():
            kept.append(k)
    rows = np.array(kept, np.intp)
    return Lifted(**{name: value[rows] for name, value in values.items()})
