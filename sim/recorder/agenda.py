"""Which episodes a recording has: all of them follow from its config."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from contracts import UserError
from sim.driving.routes import SPLITS, NamedRoute, Split, named_routes
from sim.recorder.config import RecordConfig
from sim.roads.network import RoadNetwork


@dataclass(frozen=True)
class Assignment:
    """One episode to be. route: number of the town's route of the split that comes through `passing`, "" for any.
    seed: of its traffic, noise and scenario."""

    index: int
    split: Split
    town: str
    route: int
    passing: str
    weather: str
    density: float
    scenario: str
    seed: int


def agenda(config: RecordConfig) -> list[Assignment]:
    """All episodes in their order."""
    found: list[Assignment] = []
    rng, ways = np.random.default_rng([config.seed, 1]), np.random.default_rng([config.seed, 3])
    for split in SPLITS:
        towns = config.test_towns if split == "test" else config.towns
        count = getattr(config, split)
        # an order for each list, so that weathers, densities and scenarios meet in all combinations
        weathers = _weathers(config.weathers, len(towns), count, rng)
        densities = _dealt(list(config.traffic.densities), count, rng)
        scenarios = _dealt(list(config.scenarios), count, rng)
        wished = [""] if split == "test" else list(config.passing)
        passing = {town: _dealt(wished, -(-count // len(towns)), ways) for town in towns}
        used: Counter[tuple[str, str]] = Counter()
        for k in range(count):
            town = towns[k % len(towns)]
            way = passing[town][k // len(towns)]
            found.append(
                Assignment(
                    len(found),
                    split,
                    town,
                    used[town, way],
                    way,
                    weathers[k],
                    float(densities[k]),
                    scenarios[k],
                    int(rng.integers(1, 2**31 - 1)),
                )
            )
            used[town, way] += 1
    return found


def _weathers(weathers: tuple[str, ...], towns: int, count: int, rng: np.random.Generator) -> list[str]:
    """The weather of each of `count` episodes, which are in `towns` towns by turns.

    A town sees every weather before it sees one again. The towns begin at different places of the same order, so that
    the first episodes of a split, as many as there are weathers, show them all.
    """
    many = len(weathers)
    orders = [rng.permutation(many) for _ in range(count // (many * towns) + 1)] if towns else []
    found = []
    for k in range(count):
        turn, town = divmod(k, towns)
        found.append(weathers[orders[turn // many][(turn + town * many // towns) % many]])
    return found


def _dealt(cards: list, count: int, rng: np.random.Generator) -> list:
    """`count` cards: the pack is dealt out whole before it is shuffled anew."""
    found: list = []
    while len(found) < count:
        found += [cards[k] for k in rng.permutation(len(cards))]
    return found[:count]


def route_of(
    config: RecordConfig, network: RoadNetwork, assignment: Assignment, candidate: int | None = None
) -> NamedRoute:
    """The route of an episode, or one of the further routes of its split that its scenario may choose from.

    Raises UserError where the town has too few.
    """
    number, seed = (assignment.route, config.seed) if candidate is None else (candidate, assignment.seed)
    routes = named_routes(
        network, assignment.split, number + 1, seed, config.shortest, config.longest, assignment.passing
    )
    if routes[-1].town != assignment.town.split("/")[-1]:
        raise UserError(f"the server calls the town {routes[-1].town}, the config {assignment.town}")
    return routes[-1]
