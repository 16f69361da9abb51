"""Closed-loop driving scores from event counts, under the four published definitions; versions are not comparable.

Sources: CARLA leaderboard 1.0, 2.0 and 2.1 (leaderboard.carla.org) and Bench2Drive (Jia et al. 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Version = Literal["carla-lb-1.0", "carla-lb-2.0", "carla-lb-2.1", "bench2drive"]
VERSIONS: tuple[Version, ...] = ("carla-lb-1.0", "carla-lb-2.0", "bench2drive", "carla-lb-2.1")

_FACTORS = {"walker": 0.50, "vehicle": 0.60, "static": 0.65, "red_light": 0.70, "stop_sign": 0.80}
_LATER = {"scenario_timeout": 0.70, "yield_emergency": 0.70}
FACTORS: dict[str, dict[str, float]] = {
    "carla-lb-1.0": _FACTORS,
    "carla-lb-2.0": {**_FACTORS, **_LATER},
    "bench2drive": {**_FACTORS, **_LATER},
}
"""What each event multiplies the score by; an event that a version does not know leaves it alone."""
COSTS = {
    "walker": 1.00,
    "vehicle": 0.70,
    "static": 0.60,
    "red_light": 0.40,
    "stop_sign": 0.25,
    "scenario_timeout": 0.40,
    "yield_emergency": 0.40,
}
"""What each event adds to the divisor in carla-lb-2.1."""
MIN_SPEED_FACTOR = 0.30  # 2.0: 1 - .3 (1 - v)
MIN_SPEED_COST = 0.40  # 2.1: .4 (1 - v)


@dataclass(frozen=True)
class Route:
    """What happened on one route.

    completion: share of the route driven, 0..1. Counts of events: collisions with a walker, a vehicle, a static object;
    red lights and stop signs run; scenario timeouts; emergency vehicles not yielded to. outside: share of the distance
    outside the route's lanes, 0..1. speeds: at each minimum-speed check, the ego's mean speed as a share of the
    traffic's (more than 1 counts as 1). distance: metres driven. finished: the target was reached in time.
    """

    completion: float
    walker: int = 0
    vehicle: int = 0
    static: int = 0
    red_light: int = 0
    stop_sign: int = 0
    scenario_timeout: int = 0
    yield_emergency: int = 0
    outside: float = 0.0
    speeds: Sequence[float] = field(default=())
    distance: float = 0.0
    finished: bool = False

    def __post_init__(self) -> None:
        for name in ("completion", "outside"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"Route.{name}: {getattr(self, name)} is not in [0, 1]")
        for name in COSTS:
            if getattr(self, name) < 0:
                raise ValueError(f"Route.{name}: {getattr(self, name)} is negative")
        if any(not v >= 0.0 for v in self.speeds):
            raise ValueError(f"Route.speeds: {list(self.speeds)} holds a value that is not at least 0")

    @property
    def infractions(self) -> int:
        """Events of all kinds except the minimum speed."""
        return sum(getattr(self, name) for name in COSTS)


def penalty(route: Route, version: Version) -> float:
    """The factor in (0, 1] that the events of a route leave of its completion."""
    if version not in VERSIONS:
        raise ValueError(f"unknown metric version {version!r}; there are {', '.join(VERSIONS)}")
    slow = [1.0 - min(v, 1.0) for v in route.speeds]
    if version == "carla-lb-2.1":
        cost = sum(getattr(route, name) * c for name, c in COSTS.items()) + sum(MIN_SPEED_COST * s for s in slow)
        return (1.0 - route.outside) / (1.0 + cost)
    left = math.prod(factor ** getattr(route, name) for name, factor in FACTORS[version].items())
    if version == "carla-lb-2.0":
        left *= math.prod(1.0 - MIN_SPEED_FACTOR * s for s in slow)
    return (1.0 - route.outside) * left


def route_score(route: Route, version: Version) -> float:
    """Driving score of one route, 0..100: completion in percent times the penalty."""
    return 100.0 * route.completion * penalty(route, version)


def succeeded(route: Route) -> bool:
    """Bench2Drive's success: finished, with no infraction except the minimum speed."""
    return route.finished and route.infractions == 0 and route.outside == 0.0


def benchmark(routes: Sequence[Route], version: Version, planned: int | None = None) -> dict[str, float]:
    """Means over routes: driving_score, completion (percent), penalty, success (share), infractions_per_km.

    planned: how many routes there should be; those missing count as failed with a score of 0.
    Raises ValueError without a single route.
    """
    count = len(routes) if planned is None else planned
    if count < max(1, len(routes)):
        raise ValueError(f"{len(routes)} routes were driven of {count} planned")
    kilometres = sum(r.distance for r in routes) / 1000.0
    return {
        "driving_score": sum(route_score(r, version) for r in routes) / count,
        "completion": 100.0 * sum(r.completion for r in routes) / count,
        "penalty": sum(penalty(r, version) for r in routes) / max(len(routes), 1),
        "success": sum(map(succeeded, routes)) / count,
        "infractions_per_km": sum(r.infractions for r in routes) / kilometres if kilometres > 0 else math.nan,
    }
