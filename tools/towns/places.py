"""Parts that several towns use: streets between nodes, roundabouts, dead ends."""

from __future__ import annotations

import math

from tools.towns.curves import Pose, Track, fillets
from tools.towns.roads import Arm, Cubic, Road, Section, lane
from tools.towns.town import Movement, Town, street

Point = tuple[float, float]


def lay(
    town: Town,
    name: str,
    points: list[Point],
    radii: list[float],
    trims: tuple[float, float],
    speed: float,
    *,
    z: tuple[float, float] = (0.0, 0.0),
    elevation: list[Cubic] | None = None,
    forward: int = 1,
    backward: int = 1,
    walk: float = 2.0,
    parking: tuple[bool, bool] = (False, False),
) -> Road:
    """A street along `points`, with signs for its speed limit."""
    track = fillets(points, radii, *trims)
    sections, offset = street(track.length, forward=forward, backward=backward, walk=walk, parking=parking)
    road = town.road(name, track, sections, speed, offset=offset, z=z, elevation=elevation)
    if track.length > 60:
        town.speed_sign(road, 22.0, True)
        town.speed_sign(road, track.length - 22.0, False)
    return road


def roundabout(town: Town, name: str, center: Point, arms: list[Arm], z: float, radius: float = 20.0) -> list[Road]:
    """A one-lane ring, counter-clockwise; who enters gives way. Arms point at the centre and end about 18 m outside it.

    Returns the ring's roads, one between each arm and the next.
    """
    width, half = 4.5, math.radians(33)
    inner = radius - 0.5 * width
    order = sorted(arms, key=lambda a: a.angle)
    rings: list[Road] = []
    for k, arm in enumerate(order):
        begin = arm.angle + half
        sweep = (order[(k + 1) % len(order)].angle - half - begin) % (2 * math.pi)
        start = Pose(
            center[0] + inner * math.cos(begin), center[1] + inner * math.sin(begin), begin + 0.5 * math.pi
        )  # fmt: skip
        right = [lane("drive0", "driving", width), lane("walk", "sidewalk", 2.0, height=0.15)]
        track = Track(start).arc(inner * sweep, 1.0 / inner)
        rings.append(town.road(f"{name} ring", track, [Section(0.0, [], right)], 30.0, z=(z, z)))
    for k, arm in enumerate(order):
        parts = [arm, Arm(rings[k - 1], True), Arm(rings[k], False)]
        town.junction(
            f"{name} {k + 1}",
            parts,
            [
                Movement(1, (-1,), 2, (-1,), straight=0.0),
                Movement(0, (arm.driving(True)[0],), 2, (-1,), walk=True),
                Movement(1, (-1,), 0, (arm.driving(False)[0],), walk=True),
            ],
            signs={0: "yield"},
            crosswalks=[0],
        )
    return rings


def dead_end(town: Town, name: str, arm: Arm, radius: float = 13.0) -> None:
    """A turning loop at the end of a street: traffic comes back instead of stopping for ever."""
    pose, z = arm.pose, arm.z
    center = pose.ahead(2.6 * radius)
    # Counter-clockwise around the centre, from the right of the street to its left.
    a = math.radians(40)
    begin = pose.h + math.pi + a
    start = Pose(center.x + radius * math.cos(begin), center.y + radius * math.sin(begin), begin + 0.5 * math.pi)
    inner = start.left(2.0)
    half = (math.pi - a) * (radius - 2.0)
    # Two roads: the client confuses the ends of a road that has the same junction at both.
    loops = []
    for _ in range(2):
        right = [lane("drive0", "driving", 4.0), lane("walk", "sidewalk", 2.0, height=0.15)]
        track = Track(inner).arc(half, 1.0 / (radius - 2.0))
        loops.append(town.road(f"{name} loop", track, [Section(0.0, [], right)], 20.0, z=(z, z)))
        inner = track.end
    town.join(*loops)
    town.junction(
        f"{name} end",
        [arm, Arm(loops[0], False), Arm(loops[1], True)],
        [
            Movement(0, (arm.driving(True)[0],), 1, (-1,), walk=True),
            Movement(2, (-1,), 0, (arm.driving(False)[0],), walk=True),
        ],
    )
