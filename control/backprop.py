"""A policy learnt by backpropagation through the world's own vehicle dynamics (control/twin.py), on wavy roads.

The loss of a whole drive is differentiated through every step, as in model-based driving policies, so its gradient is a
long product of Jacobians: where clipping is said to matter most.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from clipping import ClipConfig, ClippingError, GradientClipper, NonFiniteGradientError
from contracts import UserError
from contracts.runs import Progress, RunDirectory, Tracking
from control.clock import Clock
from control.config import TINY, _within
from control.train import Result, plain
from control.twin import Body, Motion, step

TARGET_SPEED = 10.0
"""m/s"""
LANE = 2.0
"""Metres from the road's centre at which a vehicle has left it."""
INPUTS = 8
WORST = 100.0
"""Cost that a vehicle is charged with at most: one that spun away is not twice as bad as one that is merely lost."""
HELD_OUT_SEED = 1 << 30


@dataclass
class BackpropConfig:
    """A training through the differentiable dynamics."""

    name: str = "backprop"
    """The run's folder is runs/<date>-<name>."""
    seed: int = 0
    """Weights and roads follow from it."""
    updates: int = 400
    """Optimiser steps."""
    batch: int = 32
    """Vehicles, each on a road of its own, in each update."""
    horizon: int = 60
    """Steps that the loss is differentiated through."""
    dt: float = 0.1
    """Seconds of a step."""
    learning_rate: float = 1e-2
    """The optimiser's."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """sgd has no momentum."""
    hidden: list[int] = field(default_factory=lambda: [64, 64])
    """Widths of the policy's hidden layers."""
    clip: ClipConfig = field(default_factory=lambda: ClipConfig(subsystem="control", threshold=1.0))
    checkpoint_every: int = 100
    """Updates between checkpoints."""
    keep: int = 2
    """Newest checkpoints that stay on disk."""
    torch_threads: int = 1
    """Torch's threads."""

    def __post_init__(self) -> None:
        _within("backprop.", self, seed=(0, 10**9), updates=(1, 1 << 30), batch=(1, 65536), horizon=(1, 10_000),
                dt=(1e-3, 1.0), learning_rate=(TINY, 1000), checkpoint_every=(1, 1 << 30), keep=(1, 1000),
                torch_threads=(1, 1024))  # fmt: skip
        if not self.hidden or any(isinstance(w, bool) or not 1 <= w <= 8192 for w in self.hidden):
            raise UserError(f"backprop.hidden must be widths from 1 to 8192, got {self.hidden}")
        try:
            GradientClipper.from_config(self.clip)
        except ClippingError as error:
            raise UserError(f"clip: {error}") from None


@dataclass(frozen=True)
class Roads:
    """Roads y = height sin(x / length), one a vehicle; each field [B], metres."""

    height: Tensor
    length: Tensor

    def at(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y and direction (rad) of the road at x."""
        return self.height * torch.sin(x / self.length), torch.atan(
            self.height / self.length * torch.cos(x / self.length)
        )


def start(count: int, generator: torch.Generator) -> tuple[Roads, Motion]:
    """Random roads and vehicles near their beginnings, off by up to some metres and degrees."""

    def normal() -> Tensor:
        return torch.randn(count, generator=generator)

    roads = Roads(
        1.0 + 3.0 * torch.rand(count, generator=generator), 10.0 + 10.0 * torch.rand(count, generator=generator)
    )
    state = Motion.standing(count)
    y, direction = roads.at(state.x)
    state.y, state.heading = y + 0.7 * normal(), direction + 0.1 * normal()
    state.speed = TARGET_SPEED + normal()
    return roads, state


def observe(state: Motion, roads: Roads) -> Tensor:
    """[B, INPUTS]: where the road is and how the vehicle moves, roughly within -1..1."""
    y, direction = roads.at(state.x)
    _, ahead = roads.at(state.x + 0.8 * TARGET_SPEED)
    turn = state.heading - direction
    return torch.stack(
        [
            (state.y - y) / LANE, torch.sin(turn), torch.cos(turn), (state.speed - TARGET_SPEED) / 5, state.yaw_rate,
            state.wheel * 3, ahead - direction, direction,
        ],
        -1,
    )  # fmt: skip


def drive(policy: nn.Module, roads: Roads, state: Motion, steps: int, dt: float, body: Body) -> tuple[Tensor, Tensor]:
    """Cost [B] of a drive (mean over steps of squared metres off the road + half the squared m/s off the speed), and
    how far each vehicle came before it left its lane, 0..1 of what it would have driven at the right speed [B]."""
    cost, inside, driven = torch.zeros(()), torch.ones_like(state.x, dtype=torch.bool), torch.zeros_like(state.x)
    for _ in range(steps):
        act = policy(observe(state, roads))
        pedal, steer = torch.tanh(act[:, 0]), 0.4 * torch.tanh(act[:, 1])
        state = step(state, pedal.clamp(min=0.0), (-pedal).clamp(min=0.0), steer, body, dt)
        off = state.y - roads.at(state.x)[0]
        cost = cost + off.square() + 0.5 * (state.speed - TARGET_SPEED).square()
        inside = inside & (off.abs() < LANE)
        driven = driven + inside * state.speed.detach() * dt
    return cost / steps, (driven / (TARGET_SPEED * steps * dt)).clamp(max=1.0)


def build(config: BackpropConfig) -> nn.Sequential:
    """The policy's network; the same seed gives the same weights."""
    torch.manual_seed(config.seed)
    layers: list[nn.Module] = []
    width = INPUTS
    for hidden in config.hidden:
        layers += [nn.Linear(width, hidden), nn.Tanh()]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, 2))


def _hash(policy: nn.Module) -> str:
    digest = hashlib.sha256()
    for tensor in policy.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:12]


def train(
    config: BackpropConfig,
    run: RunDirectory,
    tracking: Tracking,
    progress: Progress,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Train, or go on from the newest checkpoint to the last bit; arguments and result as `control.train.train`."""
    torch.set_num_threads(config.torch_threads)
    policy, body = build(config), Body.of()
    initial = _hash(policy)
    kind = torch.optim.SGD if config.optimizer == "sgd" else torch.optim.Adam
    optimizer: torch.optim.Optimizer = kind(policy.parameters(), lr=config.learning_rate)
    clipper = GradientClipper.from_config(config.clip)
    attachment = clipper.attach(optimizer, policy)
    spent = Clock(lambda: attachment.seconds)
    generator = torch.Generator().manual_seed(config.seed)
    done, logged, clock = 0, 0, time.perf_counter()
    costs: list[float] = []
    checkpoint = run.latest() if resume else None
    if checkpoint is not None:
        saved = torch.load(checkpoint / "state.pt", weights_only=True)
        policy.load_state_dict(saved["policy"])
        optimizer.load_state_dict(saved["optimizer"])
        clipper.load_state_dict(saved["clipper"])
        generator.set_state(saved["generator"])
        done = logged = saved["done"]
        spent.go_on(saved.get("spent", {}))
    if resume:
        tracking.rewind(done if checkpoint is not None else -1)

    def save(folder: Path) -> None:
        state = {
            "policy": policy.state_dict(), "optimizer": optimizer.state_dict(), "clipper": clipper.state_dict(),
            "generator": generator.get_state(), "done": done, "spent": spent.read(),
        }  # fmt: skip
        torch.save(state, folder / "state.pt")

    def log() -> None:
        nonlocal logged, clock
        now = time.perf_counter()
        values = {
            "time/fps": (done - logged) / max(now - clock, 1e-9),
            "rollout/return": -sum(costs) / max(len(costs), 1),
        }
        clock, logged = now, done
        costs.clear()
        records = clipper.drain()
        fields = ("norm", "norm_after", "coef", "threshold", "clipped", "skipped", "nonfinite")
        tracking.rows(
            f"clip_{config.clip.subsystem}",
            [{"timestep": r["step"], "step": r["step"], **{f: plain(r[f]) for f in fields}} for r in records],
        )
        for name in fields:
            column = "fraction" if name == "clipped" else name
            values[f"clip/{config.clip.subsystem}/{column}"] = sum(float(r[name]) for r in records) / max(
                len(records), 1
            )
        tracking.scalars(values, done)
        progress.update(done, config.updates, cost=-values["rollout/return"])
        run.note(done, config.updates)

    state, message = "finished", ""
    try:
        while done < config.updates:
            roads, vehicles = start(config.batch, generator)
            optimizer.zero_grad()
            cost = drive(policy, roads, vehicles, config.horizon, config.dt, body)[0].mean()
            cost.backward()
            bad = [name for name, p in policy.named_parameters() if not bool(torch.isfinite(p.grad).all())]  # type: ignore[arg-type]
            optimizer.step()
            done += 1
            costs.append(float(cost.detach()))
            lost = [name for name, p in policy.named_parameters() if not bool(torch.isfinite(p).all())]
            if lost:
                state, message = "diverged", _origin(done, bad, lost, math.isfinite(costs[-1]))
                break
            stopping = stop()
            if done % 10 == 0 or done == config.updates or stopping:
                log()
            if done % config.checkpoint_every == 0 or done == config.updates or stopping:
                run.checkpoint(done, save)
            if stopping and done < config.updates:
                state = "stopped"
                break
    except NonFiniteGradientError as error:
        state, message = "diverged", f"step {done}: {error}"
    if state == "diverged":
        log()
    return Result(
        state=state, step=done, message=message, initial_weights=initial,
        final_weights=_hash(policy), checkpoint=run.latest(),
        clipping={"policy": " ".join(str(clipper.summary()).split())}, **spent.read(),
    )  # fmt: skip


def _mean(values: list[float]) -> float:
    return sum(values) / max(len(values), 1)


def _origin(done: int, bad: list[str], lost: list[str], finite: bool) -> str:
    if not finite:
        return f"step {done}: the cost of the drive was not finite"
    if bad:
        return f"step {done}: gradient of {bad[-1]}" + (f" and {len(bad) - 1} more" if len(bad) > 1 else "")
    return f"step {done}: the update of {lost[0]} overflowed"


def evaluate(config: BackpropConfig, checkpoint: Path | None, episodes: int, steps: int = 200) -> dict[str, Any]:
    """Drive held-out roads with the policy of a checkpoint (None: untrained); figures are means over vehicles.

    "return" is minus the cost, each vehicle's held to WORST; "completion" the percentage of the way that it drives
    before it leaves its lane; "success" the share that drive 90% of it.
    """
    policy = build(config)
    if checkpoint is not None:
        policy.load_state_dict(torch.load(checkpoint / "state.pt", weights_only=True)["policy"])
    with torch.no_grad():
        roads, vehicles = start(episodes, torch.Generator().manual_seed(HELD_OUT_SEED))
        cost, driven = drive(policy, roads, vehicles, steps, config.dt, Body.of())
    cost = torch.nan_to_num(cost, nan=WORST).clamp(max=WORST)
    figures = {
        "episodes": float(episodes),
        "return": -float(cost.mean()),
        "completion": 100.0 * float(driven.mean()),
        "success": float((driven > 0.9).float().mean()),
    }
    return {
        "figures": figures,
        "episodes": [{"return": -float(c), "completion": 100 * float(k)} for c, k in zip(cost, driven)],
    }
