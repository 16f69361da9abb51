"""The world snapshot: 119 packed bytes for every actor, kept as one numpy array that a tick sends as it is."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

STATE_BYTES, UNION_BYTES = 119, 54
ACTIVE = 1

STATE = np.dtype(
    [
        ("id", "<u4"), ("state", "u1"), ("x", "<f4"), ("y", "<f4"), ("z", "<f4"),
        ("pitch", "<f4"), ("yaw", "<f4"), ("roll", "<f4"),
        ("vx", "<f4"), ("vy", "<f4"), ("vz", "<f4"), ("wx", "<f4"), ("wy", "<f4"), ("wz", "<f4"),
        ("ax", "<f4"), ("ay", "<f4"), ("az", "<f4"), ("union", "u1", UNION_BYTES),
    ]
)  # fmt: skip
"""One actor: metres, degrees, m/s, degrees/s, m/s^2."""
VEHICLE = np.dtype(
    [
        ("throttle", "<f4"), ("steer", "<f4"), ("brake", "<f4"), ("hand_brake", "u1"), ("reverse", "u1"),
        ("manual", "u1"), ("gear", "<i4"), ("speed_limit", "<f4"), ("light_state", "u1"), ("has_light", "u1"),
        ("light_id", "<u4"), ("failure", "u1"), ("pad", "V24"),
    ]
)  # fmt: skip
"""The union of a vehicle; speed limit in km/h."""
WALKER = np.dtype([("dx", "<f4"), ("dy", "<f4"), ("dz", "<f4"), ("speed", "<f4"), ("jump", "u1"), ("pad", "V37")])
LIGHT = np.dtype(
    [
        ("signal", "S32"), ("green", "<f4"), ("yellow", "<f4"), ("red", "<f4"), ("elapsed", "<f4"),
        ("pole", "<u4"), ("frozen", "u1"), ("state", "u1"),
    ]
)  # fmt: skip
"""The union of a traffic light; times in seconds. A traffic sign uses `signal` alone."""
assert STATE.itemsize == STATE_BYTES
assert VEHICLE.itemsize == WALKER.itemsize == LIGHT.itemsize == UNION_BYTES

EPISODE = struct.Struct("<QdfiiiI")
MAP_CHANGED = 1

_MOTION, _UNION_OFFSET = 5, STATE_BYTES - UNION_BYTES


def _overlay(union: np.dtype) -> np.dtype:
    """STATE's bytes seen with the union's fields."""
    names = list(union.names or ())
    fields: dict[str, Any] = dict(union.fields or {})
    return np.dtype(
        {
            "names": names,
            "formats": [fields[name][0] for name in names],
            "offsets": [_UNION_OFFSET + fields[name][1] for name in names],
            "itemsize": STATE_BYTES,
        }
    )


_VEHICLE_ROW, _WALKER_ROW, _LIGHT_ROW = _overlay(VEHICLE), _overlay(WALKER), _overlay(LIGHT)


class Snapshot:
    """The rows of all actors, packed without gaps; `vehicles`, `walkers` and `lights` see the unions of the same rows.

    A row's number changes when another actor is removed (the last one moves into the gap): `remove` says so.
    """

    def __init__(self, capacity: int = 256) -> None:
        self.count = 0
        self._bind(np.zeros(capacity, STATE))

    def _bind(self, rows: NDArray[Any]) -> None:
        self.rows = rows
        self._bytes = rows.view(np.uint8).reshape(-1, STATE_BYTES)
        self.vehicles = rows.view(_VEHICLE_ROW)
        self.walkers = rows.view(_WALKER_ROW)
        self.lights = rows.view(_LIGHT_ROW)

    def add(self, actor: int) -> int:
        """A zeroed row for a new actor; returns its number."""
        if self.count == len(self.rows):
            grown = np.zeros(2 * self.count, STATE)
            grown[: self.count] = self.rows
            self._bind(grown)
        row = self.count
        self.count += 1
        self.rows[row] = np.zeros((), STATE)
        self.rows["id"][row] = actor
        self.rows["state"][row] = ACTIVE
        return row

    def remove(self, row: int) -> int:
        """Take a row out; returns the number of the row that moved into its place (the former last one)."""
        last = self.count - 1
        self.rows[row] = self.rows[last]
        self.count = last
        return last

    def move(self, rows: slice | NDArray[np.intp], motion: NDArray[np.float32]) -> None:
        """Write the fields x to az of many rows at once; motion [n, 15], C order."""
        self._bytes[rows, _MOTION:_UNION_OFFSET] = motion.view(np.uint8)

    def copy_motion(self, rows: list[int], source: list[int]) -> None:
        """Give rows the fields x to az of others."""
        self._bytes[rows, _MOTION:_UNION_OFFSET] = self._bytes[source, _MOTION:_UNION_OFFSET]

    def body(self, episode: int, wall: float, delta: float, changed: bool) -> tuple[bytes, bytes]:
        """What follows the stream header: the episode's header and the rows."""
        head = EPISODE.pack(episode, wall, delta, 0, 0, 0, MAP_CHANGED if changed else 0)
        return head, self.rows[: self.count].tobytes()
