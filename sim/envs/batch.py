"""W worlds that play one task together: what every environment class is made of."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import Scene
from sim.envs.action import to_pedals
from sim.envs.birdseye import Painter
from sim.envs.observation import NEAREST, ROUTE_AHEAD
from sim.envs.task import Task
from sim.roads import load
from sim.roads.tables import LaneTables, WalkTables
from sim.world import fields as f
from sim.world.truth import Truth
from sim.world.world import World

F32 = NDArray[np.float32]
Bool = NDArray[np.bool_]
EVENTS = ("hit_vehicle", "hit_walker", "hit_static", "hits_forgiven", "red_light", "stop_sign", "off_road", "wrong_way",
          "yield_emergency", "scenario_timeout", "scenarios_passed", "deviated", "strayed", "stalled", "timeout",
          "completed")  # fmt: skip


@lru_cache(maxsize=8)
def town_tables(town: str) -> tuple[LaneTables, WalkTables]:
    """Lane and walk tables of a town, by name or path, kept in memory."""
    network = load(town)
    return network.lane_tables(), network.walk_tables()


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class DrivingBatch:
    """Steps W worlds under one task; no Python runs per world except where an episode ends.

    obs [W, size] float32, reward, terms [W, len(task.terms)], terminated, truncated [W] hold the last step's values in
    buffers that the next step overwrites.
    """

    def __init__(self, task: Task, worlds: int, seed: int = 0) -> None:
        self.task, self.dt = task, task.config.dt
        self.lanes, self.walks = town_tables(task.config.town)
        config = replace(task.world_config(worlds), nearest=max(NEAREST, 16), route_ahead=ROUTE_AHEAD)
        self.world = World(self.lanes, self.walks, config, seed)
        self.worlds = worlds
        self.truth: Truth = self.world.truth
        self.limit = round(task.config.time_limit / task.config.dt)
        self.obs: F32 = np.zeros((worlds, task.observation_size), np.float32)
        self.reward: F32 = np.zeros(worlds, np.float32)
        self.terms: F32 = np.zeros((worlds, len(task.terms)), np.float32)
        self.terminated: Bool = np.zeros(worlds, np.bool_)
        self.truncated: Bool = np.zeros(worlds, np.bool_)
        self.returns: F32 = np.zeros(worlds, np.float32)
        self.term_returns: F32 = np.zeros_like(self.terms)
        self.gained: F32 = np.zeros(worlds, np.float32)
        """Metres gained along the route in the last step."""
        self.steer_change: F32 = np.zeros(worlds, np.float32)
        """Change of the steering asked for, as a share of its range."""
        self._pedals: F32 = np.zeros((worlds, 1, 3), np.float32)
        self._steer: F32 = np.zeros(worlds, np.float32)
        self._along: F32 = np.zeros(worlds, np.float32)
        self._counts = self.world.state.buffers.ei.copy()
        self.length = np.zeros(worlds, np.int64)
        self._painter: Painter | None = None

    def seed(self, seeds: NDArray[np.int64]) -> None:
        """Set each world's seed [W]; its episodes are numbered anew. Takes effect with the next reset."""
        wi = self.world.state.buffers.wi
        wi[:, f.W_SEED] = (np.asarray(seeds) & 0x7FFFFFFF).astype(np.int32)
        wi[:, f.W_EPISODE] = 0

    def reset(self, mask: Bool | None = None) -> F32:
        """Start the worlds of `mask` afresh (all without it); return all observations."""
        mask = np.ones(self.worlds, np.bool_) if mask is None else mask
        self.world.reset(mask)
        self.length[mask] = 0
        self.task.begin(self, mask)
        self.world.observe()
        self.task.after_observe(self)
        self.task.encode(self, self.obs)
        self.returns[mask] = 0
        self.term_returns[mask] = 0
        self._steer[mask] = 0
        self._along[mask] = self.world.state.egos.along[mask, 0]
        self._counts[mask] = self.world.state.buffers.ei[mask]
        return self.obs

    def step(self, action: F32) -> None:
        """One step with actions [W, 2] in [-1, 1] (see sim.envs.action); ended worlds wait for reset(mask)."""
        state = self.world.state
        self.task.before_step(self)
        to_pedals(action, state.vehicles.speed[:, 0], self._pedals[:, 0])
        self.steer_change = np.clip(action[:, 1], -1.0, 1.0) - self._steer
        self._steer = self._steer + self.steer_change
        self._counts[...] = state.buffers.ei
        self.world.step(self._pedals)
        self.world.observe()
        self.task.after_observe(self)
        along = state.egos.along[:, 0]
        self.gained = along - self._along
        self._along = along.copy()
        self.length += 1
        parts = self.task.rewards(self)
        for i, name in enumerate(self.task.terms):
            self.terms[:, i] = parts[name]
        self.terms.sum(axis=1, out=self.reward)
        self.returns += self.reward
        self.term_returns += self.terms
        self.terminated = self.task.terminated(self)
        self.truncated = (self.length >= self.limit) & ~self.terminated
        self.task.encode(self, self.obs)

    def new(self, event: str) -> NDArray[np.int32]:
        """How often `event` (a counter of sim.world.state.Egos) was counted in the last step, [W]."""
        row = getattr(f, "E_" + event.upper())
        return self.world.state.buffers.ei[:, row, 0] - self._counts[:, row, 0]

    def uniform(self, stream: int) -> F32:
        """Random numbers [W] in [0, 1) for this step of each world's episode: a hash (SplitMix64's finaliser) of the
        world's seed, its episode, the step and `stream`, so that no generator needs to be kept.
        """
        wi = self.world.state.buffers.wi
        key = wi[:, f.W_SEED].astype(np.uint64) << np.uint64(32) | wi[:, f.W_EPISODE].astype(np.uint64)
        z = _mix(_mix(key) + self.length.astype(np.uint64) * np.uint64(256) + np.uint64(stream + 1))
        return ((z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)).astype(np.float32)

    def picture(self, world: int = 0, size: int = 512, metres: float = 64.0) -> NDArray[np.uint8]:
        """A bird's-eye picture [size, size, 3] of `metres` around a world's ego, heading up."""
        if self._painter is None:
            self._painter = Painter(self.lanes, self.walks)
        return self._painter.paint(self.world.state, world, size, metres)

    def scene(self, world: int = 0) -> Scene:
        """contracts.Scene of a world's ego after the last step."""
        return self.world.scene(world)

    def report(self, world: int) -> dict[str, Any]:
        """What happened in a world's episode so far: return by term, route completion, counts of every event."""
        egos = self.world.state.egos
        found: dict[str, Any] = {
            "return": float(self.returns[world]),
            "steps": int(self.length[world]),
            "seconds": float(self.length[world] * self.dt),
            "completion": float(egos.completion[world, 0]),
            "distance": float(egos.distance[world, 0]),
            "outside_distance": float(egos.outside[world, 0]),
            "speed_checks": int(egos.speed_checks[world, 0]),
            "speed_share": float(egos.speed_share[world, 0]),
        }
        found |= {name: int(getattr(egos, name)[world, 0]) for name in EVENTS}
        found["terms"] = dict(zip(self.task.terms, map(float, self.term_returns[world])))
        return found
