"""The clipper: one object per optimiser, configured once, attached by one call."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer

from clipping import device, groups, host
from clipping.attach import Attachment
from clipping.backward import BackwardNorms
from clipping.config import ClipConfig, make
from clipping.errors import ClippingError, NonFiniteGradientError
from clipping.explain import Explanation, explain
from clipping.fold import Fold
from clipping.per_sample import per_sample_backward
from clipping.strategies import AGC, PerSample, ScaleStrategy, Strategy, Value, build
from clipping.telemetry import Histogram, Record, Recorder, Sink


class GradientClipper:
    """Measures every gradient that an optimiser steps with, and clips it.

    >>> clipper = GradientClipper("global_norm", threshold=0.5, subsystem="control")
    >>> handle = clipper.attach(optimizer)

    Args:
        strategy: a name of the table in docs/clipping.md.
        threshold: its threshold, where it needs or takes one.
        sinks: where drained telemetry goes, see :mod:`clipping.telemetry`.
        **options: every other field of :class:`clipping.ClipConfig`.

    Raises:
        ClippingError: for an unknown strategy or option, or a number that is out of range.
    """

    def __init__(
        self,
        strategy: str = "global_norm",
        threshold: float | None = None,
        *,
        sinks: Iterable[Sink] = (),
        **options: Any,
    ) -> None:
        self._start(make(ClipConfig, {"strategy": strategy, "threshold": threshold, **options}), sinks)

    @classmethod
    def from_config(cls, config: ClipConfig | Mapping[str, Any], *, sinks: Iterable[Sink] = ()) -> GradientClipper:
        """A clipper from a :class:`ClipConfig` or a mapping of its fields."""
        clipper = cls.__new__(cls)
        clipper._start(config if isinstance(config, ClipConfig) else make(ClipConfig, dict(config)), sinks)
        return clipper

    def _start(self, config: ClipConfig, sinks: Iterable[Sink]) -> None:
        self.config = config
        self.sinks: list[Sink] = list(sinks)
        self.strategies: dict[str, Strategy] = {
            name: build(part) for name, part in groups.strategies(self.config).items()
        }
        self._states = {name: strategy.initial() for name, strategy in self.strategies.items()}
        self._recorder = Recorder(self.config.drain_every)
        self.histogram = Histogram()
        self.bad_in_a_row = 0
        self.per_sample_ready = False
        self.groups: list[groups.Group] = []
        self.attachment: Attachment | None = None
        self.fold: Fold | None = None
        self.folds = False
        self.simple = False
        self.rollback: device.Rollback | None = None
        self.late = device.Late()
        self._backward: BackwardNorms | None = None
        self._model: Module | None = None
        self._modules: list[list[str]] = []
        self._param_groups, self._on_host, self._per_sample = 0, True, False
        self._optimizer: str | None = None  # class of the last one attached to

    # Attaching

    def attach(self, optimizer: Optimizer, model: Module | None = None) -> Attachment:
        """Clip at every step of ``optimizer`` from now on.

        Args:
            optimizer: any torch optimiser. A wrapper's inner optimiser (``.optimizer``) must be given itself.
            model: needed to match groups, and to name modules, by parameter name.

        Raises:
            ClippingError: when something else is given, the clipper is attached already, another clipper is attached
                to the optimiser, or a group matches nothing.
        """
        if not isinstance(optimizer, Optimizer):
            raise ClippingError(f"attach() takes a torch.optim.Optimizer, not {type(optimizer).__name__}")
        if self.attachment is not None:
            raise ClippingError(f"the clipper of {self.config.subsystem!r} is attached already; detach it first")
        if any(
            isinstance(getattr(h, "__self__", None), Attachment) for h in optimizer._optimizer_step_pre_hooks.values()
        ):
            raise ClippingError("the optimiser has a clipper already; detach that one first")
        self._model, self._optimizer = model, type(optimizer).__name__
        self._divide(optimizer)
        self.attachment = Attachment(self, optimizer)
        return self.attachment

    def _divide(self, optimizer: Optimizer) -> None:
        self._keep_states()
        self.groups = groups.divide(self.config, optimizer, self._model)
        for group in self.groups:
            group.state = self._states[group.name]
        self._param_groups = len(optimizer.param_groups)
        self._first: Tensor = optimizer.param_groups[0]["params"][0]
        self._device = self._first.device
        self._on_host = all(group.grads.host for group in self.groups)
        only = self.groups[0].strategy if len(self.groups) == 1 else None
        one_coefficient = isinstance(only, ScaleStrategy) and only.order == 2.0
        one_pass = isinstance(only, (Value, AGC)) and self.config.nonfinite == "skip"
        self.simple = self._on_host and (one_coefficient or one_pass) and not self.config.per_module
        self._per_sample = any(isinstance(group.strategy, PerSample) for group in self.groups)
        self.fold = Fold(optimizer)
        possible = self.fold.accurate and len(self.groups) == 1 and isinstance(self.groups[0].strategy, ScaleStrategy)
        if self.config.fold and not possible:
            raise ClippingError("fold needs a fused optimiser, one group, and a strategy with one coefficient")
        self.folds = possible if self.config.fold is None else self.config.fold
        if self._backward is not None:
            self._backward.remove()
            self._backward = None
        if self.config.measure == "backward":
            self._backward = BackwardNorms(self.groups, self._model)
        named = [g.name for g in self.groups] if self.config.groups else []
        for group in self.groups:
            group.grads.watch = self.config.per_module
        self._modules = [groups.modules(g, self._model) for g in self.groups] if self.config.per_module else []
        self._recorder.layout(named, list(dict.fromkeys(m for part in self._modules for m in part)))

    def release(self) -> None:
        """Forget the optimiser; called by :meth:`Attachment.detach`."""
        self._keep_states()
        if self._backward is not None:
            self._backward.remove()
        self._flush()
        self.attachment, self.fold, self.groups, self._backward, self.rollback = None, None, [], None, None

    def _keep_states(self) -> None:
        for group in self.groups:
            self._states[group.name] = group.strategy.to_host(group.state) if group.on_device else group.state

    # At every step

    def before_step(self) -> None:
        """Measure and clip what the optimiser is about to step with."""
        fold = self.fold
        assert fold is not None
        if self.simple and len(fold.optimizer.param_groups) == self._param_groups and host.clip_simply(self):
            return
        fold.restore()  # of a step that ended in an exception
        moved = self._first.device != self._device
        if moved or len(fold.optimizer.param_groups) != self._param_groups:  # or add_param_group, since we looked
            self._divide(fold.optimizer)
        if self._per_sample:
            if not self.per_sample_ready:
                raise ClippingError("'per_sample' clips in clipper.backward(model, loss, *batch): call that first")
            self.per_sample_ready = False
        with torch.no_grad():
            (host if self._on_host else device).clip(self)

    def after_step(self) -> None:
        """Put the optimiser back as it was found."""
        if self.fold is not None and self.fold.pending:
            self.fold.restore()
        if self.rollback is not None:
            self.rollback.restore()
        for group in self.groups:
            group.grads.release()
        if self.late.waits:
            self.late.settle(self)

    def backward(self, model: Module, loss: Any, *batch: Tensor) -> Tensor:
        """Per-sample clipping in place of ``loss.backward()``: see :func:`clipping.per_sample.per_sample_backward`."""
        strategy = self.strategies.get("")
        if not isinstance(strategy, PerSample):
            raise ClippingError(f"backward() is for the strategy 'per_sample', this is {self.config.strategy!r}")
        self.per_sample_ready = True
        return per_sample_backward(model, loss, *batch, threshold=strategy.threshold)

    # Telemetry

    def record(self, row: Any, rows: list[Any]) -> None:
        """Keep one update's numbers; drains when ``drain_every`` are kept."""
        if self._recorder.groups:
            row = torch.cat([row, *rows]) if isinstance(row, Tensor) else row + tuple(v for part in rows for v in part)
        if self._modules:
            row = self._with_modules(row)
        if self._recorder.add(row):
            self._flush()

    def _with_modules(self, row: Any) -> Any:
        squares: dict[str, Any] = dict.fromkeys(self._recorder.modules, 0.0)
        for group, names in zip(self.groups, self._modules):
            sums = group.grads.measured
            if sums is None:
                continue
            values = sums if isinstance(row, Tensor) else sums.tolist()
            for i, value in zip(group.grads.indices, values):
                squares[names[i]] = squares[names[i]] + value
        if isinstance(row, Tensor):
            parts = [torch.as_tensor(v, dtype=row.dtype, device=row.device) for v in squares.values()]
            return torch.cat([row, torch.stack(parts).sqrt()])
        return row + tuple(v**0.5 for v in squares.values())

    def _flush(self) -> None:
        batch = self._recorder.take()
        if batch is None:
            return
        self.histogram.add(batch.rows[:, 0])
        for sink in self.sinks:
            sink.write(self.config.subsystem, batch)
        if not self._on_host:
            self._catch_up(batch.rows)

    def _catch_up(self, rows: Tensor) -> None:
        """What the host learns late about a device: skipped steps and non-finite gradients."""
        self.late.learn(self, rows)
        longest, self.bad_in_a_row = device.longest_run(rows[:, 6] > 0, self.bad_in_a_row)
        policy, name = self.config.nonfinite, self.config.subsystem
        if policy == "raise" and longest:
            raise NonFiniteGradientError(f"the gradients of {name!r} were not finite in the last {len(rows)} updates")
        if policy == "skip" and longest >= self.config.max_nonfinite:
            raise NonFiniteGradientError(f"the gradients of {name!r} were not finite for {longest} updates in a row")

    def drain(self) -> list[Record]:
        """The records since the last drain (the last 65,536 of them), oldest first.

        Each has ``step`` (from 1) and the fields of :data:`clipping.telemetry.FIELDS`; ``groups`` and ``modules`` where
        configured.
        """
        self._flush()
        return self._recorder.drain()

    def summary(self) -> Explanation:
        """What the threshold did in this process (its last 65,536 updates), in figures and, printed, in words.

        The verdict of :func:`clipping.explain.explain`, as ``throttle clip explain`` gives it from a run's files.
        """
        self._flush()
        norm, _, coef, threshold, clipped, skipped, _ = self._recorder.recent().unbind(1)
        return explain(norm, threshold, coef, clipped, skipped, self.config.subsystem, self._optimizer)

    def close(self) -> None:
        """Drain and finish the sinks."""
        self._flush()
        for sink in self.sinks:
            sink.close()

    # State

    def state_dict(self) -> dict[str, Any]:
        """Everything that a run resumes from: thresholds, averages and counters of every group."""
        self._flush()
        self._keep_states()
        return {
            "strategies": {name: strategy.name for name, strategy in self.strategies.items()},
            "states": {name: self.strategies[name].saved(state) for name, state in self._states.items()},
            "step": self._recorder.step,
            "bad_in_a_row": self.bad_in_a_row,
            "histogram": self.histogram.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from :meth:`state_dict`, before or after attaching.

        Raises:
            ClippingError: when it was saved by a clipper with other strategies.
        """
        mine = {name: strategy.name for name, strategy in self.strategies.items()}
        if dict(state.get("strategies", {})) != mine:
            raise ClippingError(f"the saved clipper has strategies {state.get('strategies')}, this one {mine}")
        self._flush()
        self._states = {name: self.strategies[name].saved(part) for name, part in state["states"].items()}
        self._recorder.rewind(int(state["step"]))
        self.bad_in_a_row = int(state["bad_in_a_row"])
        self.histogram.load_state_dict(state["histogram"])
        for group in self.groups:
            group.state, group.on_device = self._states[group.name], False

    def __repr__(self) -> str:
        given = {f.name: getattr(self.config, f.name) for f in dataclasses.fields(self.config)}
        default = ClipConfig(threshold=1.0)
        shown = {k: v for k, v in given.items() if k == "strategy" or v != getattr(default, k)}
        return f"GradientClipper({', '.join(f'{k}={v!r}' for k, v in shown.items())})"
