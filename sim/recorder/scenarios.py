"""Situations that matter, staged around the ego's route with actors that follow a script."""

from __future__ import annotations

from typing import Protocol

from sim.client import Simulator
from sim.driving.loop import Step
from sim.roads.network import RoadNetwork
from sim.roads.routing import Route


class Scenario(Protocol):
    """A script. places: (x, y) that traffic must leave free at the begin."""

    places: list[tuple[float, float]]

    def act(self, step: Step) -> None:
        """Move the script on; called once a step of the simulation."""
        ...


class Plain:
    """Nothing but traffic."""

    places: list[tuple[float, float]] = []

    def act(self, step: Step) -> None:
        """Nothing to do."""


def scenario(name: str, sim: Simulator, network: RoadNetwork, route: Route, seed: int) -> Scenario:
    """Set a scenario up; plain traffic where the route has no place for it."""
    return Plain()
