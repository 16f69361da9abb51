"""Train a driving policy: SB3 collects and learns; here are clip telemetry, checkpoints, resuming and honest ends."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from clipping import NonFiniteGradientError, Sb3Attachment
from contracts.runs import Progress, RunDirectory, Tracking
from control.clock import Clock, Spent
from control.config import ControlConfig
from control.env import load_state, make_training_env, save_state
from control.model import attach_clipping, build, parameters_finite, set_threads, set_weights, weights_hash
from control.state import read, write

EPISODES_SHOWN = 200  # episodes that the shown return and completion are the mean of
LOG_EVERY = 1000  # steps between two rows of numbers, at least; on-policy algorithms write one each rollout
COUNTERS = ("num_timesteps", "_total_timesteps", "_num_timesteps_at_start", "_n_updates", "_episode_num",
            "_current_progress_remaining", "_last_obs", "_last_original_obs", "_last_episode_starts",
            "ep_info_buffer", "ep_success_buffer")  # fmt: skip
"""Attributes of a model that change as it trains, besides tensors and the replay memory."""
log = logging.getLogger(__name__)


class _Stopped(Exception):
    """The user asked to stop; raised between an update and the next rollout."""


class _Diverged(Exception):
    """A parameter of the policy is no longer finite."""


@dataclass(frozen=True)
class Result:
    """How a training ended. state: finished, stopped or diverged."""

    state: str
    step: int
    seconds: float
    message: str
    initial_weights: str
    """Hash of the weights that the training began with."""
    final_weights: str
    checkpoint: Path | None
    clipping: dict[str, str]
    """What the threshold did, in words, by optimiser."""
    cpu_seconds: float
    """CPU time of this process, which does not depend on what else the machine does."""
    clip_seconds: float
    """Part of `seconds` that measuring and clipping gradients took."""


def train(
    config: ControlConfig,
    run: RunDirectory,
    tracking: Tracking,
    progress: Progress,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Train as `config` says, or go on from the run's newest checkpoint.

    stop: asked between updates; where it says True, the state is saved and the training ends as "stopped".
    A resumed training continues as if nothing had happened: the same numbers to the last bit, except with environments
    that cannot be saved (those begin new episodes) and with state-dependent exploration.
    """
    clock = Clock()
    set_threads(config)
    env = make_training_env(config.env, config.seed)
    checkpoint = run.latest() if resume else None
    if checkpoint is None:
        model = build(config, env)
        clippers = attach_clipping(model, config)
        initial = weights_hash(model)
        if resume:
            tracking.rewind(-1)
    else:
        model, clippers, initial, spent = restore(checkpoint, config, env)
        clock.go_on(spent)
        tracking.rewind(model.num_timesteps)
        log.info("resumed from %s at step %d", checkpoint, model.num_timesteps)
    model.set_logger(Logger(folder=None, output_formats=[]))
    clock.clipping = lambda: sum(handle.seconds for handle in clippers.handles)
    watch = _Watch(config, run, tracking, progress, clippers, initial, clock, stop)
    state, message = "finished", ""
    left = config.total_steps - model.num_timesteps
    try:
        if left > 0:
            learn: Any = model.learn  # None for log_interval keeps SB3 from writing a log of its own
            learn(left, callback=watch, log_interval=None, reset_num_timesteps=checkpoint is None)
            watch.between(final=True)
    except _Stopped:
        state = "stopped"
    except (NonFiniteGradientError, _Diverged, ValueError) as error:
        if isinstance(error, ValueError) and parameters_finite(model):
            raise  # torch's distributions refuse NaN with a ValueError; this is another one
        state = "diverged"
        message = "a parameter of the policy is not finite" if isinstance(error, ValueError) else str(error)
        watch.write_telemetry()
        log.warning("the training diverged at step %d: %s", model.num_timesteps, error)
    finally:
        env.close()
    return Result(
        state=state,
        step=model.num_timesteps,
        message=message,
        initial_weights=initial,
        final_weights=weights_hash(model),
        checkpoint=run.latest(),
        clipping={name: " ".join(str(clipper.summary()).split()) for name, clipper in clippers.items()},
        **clock.read(),
    )


def save(folder: Path, model: BaseAlgorithm, clippers: Sb3Attachment, env: VecEnv, initial: str, spent: Spent) -> None:
    """Write everything that the training's future depends on into an empty folder.

    model.zip is SB3's own format, for others to load; state.pt holds counters, clippers, random generators and
    environments; replay.npz the replay memory.
    """
    model.save(folder / "model.zip")
    memory = getattr(model, "_last_lstm_states", None)
    state = {
        "model": {name: getattr(model, name) for name in COUNTERS if hasattr(model, name)},
        "clippers": clippers.state_dict(),
        "environments": save_state(env),
        "random": (random.getstate(), np.random.get_state(), torch.get_rng_state()),  # noqa: NPY002 - SB3 draws from it
        "memory": None if memory is None else (tuple(memory.pi), tuple(memory.vf)),
        # random exploration draws from the action space's generator, which a fresh model seeds afresh
        "actions": model.action_space.np_random,
        "initial": initial,
        "spent": spent,
    }
    write(folder / "state.pt", state)
    if isinstance(model, OffPolicyAlgorithm):
        buffer: Any = model.replay_buffer
        arrays: dict[str, Any] = {name: value for name, value in vars(buffer).items() if isinstance(value, np.ndarray)}
        np.savez(folder / "replay.npz", **arrays, filled=np.array([buffer.pos, int(buffer.full)]))


def restore(checkpoint: Path, config: ControlConfig, env: VecEnv) -> tuple[BaseAlgorithm, Sb3Attachment, str, Spent]:
    """The model of a checkpoint with its clippers attached, the hash of its first weights, what its Clock said.

    `env` and the random generators are as they were.

    The model is made from the configuration and given the checkpoint's tensors, so that nothing pickled is read.
    """
    model = build(config, env)
    set_weights(model, checkpoint / "model.zip")
    state = read(checkpoint / "state.pt")
    vars(model).update(state["model"])
    if isinstance(model, OffPolicyAlgorithm):
        buffer: Any = model.replay_buffer
        with np.load(checkpoint / "replay.npz", allow_pickle=False) as saved:
            buffer.pos, buffer.full = int(saved["filled"][0]), bool(saved["filled"][1])
            vars(buffer).update({name: saved[name] for name in saved.files if name != "filled"})
    clippers = attach_clipping(model, config)
    clippers.load_state_dict(state["clippers"])
    vars(model.action_space)["_np_random"] = state["actions"]
    if state["memory"] is not None:
        vars(model)["_last_lstm_states"] = RNNStates(*state["memory"])
    if not load_state(env, state["environments"]):
        model._last_obs = None  # SB3 resets the environments where there is no last observation
    random.setstate(state["random"][0])
    np.random.set_state(state["random"][1])  # noqa: NPY002 - SB3 draws from it
    torch.set_rng_state(state["random"][2])
    return model, clippers, state["initial"], state.get("spent", {})


class _Watch(BaseCallback):
    """Runs between updates and rollouts, where model, clippers and environments are at rest."""

    def __init__(
        self,
        config: ControlConfig,
        run: RunDirectory,
        tracking: Tracking,
        progress: Progress,
        clippers: Sb3Attachment,
        initial: str,
        clock: Clock,
        stop: Callable[[], bool],
    ) -> None:
        super().__init__()
        self.config, self.run, self.tracking, self.progress = config, run, tracking, progress
        self.clippers, self.initial, self.clock, self.stop = clippers, initial, clock, stop
        self._returns: deque[float] = deque(maxlen=EPISODES_SHOWN)
        self._completions: deque[float] = deque(maxlen=EPISODES_SHOWN)
        self._fresh: list[float] = []
        self._share = 0.0
        self._logged = self._saved = 0
        self._clock = (0.0, 0.0, 0)

    def _on_training_start(self) -> None:
        self._logged = self._saved = self.num_timesteps
        self._clock = (time.perf_counter(), time.process_time(), self.num_timesteps)
        for episode in self.model.ep_info_buffer or ():
            self._returns.append(float(episode["r"]))

    def _on_step(self) -> bool:
        if np.any(self.locals["dones"]):
            for world in np.flatnonzero(self.locals["dones"]):
                info = self.locals["infos"][world]
                if "episode" in info:
                    self._returns.append(float(info["episode"]["r"]))
                    self._fresh.append(float(info["episode"]["r"]))
                if "report" in info:
                    self._completions.append(float(info["report"]["completion"]))
        return True

    def _on_rollout_start(self) -> None:
        self.between()

    def between(self, final: bool = False) -> None:
        """Check, log, save and stop as is due."""
        if not parameters_finite(self.model):
            raise _Diverged("a parameter of the policy is not finite")
        step = self.model.num_timesteps
        if final or step - self._logged >= LOG_EVERY:
            self._log(step)
        due = step - self._saved >= self.config.checkpoint_every or (step == 0 and self.run.latest() is None)
        stopping = self.stop()
        if due or final or stopping:
            self.write_telemetry()
            rest = self.training_env, self.initial, self.clock.read()
            self.run.checkpoint(step, lambda folder: save(folder, self.model, self.clippers, *rest))
            self._saved = step
        if stopping and not final:
            raise _Stopped

    def _log(self, step: int) -> None:
        self._logged = step
        now, spent, (then, before, first) = time.perf_counter(), time.process_time(), self._clock
        fps = (step - first) / max(now - then, 1e-9)
        self._clock = (now, spent, step)
        values = {"time/fps": fps, "time/cpu_fps": (step - first) / max(spent - before, 1e-9)}
        if self._fresh:
            values["rollout/return"] = float(np.mean(self._fresh))
            self._fresh.clear()
        if self._completions:
            values["rollout/completion"] = float(np.mean(self._completions))
        for name, value in self.model.logger.name_to_value.items():
            if isinstance(value, int | float | np.number):
                values[name] = float(value)
        self.write_telemetry(values)
        shown = {"fps": fps, "return": float(np.mean(self._returns)) if self._returns else float("nan")}
        if self._completions:
            shown["completed_share"] = float(np.mean(self._completions))
        self.progress.update(step, self.config.total_steps, **shown, clipped_share=self._share)
        self.run.note(step, self.config.total_steps)

    def write_telemetry(self, values: dict[str, float] | None = None) -> None:
        """Hand on what the clippers measured since the last time, row by row and as means."""
        step = self.model.num_timesteps
        values = {} if values is None else values
        shares = []
        for name, clipper in self.clippers.items():
            records = clipper.drain()
            if not records:
                continue
            fields = ("norm", "norm_after", "coef", "threshold", "clipped", "skipped", "nonfinite")
            subsystem, alone = self.config.clip.subsystem, len(self.clippers) == 1
            self.tracking.rows(
                f"clip_{subsystem}" if alone else f"clip_{subsystem}_{name}",
                [{"timestep": step, "step": r["step"], **{f: plain(r[f]) for f in fields}} for r in records],
            )
            prefix = f"clip/{subsystem}/" + ("" if alone else f"{name}/")
            for field in fields:
                column = "fraction" if field == "clipped" else field
                values[prefix + column] = float(np.mean([r[field] for r in records]))
            shares.append(values[prefix + "fraction"])
        if shares:
            self._share = float(np.mean(shares))
        if values:
            self.tracking.scalars(values, step)


def plain(value: Any) -> float | int:
    """A value of a telemetry record for a table: flags as 0 and 1."""
    return int(value) if isinstance(value, bool) else float(value)
