"""Reads the arguments of calls: what a client sent is checked here, once, and becomes plain Python values.

Every function raises CallError at a value of the wrong type or shape, or a number that is not finite.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from sim.server.errors import CallError

U32 = 0xFFFFFFFF
FARTHEST = 1e7
"""Metres; a coordinate beyond it is refused (float32 has lost the metre there)."""


class Pose(NamedTuple):
    """Where something is, in CARLA's units: metres and degrees, world frame (or the parent's, where it says so)."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0

    def wire(self) -> list[Any]:
        """As a wire Transform."""
        return [[self.x, self.y, self.z], [self.pitch, self.yaw, self.roll]]


class Vec(NamedTuple):
    """Three numbers."""

    x: float
    y: float
    z: float


def items(value: Any, count: int, what: str) -> list[Any]:
    """An array of at least `count` elements."""
    if not isinstance(value, list) or len(value) < count:
        raise CallError(f"{what}: an array of {count} was expected")
    return value


def number(value: Any, what: str = "number") -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise CallError(f"{what}: a number was expected")
    try:
        result = float(value)
    except OverflowError as error:
        raise CallError(f"{what}: out of range") from error
    if not math.isfinite(result):
        raise CallError(f"{what}: not a finite number")
    return result


def clamped(value: Any, low: float, high: float, what: str = "number") -> float:
    """A finite number, held to [low, high]."""
    return min(max(number(value, what), low), high)


def integer(value: Any, low: int = 0, high: int = U32, what: str = "integer") -> int:
    """An integer in [low, high]."""
    if type(value) is not int or not low <= value <= high:
        raise CallError(f"{what}: an integer from {low} to {high} was expected")
    return value


def boolean(value: Any, what: str = "flag") -> bool:
    """A bool."""
    if type(value) is not bool:
        raise CallError(f"{what}: true or false was expected")
    return value


def text(value: Any, what: str = "text") -> str:
    """A string."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise CallError(f"{what}: a text was expected")
    return value


def vector(value: Any, what: str = "vector") -> Vec:
    """A Vector3D or Location."""
    x, y, z = items(value, 3, what)[:3]
    found = Vec(number(x, what), number(y, what), number(z, what))
    if max(abs(found.x), abs(found.y), abs(found.z)) > 1e30:
        raise CallError(f"{what}: out of range")
    return found


def location(value: Any, what: str = "location") -> Vec:
    """A Location no farther than FARTHEST from the origin."""
    found = vector(value, what)
    if max(abs(found.x), abs(found.y), abs(found.z)) > FARTHEST:
        raise CallError(f"{what}: farther than {FARTHEST:g} m from the origin")
    return found


def transform(value: Any, what: str = "transform") -> Pose:
    """A Transform."""
    place, rotation = items(value, 2, what)[:2]
    return Pose(*location(place, what), *vector(rotation, what))


def optional(value: Any, what: str = "optional") -> Any:
    """The value of an optional, None where it is empty."""
    found = items(value, 1, what)
    if boolean(found[0], what):
        return items(found, 2, what)[1]
    return None
