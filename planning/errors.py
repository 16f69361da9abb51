"""How a camera's perception errs, as a few numbers, measured beside the truth (planning/measure.py)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from contracts import ObjectClass, UserError
from training import within

GROUPS = ("car", "large", "two_wheeler", "pedestrian", "static")
GROUP_OF = np.array([0, 1, 1, 2, 2, 3, 4])
"""Of each ObjectClass."""
BOUNDS = (10.0, 20.0, 35.0, 55.0)
"""Metres between the five ranges of distance."""
RANGES = len(BOUNDS) + 1
GHOSTS = 6
"""Places for false objects in a world."""


@dataclass
class ErrorConfig:
    """A perception's errors. Lists of five are by distance: below 10, 20, 35, 55 m and beyond."""

    measured: str = ""
    """Of which perception, by which command, at which commit."""
    view: float = 0.785
    """Half of the field of view, radians."""
    seen: dict[str, list[float]] = field(default_factory=dict)
    """Probability that an object in view, not hidden, is told; by group of classes, a list of five each."""
    hidden: float = 0.3
    """Factor on that probability where another object stands before its centre."""
    seen_seconds: float = 1.0
    """Time constant of being told or not."""
    along: list[float] = field(default_factory=list)
    """Standard deviation of the place along the line of sight, metres; five."""
    nearer: list[float] = field(default_factory=list)
    """Mean of it; five."""
    across: list[float] = field(default_factory=list)
    place_seconds: float = 1.0
    velocity: list[float] = field(default_factory=list)
    """Standard deviation of each component of the velocity, m/s; five."""
    velocity_seconds: float = 1.0
    settle: float = 0.3
    """Seconds in which the velocity of an object that is new grows from 0 to 1 - 1/e of the true one."""
    yaw: float = 0.1
    """Standard deviation of the heading, radians."""
    flipped: float = 0.0
    """Share of the headings that are told the wrong way round."""
    told_as: dict[str, list[float]] = field(default_factory=dict)
    """Probability of each class that an object of a group is told as."""
    half: list[list[float]] = field(default_factory=list)
    """Half length and half width that an object of each class is told to have, metres."""
    confidence: list[float] = field(default_factory=lambda: [0.6, 0.15])
    """Mean and standard deviation."""
    false: float = 0.3
    """Mean number of false objects at a time."""
    false_seconds: float = 0.5
    """Mean time for which one is told."""
    false_distance: list[float] = field(default_factory=lambda: [25.0, 15.0])
    """Mean and standard deviation of its distance, metres."""
    false_speed: float = 2.0
    """Standard deviation of each component of its velocity, m/s."""
    false_confidence: list[float] = field(default_factory=lambda: [0.4, 0.08])
    """Mean and standard deviation."""
    false_kinds: list[float] = field(default_factory=list)
    """Probability of each class."""
    light: list[float] = field(default_factory=list)
    """Probability that a light that binds is told; five."""
    light_seconds: float = 1.0
    yellow_as_red: float = 0.0
    """Share of the yellow lights that are told red; the others of them are told green."""
    late: float = 0.3
    """Seconds after which a change of a light is told."""
    sign: float = 0.0
    """Share of the stop signs that are told."""
    light_nearer: float = 0.0
    """Mean of the error of a line's place, metres; below 0 where lines are told nearer than they are."""
    line: float = 3.0
    """Standard deviation of the place of a line, metres."""
    false_light: float = 0.0
    """Share of the time in which a light is told red where none binds."""

    def __post_init__(self) -> None:
        lists: dict[str, list[float]] = {f"seen.{name}": row for name, row in self.seen.items()}
        lists |= {"along": self.along, "nearer": self.nearer, "across": self.across, "velocity": self.velocity}
        lists["light"] = self.light
        for name, row in lists.items():
            if len(row) != RANGES:
                raise UserError(f"errors: {name} has {len(row)} numbers, not {RANGES}")
        if sorted(self.seen) != sorted(GROUPS) or sorted(self.told_as) != sorted(GROUPS):
            raise UserError(f"errors: seen and told_as name each of {', '.join(GROUPS)}")
        if {*map(len, self.told_as.values()), len(self.half), len(self.false_kinds)} != {len(ObjectClass)}:
            raise UserError(f"errors: told_as, half and false_kinds have {len(ObjectClass)} entries, one a class")
        within("errors.", self, view=(0.01, math.pi), hidden=(0, 1), seen_seconds=(0.01, 1e3),
               place_seconds=(0.01, 1e3), velocity_seconds=(0.01, 1e3), settle=(1e-3, 1e2), yaw=(0, 3),
               flipped=(0, 1), false=(0, GHOSTS), false_seconds=(0.05, 1e3), false_speed=(0, 50),
               light_seconds=(0.01, 1e3), yellow_as_red=(0, 1), late=(0, 60), sign=(0, 1), line=(0, 50),
               light_nearer=(-50, 50), false_light=(0, 1))  # fmt: skip


def load_errors(path: str) -> ErrorConfig:
    """From a YAML file; a relative one that is not there is looked for beside this package, where the presets lie.

    Raises UserError for a file that is missing or says something else.
    """
    file = Path(path)
    if not file.exists() and not file.is_absolute():
        file = Path(__file__).parents[1] / path
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        return ErrorConfig(**content)
    except (OSError, UnicodeError, yaml.YAMLError, TypeError) as error:
        raise UserError(f"{path}: no errors of a perception: {' '.join(str(error).split())[:200]}") from None
