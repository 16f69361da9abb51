"""Named routes: the same for a seed, within their bounds, no route in two splits."""

from __future__ import annotations

import numpy as np
import pytest

from contracts import UserError
from sim.driving.routes import CONTROLS, LENGTHS, SPLITS, named_routes
from sim.roads import load, towns


@pytest.mark.parametrize("town", towns())
def test_splits_share_no_route(town: str) -> None:
    network = load(town)
    low, high = LENGTHS.get(town, (150.0, 600.0))
    ends: dict[str, set[tuple[int, int]]] = {}
    for split in SPLITS:
        routes = named_routes(network, split, 30, seed=3)
        assert all(low <= named.route.length <= high for named in routes)
        assert len({named.name for named in routes}) == 30
        ends[split] = {(int(n.route.lane[0]), int(n.route.lane[-1])) for n in routes}
    assert not ends["train"] & ends["validation"] | ends["train"] & ends["test"] | ends["validation"] & ends["test"]


def test_a_seed_fixes_the_routes() -> None:
    network = load("Alder")
    first, more = named_routes(network, "train", 5, seed=1), named_routes(network, "train", 9, seed=1)
    other = named_routes(network, "train", 5, seed=2)
    assert [n.name for n in first] == [n.name for n in more[:5]]
    assert all(np.array_equal(a.route.x, b.route.x) for a, b in zip(first, more))
    assert any(a.route.length != b.route.length for a, b in zip(first, other))


def test_impossible_wishes_are_refused() -> None:
    network = load("Alder")
    with pytest.raises(UserError, match="no 5 train routes of 90000 to 90001 m"):
        named_routes(network, "train", 5, shortest=9e4, longest=9.0001e4)
    with pytest.raises(UserError, match="'dev' is none of"):
        named_routes(network, "dev", 5)  # type: ignore[arg-type]


def test_routes_come_through_what_is_wished() -> None:
    network = load("Gridley")
    for passing in ("light", "stop"):
        governed = network.lane_tables().control == CONTROLS[passing]
        routes = named_routes(network, "train", 12, shortest=100.0, longest=220.0, passing=passing)
        assert all(governed[named.route.lanes].any() for named in routes)
        assert {named.name.split("-")[-1][0] for named in routes} == {passing[0]}
    few = named_routes(load("Marlin"), "validation", 3, shortest=100.0, longest=220.0, passing="stop")
    governed = load("Marlin").lane_tables().control == CONTROLS["stop"]
    assert [bool(governed[named.route.lanes].any()) for named in few] == [True, False, False]  # it has no more
    assert not (network.lane_tables().control == CONTROLS["yield"]).any()
    assert len(named_routes(network, "train", 3, passing="yield")) == 3
