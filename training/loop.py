"""`fit`: one training from its start, or from a run's newest checkpoint, to an honest end."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy

from clipping import ClipConfig, NonFiniteGradientError
from contracts import UserError
from contracts.runs import Progress, RunDirectory, Tracking
from training.config import TrainConfig
from training.data import Data, Stream, length
from training.module import Module
from training.ranks import other_ranks
from training.state import CHECKPOINT, check_fits, load_weights, seed_all, weights_hash
from training.watch import Diverged, Watch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """How a training ended. state: finished, stopped or diverged."""

    state: str
    step: int
    seconds: float
    """Over all parts of a resumed training."""
    message: str
    initial_weights: str
    final_weights: str
    """Hash of the weights; the module given to `fit` holds them now."""
    checkpoint: Path | None
    best: dict[str, float]
    """Figures of the best validation; its weights are `best.pt` of the run. Empty without validation."""
    last: dict[str, float]
    """Figures of the last validation."""
    wait_share: float
    """Share of the time that the training waited for data."""
    clipping: str
    """What the threshold did, in words."""


def fit(
    module: Module,
    data: Data,
    config: TrainConfig,
    clip: ClipConfig,
    run: RunDirectory,
    tracking: Tracking,
    progress: Progress,
    *,
    seed: int = 0,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Train `module` on `data`; with `resume` go on from the run's newest checkpoint.

    Every optimiser step passes through the clipper of `clip`; its telemetry goes to `clip_<subsystem>.csv` of the run
    (and a file a group) and to `clip/<subsystem>/...`. stop: asked after every step; where it says True, the state is
    saved and the training ends as "stopped". A resumed training continues as if nothing had happened, to the last bit
    on the CPU, unless the clock ends it. With more than one device, module and data must be picklable.

    Raises UserError for an empty training set, a GPU that is not there or a checkpoint of another module. An error of
    the module or the data is raised as it is.
    """
    _check_devices(config)
    checkpoint = run.latest() if resume else None
    if resume and checkpoint is None:
        tracking.rewind(-1)  # killed before its first checkpoint: from the start
    if checkpoint is not None:
        check_fits(module, load_weights(checkpoint), checkpoint)
    with other_ranks(config.devices, _rank, (module, data, config, clip, seed, checkpoint)):
        return _fit(module, data, config, clip, seed, checkpoint, Watch(run, tracking, progress, stop))


def _check_devices(config: TrainConfig) -> None:
    """Raise UserError for a GPU that is not there, which Lightning would answer with a trace of itself."""
    there = torch.cuda.device_count()
    if config.accelerator == "gpu" and there < config.devices:
        raise UserError(f"train.accelerator gpu with train.devices {config.devices}: torch finds {there} GPUs here")


def _rank(module: Module, data: Data, config: TrainConfig, clip: ClipConfig, seed: int, checkpoint: Path) -> None:
    """The same training in a process that keeps quiet."""
    _fit(module, data, config, clip, seed, checkpoint, Watch())


def _fit(
    module: Module, data: Data, config: TrainConfig, clip: ClipConfig, seed: int, checkpoint: Path | None, watch: Watch
) -> Result:
    torch.set_num_threads(config.threads)
    seed_all(seed)
    initial = weights_hash(module)
    rank = int(os.environ["LOCAL_RANK"]) if config.devices > 1 else 0
    total = config.total(length(data.train))
    stream = Stream(data, config.batch, seed, rank, config.devices, config.workers, total * config.accumulate)
    watch.begin(config, data, stream, total, initial, module.prepare(config, clip))
    state, message = "finished", ""
    with _quiet():
        trainer = _trainer(config, watch)
        try:
            path = None if checkpoint is None else str(checkpoint / CHECKPOINT)
            trainer.fit(module, stream, ckpt_path=path, weights_only=True)
            if trainer.interrupted:
                raise KeyboardInterrupt
            state = "stopped" if watch.stopped else "finished"
        except SystemExit:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from None
        except (NonFiniteGradientError, Diverged) as error:
            state, message = "diverged", str(error)
            watch.write_telemetry()
            log.warning("the training diverged at step %d: %s", watch.step, error)
        final = weights_hash(module)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return Result(
        state=state,
        step=watch.step,
        seconds=watch.seconds,
        message=message,
        initial_weights=watch.initial,
        final_weights=final,
        checkpoint=watch.latest(),
        best=watch.best,
        last=watch.last,
        wait_share=stream.waited / max(time.perf_counter() - watch.began, 1e-9),
        clipping=" ".join(str(watch.clipper.summary()).split()),
    )


def precision_of(config: TrainConfig) -> str:
    """The precision that `config` trains in on this machine."""
    if config.precision != "auto":
        return config.precision
    if config.accelerator != "cpu" and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # torch has no public way to ask; its bf16 kernels run without these instructions too, slower than 32 bits
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        fast = any(getattr(torch.cpu, name, lambda: False)() for name in names)
    return "bf16-mixed" if fast else "32"


def _trainer(config: TrainConfig, watch: Watch) -> lightning.Trainer:
    strategy: Any = "auto"
    backend = "nccl" if config.accelerator != "cpu" and torch.cuda.is_available() else "gloo"
    if config.strategy == "ddp":
        strategy = DDPStrategy(process_group_backend=backend)
    elif config.strategy == "fsdp":
        strategy = ModelParallelStrategy(
            data_parallel_size=config.devices,
            tensor_parallel_size=1,
            save_distributed_checkpoint=False,
            process_group_backend=backend,
        )
    precision: Any = precision_of(config)
    return lightning.Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        strategy=strategy,
        precision=precision,
        accumulate_grad_batches=config.accumulate,
        max_epochs=1,
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        inference_mode=False,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning says nothing of its own; errors still come as exceptions."""
    names = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
