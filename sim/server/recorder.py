"""Recordings: every tick of an episode in one file, and what can be read out of it.

A file is a stream of msgpack arrays: first ["throttle-recording", 1, map, date], then for each tick
[frame, elapsed, dt, spawned, destroyed, rows, collisions, lamps]: spawned as [Actor on the wire, relative pose or nil,
attachment], rows the zlib-compressed bytes of the snapshot (sim.server.snapshot.STATE), collisions as pairs of ids,
lamps as [id, VehicleLightState] of the vehicles that switched theirs. A file cut off by a crash reads up to its last
whole tick.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgpack
import numpy as np
from numpy.typing import NDArray

from sim.server.snapshot import STATE

if TYPE_CHECKING:
    from sim.server.episode import Episode

MAGIC, FORMAT = "throttle-recording", 1


class RecordingError(Exception):
    """A recording that cannot be written or read; the text is for the client."""


class Tick(NamedTuple):
    """One tick of a recording. Times in seconds since the episode began."""

    frame: int
    elapsed: float
    dt: float
    spawned: list[Any]
    destroyed: list[int]
    rows: NDArray[Any]
    collisions: list[Any]
    lamps: list[Any]


class Recorder:
    """Writes the running episode into a file; reads finished files. Names are relative to `folder`."""

    def __init__(self, folder: Path = Path("recordings")) -> None:
        self.folder = folder
        self._file: IO[bytes] | None = None
        self._known: set[int] = set()
        self._lamps: dict[int, int] = {}

    def path(self, name: str) -> Path:
        """The file of a name; raises RecordingError for names that would leave the folder."""
        parts = PurePosixPath(name.replace("\\", "/"))
        if not name or parts.is_absolute() or ".." in parts.parts or "\0" in name or ":" in name:
            raise RecordingError(f"recordings are named by a relative path, not {name[:80]!r}")
        return self.folder / parts

    def start(self, episode: Episode, name: str) -> str:
        """Begin; a running recording ends. Returns the path."""
        self.stop()
        path = self.path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
        except OSError as error:
            raise RecordingError(f"cannot write {path}: {error.strerror}") from error
        self._file.write(msgpack.packb([MAGIC, FORMAT, episode.town.name, time.strftime("%x %X")]))
        self._known, self._lamps = set(), {}
        return str(path)

    def stop(self) -> None:
        """Finish the file, if one is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def record(self, episode: Episode, frame: int, dt: float) -> None:
        """One tick, where a file is open."""
        if self._file is None:
            return
        registry = episode.registry
        spawned = [
            [a.wire(), list(a.relative) if a.relative else None, a.arm.kind if a.arm else 0]
            for a in registry.actors.values()
            if a.id not in self._known
        ]
        destroyed = [i for i in self._known if i not in registry.actors]
        self._known = set(registry.actors)
        rows = zlib.compress(registry.snapshot.rows[: registry.snapshot.count].tobytes(), 1)
        pairs = [[hit.actor.id, hit.other.id] for hit in episode.contacts[::2]]
        lamps = {a.id: a.vehicle.lights for a in episode.bodies.of_vehicle.values() if a.vehicle}
        switched = [[i, flags] for i, flags in lamps.items() if self._lamps.get(i, 0) != flags]
        self._lamps = lamps
        try:
            self._file.write(msgpack.packb([frame, episode.elapsed, dt, spawned, destroyed, rows, pairs, switched]))
        except OSError:
            self.stop()

    # -- reading ------------------------------------------------------------------------------------------------------

    def read(self, name: str) -> tuple[list[Any], Iterator[Tick]]:
        """(header, ticks) of a recording; raises RecordingError."""
        path = self.path(name)
        if self._file is not None:
            self._file.flush()
        try:
            unpacker = msgpack.Unpacker(path.open("rb"), max_buffer_size=1 << 28)
            header = unpacker.unpack()
        except OSError as error:
            raise RecordingError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, msgpack.exceptions.UnpackException) as error:
            raise RecordingError(f"{path} is not a recording of this server") from error
        if not isinstance(header, list) or header[:2] != [MAGIC, FORMAT] or len(header) != 4:
            raise RecordingError(f"{path} is not a recording of this server")
        return header, _ticks(unpacker, path)

    def describe(self, name: str, every: bool) -> str:
        """In words, one line each: version, map, date, ticks (their actors with `every`), frames and duration."""
        try:
            header, ticks = self.read(name)
            lines = [f"Version: {header[1]}", f"Map: {header[2]}", f"Date: {header[3]}", ""]
            count, last = 0, 0.0
            for tick in ticks:
                count, last = count + 1, tick.elapsed
                if every or tick.spawned or tick.destroyed or tick.collisions:
                    lines.append(f"Frame {tick.frame} at {tick.elapsed:g} seconds")
                lines += [f" Create {a[0][0]}: {a[0][2][1]}" for a in tick.spawned]
                lines += [f" Destroy {i}" for i in tick.destroyed]
                lines += [f" Collision id {n} between {a} and {b}" for n, (a, b) in enumerate(tick.collisions)]
                if every:
                    lines += [
                        f"  Id: {r['id']} Location: ({100 * r['x']:.6g}, {100 * r['y']:.6g}, {100 * r['z']:.6g}) "
                        f"Rotation: ({r['roll']:.6g}, {r['pitch']:.6g}, {r['yaw']:.6g})"
                        for r in tick.rows
                    ]
            return "\n".join([*lines, "", f"Frames: {count}", f"Duration: {last:g} seconds", ""])
        except RecordingError as error:
            return f"{error}\n"

    def collisions(self, name: str, first: str, second: str) -> str:
        """A table of collisions between two kinds of actor."""
        try:
            header, ticks = self.read(name)
            lines = [
                f"Version: {header[1]}",
                f"Map: {header[2]}",
                f"Date: {header[3]}",
                "",
                "Time Types Id Actor 1 Id Actor 2",
            ]
            types: dict[int, Any] = {}
            count, last = 0, 0.0
            for tick in ticks:
                count, last = count + 1, tick.elapsed
                types |= {a[0][0]: a[0][2] for a in tick.spawned}
                for one, two in tick.collisions:
                    kinds = _letter(types.get(one)), _letter(types.get(two))
                    if _matches(kinds, first, second):
                        names = [str(types.get(i, [0, "?"])[1]) for i in (one, two)]
                        lines.append(f"{tick.elapsed:.2f} {kinds[0]} {kinds[1]} {one} {names[0]} {two} {names[1]}")
            return "\n".join([*lines, "", f"Frames: {count}", f"Duration: {last:g} seconds", ""])
        except RecordingError as error:
            return f"{error}\n"

    def blocked(self, name: str, seconds: float, metres: float) -> str:
        """A table of the vehicles and walkers that hardly moved."""
        try:
            header, ticks = self.read(name)
            lines = [f"Version: {header[1]}", f"Map: {header[2]}", f"Date: {header[3]}", "", "Time Id Actor Duration"]
            types: dict[int, Any] = {}
            since: dict[int, tuple[float, float, float]] = {}
            found: list[tuple[float, str]] = []
            now = 0.0

            def settle(actor: int) -> None:
                began, _, _ = since[actor]
                if now - began > seconds:
                    found.append((now - began, f"{began:.2f} {actor} {types[actor][1]} {now - began:.2f}"))

            for tick in ticks:
                now = tick.elapsed
                types |= {a[0][0]: a[0][2] for a in tick.spawned}
                for row in tick.rows:
                    actor, x, y = int(row["id"]), float(row["x"]), float(row["y"])
                    if _letter(types.get(actor)) not in "hvw":
                        continue
                    before = since.get(actor)
                    if before is None or (x - before[1]) ** 2 + (y - before[2]) ** 2 > metres**2:
                        if before is not None:
                            settle(actor)
                        since[actor] = (now, x, y)
            for actor in since:
                settle(actor)
            lines += [line for _, line in sorted(found, reverse=True)]
            return "\n".join([*lines, ""])
        except RecordingError as error:
            return f"{error}\n"


def _ticks(unpacker: Any, path: Path) -> Iterator[Tick]:
    while True:
        try:
            frame, elapsed, dt, spawned, destroyed, rows, pairs, *lamps = unpacker.unpack()
            table = np.frombuffer(zlib.decompress(rows), STATE)
        except msgpack.OutOfData:
            return
        except (ValueError, TypeError, zlib.error, msgpack.exceptions.UnpackException) as error:
            raise RecordingError(f"{path} is damaged") from error
        yield Tick(frame, elapsed, dt, spawned, destroyed, table, pairs, lamps[0] if lamps else [])


def _letter(description: Any) -> str:
    """h hero, v vehicle, w walker, t traffic light, o other."""
    if not description:
        return "o"
    roles = [row[2] for row in description[2] if row[0] == "role_name"]
    if "hero" in roles:
        return "h"
    return {"vehicle": "v", "walker": "w", "traffic": "t"}.get(description[1].split(".")[0], "o")


def _matches(kinds: tuple[str, str], first: str, second: str) -> bool:
    def fits(kind: str, wanted: str) -> bool:
        return wanted == "a" or kind == wanted or (wanted == "v" and kind == "h")

    return (fits(kinds[0], first) and fits(kinds[1], second)) or (fits(kinds[1], first) and fits(kinds[0], second))
