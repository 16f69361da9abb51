"""The radio channel of V2X sensors against values of its sources."""

from __future__ import annotations

import numpy as np
import pytest

from sim.server.actors import Actor, box
from sim.server.blueprints import Kind
from sim.server.radio import LIGHT, Channel, Path, knife_edge, two_rays
from sim.server.v2x import CAM, CUSTOM


def channel(**attributes: str) -> Channel:
    nothing = box((0.0, 0.0, 0.0), 0.0)
    return Channel(Actor(7, Kind.SENSOR, "sensor.other.v2x", [0, "", []], nothing, b"", attributes=attributes))


def test_path_loss_of_the_standard() -> None:
    clear = Path(100.0, 1.5, 1.5, [])
    assert channel().loss(clear) == pytest.approx(32.4 + 40.0 + 15.417, abs=1e-3)
    assert channel(scenario="urban").loss(clear) == pytest.approx(38.77 + 33.4 + 14.030, abs=1e-3)


def test_knife_edge() -> None:
    assert knife_edge(50.0, 50.0, -5.0, 0.05) == 0.0
    assert knife_edge(50.0, 50.0, 0.0, 0.05) == pytest.approx(6.03, abs=0.01), "the line grazes the edge"
    losses = [knife_edge(50.0, 50.0, height, 0.05) for height in (0.0, 0.5, 1.0, 3.0)]
    assert losses == sorted(losses)


def test_two_rays_are_one_far_from_the_ground_and_fall_with_the_fourth_power_far_away() -> None:
    wave = LIGHT / 5.9e9
    far = [two_rays(Path(distance, 1.5, 1.5, []), wave) for distance in (5000.0, 10000.0)]
    assert far[1] - far[0] == pytest.approx(12.04, abs=0.7)


def test_what_is_too_weak_or_too_far_is_not_heard() -> None:
    quiet = {"use_etsi_fading": "false"}
    assert channel(**quiet).received(21.5, Path(100.0, 1.5, 1.5, [])) == pytest.approx(31.5 - 87.817, abs=1e-3)
    assert channel(**quiet, receiver_sensitivity="-50").received(21.5, Path(100.0, 1.5, 1.5, [])) is None
    assert channel(**quiet, filter_distance="99").received(21.5, Path(100.0, 1.5, 1.5, [])) is None
    shadowed = channel(**quiet).received(21.5, Path(100.0, 1.5, 1.5, [(50.0, 50.0, 0.5)]))
    assert shadowed is not None
    assert shadowed < 31.5 - 87.8 - 6
    faded = [channel(noise_seed=str(seed)).received(21.5, Path(100.0, 0.0, 0.0, [])) for seed in range(200)]
    assert np.std([level for level in faded if level is not None]) == pytest.approx(3.3, abs=0.5)


def test_the_client_reads_structs_of_these_sizes() -> None:
    assert CAM.itemsize == 464
    assert CUSTOM.itemsize == 136
