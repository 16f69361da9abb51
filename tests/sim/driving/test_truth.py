"""The route tracker and the referee against the world's own: every step of batched driving, in every town."""

from __future__ import annotations

import numpy as np
import pytest

from sim.driving.baselines import lane_follower
from sim.driving.batch import Batch, BatchConfig
from sim.driving.evaluation import outcome
from sim.driving.plans import Plans
from sim.driving.referee import Referee
from sim.driving.route import RouteTracker
from sim.driving.routes import named_routes
from sim.driving.surroundings import from_world
from sim.roads import load, towns

WORLDS, STEPS = 6, 350


def reckless(batch: Batch, step: int) -> Plans:
    """The lane follower's plans; in half of the worlds blind and swerving, so that things happen."""
    rows = batch.rows()
    plans = lane_follower(rows)
    blind = np.arange(WORLDS) % 2 == 1
    plans.speed[blind] = np.float32(12.0)
    plans.path[blind, :, 1] += np.float32(2.5 * np.sin(step / 40.0))
    return plans


@pytest.mark.parametrize("town", towns())
def test_tracker_and_referee_agree_with_the_world(town: str) -> None:
    network = load(town)
    routes = named_routes(network, "train", WORLDS, seed=5)
    batch = Batch(network, routes, BatchConfig(density=10.0, seed=11))
    trackers = [RouteTracker(network, named.route) for named in routes]
    referees = [Referee(tracker, margin=0.0) for tracker in trackers]
    for step in range(STEPS):
        for w in np.flatnonzero(batch.active).tolist():
            around = from_world(batch.world, w)
            trackers[w].update(around)
            referees[w].update(around)
            truth, mine = batch.world.scene(w), trackers[w].scene(around)
            if step:  # a world looks for the first stop line in its first step
                assert mine.validate().light == truth.light, (w, step)
                assert mine.stop_sign == truth.stop_sign
                assert mine.stop_distance == pytest.approx(truth.stop_distance, abs=0.02)
            assert mine.speed_limit == pytest.approx(truth.speed_limit)
            assert np.abs(mine.route - truth.route).max() < 0.02
            assert len(mine.objects) == len(truth.objects)
            for part in ("kind", "centre", "half_extent", "velocity"):
                np.testing.assert_allclose(getattr(mine.objects, part), getattr(truth.objects, part), atol=0.02)
            turn = np.abs(mine.objects.yaw - truth.objects.yaw)
            assert np.minimum(turn, 2 * np.pi - turn).max(initial=0.0) < 1e-3
        batch.step(reckless(batch, step))
    infractions = 0
    for w in range(WORLDS):
        if not batch.active[w]:
            continue  # the world goes on counting after a route's end
        around = from_world(batch.world, w)
        trackers[w].update(around)
        referees[w].update(around)
        mine, theirs = referees[w].result(), outcome(batch.world, w)
        infractions += theirs.infractions
        for kind in ("walker", "vehicle", "static", "red_light", "stop_sign"):
            # the world does not count a second vehicle hit while the first is still touched
            more = int(kind == "vehicle")
            assert getattr(theirs, kind) <= getattr(mine, kind) <= getattr(theirs, kind) + more, (w, kind)
        assert mine.completion == pytest.approx(theirs.completion, abs=1e-3)
        assert mine.distance == pytest.approx(theirs.distance, rel=1e-3)
        assert mine.outside == pytest.approx(theirs.outside, abs=0.01)
        assert len(mine.speeds) == len(theirs.speeds)
        if mine.speeds:
            assert np.mean(mine.speeds) == pytest.approx(theirs.speeds[0], abs=0.02)
    assert infractions > 0
