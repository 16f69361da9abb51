"""A town: roads, and junctions made from movements between their arms."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

from tools.towns.curves import Track, connect, wrap
from tools.towns.roads import Arm, Crosswalk, Cubic, End, Lane, Mark, Reference, Road, Section, Signal, lane, ramp

CROSSWALK = (1.2, 4.2)
"""A crosswalk begins and ends this far past the stop line, inside the junction."""
STRAIGHT = 5.0
"""Straight piece that a path across a junction keeps at both ends, room for the crosswalk."""
SIGNS = {"stop": ("Sign_Stop", "206"), "yield": ("Sign_Yield", "205")}


@dataclass(frozen=True)
class Movement:
    """Lanes `lanes` (left to right) of arm `source` continue into `targets` of arm `target`."""

    source: int
    lanes: tuple[int, ...]
    target: int
    targets: tuple[int, ...]
    walk: bool = False
    """Carry the lanes beside the last one (sidewalk, shoulder) along."""
    verge: bool = False
    """Carry the lanes left of the first one along (median, inner shoulder)."""
    straight: float = STRAIGHT
    """Straight piece at both ends of a turn, where there is room."""
    bound: bool = True
    """Whether the arm's light or sign binds this movement."""
    speed: float | None = None
    """km/h, the least of the two arms' if None."""


@dataclass
class Connection:
    incoming: int
    connecting: int
    links: list[tuple[int, int]]


@dataclass
class Controller:
    id: int
    sequence: int
    signals: list[int]


@dataclass
class Junction:
    id: int
    name: str
    arms: list[Arm]
    connections: list[Connection] = field(default_factory=list)
    controllers: list[Controller] = field(default_factory=list)


class Town:
    """Collects roads and junctions; one counter numbers everything, so that no id is used twice."""

    def __init__(self, name: str, latitude: float, longitude: float) -> None:
        self.name = name
        self.origin = (latitude, longitude)
        self.roads: list[Road] = []
        self.junctions: list[Junction] = []
        self._ids = itertools.count(1)

    def road(
        self,
        name: str,
        track: Track,
        sections: list[Section],
        speed: float,
        *,
        kind: str = "town",
        offset: float = 0.0,
        z: tuple[float, float] = (0.0, 0.0),
        elevation: list[Cubic] | None = None,
        junction: int = -1,
    ) -> Road:
        """Add a road; `z` are the heights of its ends, joined by a slope that is level at both."""
        road = Road(next(self._ids), name, track, sections, speed, kind, junction=junction)
        road.offset = [(0.0, offset, 0.0, 0.0, 0.0)]
        road.elevation = elevation or [ramp(0.0, road.length, *z)]
        self.roads.append(road)
        return road

    def join(self, a: Road, b: Road) -> None:
        """Road b continues road a: end to start, lanes matched by key."""
        a.successor, b.predecessor = End("road", b.id, "start"), End("road", a.id, "end")
        old, new = a.sections[-1].ids(), b.sections[0].ids()
        for i, q in old.items():
            j = next((j for j, w in new.items() if w.key == q.key and i * j > 0), None)
            if j is not None:
                a.links_end[i], b.links_start[j] = j, i

    def junction(
        self,
        name: str,
        arms: list[Arm],
        movements: list[Movement],
        *,
        phases: list[list[int]] | None = None,
        signs: dict[int, str] | None = None,
        crosswalks: list[int] | None = None,
        corners: list[tuple[int, int]] | None = None,
        mark: Mark | None = None,
    ) -> Junction:
        """Join arms (all at one height) by connecting roads.

        Args:
            phases: lights: each phase lists the arms that are green together.
            signs: arm -> "stop" or "yield".
            crosswalks: arms that pedestrians cross.
            corners: (arm, next arm counter-clockwise) pairs whose sidewalks are joined by a road of their own.
            mark: mark between the lanes of a movement.
        """
        made = Junction(next(self._ids), name, arms)
        self.junctions.append(made)
        for arm in arms:
            if abs(arm.z - arms[0].z) > 1e-6:
                raise ValueError(f"{name}: arms at different heights")
            end = End("junction", made.id)
            if arm.at_end:
                arm.road.successor = end
            else:
                arm.road.predecessor = end
        bound: dict[int, list[Road]] = {i: [] for i in range(len(arms))}
        touching: dict[int, list[tuple[Road, bool]]] = {i: [] for i in range(len(arms))}
        for m in movements:
            limit = m.speed or min(arms[m.source].road.speed, arms[m.target].road.speed)
            road = self._connecting(made, m, mark, limit)
            if m.bound:
                bound[m.source].append(road)
            touching[m.source].append((road, True))
            touching[m.target].append((road, False))
        for i, j in corners or []:
            self._corner(made, i, j)
        for i in crosswalks or []:
            self._crosswalk(arms[i], touching[i])
        for sequence, phase in enumerate(phases or []):
            ids = []
            for i in phase:
                if bound[i]:
                    signal = self._pole(arms[i], "Signal_3Light_Post01", "1000001", True)
                    ids.append(signal.id)
                    self._bind(signal, bound[i])
            if ids:
                made.controllers.append(Controller(next(self._ids), sequence, ids))
        for i, sign in sorted((signs or {}).items()):
            if bound[i]:
                self._bind(self._pole(arms[i], *SIGNS[sign], False), bound[i])
        return made

    def _connecting(self, made: Junction, m: Movement, mark: Mark | None, speed: float) -> Road:
        a, b = made.arms[m.source], made.arms[m.target]
        start = a.pose.left(a.span(m.lanes[0], True)[0])
        end = b.pose.back().left(b.span(m.targets[0], False)[0])
        track = connect(start, end, m.straight)
        length = track.length

        def blend(i: int, j: int, old: Lane, marks: Mark) -> Lane:
            (l0, r0), (l1, r1) = a.span(i, True), b.span(j, False)
            return Lane(old.key, old.kind, [ramp(0.0, length, l0 - r0, l1 - r1)], [marks], old.height)

        ids = a.section.ids()
        right, left = [], []
        links: list[tuple[int, int, int]] = []
        for n, (i, j) in enumerate(zip(m.lanes, m.targets)):
            inner = n < len(m.lanes) - 1
            right.append(blend(i, j, ids[i], mark if mark and inner else Mark()))
            links.append((i, -len(right), j))
        if m.walk:
            order = a.side(True)
            for i in order[order.index(m.lanes[-1]) + 1 :]:
                target = b.find(ids[i].key, False)
                if target is not None and ids[i].kind != "driving":
                    right.append(blend(i, target, ids[i], Mark()))
                    links.append((i, -len(right), target))
        if m.verge:
            for i in a.side(False):
                target = b.find(ids[i].key, True)
                if target is not None:
                    left.append(blend(i, target, ids[i], Mark()))
                    links.append((i, len(left), target))
        center = [Mark("solid", "yellow")] if m.verge else [Mark()]
        if m.verge and m.walk:
            right[len(m.lanes) - 1].marks[0] = Mark("solid")
        return self._link(made, m.source, m.target, track, [Section(0.0, left, right, center)], links, speed)

    def _link(
        self,
        made: Junction,
        source: int,
        target: int,
        track: Track,
        sections: list[Section],
        links: list[tuple[int, int, int]],
        speed: float,
    ) -> Road:
        a, b = made.arms[source], made.arms[target]
        road = self.road("", track, sections, speed, kind=a.road.kind, z=(a.z, a.z), junction=made.id)
        road.predecessor, road.successor = End("road", a.road.id, a.contact), End("road", b.road.id, b.contact)
        for i, own, j in links:
            road.links_start[own], road.links_end[own] = i, j
        made.connections.append(Connection(a.road.id, road.id, [(i, own) for i, own, _ in links]))
        return road

    def _corner(self, made: Junction, source: int, target: int) -> None:
        """A road of sidewalk alone, from the right side of one arm to the left side of the next."""
        a, b = made.arms[source], made.arms[target]
        i = next(k for k, q in a.section.ids().items() if q.kind == "sidewalk" and (k < 0) == a.at_end)
        j = next(k for k, q in b.section.ids().items() if q.kind == "sidewalk" and (k < 0) != b.at_end)
        (l0, r0), (l1, r1) = a.span(i, True), b.span(j, False)
        track = connect(a.pose.left(l0), b.pose.back().left(l1), STRAIGHT)
        old = a.section.ids()[i]
        walk = Lane(old.key, old.kind, [ramp(0.0, track.length, l0 - r0, l1 - r1)], [Mark()], old.height)
        self._link(made, source, target, track, [Section(0.0, [], [walk])], [(i, -1, j)], a.road.speed)

    def _crosswalk(self, arm: Arm, touching: list[tuple[Road, bool]]) -> None:
        road, leaving = touching[0]
        s = 0.5 * sum(CROSSWALK)
        s = s if leaving else road.length - s
        pose = road.track.at(s)
        left, right = arm.roadway()
        near, far = CROSSWALK
        outline = [(near, right), (near, left), (far, left), (far, right), (near, right)]
        points = [arm.pose.ahead(d).left(t) for d, t in outline]
        road.crosswalks.append(Crosswalk(next(self._ids), s, [pose.local(p.x, p.y) for p in points]))

    def _pole(self, arm: Arm, name: str, kind: str, light: bool) -> Signal:
        """A light or sign right of the arm. Its own validity is 0..0: references on the connecting roads bind."""
        t = arm.roadway()[1] - 0.7
        back = 0.5
        s, t = (arm.s - back, t) if arm.at_end else (back, -t)
        h = 0.0 if arm.at_end else math.pi
        z = 0.15 if any(q.kind == "sidewalk" for q in arm.section.ids().values()) else 0.0
        height, width = (1.16, 0.52) if light else (0.76, 0.76)
        orientation = "-" if arm.at_end else "+"
        signal = Signal(
            next(self._ids), name, s, t, z, h, orientation, light, kind, "-1", -1.0, "", "", height, width, (0, 0)
        )
        arm.road.signals.append(signal)
        return signal

    def _bind(self, signal: Signal, roads: list[Road]) -> None:
        for road in roads:
            last = -sum(q.kind == "driving" for q in road.sections[0].right)
            road.references.append(Reference(signal.id, 0.5, (last, -1)))

    def speed_sign(self, road: Road, s: float, forward: bool) -> None:
        """A sign with the road's speed limit for who drives past s."""
        ids = road.section(s).ids()
        lanes = [i for i, q in ids.items() if q.kind == "driving" and (i < 0) == forward]
        if not lanes:
            return
        edges = road.edges(s)
        used = [edges[i][1] for i, q in ids.items() if (i < 0) == forward and q.kind != "sidewalk"]
        t = min(used) - 0.6 if forward else max(used) + 0.6
        limit = f"{road.speed:g}"
        road.signals.append(
            Signal(
                next(self._ids), f"Speed_{limit}", s, t, 0.0, 0.0 if forward else math.pi, "-" if forward else "+",
                False, "274", limit, road.speed, "km/h", limit, 0.76, 0.76, (min(lanes), max(lanes)),
            )
        )  # fmt: skip

    def crossing(
        self,
        name: str,
        arms: list[Arm],
        *,
        phases: list[list[int]] | None = None,
        signs: dict[int, str] | None = None,
        crosswalks: list[int] | None = None,
    ) -> Junction:
        """Join arms by every movement: the left lane turns left, the right lane turns right, all go straight on.

        Sidewalks follow the rightmost movement between neighbouring arms, or get a corner road of their own.
        """
        order = sorted(range(len(arms)), key=lambda i: arms[i].angle)
        movements: list[Movement] = []
        walked: set[tuple[int, int]] = set()
        for place, i in enumerate(order):
            following = order[(place + 1) % len(order)]
            lanes = arms[i].driving(True)
            if not lanes:
                continue
            straight_on = [
                j for j in order if j != i and abs(wrap(arms[j].angle - arms[i].angle - math.pi)) < 0.9 and
                arms[j].driving(False)
            ]  # fmt: skip
            for j in order:
                targets = arms[j].driving(False)
                if j == i or not targets:
                    continue
                turn = wrap(arms[j].angle - arms[i].angle - math.pi)
                if j in straight_on:
                    n = min(len(lanes), len(targets))
                    pairs = list(zip(lanes[-n:], targets[-n:]))
                    pairs += [(q, targets[0]) for q in lanes[:-n] if len(order) == 2]
                elif turn > 0:
                    pairs = [(lanes[0], targets[0])]
                    if not straight_on and len(lanes) > 1 and len(targets) > 1 and len(order) > 2:
                        pairs = list(zip(lanes, targets))[: max(1, len(lanes) - 1)]
                else:
                    pairs = [(lanes[-1], targets[-1])]
                for a, b in pairs:
                    walk = j == following and (a, b) == (lanes[-1], targets[-1])
                    movements.append(Movement(i, (a,), j, (b,), walk=walk))
                    if walk and _walks(arms[i], arms[j]):
                        walked.add((i, j))
        corners = [
            (i, order[(k + 1) % len(order)])
            for k, i in enumerate(order)
            if (i, order[(k + 1) % len(order)]) not in walked and _walks(arms[i], arms[order[(k + 1) % len(order)]])
        ]
        return self.junction(name, arms, movements, phases=phases, signs=signs, crosswalks=crosswalks, corners=corners)


def _walks(a: Arm, b: Arm) -> bool:
    """Whether a sidewalk right of arm a (towards the junction) can go on right of arm b (away from it)."""
    return any(q.kind == "sidewalk" and (k < 0) == a.at_end for k, q in a.section.ids().items()) and any(
        q.kind == "sidewalk" and (k < 0) != b.at_end for k, q in b.section.ids().items()
    )


def street(
    length: float,
    *,
    forward: int = 1,
    backward: int = 1,
    width: float = 3.5,
    walk: float = 2.0,
    parking: tuple[bool, bool] = (False, False),
    solid: float = 20.0,
) -> tuple[list[Section], float]:
    """Sections and lane offset of a town street: driving lanes, parking bays (left, right), sidewalks.

    The roadway is centred on the reference line. Lane marks turn solid `solid` metres before a junction; parking bays
    open 10 m after one and close 10 m before it.
    """
    solid = min(solid, 0.4 * length)
    both = forward > 0 and backward > 0

    def side(count: int, sign: int, bays: bool) -> list[Lane]:
        found = []
        for i in range(count):
            if i < count - 1:
                broken, closed = ("broken", "both"), ("solid", "none")
                first, second = (broken, closed) if sign < 0 else (closed, broken)
                turn = length - solid if sign < 0 else solid
                marks = [Mark(first[0], "white", first[1]), Mark(second[0], "white", second[1], turn)]
            else:
                marks = [Mark("broken" if bays else "solid")]
            found.append(lane(f"drive{i}", "driving", width, *marks))
        if bays:
            shape = [(0.0, 0.0, 0.0, 0.0, 0.0), ramp(10.0, 5.0, 0.0, 2.3), (15.0, 2.3, 0.0, 0.0, 0.0)]
            shape += [ramp(length - 15.0, 5.0, 2.3, 0.0), (length - 10.0, 0.0, 0.0, 0.0, 0.0)]
            found.append(Lane("parking", "parking", shape, [Mark("solid")]))
        if walk:
            found.append(lane("walk", "sidewalk", walk, Mark("curb"), height=0.15))
        return found

    if not both:
        center = [Mark("solid", "yellow")]
    elif forward > 1 or backward > 1:
        center = [Mark("solid solid", "yellow")]
    else:
        center = [Mark("solid", "yellow"), Mark("broken", "yellow", "none", solid)]
        center.append(Mark("solid", "yellow", "none", length - solid))
    offset = 0.5 * width * (forward - backward)
    right, left = side(forward, -1, parking[1]), side(backward, 1, parking[0])
    return [Section(0.0, left, right, center)], offset
