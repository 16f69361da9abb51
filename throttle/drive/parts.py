"""The parts of a stack, made once and used on every route: who perceives, who plans, who controls."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from contracts import Control, Ego, Objects, Plan, Scene, UserError
from contracts.extension import user_object
from planning.checks import Check
from sim.driving.baselines import lane_follower, scene_plan
from sim.driving.expert import Expert, ExpertConfig
from sim.driving.route import RouteTracker
from sim.driving.surroundings import Surroundings
from sim.driving.tracking import STANDING_BRAKE, PlanTracker, stands
from sim.recorder.config import CameraConfig
from throttle.drive.config import EXPERT, IDM, TRACKER, TRUTH, Stack
from throttle.runs import find_run, latest_checkpoint

SEEN: tuple[Check, ...] = ("lines", "leaders")
"""Checks of plans that a perceived Scene is good enough for (docs/planning.md, The errors of perception)."""
BEST = "best.pt"
"""The weights of a run of perception or planning."""
DT = 0.05
"""Seconds a step."""


@dataclass(frozen=True)
class View:
    """What the sensors gave at one moment. pictures: camera -> [H, W, 3] uint8, blue first. lidar: [N, 4] float32 x, y,
    z in the ego frame and intensity."""

    pictures: dict[str, NDArray[np.uint8]]
    lidar: NDArray[np.float32] | None


class Perception(Protocol):
    """Makes a Scene of what the sensors saw; begins anew on every route. cameras: what it looks through."""

    cameras: dict[str, CameraConfig]

    def begin(self) -> None:
        """A new route."""
        ...

    def see(self, view: View, known: Scene) -> Scene:
        """The estimated scene. `known` holds what a car knows without looking: own motion, route ahead, speed limit."""
        ...


class Planner(Protocol):
    """Plans; begins anew on every route."""

    def begin(self, tracker: RouteTracker) -> None:
        """A new route."""
        ...

    def plan(self, scene: Scene, around: Surroundings) -> Plan:
        """What to drive. `around` is the truth, for planners that are allowed to see it."""
        ...


class Controller(Protocol):
    """Controls; begins anew on every route."""

    def begin(self) -> None:
        """A new route."""
        ...

    def act(self, plan: Plan, scene: Scene) -> Control:
        """Pedals and wheel of this step."""
        ...


class ExpertPlanner:
    """The privileged expert's plans."""

    def begin(self, tracker: RouteTracker) -> None:
        """A new route."""
        self._expert = Expert(tracker.network, tracker.route, ExpertConfig(dt=DT))

    def plan(self, scene: Scene, around: Surroundings) -> Plan:
        """The expert's own plan; the scene is not looked at."""
        return self._expert.act(around).plan


class FunctionPlanner:
    """A planner that is a function of the Scene."""

    def __init__(self, function: Callable[[Scene], Plan]) -> None:
        self._function = function

    def begin(self, tracker: RouteTracker) -> None:
        """Nothing is kept."""

    def plan(self, scene: Scene, around: Surroundings) -> Plan:
        """The function's."""
        return self._function(scene)


class Follower:
    """The plan follower with a model of the car."""

    def begin(self) -> None:
        """A new route."""
        self._tracker = PlanTracker(DT)

    def act(self, plan: Plan, scene: Scene) -> Control:
        """As sim.driving.tracking."""
        return self._tracker.act(plan, scene.ego)


class LearnedControl:
    """A policy of train control: behind a planner where it was trained to track plans, else on the Scene alone."""

    def __init__(self, checkpoint: Path, config: Any) -> None:
        from control.env import make_env
        from control.evaluate import load_learned

        self._policy, prepare = load_learned(checkpoint, config)
        env = make_env(config.env, config.seed, worlds=1)
        try:
            prepare(env)
            normalize = getattr(env, "normalize_obs", None)
        finally:
            env.close()
        self._normalize: Callable[[Any], Any] = normalize if normalize is not None else lambda obs: obs
        self.follows_plans = config.env.id.split("/")[-1].startswith("TrackPlan")
        self._hold = max(1, round(float(config.env.arguments.get("dt", 0.1)) / DT))
        self._step = 0
        self._last = Control(0.0, 1.0, 0.0)

    def begin(self) -> None:
        """A new route."""
        self._step = 0

    def act(self, plan: Plan, scene: Scene) -> Control:
        """The policy's most likely action, held for as many steps as in its training.

        Where a plan is to stand, the brake holds the car, as the follower of plans does: a policy that creeps at .2 m/s
        loses next to nothing in training, and runs a stop sign that wants it to stand.
        """
        from sim.envs.action import to_control
        from sim.envs.observation import encode_plan, encode_scene

        if self._step % self._hold == 0:
            seen = encode_plan(scene.ego, plan) if self.follows_plans else encode_scene(scene)
            action = self._policy.act(self._normalize(seen[None]), np.array([self._step == 0]))
            self._last = to_control(action[0], scene.ego.speed)
        self._step += 1
        if self.follows_plans and stands(plan, scene.ego):
            return Control(0.0, STANDING_BRAKE, self._last.steer)
        return self._last


@dataclass
class Parts:
    """A stack that can drive. perception None: the truth."""

    perception: Perception | None
    planner: Planner
    control: Controller


def is_own(name: str) -> bool:
    """A part names a class of the user's, module:Name, and not a run."""
    return bool(re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name)) and not Path(name).exists()


def own_part(name: str, methods: tuple[str, ...]) -> Any:
    """An object of the user's class; raises UserError where it lacks one of the methods or cannot be made."""
    kind = user_object(name)
    lacking = [method for method in methods if not hasattr(kind, method)]
    if lacking:
        raise UserError(f"{name} has no {lacking[0]}; it needs {', '.join(methods)} (see throttle/drive/parts.py)")
    try:
        return kind()
    except Exception as error:  # whatever the user's class raises
        raise UserError(f"{name} cannot be made: {type(error).__name__}: {error}") from None


METHODS = {"perception": ("begin", "see"), "planner": ("begin", "plan"), "control": ("begin", "act")}
"""What a part of the user's needs."""


def find_parts(stack: Stack, runs: Path) -> Stack:
    """The stack with the folders of the runs that it names; raises UserError where there is none."""
    found: dict[str, Any] = {}
    for part, words, kind in (
        ("perception", (TRUTH,), "perception"), ("planner", (EXPERT, IDM), "planning"),
        ("control", (TRACKER,), "control"),
    ):  # fmt: skip
        wanted = getattr(stack, part)
        if is_own(wanted):
            own_part(wanted, METHODS[part])
        elif wanted not in words:
            path = find_run(runs, wanted, kind)
            ready = latest_checkpoint(path) is not None if kind == "control" else (path / BEST).is_file()
            if not ready:
                raise UserError(f"{path} has nothing to drive with yet")
            found[part] = str(path)
    return replace(stack, **found)


def load_parts(stack: Stack, every: int) -> Parts:
    """The parts of a stack whose runs are folders. every: steps between two looks of its perception.

    Raises UserError where one cannot be loaded.
    """
    return Parts(_perception(stack.perception, every), _planner(stack), _control(stack.control))


def _perception(name: str, every: int) -> Perception | None:
    if name == TRUTH:
        return None
    if is_own(name):
        perception: Perception = own_part(name, METHODS["perception"])
        return perception
    from throttle.drive.seeing import Seeing

    return Seeing(Path(name), every)


def _planner(stack: Stack) -> Planner:
    name = stack.planner
    if name == EXPERT:
        return ExpertPlanner()
    if name == IDM:
        return FunctionPlanner(lambda scene: scene_plan(lane_follower, scene))
    if is_own(name):
        planner: Planner = own_part(name, METHODS["planner"])
        return planner
    from planning.planner import load_planner
    from throttle.commands.train_planning import load_config

    config = load_config(Path(name) / "config.yaml")
    config = replace(config, safety=checks(stack, config.safety))
    return FunctionPlanner(load_planner(Path(name) / BEST, config).plan)


def checks(stack: Stack, trained: Sequence[Check]) -> list[Check]:
    """Checks of the plans of a stack's planner. trained: those that its run names."""
    if stack.safety is not None:
        return stack.safety
    return [check for check in trained if stack.perception == TRUTH or check in SEEN]


def _control(name: str) -> Controller:
    if name == TRACKER:
        return Follower()
    if is_own(name):
        controller: Controller = own_part(name, METHODS["control"])
        return controller
    from throttle.commands.evaluate_control import load_config

    checkpoint = latest_checkpoint(Path(name))
    if checkpoint is None:
        raise UserError(f"{name} has no whole checkpoint")
    return LearnedControl(checkpoint, load_config(Path(name) / "config.yaml"))


def move_on(scene: Scene, since: Scene, seconds: float, moved: tuple[float, float, float]) -> Scene:
    """A scene that was seen `seconds` ago, as it should be now.

    since: what is known now without looking (own motion, route, speed limit). moved: how far the ego has gone since, in
    the ego frame of then, and by how much it has turned (x, y, yaw).
    """
    o = scene.objects
    c, s = math.cos(moved[2]), math.sin(moved[2])
    turn = np.array([[c, -s], [s, c]], np.float32)  # row vectors of then times this are vectors of now
    centre = (o.centre + o.velocity * np.float32(seconds) - np.array(moved[:2], np.float32)) @ turn
    objects = Objects(
        o.kind, centre.astype(np.float32), o.half_extent, (o.yaw - np.float32(moved[2])).astype(np.float32),
        (o.velocity @ turn).astype(np.float32), o.confidence,
    )  # fmt: skip
    gone = math.hypot(moved[0], moved[1])
    distance = scene.stop_distance - gone if math.isfinite(scene.stop_distance) else math.inf
    return Scene(
        since.ego, objects, since.route, scene.light, max(distance, 0.0), scene.stop_sign, since.speed_limit,
    )  # fmt: skip


def known_only(truth: Scene) -> Scene:
    """What a car knows without looking: own motion, the route ahead, the speed limit."""
    from contracts import LightState

    ego = Ego(**vars(truth.ego))
    return Scene(ego, Objects.empty(), truth.route, LightState.NONE, math.inf, False, truth.speed_limit)
