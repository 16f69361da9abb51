"""What a dataset holds, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.recorder import schema
from sim.recorder.reader import Dataset

BANDS = (10.0, 20.0, 40.0, 80.0)
"""Upper ends of the distances that objects are counted by, metres."""


@dataclass(frozen=True)
class Summary:
    """splits: split -> episodes, rows, pictures, km, mean driving score. classes: category -> objects by distance band.

    situations: scenario -> episodes, share completed, mean driving score, infractions. weathers, towns, ended, reasons,
    events: name -> count. size: bytes.
    """

    splits: dict[str, dict[str, float]]
    classes: dict[str, list[int]]
    situations: dict[str, dict[str, float]]
    weathers: dict[str, int]
    towns: dict[str, int]
    ended: dict[str, int]
    reasons: dict[str, int]
    events: dict[str, int]
    lights: dict[str, int]
    perturbed: float
    size: int


def summary(data: Dataset) -> Summary:
    """Count everything. Raises DatasetError where a file is damaged."""
    splits: dict[str, dict[str, float]] = {}
    classes = {name: [0] * len(BANDS) for name in schema.CATEGORIES}
    lights: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    events: Counter[str] = Counter()
    perturbed = rows = 0
    infractions: Counter[str] = Counter()
    for split in schema.SPLITS:
        mine = [e for e in data.episodes if e["split"] == split]
        metres = 0.0
        for episode in mine:
            table = data.driving(episode["episode_index"], ["ego", "reason", "events", "perturbed"])
            speed = table["ego"].combine_chunks().flatten().to_numpy().reshape(-1, 6)[:, 0]
            metres += float(np.abs(speed).sum()) / data.info["fps"]
            reasons.update(table["reason"].to_pylist())
            counted_here = [kind for row in table["events"].to_pylist() for kind in row]
            events.update(counted_here)
            infractions[episode["scenario"]] += len(counted_here)
            perturbed += sum(table["perturbed"].to_pylist())
            rows += table.num_rows
        splits[split] = {
            "episodes": len(mine),
            "rows": sum(e["rows"] for e in mine),
            "images": sum(e["images"] for e in mine),
            "km": metres / 1000,
            "driving_score": float(np.mean([e["driving_score"] for e in mine])) if mine else float("nan"),
        }
        for box in data.coco(split)["annotations"] if data.info["cameras"] else ():
            band = int(np.searchsorted(BANDS, box["distance"]))
            classes[schema.CATEGORIES[box["category_id"] - 1]][min(band, len(BANDS) - 1)] += 1
            if "state" in box:
                lights[box["state"]] += 1
    hashes: dict[str, Any] = data.json("meta/hashes.json")

    def counted(key: str) -> dict[str, int]:
        return dict(sorted(Counter(str(e[key]) for e in data.episodes).items()))

    situations = {}
    for name in sorted({e["scenario"] for e in data.episodes}):
        mine = [e for e in data.episodes if e["scenario"] == name]
        situations[name] = {
            "episodes": len(mine),
            "completed": float(np.mean([e["ended"] == "completed" for e in mine])),
            "driving_score": float(np.mean([e["driving_score"] for e in mine])),
            "infractions": infractions[name],
        }

    return Summary(
        splits, classes, situations, counted("weather"), counted("town"), counted("ended"),
        dict(reasons.most_common()), dict(events.most_common()), dict(sorted(lights.items())),
        perturbed / max(rows, 1), sum(entry["size"] for entry in hashes.values()),
    )  # fmt: skip
