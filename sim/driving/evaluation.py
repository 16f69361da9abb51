"""What driving routes gave: one Drive a route, their means, and the world's counters as a route of sim.metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sim import metrics
from sim.driving.referee import Infraction
from sim.world import fields as f
from sim.world.world import World

EVENTS = {
    "vehicle": f.E_HIT_VEHICLE, "walker": f.E_HIT_WALKER, "static": f.E_HIT_STATIC,
    "red_light": f.E_RED_LIGHT, "stop_sign": f.E_STOP_SIGN, "scenario_timeout": f.E_SCENARIO_TIMEOUT,
    "yield_emergency": f.E_YIELD_EMERGENCY,
}  # fmt: skip
"""Counters of the world by their names in sim.metrics."""


@dataclass(frozen=True)
class Drive:
    """One route that was driven."""

    name: str
    town: str
    seed: int
    seconds: float
    ended: str
    """completed, deviated, blocked, timeout or limit."""
    result: metrics.Route
    infractions: tuple[Infraction, ...]
    comfort: dict[str, float]
    """Root mean squares of acceleration and jerk along, m/s^2 and m/s^3; mean speed as a share of the limit."""

    def row(self) -> dict[str, Any]:
        """For a table: scores of every version, completion, events."""
        r = self.result
        return {
            "route": self.name, "town": self.town, "seed": self.seed, "ended": self.ended, "seconds": self.seconds,
            "completion": 100.0 * r.completion, "distance": r.distance, "outside": r.outside,
            **{f"score/{version}": metrics.route_score(r, version) for version in metrics.VERSIONS},
            **{kind: getattr(r, kind) for kind in EVENTS}, **self.comfort,
        }  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """All routes that one planner drove."""

    planner: str
    drives: tuple[Drive, ...]

    def figures(self) -> dict[str, float]:
        """Means over routes: driving score and penalty of every version, completion, success, events, comfort."""
        routes = [d.result for d in self.drives]
        found: dict[str, float] = {"routes": float(len(routes))}
        for version in metrics.VERSIONS:
            part = metrics.benchmark(routes, version)
            found[f"driving_score/{version}"] = part.pop("driving_score")
            found[f"penalty/{version}"] = part.pop("penalty")
            found |= part
        seconds = sum(d.seconds for d in self.drives)
        found["mean_speed"] = sum(r.distance for r in routes) / max(seconds, 1e-9)
        for kind in EVENTS:
            found[f"events/{kind}"] = float(sum(getattr(r, kind) for r in routes))
        for name in self.drives[0].comfort if self.drives else ():
            found[name] = float(np.mean([d.comfort[name] for d in self.drives]))
        return found


def outcome(world: World, w: int = 0, ego: int = 0) -> metrics.Route:
    """The counters of an ego as a route; a target reached is the whole route, as the leaderboards have it.

    The world keeps the sum of the speed checks, so each has their mean.
    """
    e = world.state.egos
    checks = int(e.speed_checks[w, ego])
    return metrics.Route(
        completion=1.0 if e.completed[w, ego] else min(max(float(e.completion[w, ego]), 0.0), 1.0),
        walker=int(e.hit_walker[w, ego]),
        vehicle=int(e.hit_vehicle[w, ego]),
        static=int(e.hit_static[w, ego]),
        red_light=int(e.red_light[w, ego]),
        stop_sign=int(e.stop_sign[w, ego]),
        scenario_timeout=int(e.scenario_timeout[w, ego]),
        yield_emergency=int(e.yield_emergency[w, ego]),
        outside=min(float(e.outside[w, ego]) / max(float(e.distance[w, ego]), 1.0), 1.0),
        speeds=(float(e.speed_share[w, ego]) / checks,) * checks if checks else (),
        distance=float(e.distance[w, ego]),
        finished=bool(e.completed[w, ego]),
    )
