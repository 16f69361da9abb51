"""Render what the recipes learn from: crops of traffic signs, and street scenes with vehicles.

`python -m tools.make_crops [--out throttle/recipes/crops]` writes signs-train.webp, signs-test.webp,
streets-train.webp, streets-test.webp (pictures side by side, ROW in a row) and labels.npz. Training crops are of the
towns Alder and Gridley, test crops of Marlin. The same code gives the same crops, in a few minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")

import cv2
import numpy as np
import numpy.typing as npt

from sim import roads
from sim.roads.network import RoadNetwork
from sim.sensors.camera import Camera, Renderer
from sim.sensors.labels import Tag, boxes_2d
from sim.sensors.scene.profile import KERB
from sim.sensors.scene.signals import SIGN_FACES
from sim.sensors.show import Stage
from sim.sensors.weather import PRESETS, Weather
from sim.sensors.world_view import VEHICLE_ID, WALKER_ID, actors_of, lights_of
from throttle.recipes.crops import FOLDER, ROW, SIGNS, SIZES

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]

TYPES = {"stop": "206", "yield": "205", "no entry": "267", "parking": "314", "crossing": "350"}
WEATHERS = [n for n in PRESETS if not n.startswith(("Dust", "HardRainNight", "FogNight"))]
FACE_HEIGHT = 2.45 + KERB - 0.05  # metres above the road
TOWNS = {"train": ("Alder", "Gridley"), "test": ("Marlin",)}
COUNTS = {("signs", "train"): 1280, ("signs", "test"): 512, ("streets", "train"): 768, ("streets", "test"): 256}
MOST, LEAST = 3, 4.5  # vehicles in a scene; pixels of the shorter side of a box


def resigned(network: RoadNetwork, labels: npt.NDArray[np.int64]) -> RoadNetwork:
    """The town with other faces on its signs: `labels`, indices into SIGNS, in the order of its signs."""
    other = copy.copy(network)
    other.signals, rest = [], iter(labels)
    for signal in network.signals:
        if signal.dynamic or signal.type not in SIGN_FACES:
            other.signals.append(signal)
            continue
        name = SIGNS[next(rest)]
        limit = float(name) / 3.6 if name.isdigit() else None
        kind = "274" if limit is not None else TYPES[name]
        other.signals.append(replace(signal, type=kind, value=limit, unit="km/h" if limit is not None else ""))
    return other


def signs(town: str, count: int, seed: int) -> Iterator[tuple[Image, int]]:
    """Crops of the town's signs, seen from in front at up to 14 m in any weather, and their classes."""
    size, rng = SIZES["signs"], np.random.default_rng(seed)
    network = roads.load(town)
    where = [s for s in network.signals if not s.dynamic and s.type in SIGN_FACES]
    rounds, made = 4, 0
    for round_ in range(rounds):
        labels = rng.permutation(np.resize(np.arange(len(SIGNS)), len(where)))
        renderer = Renderer(resigned(network, labels), seed=seed + round_)
        wanted = count * (round_ + 1) // rounds
        while made < wanted:
            k = int(rng.integers(len(where)))
            x, y, z, yaw = (
                float(v[0]) for v in network.point(where[k].road, np.array([where[k].s]), np.array([where[k].t]))
            )
            away = yaw + (math.pi if where[k].t < 0 else 0.0) + rng.uniform(-0.5, 0.5)
            distance, high = rng.uniform(5.0, 14.0), rng.uniform(1.2, 2.2)
            side = 0.76 / rng.uniform(0.45, 0.85)  # metres that the crop shows
            shift = rng.uniform(-0.12, 0.12, 2) * side / distance
            camera = Camera(
                width=2 * size, height=2 * size, fov=math.degrees(2 * math.atan(side / 2 / distance)),
                x=x + distance * math.cos(away), y=y + distance * math.sin(away), z=z + high,
                yaw=away + math.pi + shift[0], pitch=math.atan((FACE_HEIGHT - high) / distance) + shift[1],
            )  # fmt: skip
            weather = Weather.named(str(rng.choice(WEATHERS)))
            got = renderer.render(camera, None, weather, outputs=("rgb", "semantic"), frame=made)
            if (got["semantic"] == Tag.TRAFFIC_SIGN).mean() < 0.15:
                continue  # something stands before it
            made += 1
            yield cv2.resize(got["rgb"], (size, size), interpolation=cv2.INTER_AREA), int(labels[k])


def streets(town: str, count: int, seed: int) -> Iterator[tuple[Image, Boxes]]:
    """What drivers see, where one to MOST vehicles are in sight: pictures and boxes (left, top, right, bottom; px)."""
    size, rng = SIZES["streets"], np.random.default_rng(seed)
    stage = Stage(town, vehicles=90, walkers=40, seed=seed)
    stage.advance(20.0)
    made = 0
    while made < count:
        stage.advance(2.0)
        state, weather = stage.world.state, Weather.named(str(rng.choice(WEATHERS)))
        for vehicle in rng.permutation(90)[:30].tolist():
            actors = actors_of(state, stage.tables, weather=weather, hide=vehicle)
            camera = stage.aim(
                "driver", vehicle, Camera(width=2 * size, height=2 * size, fov=float(rng.uniform(35, 60)))
            )
            labels = stage.renderer.render(camera, actors, outputs=("instance",))["instance"]
            near = np.where((labels >= VEHICLE_ID) & (labels < WALKER_ID), labels, 0)
            boxes = np.array([*boxes_2d(near, minimum=24).values()], np.float32).reshape(-1, 4) / np.float32(2)
            small = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) < LEAST
            if not 1 <= len(boxes) <= MOST or small.any():
                continue
            got = stage.renderer.render(
                camera, actors, weather, lights_of(state), outputs=("rgb",), time=stage.time, frame=made
            )
            made += 1
            yield cv2.resize(got["rgb"], (size, size), interpolation=cv2.INTER_AREA), boxes
            if made >= count:
                return


def write(path: Path, pictures: list[Image]) -> None:
    """All pictures in one file, ROW in a row."""
    side = len(pictures[0])
    sheet = np.zeros((-(-len(pictures) // ROW) * side, ROW * side, 3), np.uint8)
    for k, picture in enumerate(pictures):
        row, column = divmod(k, ROW)
        sheet[row * side : (row + 1) * side, column * side : (column + 1) * side] = picture
    cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 90])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the files")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    tables: dict[str, npt.NDArray[np.generic]] = {}
    for part, towns in TOWNS.items():
        found = [pair for k, t in enumerate(towns) for pair in signs(t, COUNTS["signs", part] // len(towns), 10 + k)]
        write(args.out / f"signs-{part}.webp", [picture for picture, _ in found])
        tables[f"signs-{part}"] = np.array([label for _, label in found])
        print(f"signs-{part}: {len(found)}", flush=True)
        seen = [pair for k, t in enumerate(towns) for pair in streets(t, COUNTS["streets", part] // len(towns), 20 + k)]
        write(args.out / f"streets-{part}.webp", [picture for picture, _ in seen])
        tables[f"streets-{part}"] = np.concatenate([boxes for _, boxes in seen])
        tables[f"streets-{part}-of"] = np.repeat(np.arange(len(seen)), [len(boxes) for _, boxes in seen])
        print(f"streets-{part}: {len(seen)}", flush=True)
    np.savez_compressed(args.out / "labels.npz", **tables)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
