"""Each scenario takes place: what it is named after is seen in the driving that was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from contracts import ObjectClass
from sim.recorder.config import SCENARIOS
from sim.recorder.reader import Dataset
from throttle.cli import main

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Sight:
    """One object in one row: seconds, place and speed as seen from the ego, and where it is beside the route ahead.

    gap: metres from the route's next 64 points; ahead: which of these is the nearest; turned: its heading less the
    route's there, 0..pi.
    """

    time: float
    kind: int
    x: float
    y: float
    speed: float
    gap: float
    ahead: int
    turned: float
    bend: float
    """The route's heading 40 m ahead, radians, positive to the right."""


def sights(rows: Rows) -> dict[int, list[Sight]]:
    """By id, in the order of time."""
    found: dict[int, list[Sight]] = {}
    for row in rows:
        route = np.reshape(row["route"], (-1, 2))
        heading = np.unwrap(np.arctan2(np.gradient(route[:, 1]), np.gradient(route[:, 0])))
        centre, velocity = np.reshape(row["objects.centre"], (-1, 2)), np.reshape(row["objects.velocity"], (-1, 2))
        for k, number in enumerate(row["objects.id"]):
            gaps = np.hypot(*(route - centre[k]).T)
            n = int(np.argmin(gaps))
            turned = abs(float(np.angle(np.exp(1j * (row["objects.yaw"][k] - heading[n])))))
            sight = Sight(
                row["timestamp"], row["objects.kind"][k], *centre[k].tolist(), float(np.hypot(*velocity[k])),
                float(gaps[n]), n, turned, float(heading[40]),
            )  # fmt: skip
            found.setdefault(number, []).append(sight)
    return found


def pairs(track: list[Sight], within: float) -> Iterator[tuple[Sight, Sight]]:
    """An earlier and a later sight of one object, at most so many seconds apart."""
    for k, one in enumerate(track):
        for two in track[k + 1 :]:
            if two.time - one.time > within:
                break
            yield one, two


def vehicle(sight: Sight) -> bool:
    return sight.kind not in (ObjectClass.PEDESTRIAN, ObjectClass.STATIC)


SEEN: dict[str, Callable[[list[Sight]], bool]] = {
    "hard_brake": lambda t: any(
        a.speed > 4.0 and b.speed < 0.5 and max(a.gap, b.gap) < 1.5 and 3 < b.ahead < 40 for a, b in pairs(t, 2.5)
    ),
    "cut_in": lambda t: any(
        a.gap > 1.6 and b.gap < 1.0 and b.speed > 1.0 and 3 < b.ahead < 30 and b.turned < 0.5 for a, b in pairs(t, 6.0)
    ),
    "pedestrian": lambda t: any(
        s.kind == ObjectClass.PEDESTRIAN and s.speed > 1.0 and s.gap < 1.5 and 2 < s.ahead < 45 for s in t
    ),
    "red_light_runner": lambda t: any(
        vehicle(s) and s.speed > 4.0 and s.gap < 2.5 and 1 < s.ahead < 50 and 0.7 < s.turned < 2.4 for s in t
    ),
    "unprotected_turn": lambda t: any(
        vehicle(s) and s.speed > 3.0 and s.bend < -0.7 and s.turned > 2.4 and 0.0 < s.x < 50.0 for s in t
    ),
    "obstacle": lambda t: any(
        vehicle(a) and a.speed < 0.1 and b.speed < 0.1 and a.gap < 1.5 and a.x > 8.0 and b.x < -5.0
        for a, b in pairs(t, 40.0)
    ),
    "merging": lambda t: any(
        a.turned > 0.6 and b.turned < 0.3 and b.gap < 1.0 and b.speed > 2.0 and 2 < b.ahead < 45
        for a, b in pairs(t, 5.0)
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """One episode of each."""
    root = tmp_path_factory.mktemp("scenarios")
    config = {
        "towns": ["Gridley"], "train": len(SCENARIOS), "validation": 0, "test": 0, "shortest": 120, "longest": 300,
        "seconds": 60, "scenarios": list(SCENARIOS), "cameras": {}, "lidar": {"enabled": False},
        "noise": {"every": 0.0}, "traffic": {"vehicles": 12, "walkers": 6, "densities": [1.0]}, "seed": 2,
    }  # fmt: skip
    (root / "config.yaml").write_text(yaml.safe_dump(config))
    words = ["--config", str(root / "config.yaml"), "--out", str(root / "d"), "--artifact", "none", "--workers", "1"]
    assert main(["record", *words]) == 0
    return Dataset(Path(root / "d"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SCENARIOS)
def test_it_takes_place(recorded: Dataset, name: str) -> None:
    (episode,) = [e for e in recorded.episodes if e["scenario"] == name]
    rows = recorded.driving(episode["episode_index"]).to_pylist()
    assert any(SEEN[name](track) for track in sights(rows).values())
    assert not any(row["events"] for row in rows)
