"""Recorded pictures as training samples; whatever is wrong with one is named, or left out and counted."""

from __future__ import annotations

import copy
import logging
import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from contracts import UserError
from perception.augment import augment
from perception.classes import CLASSES, IGNORE, LIGHT, SIGN, STATES, TAG_TO_TRAIN_ID
from perception.config import DataConfig
from perception.target import Sample, Target, ignore_low
from sim.recorder.reader import Dataset, DatasetError
from training import Draw

log = logging.getLogger(__name__)
REPORTED = 5  # pieces of bad data that are named in the log, of each kind


class Frames(TorchDataset[Sample]):
    """The pictures of one split.

    records: COCO image records; annotations: of each, those that make sense. bad: how many pieces of bad data of each
    kind were left out. Raises DatasetError (a UserError) for a dataset that is missing, unfinished, of another version,
    and, unless `config.damaged` is "skip", for the first piece of bad data.
    """

    def __init__(self, config: DataConfig, split: str, path: str = "") -> None:
        self.config, self.split = config, split
        self.source = Dataset(path or config.path)
        self.bad: Counter[str] = Counter()
        self.signs: tuple[str, ...] = tuple(self.source.info["signs"])
        self._cache: dict[int, tuple[Tensor, Tensor]] = {}
        content = self.source.coco(split)
        self._check_categories(content)
        known = self.source.info["cameras"]
        for name in config.cameras:
            if name not in known:
                raise UserError(f"{self.source.root} has no camera '{name}'; it has {', '.join(known)}")
        wanted = set(config.cameras or known)
        records = [r for r in content["images"] if r["camera"] in wanted]
        by_image: dict[int, list[dict[str, Any]]] = {r["id"]: [] for r in records}
        others = {r["id"] for r in content["images"]}
        for annotation in content["annotations"]:
            image = annotation.get("image_id")
            if image in by_image:
                if self._sound(annotation):
                    by_image[image].append(annotation)
            elif image not in others:
                self._report("annotation of no picture", f"annotation {annotation.get('id')}")
        if not config.empty:
            records = [r for r in records if by_image[r["id"]]]
        if config.limit and len(records) > config.limit:
            records = [records[round(k)] for k in np.linspace(0, len(records) - 1, config.limit)]
        self.records: list[dict[str, Any]] = records
        self.annotations = [by_image[r["id"]] for r in records]
        self._stops = self._stop_distances()

    def __len__(self) -> int:
        return len(self.records)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": {}}

    def load(self) -> None:
        """Read all pictures now, so that bad ones are found before anything starts; keeps them where configured."""
        before, good = len(self), []
        with ThreadPoolExecutor(2) as readers:
            found = list(readers.map(self._try, range(before)))
        for number, picture in enumerate(found):
            if picture is not None:
                good.append(number)
        self.records = [self.records[n] for n in good]
        self.annotations = [self.annotations[n] for n in good]
        if self.config.cache:
            self._cache = {k: found[n] for k, n in enumerate(good)}  # type: ignore[misc]
        if self.bad:
            left = ", ".join(f"{count} {kind}" for kind, count in sorted(self.bad.items()))
            log.warning("%s %s: left out %s", self.source.root, self.split, left)

    def __getitem__(self, draw: Draw) -> Sample:
        for number in range(len(self)):
            item = (draw.item + number) % len(self)
            picture = self._cache.get(item) or self._try(item)
            if picture is not None:  # else it became unreadable since the start, and is to be left out
                target = self.target(item, picture[1])
                image = picture[0]
                if draw.seed is not None:
                    image, target = augment(image, target, self.config, draw.seed)
                return Sample(image, ignore_low(target, self._least_height(item) * self.scale(item)[1]), item)
        raise DatasetError(f"{self.source.root} {self.split}: no picture can be read")

    def camera(self, item: int) -> dict[str, Any]:
        """The camera of a picture, as info.json gives it."""
        camera: dict[str, Any] = self.source.info["cameras"][self.records[item]["camera"]]
        return camera

    def scale(self, item: int) -> tuple[float, float]:
        """Pixels of the scaled picture a pixel of the recorded one, across and down."""
        record = self.records[item]
        return self.config.width / record["width"], self.config.height / record["height"]

    def focal(self, item: int) -> float:
        """Focal length, pixels of the recorded picture."""
        return float(self.records[item]["width"] / (2 * math.tan(self.camera(item)["fov"] / 2)))

    def ignored(self, item: int) -> NDArray[np.bool_]:
        """[N] annotations of a picture that are neither to be found nor to be left alone: too low or too hidden."""
        low = np.array([a["bbox"][3] for a in self.annotations[item]], float) < self._least_height(item)
        return low | self._hidden(item)

    def _least_height(self, item: int) -> float:
        return self.config.least_height * self.focal(item)

    def _hidden(self, item: int) -> NDArray[np.bool_]:
        seen = np.array([a.get("visibility", 1.0) for a in self.annotations[item]], float)
        return seen < self.config.least_visible

    def stop_distance(self, item: int) -> float:
        """Metres from the ego's centre to the stop line that binds, nan where none does."""
        record = self.records[item]
        return self._stops.get((record["episode_index"], record["frame_index"]), math.nan)

    def light_shares(self) -> tuple[float, ...]:
        """Shares of the states (`classes.STATES`) among the lights that count; empty without a light."""
        counts = Counter(
            annotation["state"]
            for item in range(len(self))
            for annotation, ignored in zip(self.annotations[item], self.ignored(item))
            if "state" in annotation and not ignored
        )
        return tuple(counts[state] / counts.total() for state in STATES) if counts else ()

    def only(self, items: list[int]) -> Frames:
        """Some of the pictures, as a set of their own."""
        part = copy.copy(self)
        part.records = [self.records[k] for k in items]
        part.annotations = [self.annotations[k] for k in items]
        part._cache = {n: self._cache[k] for n, k in enumerate(items) if k in self._cache}
        return part

    def original(self, item: int) -> NDArray[np.uint8]:
        """The recorded picture [H, W, 3], red first."""
        return self.source.rgb(self.records[item]["file_name"])

    # -- inside -------------------------------------------------------------------------------------------------------

    def _check_categories(self, content: dict[str, Any]) -> None:
        found = {c["id"]: c["name"] for c in content["categories"]}
        wanted = {k + 1: name for k, name in enumerate(CLASSES)}
        if found != wanted:
            raise DatasetError(f"{self.source.root}: annotations/{self.split}.json has other categories: {found}")

    def _report(self, kind: str, what: str) -> None:
        """Stop at bad data, or count it."""
        if self.config.damaged == "error":
            raise DatasetError(f"{self.source.root} {self.split}: {kind}: {what} (data.damaged=skip leaves it out)")
        self.bad[kind] += 1
        if self.bad[kind] <= REPORTED:
            log.warning("%s %s: left out: %s: %s", self.source.root, self.split, kind, what)

    def _sound(self, annotation: dict[str, Any]) -> bool:
        number = annotation.get("category_id")
        if not isinstance(number, int) or not 1 <= number <= len(CLASSES):
            self._report("unknown class", f"category_id {number} of annotation {annotation.get('id')}")
            return False
        box = annotation.get("bbox")
        numbers = [*(box or []), *(annotation.get("centre") or [])]
        if not box or len(box) != 4 or min(box[2:]) <= 0 or not all(map(math.isfinite, numbers)):
            self._report("bad box", f"{box} of annotation {annotation.get('id')}")
            return False
        if number - 1 == LIGHT and annotation.get("state") not in STATES:
            self._report("unknown light state", f"{annotation.get('state')!r} of annotation {annotation.get('id')}")
            return False
        if number - 1 == SIGN and annotation.get("sign") not in self.signs:
            self._report("unknown sign", f"{annotation.get('sign')!r} of annotation {annotation.get('id')}")
            return False
        return True

    def _try(self, item: int) -> tuple[Tensor, Tensor] | None:
        """Image [3, H, W] uint8 and trainIds [H, W] uint8; None where they are to be left out."""
        record = self.records[item]
        size = (self.config.width, self.config.height)
        try:
            rgb = self.source.rgb(record["file_name"])
            if rgb.shape[:2] != (record["height"], record["width"]):
                raise DatasetError(
                    f"{self.source.root / record['file_name']} is {rgb.shape[1]} x {rgb.shape[0]} pixels"
                )
        except DatasetError as error:
            self._report("damaged picture", str(error))
            return None
        try:
            if "semantic" not in record:
                raise DatasetError(f"{record['file_name']} has no semantic picture")
            tags = self.source.labels(record["semantic"])
            if tags.shape != rgb.shape[:2] or tags.dtype != np.uint8:
                raise DatasetError(f"{self.source.root / record['semantic']} is {tags.dtype} {tags.shape}")
        except DatasetError as error:
            self._report("missing mask", str(error))  # the picture still has its boxes
            tags = np.zeros(rgb.shape[:2], np.uint8)
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        labels = cv2.resize(TAG_TO_TRAIN_ID[tags], size, interpolation=cv2.INTER_NEAREST)
        return torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1))), torch.from_numpy(labels)

    def target(self, item: int, semantic: Tensor | None = None) -> Target:
        """What is known of a picture; without `semantic` all of its pixels are to be ignored."""
        across, down = self.scale(item)
        camera = self.camera(item)
        width, height = self.config.width, self.config.height
        rows = self.annotations[item]
        box = np.array([a["bbox"] for a in rows], np.float32).reshape(-1, 4)
        corners = np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], 1) * [across, down, across, down]
        corners = corners.clip(0, [width, height, width, height])
        labels = np.array([a["category_id"] - 1 for a in rows], np.int64)
        centre = np.array([a["centre"] for a in rows], np.float64).reshape(-1, 3)
        local = to_camera(centre, camera["pose"])
        yaw = np.array([a["yaw"] for a in rows]) - camera["pose"][5]
        binding = np.array([int(a["binding"]) if "binding" in a else -1 for a in rows], np.int64)
        states = [STATES.index(a["state"]) if "state" in a else -1 for a in rows]
        signs = [self.signs.index(a["sign"]) if "sign" in a else -1 for a in rows]
        target = {
            "boxes": torch.from_numpy(corners.astype(np.float32)),
            "labels": torch.from_numpy(labels),
            "depth": torch.from_numpy(np.maximum(local[:, 0], 0.5).astype(np.float32)),
            "alpha": torch.from_numpy((yaw - np.arctan2(local[:, 1], local[:, 0])).astype(np.float32)),
            "state": torch.tensor(states, dtype=torch.int64),
            "sign": torch.tensor(signs, dtype=torch.int64),
            "binding": torch.from_numpy(binding),
            "stop": torch.from_numpy(np.where(binding == 1, self.stop_distance(item), math.nan).astype(np.float32)),
            "ignore": torch.from_numpy(self._hidden(item)),
            "focal": torch.tensor([across * self.focal(item)], dtype=torch.float32),
        }
        target["semantic"] = torch.full((height, width), IGNORE, dtype=torch.uint8) if semantic is None else semantic
        return target

    def _stop_distances(self) -> dict[tuple[int, int], float]:
        """(episode, frame) -> metres to the stop line that binds, where one does."""
        found: dict[tuple[int, int], float] = {}
        for episode in sorted({r["episode_index"] for r in self.records}):
            table = self.source.driving(episode, ["frame_index", "stop_distance"])
            for frame, metres in zip(table["frame_index"].to_pylist(), table["stop_distance"].to_pylist()):
                if math.isfinite(metres):
                    found[episode, frame] = metres
        return found


def to_camera(points: NDArray[np.float64], pose: list[float]) -> NDArray[np.float64]:
    """Points [N, 3] of the ego frame in a camera's frame (x along the axis, y right, z up)."""
    return (points - np.array(pose[:3])) @ rotation(*pose[3:])


def rotation(roll: float, pitch: float, yaw: float) -> NDArray[np.float64]:
    """[3, 3] that turns a camera's axes into the ego's, angles as CARLA's (radians)."""
    from sim.sensors.actors import rotations

    turn: NDArray[np.float64] = rotations(*np.array([[roll], [pitch], [yaw]], np.float32))[0].astype(np.float64)
    return turn
