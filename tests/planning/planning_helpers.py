"""A small dataset in the recorder's format, driven by the expert in the batched world."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from planning.dagger import Lesson, drive
from planning.data import Episodes
from planning.scenes import FAR
from sim.driving.batch import Batch, BatchConfig
from sim.driving.expert import REASONS
from sim.driving.routes import named_routes
from sim.recorder import schema
from sim.recorder.writer import parquet_bytes
from sim.roads import load


def recorded(town: str, split: str, routes: int, seconds: float, seed: int = 0, density: float = 6.0) -> Episodes:
    """What the expert does on a few routes, 5 rows a second."""
    network = load(town)
    batch = Batch(network, named_routes(network, split, routes, seed), BatchConfig(density=density, seed=seed + 1))
    episodes = drive(batch, None, Lesson(seconds, every=2), seed)
    assert episodes is not None
    return episodes


def write_dataset(root: Path, parts: list[tuple[str, Episodes]]) -> None:
    """(split, episodes) as a dataset folder, docs/datasets.md."""
    (root / "data").mkdir(parents=True)
    (root / "meta").mkdir()
    rows, number, index = [], 0, 0
    for split, e in parts:
        for k in np.unique(e.episode).tolist():
            mine = np.flatnonzero(e.episode == k)
            table = pa.Table.from_pylist(
                [_row(e, i, number, f, index + f) for f, i in enumerate(mine)], schema=schema.DRIVING
            )
            pq.write_table(table, root / schema.data_path(number))
            rows.append(
                {
                    "episode_index": number, "split": split, "town": e.towns[k], "route": e.names[k], "weather": "",
                    "density": e.densities[k], "scenario": "", "seed": 0, "rows": len(mine), "images": 0,
                    "length": 0.0, "completion": 1.0, "driving_score": 100.0, "ended": "completed",
                }
            )  # fmt: skip
            number, index = number + 1, index + len(mine)
    (root / "meta/episodes.parquet").write_bytes(parquet_bytes(rows, schema.EPISODES))
    info = schema.Info(fps=1.0 / parts[0][1].period, image_every=1, towns=("Alder",), episodes=number)
    (root / "meta/info.json").write_text(json.dumps(info.to_json()))
    (root / "meta/hashes.json").write_text("{}")
    (root / "meta/stats.json").write_text("{}")


def _row(e: Episodes, i: int, number: int, frame: int, index: int) -> dict[str, object]:
    n = int((e.scenes.kind[i] >= 0).sum())
    o = e.scenes.objects[i, :n]
    x, y, yaw = e.pose[i].tolist()
    stop, sign, limit = e.scenes.rules[i].tolist()
    return {
        "episode_index": number, "frame_index": frame, "timestamp": float(e.time[i]),
        "pose": [x, y, 0.0, 0.0, 0.0, yaw], "ego": e.scenes.ego[i].tolist(),
        "objects.kind": e.scenes.kind[i, :n].tolist(), "objects.id": e.ids[i, :n].tolist(),
        "objects.centre": o[:, 0:2].reshape(-1).tolist(), "objects.half_extent": o[:, 2:4].reshape(-1).tolist(),
        "objects.velocity": o[:, 5:7].reshape(-1).tolist(), "objects.yaw": o[:, 4].tolist(),
        "route": e.scenes.route[i].reshape(-1).tolist(), "light": int(e.scenes.light[i]),
        "stop_distance": stop if stop < FAR else float("inf"), "speed_limit": limit, "stop_sign": bool(sign),
        "plan.path": e.path[i].reshape(-1).tolist(), "plan.speed": e.speed[i].tolist(),
        "control": [0.0] * 3, "applied": [0.0] * 3, "lights": [], "lights.place": [], "signs": [], "signs.place": [],
        "events": [], "perturbed": False, "reason": REASONS[int(e.reason[i])], "image": False,
    }  # fmt: skip
