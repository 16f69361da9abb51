"""Marlin: a ring motorway with two diamond interchanges, and a small service area in its middle.

The motorway is a stadium: two straights along x at y = -+HALF and two half-turns of clothoid, arc and clothoid. Seen
from above, the outer carriageway runs counter-clockwise and the inner one clockwise. Each straight carries one
interchange, whose road crosses above the motorway at x = 0; `u` is the distance past it in the direction of travel.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tools.towns.curves import Pose, Track
from tools.towns.places import dead_end, lay, roundabout
from tools.towns.roads import Arm, Lane, Mark, Road, Section, lane, ramp
from tools.towns.town import Movement, Town

HALF = 290.0
STRAIGHT = 660.0
"""Half the length of the outer carriageway's straights."""
APART = 2.5
"""From the motorway's axis to each reference line, the left edge of the fast lane."""
WIDTH = 3.6
CLOTHOID = 110.0
DECK = 6.5
"""Height of the crossing roads above the motorway."""
TERMINAL = 50.0
"""From the motorway's axis to the junctions at the ramps' tops."""
TRIM = 20.0
TAPER, DIVERGE, GORE, MERGE, ON = -540.0, -330.0, 300.0, (530.0, 620.0), 330.0
"""u where the exit lane opens and ends, where ramps part and join (-+GORE), where the entry lane ends."""
RAMP_CURVATURE = 1 / 110.0


def _carriageway(extra: Lane | None = None, *, median: bool = True) -> Section:
    """Three lanes, a hard shoulder, the inner shoulder and half the median; `extra` is an entry or exit lane."""
    apart = Mark("broken", "white", "both", width=0.15)
    edge = Mark("solid", width=0.2)
    right = [lane(f"drive{i}", "driving", WIDTH, apart if i < 2 or extra else edge) for i in range(3)]
    right += [extra] if extra else []
    right.append(lane("hard", "shoulder", 2.5))
    left = [lane("inner", "shoulder", 1.0), lane("median", "median", APART - 1.0)] if median else []
    return Section(0.0, left, right, [Mark("solid", "yellow", width=0.2)])


def _ramp_section() -> list[Section]:
    edge = Mark("solid", width=0.2)
    right = [lane("drive3", "driving", WIDTH, edge), lane("hard", "shoulder", 2.0)]
    return [Section(0.0, [lane("inner", "shoulder", 0.5)], right, [Mark("solid", "yellow", width=0.2)])]


def _bisect(f: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if f(middle) < 0 else (low, middle)
    return 0.5 * (low + high)


def _half_turn(start: Pose, radius: float, sign: float, first: bool | None = None) -> Track:
    """Clothoid, arc, clothoid through 180 degrees; or only its first or second half."""
    k = sign / radius
    arc = math.pi * radius - CLOTHOID
    track = Track(start)
    if first is None:
        return track.spiral(CLOTHOID, 0.0, k).arc(arc, k).spiral(CLOTHOID, k, 0.0)
    return (
        track.spiral(CLOTHOID, 0.0, k).arc(0.5 * arc, k) if first else track.arc(0.5 * arc, k).spiral(CLOTHOID, k, 0.0)
    )


def _radius(across: float) -> float:
    return _bisect(lambda r: _half_turn(Pose(0, 0, 0), r, 1.0).end.y - across, 200.0, 400.0)


def _shift(start: Pose, length: float, sign: float) -> Track:
    """Sideways by four clothoids, to the left for sign 1."""
    k = sign * RAMP_CURVATURE
    track = Track(start).spiral(length, 0.0, k).spiral(length, k, 0.0)
    return track.spiral(length, 0.0, -k).spiral(length, -k, 0.0)


def build() -> Town:
    """Marlin, about 2,010 x 680 m; 4.6 km of motorway in each direction."""
    town = Town("Marlin", 36.6, -121.9)
    outer, inner = _radius(2 * (HALF + APART)), _radius(2 * (HALF - APART))
    apex_out, apex_in = (_half_turn(Pose(0, 0, 0), r, 1.0, True).end.x for r in (outer, inner))
    straight_in = STRAIGHT + apex_out - apex_in - 2 * APART
    ramps: dict[str, tuple[Road, Road]] = {}
    ramps["S outer"], ramps["N outer"] = _direction(
        town, "Marlin Ring East", [Pose(0, -HALF - APART, 0), Pose(0, HALF + APART, math.pi)], STRAIGHT, outer, 1.0
    )
    ramps["S inner"], ramps["N inner"] = _direction(
        town, "Marlin Ring West", [Pose(0, -HALF + APART, math.pi), Pose(0, HALF - APART, 0)], straight_in, inner, -1.0
    )
    _spine(town, ramps)
    return town


def _direction(
    town: Town, name: str, bases: list[Pose], straight: float, radius: float, sign: float
) -> list[tuple[Road, Road]]:
    """One carriageway, all round. Returns (exit ramp, entry ramp) of its two straights."""
    found: list[tuple[Road, Road]] = []
    entries: list[Road] = []
    parts: list[tuple[Road, Road, Road]] = []
    for n, base in enumerate(bases):
        onward = bases[1 - n]
        through = _motorway(town, name, Track(base.ahead(-GORE)).line(2 * GORE), _carriageway())
        last = lane("drive3", "driving", WIDTH, Mark("solid", width=0.2))
        entry = _motorway(town, name, Track(base.ahead(ON)).line(MERGE[0] - ON), _carriageway(last))
        track = Track(base.ahead(MERGE[1])).line(straight - MERGE[1])
        turn = _half_turn(track.end, radius, sign, True)
        a = _motorway(town, name, Track(track.start, track.pieces + turn.pieces), _carriageway(), 110, (0.0, 4.0))
        track = _half_turn(turn.end, radius, sign, False).line(straight + TAPER)
        b = _motorway(town, name, track, _carriageway(), 110, (4.0, 0.0))
        opening = [ramp(0.0, 70.0, 0.0, WIDTH), (70.0, WIDTH, 0.0, 0.0, 0.0)]
        extra = Lane("drive3", "driving", opening, [Mark("solid", width=0.2)])
        c = _motorway(town, name, Track(onward.ahead(TAPER)).line(DIVERGE - TAPER), _carriageway(extra))
        town.join(a, b)
        town.join(b, c)
        for road in (through, a):
            town.speed_sign(road, 40.0, True)
        entries.append(entry)
        parts.append((through, a, c))
        found.append(_ramps(town, name, base))
    for n in range(2):
        through, onward_a, _ = parts[n]
        exit_lane = parts[1 - n][2]
        off, on = found[n]
        three = (-1, -2, -3)
        apart = Mark("broken", "white", "both", width=0.15)
        main = Movement(0, three, 1, three, verge=True)
        town.junction(
            f"{name} exit {n + 1}", [Arm(exit_lane, True), Arm(through, False), Arm(off, False)],
            [main, Movement(0, (-4,), 2, (-1,), walk=True, speed=80)], mark=apart,
        )  # fmt: skip
        town.junction(
            f"{name} entry {n + 1}", [Arm(through, True), Arm(entries[n], False), Arm(on, True)],
            [main, Movement(2, (-1,), 1, (-4,), walk=True, speed=80)], mark=apart,
        )  # fmt: skip
        main = Movement(0, three, 1, three, verge=True, bound=False)
        town.junction(
            f"{name} merge {n + 1}", [Arm(entries[n], True), Arm(onward_a, False)],
            [main, Movement(0, (-4,), 1, (-3,), walk=True)], mark=apart, signs={0: "yield"},
        )  # fmt: skip
    return found


def _motorway(
    town: Town, name: str, track: Track, section: Section, speed: float = 120, z: tuple[float, float] = (0.0, 0.0)
) -> Road:
    return town.road(name, track, [section], speed, kind="motorway", z=z)


def _ramps(town: Town, name: str, base: Pose) -> tuple[Road, Road]:
    """The exit ramp up to the crossing road, and the entry ramp down from it."""
    out = 3 * WIDTH
    sideways = TERMINAL - 0.5 * WIDTH - APART - out
    length = _bisect(lambda q: _shift(Pose(0, 0, 0), q, 1.0).end.y - sideways, 10.0, 90.0)
    begin = base.ahead(-GORE).left(-out)
    shift = _shift(begin.ahead(10.0), length, -1.0)
    rest = GORE - TRIM - begin.local(shift.end.x, shift.end.y)[0]
    off = Track(begin).line(10.0)
    off = Track(begin, off.pieces + shift.pieces).line(rest)
    start = base.ahead(TRIM).left(-out - sideways)
    on = Track(start).line(rest)
    on = Track(start, on.pieces + _shift(on.end, length, 1.0).pieces).line(10.0)
    roads = []
    for kind, track, up in (("exit", off, True), ("entry", on, False)):
        n, climb = track.length, track.length - 60.0
        if up:
            z = [ramp(0.0, 40.0, 0.0, 0.0), ramp(40.0, climb, 0.0, DECK), (n - 20.0, DECK, 0.0, 0.0, 0.0)]
        else:
            z = [ramp(0.0, 20.0, DECK, DECK), ramp(20.0, climb, DECK, 0.0), (n - 40.0, 0.0, 0.0, 0.0, 0.0)]
        road = town.road(f"{name} {kind}", track, _ramp_section(), 60.0, kind="motorway", elevation=z)
        town.speed_sign(road, 30.0, True)
        roads.append(road)
    return roads[0], roads[1]


def _spine(town: Town, ramps: dict[str, tuple[Road, Road]]) -> None:
    """The road that crosses above both straights, the junctions at the ramps and the service area between."""
    far, near = HALF + TERMINAL, HALF - TERMINAL
    level = (DECK, DECK)
    south = lay(town, "Marlin Road", [(0, -far), (0, -near)], [], (TRIM, TRIM), 50, z=level, walk=0)
    north = lay(town, "Marlin Road", [(0, near), (0, far)], [], (TRIM, TRIM), 50, z=level, walk=0)
    up = lay(town, "Marlin Road", [(0, -near), (0, 0)], [], (TRIM, 38), 50, z=(DECK, 0))
    down = lay(town, "Marlin Road", [(0, 0), (0, near)], [], (38, TRIM), 50, z=(0, DECK))
    east = lay(town, "Harbour Lane", [(0, 0), (150, 0), (230, -60), (330, -60)], [70, 70], (38, 0), 30)
    west = lay(town, "Orchard Lane", [(0, 0), (-150, 0), (-230, 60), (-330, 60)], [70, 70], (38, 0), 30)
    arms = [Arm(up, True), Arm(down, False), Arm(east, False), Arm(west, False)]
    roundabout(town, "Marlin Circle", (0, 0), arms, 0.0)
    dead_end(town, "Harbour Lane", Arm(east, True))
    dead_end(town, "Orchard Lane", Arm(west, True))
    for name, bridge, at_end, street in (("S", south, True, Arm(up, False)), ("N", north, False, Arm(down, True))):
        off, on = ramps[f"{name} inner"]
        inner = [Arm(bridge, at_end), street, Arm(off, True), Arm(on, False)]
        town.crossing(f"{name} inner ramps", inner, phases=[[0, 1], [2]])
        off, on = ramps[f"{name} outer"]
        outer = [Arm(bridge, not at_end), Arm(off, True), Arm(on, False)]
        town.crossing(f"{name} outer ramps", outer, signs={1: "stop"})
