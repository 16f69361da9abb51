"""A planner, a controller and a perception of your own behind the benchmark.

    throttle drive --planner examples.own_planner:Careful --routes 1

A part is a class that is made without arguments; its methods are those of the protocols in throttle/drive/parts.py.
"""

from __future__ import annotations

import numpy as np

from contracts import Control, Plan, Scene
from sim.driving.baselines import lane_follower, scene_plan
from sim.driving.route import RouteTracker
from sim.driving.surroundings import Surroundings
from sim.driving.tracking import PlanTracker
from sim.recorder.config import CameraConfig
from throttle.drive.parts import DT, View


class Careful:
    """The lane follower at three quarters of its speed."""

    def begin(self, tracker: RouteTracker) -> None:
        """A new route: nothing is kept from the last."""

    def plan(self, scene: Scene, around: Surroundings) -> Plan:
        """Path [20, 2] in the ego frame, 1 m apart; speed [8] at 4 Hz. `around` is the truth: not for fair planners."""
        plan = scene_plan(lane_follower, scene)
        return Plan(plan.path, (0.75 * plan.speed).astype(np.float32))


class Gentle:
    """The plan follower with at most half of the brake, except in need."""

    def begin(self) -> None:
        """A new route."""
        self._tracker = PlanTracker(DT)

    def act(self, plan: Plan, scene: Scene) -> Control:
        """Pedals and wheel of this step of 0.05 s."""
        wanted = self._tracker.act(plan, scene.ego)
        brake = wanted.brake if wanted.brake > 0.8 else min(wanted.brake, 0.5)
        return Control(wanted.throttle, brake, wanted.steer)


class Blind:
    """A perception that sees nothing: the Scene holds what a car knows without looking."""

    cameras: dict[str, CameraConfig] = {"front": CameraConfig(width=64, height=32, outputs=("rgb",))}

    def begin(self) -> None:
        """A new route."""

    def see(self, view: View, known: Scene) -> Scene:
        """`view.pictures["front"]` is [32, 64, 3] uint8 (blue first), `view.lidar` [N, 4] in the ego frame."""
        return known
