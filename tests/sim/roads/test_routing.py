"""Routes: shortest, drivable, and refused where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from sim import roads
from tests.sim.roads.small import document, road


@pytest.fixture(params=list(roads.towns()), scope="module")
def network(request: pytest.FixtureRequest) -> roads.RoadNetwork:
    return roads.load(request.param)


def all_pairs(network: roads.RoadNetwork) -> np.ndarray:
    """Distance between the beginnings of lanes [L, L] by Bellman-Ford on matrices, lane changes free."""
    t = network.lane_tables()
    count = len(t.length)
    best = np.full((count, count), np.inf)
    np.fill_diagonal(best, 0.0)
    step = []
    for lane in range(count):
        step += [(lane, int(other), float(t.length[lane])) for other in t.successors[lane] if other >= 0]
        step += [(lane, int(t.left[lane]), 0.0)] if t.may_change_left[lane] else []
        step += [(lane, int(t.right[lane]), 0.0)] if t.may_change_right[lane] else []
    while True:
        before = best.copy()
        for lane, other, length in step:
            np.minimum(best[lane], length + best[other], out=best[lane])
        if (before == best).all():
            return best


def test_routes_are_shortest_and_drivable(network: roads.RoadNetwork) -> None:
    t, router, points = network.lane_tables(), network.router(), network.spawn_points()
    rng = np.random.default_rng(0)
    lower = all_pairs(network)
    for start, goal in points[rng.integers(len(points), size=(60, 2))].astype(float):
        (a, s0), (b, s1) = router.places(*start[[0, 1, 3]])[0], router.places(*goal[[0, 1, 3]])[0]
        try:
            route = router.route(tuple(start[[0, 1, 3]]), tuple(goal[[0, 1, 3]]))
        except roads.RouteError:
            assert not np.isfinite(lower[a, b])
            continue
        changes = 0
        for lane, other in zip(route.lanes[:-1], route.lanes[1:]):
            if other not in t.successors[lane]:
                changes += 1
                left = other == t.left[lane] and t.may_change_left[lane]
                assert left or (other == t.right[lane] and t.may_change_right[lane])
        bound = lower[a, b] - s0 + s1
        # Driving on a side lane differs a little from its neighbour in curves; a change moves sideways.
        if changes == 0 and bound > 0:
            assert route.length < bound + 40 * (1 + 0.05 * len(route.lanes))
        assert route.length > min(bound, 0) - 1
        assert np.hypot(route.x[0] - start[0], route.y[0] - start[1]) < 0.05
        assert np.hypot(route.x[-1] - goal[0], route.y[-1] - goal[1]) < 1.05
        if len(route.x) > 1:
            steps = np.hypot(np.diff(route.x), np.diff(route.y))
            assert np.abs(steps - 1).max() < 0.02
            turn = (np.diff(route.yaw) + np.pi) % (2 * np.pi) - np.pi
            assert np.abs(turn).max() < 0.45
        assert set(route.lane) <= set(route.lanes)


def test_a_route_changes_lanes_where_it_may() -> None:
    network = roads.RoadNetwork.parse(document(road("<line/>", length=200.0)))
    router = network.router()
    pose = {lane: network.poses((0, k, lane), np.array([s])) for lane, k, s in ((-1, 0, 2.0), (-2, 1, 150.0))}
    begin, end = ((pose[lane].x[0], pose[lane].y[0], pose[lane].yaw[0]) for lane in (-1, -2))
    route = router.route(begin, end)
    t = network.lane_tables()
    assert t.lane[route.lanes].tolist() in ([-1, -2, -2], [-1, -1, -2])
    assert route.length == pytest.approx(148.0, abs=1.5)
    with pytest.raises(roads.RouteError, match="no route leads"):
        router.route(end, begin)
    # The marking between them, made solid, forbids it.
    solid = document(road("<line/>", length=200.0)).replace(
        'type="broken" color="white" width="0.12" laneChange="both"', 'type="solid" color="white" laneChange="none"'
    )
    solid = (
        solid.replace('<lane id="-1" type="driving"><link><predecessor id="-1"/></link>', "\\g<0>") if False else solid
    )
    barred = roads.RoadNetwork.parse(solid)
    assert not barred.lane_tables().may_change_right[barred.lane_tables().section == 0].any()


def test_goals_behind_and_far_away() -> None:
    network = roads.load(next(iter(roads.towns())))
    router, points = network.router(), network.spawn_points()
    x, y, _, yaw = points[0].astype(float)
    ahead = (x + 3 * np.cos(yaw), y + 3 * np.sin(yaw), yaw)
    assert router.route((x, y, yaw), ahead).length == pytest.approx(3.0, abs=0.05)
    # Three metres behind is a way round, not backwards.
    assert router.route(ahead, (x, y, yaw)).length > 50
    with pytest.raises(roads.RouteError, match="no lane within 50 m"):
        router.route((1e5, 1e5, None), (x, y, None))
