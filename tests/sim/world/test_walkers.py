"""Pedestrians: what they walk on."""

from __future__ import annotations

import numpy as np
import pytest

from sim.roads.tables import LaneTables, WalkTables
from sim.world.config import WorldConfig
from sim.world.walkers import CROSSING, STEPPED_OUT
from sim.world.world import World

Town = tuple[LaneTables, WalkTables]


def test_feet_are_on_the_road_between_the_kerbs_and_on_the_sidewalk_beside(town: Town) -> None:
    lanes, walk = town
    crossing = walk.edge_crossing
    assert walk.edge_drop[crossing] == pytest.approx(0.15, abs=0.01)
    assert not walk.edge_drop[~crossing].any()
    world = World(lanes, walk, WorldConfig(worlds=8, vehicles=4, walkers=32, egos=0, jaywalk=2.0), seed=1)
    world.reset()
    p = world.state.walkers
    seen = dict.fromkeys((CROSSING, STEPPED_OUT), 0)
    beside = []
    for step in range(1200):
        world.step()
        if step % 20:
            continue
        for w, j in zip(*np.nonzero(p.mode)):
            gap = np.hypot(lanes.x - p.x[w, j], lanes.y - p.y[w, j])
            k = int(gap.argmin())
            if gap[k] < lanes.half_width[k] - 0.3:
                state = int(p.state[w, j])
                if state in seen:
                    seen[state] += 1
                    assert p.z[w, j] == pytest.approx(lanes.z[k], abs=0.02 if state == CROSSING else 0.35)
            elif p.state[w, j] < CROSSING:
                beside.append(float(p.z[w, j] - lanes.z[k]))
    assert min(seen.values()) > 50
    assert np.median(beside) == pytest.approx(0.15, abs=0.02)
    assert np.ptp(p.z) > 2.0, "up and down the hill"
