"""README.md of a dataset: what it is, how it was made, how to read it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from sim.recorder import schema
from sim.recorder.agenda import Assignment
from sim.recorder.files import write_whole

_TEXT = """# A driving dataset

Driving recorded with `throttle record`: {rows:,} rows at {fps:g} Hz in {episodes} episodes, {images:,} camera pictures.
Format: `throttle-dataset` version 1.

| | |
|---|---|
| towns | {towns} |
| episodes | {splits} |
| weather | {weathers} |
| scenarios | {scenarios} |
| cameras | {cameras} |
| lidar | {lidar} |
| driving score (carla-lb-2.0) | {score:.1f} on average, {completed} of {episodes} routes completed |
| seed | {seed} |

No route is in two splits, and no town of `test` in another. {driver}
Everything is simulated: no person or place in it is real.

```python
import json, numpy as np, pyarrow.parquet as pq
info = json.load(open("meta/info.json"))
episodes = pq.read_table("meta/episodes.parquet").to_pylist()
rows = pq.read_table("data/episode_000000.parquet")
coco = json.load(open("annotations/train.json"))        # or pycocotools.coco.COCO("annotations/train.json")
```
"""

_DRIVERS = {
    "expert": """The driver is a rule-based expert that sees the truth;
steering noise is injected (column `perturbed`): `control` is what the expert wanted, `applied` what the car got.""",
    "traffic_manager": """The driver is CARLA's Traffic
Manager: `applied` is what it gave the car; `plan.*`, `control` and `reason` are what a rule-based expert that sees the
truth would have done there.""",
}


def write_card(root: Path, info: schema.Info, agenda: list[Assignment]) -> None:
    """Write README.md; all episodes are committed."""
    parts = [json.loads((root / schema.part_path(a.index)).read_bytes())["summary"] for a in agenda]
    lidar = "none" if info.lidar is None else f"{info.lidar.channels} channels, {info.lidar.range:g} m"
    cameras = [f"{n} {c.width}x{c.height} ({', '.join(c.outputs)})" for n, c in info.cameras.items()]
    counts = Counter(str(a.split) for a in agenda)
    text = _TEXT.format(
        rows=sum(p["rows"] for p in parts),
        fps=info.fps,
        episodes=len(parts),
        images=sum(p["images"] for p in parts),
        towns=", ".join(info.towns),
        splits=", ".join(f"{counts[split]} {split}" for split in schema.SPLITS),
        weathers=_counted([a.weather for a in agenda]),
        scenarios=_counted([a.scenario or "plain traffic" for a in agenda]),
        driver=_DRIVERS[info.config.get("driver", "expert")],
        cameras="; ".join(cameras) or "none",
        lidar=lidar,
        score=sum(p["driving_score"] for p in parts) / max(len(parts), 1),
        completed=sum(p["ended"] == "completed" for p in parts),
        seed=info.config.get("seed", 0),
    )
    write_whole(root / "README.md", text.encode())


def _counted(names: list[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(Counter(names).items()))
