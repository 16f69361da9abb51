"""Driving scores against hand-computed values of the published formulas."""

from __future__ import annotations

import pytest

from sim.metrics import COSTS, FACTORS, VERSIONS, Route, benchmark, penalty, route_score, succeeded


def test_three_red_lights_differ_between_versions() -> None:
    route = Route(completion=1.0, red_light=3)
    for version in ("carla-lb-1.0", "carla-lb-2.0", "bench2drive"):
        assert penalty(route, version) == pytest.approx(0.343)
    assert penalty(route, "carla-lb-2.1") == pytest.approx(1 / 2.2)
    assert round(penalty(route, "carla-lb-2.1"), 3) == 0.455


@pytest.mark.parametrize(
    ("event", "factor", "cost"),
    [
        ("walker", 0.50, 1.00),
        ("vehicle", 0.60, 0.70),
        ("static", 0.65, 0.60),
        ("red_light", 0.70, 0.40),
        ("stop_sign", 0.80, 0.25),
    ],
)
def test_each_event_alone_and_twice(event: str, factor: float, cost: float) -> None:
    one, two = Route(completion=0.5, **{event: 1}), Route(completion=0.5, **{event: 2})
    for version in ("carla-lb-1.0", "carla-lb-2.0", "bench2drive"):
        assert route_score(one, version) == pytest.approx(50 * factor)
        assert route_score(two, version) == pytest.approx(50 * factor**2)
    assert route_score(one, "carla-lb-2.1") == pytest.approx(50 / (1 + cost))
    assert route_score(two, "carla-lb-2.1") == pytest.approx(50 / (1 + 2 * cost))


def test_events_that_the_first_version_does_not_know() -> None:
    route = Route(completion=1.0, scenario_timeout=1, yield_emergency=1)
    assert [round(penalty(route, v), 6) for v in VERSIONS] == [1.0, 0.49, 0.49, round(1 / 1.8, 6)]


def test_minimum_speed_and_outside_lanes() -> None:
    route = Route(completion=1.0, speeds=(0.5, 1.4), outside=0.1)
    assert penalty(route, "carla-lb-1.0") == pytest.approx(0.9)
    assert penalty(route, "bench2drive") == pytest.approx(0.9)
    assert penalty(route, "carla-lb-2.0") == pytest.approx(0.9 * 0.85)
    assert penalty(route, "carla-lb-2.1") == pytest.approx(0.9 / 1.2)


def test_mixture_is_product_or_sum_of_all() -> None:
    route = Route(completion=0.8, walker=1, vehicle=2, static=1, red_light=1, stop_sign=1)
    assert route_score(route, "carla-lb-2.0") == pytest.approx(80 * 0.5 * 0.36 * 0.65 * 0.7 * 0.8)
    assert route_score(route, "carla-lb-2.1") == pytest.approx(80 / (1 + 1 + 1.4 + 0.6 + 0.4 + 0.25))


def test_benchmark_counts_missing_routes_as_failed() -> None:
    good = Route(completion=1.0, finished=True, distance=500.0)
    bad = Route(completion=0.5, vehicle=1, distance=500.0)
    found = benchmark([good, bad], "bench2drive", planned=4)
    assert found["driving_score"] == pytest.approx((100 + 30) / 4)
    assert found["success"] == 0.25
    assert found["infractions_per_km"] == pytest.approx(1.0)
    assert not succeeded(Route(completion=1.0, finished=True, stop_sign=1))
    assert succeeded(Route(completion=1.0, finished=True, speeds=(0.2,)))
    with pytest.raises(ValueError, match="planned"):
        benchmark([good, bad], "bench2drive", planned=1)


def test_bad_values_are_refused() -> None:
    for wrong in ({"completion": 1.2}, {"completion": 0.5, "outside": -0.1}, {"completion": 0.5, "vehicle": -1}):
        with pytest.raises(ValueError, match="Route"):
            Route(**wrong)
    with pytest.raises(ValueError, match="unknown metric version"):
        penalty(Route(completion=1.0), "carla-lb-3")  # type: ignore[arg-type]
    assert all(set(FACTORS[v]) <= set(COSTS) for v in FACTORS)
