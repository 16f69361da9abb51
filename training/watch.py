"""What happens between the steps of a training: numbers, validation, checkpoints, stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor

from clipping import GradientClipper
from clipping.sinks import digest
from contracts.runs import Progress, RunDirectory, Tracking
from training.average import Average
from training.config import TrainConfig
from training.data import Data, Stream, validation_batches
from training.module import Module
from training.optim import lr_share, set_lr
from training.state import BEST, CHECKPOINT, finite, random_state, restore_random_state, weights, write_tensors
from training.telemetry import tables


class Diverged(Exception):
    """A parameter is no longer finite."""


class Watch(lightning.Callback):
    """Sees every step. Rank 0 has a run, tracking and progress; the other ranks follow its decisions."""

    def __init__(
        self,
        run: RunDirectory | None = None,
        tracking: Tracking | None = None,
        progress: Progress | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.run, self.tracking, self.progress, self.stop = run, tracking, progress, stop
        self.step = 0
        self.seconds = 0.0
        self.best: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.worse = 0  # validations since the best one
        self.stopped = False
        self._random: dict[str, Any] | None = None
        self._average: Average | None = None
        self._averaged: dict[str, Tensor] | None = None  # as the checkpoint has it

    def begin(
        self, config: TrainConfig, data: Data, stream: Stream, total: int, initial: str, clipper: GradientClipper
    ) -> None:
        """Take what the loop made; called before Lightning starts and before a checkpoint is loaded."""
        self.config, self.data, self.stream, self.total = config, data, stream, total
        self.initial, self.clipper = initial, clipper
        self.began = self._clock = time.perf_counter()
        self._done = 0.0
        self._sums: dict[str, Tensor] = {}
        self._passes = self._logged = 0
        self._window = (self.began, 0.0, 0)
        self._share = 0.0
        self._validated = self._saved = -1

    def latest(self) -> Path | None:
        """The newest whole checkpoint, on rank 0."""
        return None if self.run is None else self.run.latest()

    # -- state ----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that the future depends on, beside weights and optimiser. A collective call with several ranks."""
        random: list[Any] = [random_state()]
        if self.config.devices > 1:
            random = [None] * self.config.devices
            torch.distributed.all_gather_object(random, random_state())
        return {
            "step": self.step,
            "position": self.stream.position,
            "seconds": self.seconds,
            "best": self.best,
            "last": self.last,
            "worse": self.worse,
            "initial": self.initial,
            "clipper": self.clipper.state_dict(),
            "random": random,
            "average": None if self._average is None else self._average.values,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.step, self.seconds = int(state_dict["step"]), float(state_dict["seconds"])
        self.stream.position = int(state_dict["position"])
        self.best, self.last, self.worse = state_dict["best"], state_dict["last"], int(state_dict["worse"])
        self.initial = state_dict["initial"]
        self.clipper.load_state_dict(state_dict["clipper"])
        self._random = state_dict["random"][self.stream.rank]
        self._averaged = state_dict.get("average")
        self._validated = self._saved = self._logged = self.step
        self._done = self._share_done()
        if self.tracking is not None:
            self.tracking.rewind(self.step)

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Leave Lightning's own loop counters out: where the run is, this callback knows."""
        checkpoint.pop("loops", None)

    # -- steps ----------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self._random is not None:
            restore_random_state(self._random)
        if self.config.ema:
            self._average = Average(pl_module, self.config.ema)
            if self._averaged is not None:
                self._average.load(self._averaged)
        self._clock = time.perf_counter()
        self._window = (self._clock, self.stream.waited, self.step)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        set_lr(trainer.optimizers[0], lr_share(self.config, self.step, self._done))

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.stream.position += 1
        self._passes += 1
        for name, value in (outputs if isinstance(outputs, dict) else {"loss": outputs}).items():
            if isinstance(value, Tensor):
                held = self._sums.get(name)
                self._sums[name] = value.detach().clone() if held is None else held.add_(value.detach())
        if self.stream.position % self.config.accumulate:
            return
        assert isinstance(pl_module, Module)
        self.step += 1
        if self._average is not None:
            self._average.update(pl_module, self.step)
        self._tick()
        done, stopping = self._share_done(), self.stop()
        self._done, self.stopped = self._agree(trainer, (done, stopping))
        ended = self._done >= 1
        if self.step % self.config.log_every == 0 or ended or self.stopped:
            self._log(trainer, pl_module)
        if self.config.validate_every and self.step % self.config.validate_every == 0:
            self.validate(trainer, pl_module)
            if self.config.patience and self.worse >= self.config.patience:
                ended = True
        if self.step % self.config.checkpoint_every == 0 and not ended and not self.stopped:
            self.save(trainer)
        if ended or self.stopped:
            trainer.should_stop = True

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The last validation and checkpoint, before Lightning takes the weights from their device."""
        assert isinstance(pl_module, Module)
        if not finite(pl_module):
            raise Diverged("a parameter is not finite")
        if not self.stopped:
            self.validate(trainer, pl_module)
        self.write_telemetry()
        self.save(trainer)

    def validate(self, trainer: lightning.Trainer, module: Module) -> None:
        """Figures of the validation set; keeps the weights where they are the best so far."""
        if self.data.validation is None or self._validated == self.step:
            return
        self._validated = self.step
        with nullcontext() if self._average is None else self._average.applied(module):
            self._validate(trainer, module)
        if self.tracking is not None:
            self.tracking.scalars({f"validation/{name}": value for name, value in self.last.items()}, self.step)
        self._tick()

    def _validate(self, trainer: lightning.Trainer, module: Module) -> None:
        config = self.config
        batches, total = validation_batches(
            self.data, config.batch // config.devices, self.stream.rank, config.devices, config.workers
        )
        modes = {part: part.training for part in module.modules()}
        module.eval()
        results: list[Any] = []
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            for number, batch in enumerate(batches):
                moved = trainer.strategy.batch_to_device(batch)
                results.append(module.validation_step(moved, number))
        for part, mode in modes.items():
            part.training = mode
        if config.devices > 1:
            gathered: list[Any] = [None] * config.devices
            torch.distributed.all_gather_object(gathered, results)
            results = [gathered[n % config.devices][n // config.devices] for n in range(total)]
        figures = module.validation_figures(results) if self.stream.rank == 0 else {}
        self.last = self._agree(trainer, figures)
        self._judge(module)

    def _judge(self, module: Module) -> None:
        name = module.monitor
        better = not self.best or not name
        if not better:
            sign = 1.0 if module.higher_is_better else -1.0
            new, old = (-math.inf if math.isnan(v) else sign * v for v in (self.last[name], self.best[name]))
            better = new > old
        self.worse = 0 if better else self.worse + 1
        if better:
            self.best = {**self.last, "step": float(self.step)}
            state = weights(module)
            if self.run is not None:
                write_tensors(self.run.path / BEST, {"state_dict": state})

    def save(self, trainer: lightning.Trainer) -> None:
        """A checkpoint of this step, unless there is one already."""
        if self._saved == self.step:
            return
        self._saved = self.step
        self.write_telemetry()
        # FSDP's state of an optimiser without moments is made by a step, which the clipper must not count.
        attachment = self.clipper.attachment if self.config.strategy == "fsdp" else None
        if attachment is not None:
            attachment.detach()
        if self.run is None:
            trainer.save_checkpoint("rank 0 knows the path")
        else:
            self.run.checkpoint(self.step, lambda folder: trainer.save_checkpoint(folder / CHECKPOINT))
        if attachment is not None:
            self.clipper.attach(attachment.optimizer, trainer.lightning_module)

    # -- numbers --------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self._clock
        self._clock = now

    def _share_done(self) -> float:
        """Share of the training that is behind."""
        config = self.config
        by_step = self.step / self.total if self.total else 0.0
        by_clock = self.seconds / (60 * config.minutes) if config.minutes else 0.0
        return max(by_step, by_clock)

    def _agree(self, trainer: lightning.Trainer, value: Any) -> Any:
        """Rank 0's value, on all ranks."""
        return trainer.strategy.broadcast(value) if self.config.devices > 1 else value

    def _log(self, trainer: lightning.Trainer, module: Module) -> None:
        if not finite(module):
            raise Diverged("a parameter is not finite")
        means = {name: float(value) / self._passes for name, value in self._sums.items()}
        self._sums, self._passes = {}, 0
        now, (then, waited, before) = time.perf_counter(), self._window
        wait = (self.stream.waited - waited) / max(now - then, 1e-9)
        rate = (self.step - before) * self.config.batch * self.config.accumulate / max(now - then, 1e-9)
        self._window = (now, self.stream.waited, self.step)
        values = {f"train/{name}": value for name, value in means.items()}
        values |= {
            "train/lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
            "time/samples_per_second": rate,
            "time/data_wait_share": wait,
        }
        self.write_telemetry(values)
        if self.run is None or self.progress is None:
            return
        total = max(self.total, self.step)
        if self.config.minutes and self._done > 0:  # the clock may end it before or without a number of steps
            total = max(self.step, round(self.step / min(self._done, 1.0)))
        figures = {"loss": means.get("loss", float("nan")), "per_second": rate, "waiting_share": wait}
        if module.monitor in self.last:
            figures[module.monitor] = self.last[module.monitor]
        self.progress.update(self.step, total, **figures, clipped_share=self._share)
        self.run.note(self.step, total)

    def write_telemetry(self, values: dict[str, float] | None = None) -> None:
        """Hand on what the clipper measured since the last time, row by row and as one point."""
        values = {} if values is None else values
        records = self.clipper.drain()
        if self.tracking is None:
            return
        if records:
            subsystem = self.clipper.config.subsystem
            for name, rows in tables(subsystem, records).items():
                self.tracking.rows(name, rows)
            values |= digest(subsystem, records)
            self._share = float(np.mean([r["clipped"] for r in records]))
        if values:
            self.tracking.scalars(values, self.step)
