"""A trained planner at work: Scene to Plan, or many worlds at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from contracts import Plan, Scene
from planning.checks import Check
from planning.config import PlanningConfig
from planning.model import PlanningNet, to_plan
from planning.safety import safe
from planning.scenes import MOST_OBJECTS, Scenes, from_scenes
from planning.sight import Sight, TrueSight
from sim.driving.batch import Batch
from sim.driving.plans import Plans
from training import check_fits, load_weights

PREFIX = "net."


class Planner:
    """`plan(scene)`: one Scene to a Plan. `plans(scenes)`: many at once."""

    def __init__(self, net: PlanningNet, safety: Sequence[Check] = ()) -> None:
        """safety: the checks that plans go through, see planning/safety.py."""
        self.net, self.safety = net.eval(), safety
        self._points = net.config.route_points

    def plan(self, scene: Scene) -> Plan:
        """What to drive, given what is known; the result passes Plan.validate()."""
        return self.plans([scene])[0]

    def plans(self, scenes: Sequence[Scene]) -> list[Plan]:
        """A plan for each scene."""
        found = self.rows(from_scenes(scenes, MOST_OBJECTS, self._points).tensors())
        return [found.plan(k) for k in range(len(scenes))]

    def rows(self, scenes: Scenes) -> Plans:
        """Plans for tensor scenes."""
        with torch.inference_mode():
            path, speed = to_plan(self.net(scenes))
        plans = Plans(path.numpy(), speed.numpy())
        return safe(scenes.arrays(), plans, self.safety) if self.safety else plans


def load_planner(path: Path, config: PlanningConfig) -> Planner:
    """The planner of a weights file or a checkpoint's folder; raises UserError where they do not fit the network."""
    net = PlanningNet(config.net)
    found = load_weights(path)
    state = {name.removeprefix(PREFIX): value for name, value in found.items() if name.startswith(PREFIX)}
    check_fits(net, state, path)
    net.load_state_dict(state)
    return Planner(net, config.safety)


class BatchDriver:
    """A planner at the wheel of every world of a sim.driving.batch.Batch."""

    def __init__(self, planner: Planner, sight: Sight | None = None) -> None:
        """sight: what the planner is told; the truth by default."""
        self.planner, self.sight = planner, sight or TrueSight()

    def begin(self, batch: Batch) -> None:
        """The batch is about to start."""
        self.sight.begin(batch)

    def plan(self, batch: Batch) -> Plans:
        """Plans for all worlds; those of worlds that are not driven any more stand."""
        active = np.flatnonzero(batch.active)
        plans = Plans.empty(len(batch.routes))
        found = self.planner.rows(self.sight.look(batch, active).tensors())
        plans.path[active], plans.speed[active] = found
        return plans
