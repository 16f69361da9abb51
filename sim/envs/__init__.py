"""Gymnasium environments and vector environments over the batched world.

Ids: throttle/LaneFollow-v0, throttle/SpeedControl-v0, throttle/EmergencyBrake-v0, throttle/TrackPlan-v0,
throttle/Urban-v0, and throttle/CarlaUrban-v0, which is the last of these on a CARLA server. Importing this package
registers them.

    gymnasium.make("throttle/Urban-v0", town="Alder", traffic=0.5, render_mode="rgb_array")
    gymnasium.make_vec("throttle/Urban-v0", num_envs=256)         # native: one process, no Python per world
    sim.envs.make_sb3("throttle/Urban-v0", worlds=256, seed=0)    # the same as a Stable-Baselines3 VecEnv
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

import gymnasium

from contracts import UserError
from contracts.extension import user_module
from sim.envs.emergency_brake import EmergencyBrakeEnv, make_emergency_brake
from sim.envs.lane_follow import LaneFollowEnv, make_lane_follow
from sim.envs.sb3 import DrivingVecEnv
from sim.envs.single import DrivingEnv
from sim.envs.speed_control import SpeedControlEnv, make_speed_control
from sim.envs.task import Task, TaskConfig
from sim.envs.track_plan import TrackPlanEnv, make_track_plan
from sim.envs.urban import UrbanConfig, UrbanEnv, make_urban
from sim.envs.vector import DrivingVectorEnv

TASKS: dict[str, tuple[type[DrivingEnv], Callable[..., Task]]] = {
    "throttle/LaneFollow-v0": (LaneFollowEnv, make_lane_follow),
    "throttle/SpeedControl-v0": (SpeedControlEnv, make_speed_control),
    "throttle/EmergencyBrake-v0": (EmergencyBrakeEnv, make_emergency_brake),
    "throttle/TrackPlan-v0": (TrackPlanEnv, make_track_plan),
    "throttle/Urban-v0": (UrbanEnv, make_urban),
}


def find_task(id: str) -> str:
    """The id without the module of `module:id`, which is imported so that it can register its tasks (`register`)."""
    module, _, rest = id.rpartition(":")
    if module:
        user_module(module)
    return rest


def make_task(id: str, **arguments: Any) -> Task:
    """The task of an environment id, with its arguments; raises UserError for unknown ones."""
    id = find_task(id)
    if id not in TASKS:
        raise UserError(f"unknown environment '{id}'; there are {', '.join(TASKS)}")
    make = TASKS[id][1]
    known: Collection[str] = (UrbanConfig if id == "throttle/Urban-v0" else TaskConfig).__dataclass_fields__
    if not id.startswith("throttle/"):
        named = inspect.signature(make).parameters.values()
        known = {*(p.name for p in named), *(known if any(p.kind is p.VAR_KEYWORD for p in named) else ())}
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise UserError(f"{id}: unknown argument '{unknown[0]}'; it takes {', '.join(known)}")
    return make(**arguments)


def make_sb3(
    id: str, worlds: int = 256, seed: int = 0, render_mode: str | None = None, **arguments: Any
) -> DrivingVecEnv:
    """A Stable-Baselines3 VecEnv of `worlds` worlds."""
    return DrivingVecEnv(make_task(id, **arguments), worlds, seed, render_mode)


def _vector(id: str) -> Callable[..., DrivingVectorEnv]:
    def build(num_envs: int = 1, render_mode: str | None = None, **arguments: Any) -> DrivingVectorEnv:
        return DrivingVectorEnv(make_task(id, **arguments), num_envs, render_mode)

    return build


def register(id: str, env: type[DrivingEnv], make: Callable[..., Task]) -> None:
    """Make a task known by an id to Gymnasium and to `throttle train control --env.id module:id`.

    env: its Gymnasium form. make: arguments -> the task.
    """
    TASKS[id] = (env, make)
    if id not in gymnasium.registry:
        gymnasium.register(id, entry_point=env, vector_entry_point=_vector(id))  # type: ignore[arg-type]


for _id, (_env, _make) in list(TASKS.items()):
    register(_id, _env, _make)

if "throttle/CarlaUrban-v0" not in gymnasium.registry:
    gymnasium.register("throttle/CarlaUrban-v0", entry_point="sim.envs.carla:CarlaUrbanEnv")  # type: ignore[arg-type]

__all__ = [
    "TASKS", "DrivingEnv", "DrivingVecEnv", "DrivingVectorEnv", "Task", "TaskConfig", "find_task", "make_sb3",
    "make_task", "register",
]  # fmt: skip
