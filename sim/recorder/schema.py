"""The dataset format of docs/datasets.md in one place: columns, categories, names of files."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from contracts.plan import PATH_POINTS, SPEED_STEPS
from sim.sensors.labels import Tag

FORMAT, VERSION = "throttle-dataset", 1
SPLITS = ("train", "validation", "test")
ROUTE_POINTS = 64
MAX_OBJECTS = 32
RANGE = 80.0
"""Metres around the ego within which objects, lights and signs are written."""
MIN_PIXELS = 12
"""Objects with fewer visible pixels have no annotation."""
FAR_DEPTH = 65535
"""Depth code (centimetres) of everything farther."""
CATEGORIES = ("car", "truck", "bus", "motorcycle", "bicycle", "pedestrian", "traffic light", "traffic sign")
"""Names in the order of their COCO ids, which begin at 1; the first six are `contracts.ObjectClass` + 1."""
TRAFFIC_LIGHT, TRAFFIC_SIGN = 7, 8
_CARS = (Tag.CAR, Tag.TRUCK, Tag.BUS)  # a server may show a pick-up as a car and call it a truck
TAGS_OF = {
    1: _CARS, 2: _CARS, 3: _CARS, 4: (Tag.MOTORCYCLE, Tag.RIDER), 5: (Tag.BICYCLE, Tag.RIDER),
    6: (Tag.PEDESTRIAN,), 7: (Tag.TRAFFIC_LIGHT,), 8: (Tag.TRAFFIC_SIGN,),
}  # fmt: skip
"""Category -> semantic tags that its pixels have."""


SIGNS = ("stop", "yield", *(f"speed_limit_{v}" for v in range(5, 135, 5)), "other", "back")
"""Types of traffic signs; the column `signs` holds indices into this. `back`: a picture shows its back."""


def _fixed(n: int) -> pa.DataType:
    return pa.list_(pa.float32(), n)


_FLOATS, _INTS = pa.list_(pa.float32()), pa.list_(pa.int32())
DRIVING: pa.Schema = pa.schema(
    [
        ("episode_index", pa.int64()), ("frame_index", pa.int64()), ("timestamp", pa.float32()),
        ("pose", _fixed(6)), ("ego", _fixed(6)),
        ("objects.kind", _INTS), ("objects.id", _INTS), ("objects.centre", _FLOATS), ("objects.half_extent", _FLOATS),
        ("objects.velocity", _FLOATS), ("objects.yaw", _FLOATS),
        ("route", _fixed(2 * ROUTE_POINTS)), ("light", pa.int32()), ("stop_distance", pa.float32()),
        ("speed_limit", pa.float32()), ("stop_sign", pa.bool_()),
        ("plan.path", _fixed(2 * PATH_POINTS)), ("plan.speed", _fixed(SPEED_STEPS)),
        ("control", _fixed(3)), ("applied", _fixed(3)),
        ("lights", _INTS), ("lights.place", _FLOATS), ("signs", _INTS), ("signs.place", _FLOATS),
        ("events", pa.list_(pa.string())), ("perturbed", pa.bool_()), ("reason", pa.string()), ("image", pa.bool_()),
    ]
)  # fmt: skip
"""A row a step: data/episode_XXXXXX.parquet."""
PER_OBJECT = {
    "objects.id": 1, "objects.centre": 2, "objects.half_extent": 2, "objects.velocity": 2, "objects.yaw": 1,
}  # fmt: skip
"""List columns that hold so many numbers an entry of objects.kind."""

EPISODES: pa.Schema = pa.schema(
    [
        ("episode_index", pa.int64()), ("split", pa.string()), ("town", pa.string()), ("route", pa.string()),
        ("weather", pa.string()), ("density", pa.float32()), ("scenario", pa.string()), ("seed", pa.int64()),
        ("rows", pa.int64()), ("images", pa.int64()), ("length", pa.float32()), ("completion", pa.float32()),
        ("driving_score", pa.float32()), ("ended", pa.string()),
    ]
)  # fmt: skip
"""A row an episode: meta/episodes.parquet."""


@dataclass(frozen=True)
class CameraInfo:
    """A camera: its pose in the ego frame (x, y, z metres, roll, pitch, yaw radians), pixels, horizontal fov (rad)."""

    pose: tuple[float, float, float, float, float, float]
    width: int
    height: int
    fov: float
    outputs: tuple[str, ...] = ("rgb", "semantic", "instance", "depth")

    @property
    def focal(self) -> float:
        """Focal length, pixels."""
        return self.width / (2 * math.tan(self.fov / 2))


@dataclass(frozen=True)
class LidarInfo:
    """A lidar: its pose in the ego frame, channels, range (metres), vertical view (radians)."""

    pose: tuple[float, float, float, float, float, float]
    channels: int
    range: float
    upper: float
    lower: float


@dataclass(frozen=True)
class Info:
    """meta/info.json."""

    fps: float
    """Rows a second."""
    image_every: int
    """Steps from picture to picture."""
    towns: tuple[str, ...]
    cameras: dict[str, CameraInfo] = field(default_factory=dict)
    lidar: LidarInfo | None = None
    signs: tuple[str, ...] = SIGNS
    episodes: int = 0
    """Episodes of the whole recording."""
    config: dict[str, Any] = field(default_factory=dict)
    """What the recorder was told."""

    def to_json(self) -> dict[str, Any]:
        """As the file holds it."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "frames": {
                "world": "left-handed, x forward, y right, z up; metres, seconds, m/s, radians",
                "ego": "the ego's actor origin: on the ground, middle of the car",
            },
            "categories": list(CATEGORIES),
            "splits": list(SPLITS),
            **asdict(self),
        }


def data_path(index: int) -> str:
    """Driving rows of an episode, below the dataset's folder."""
    return f"data/episode_{index:06d}.parquet"


def part_path(index: int) -> str:
    """An episode's summary, annotations and digests until the recording is complete."""
    return f"meta/parts/episode_{index:06d}.json"


def journal_path(index: int) -> str:
    """The steps of an episode that is being recorded."""
    return f"meta/parts/episode_{index:06d}.jsonl"


def picture_path(kind: str, camera: str, index: int, frame: int) -> str:
    """A camera's file. kind: images (JPEG), semantic, instance, depth (PNG)."""
    return f"{kind}/{camera}/episode_{index:06d}/{frame:06d}.{'jpg' if kind == 'images' else 'png'}"


def lidar_path(index: int, frame: int) -> str:
    """A lidar's file."""
    return f"lidar/episode_{index:06d}/{frame:06d}.npy"


def is_complete(root: Path) -> bool:
    """The recording below `root` is finished: its digests are there."""
    return (root / "meta/hashes.json").is_file()
