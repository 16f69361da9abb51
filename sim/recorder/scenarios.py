"""Situations that matter, staged around the ego's route with actors that follow a script, by name.

Each class looks for a place on the route in its constructor and raises NoPlace where there is none.
"""

from __future__ import annotations

from sim.recorder.junction_scenarios import Merging, Runner, UnprotectedTurn
from sim.recorder.road_scenarios import CutIn, HardBrake, Obstacle, PedestrianCrosses
from sim.recorder.staging import Scenario

SCRIPTS: dict[str, type[Scenario]] = {
    "": Scenario, "cut_in": CutIn, "hard_brake": HardBrake, "pedestrian": PedestrianCrosses,
    "red_light_runner": Runner, "unprotected_turn": UnprotectedTurn, "obstacle": Obstacle, "merging": Merging,
}  # fmt: skip
