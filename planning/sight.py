"""What a planner is told in the worlds of a batch: the truth, or what a perception would tell."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contracts import ObjectClass
from planning.errors import ErrorConfig
from planning.scenes import FAR, OBJECT_FIELDS, Scenes, straighten
from planning.tell import Teller
from sim.driving.batch import Batch

Worlds = NDArray[np.intp]


class Sight(Protocol):
    """Looks at the worlds of a batch, once a step."""

    def begin(self, batch: Batch) -> None:
        """Another batch, about to start."""
        ...

    def look(self, batch: Batch, worlds: Worlds) -> Scenes:
        """NumPy scenes of some of its worlds."""
        ...


def true_scenes(batch: Batch, worlds: Worlds) -> Scenes:
    """The true NumPy scenes of some worlds, copied."""
    truth = batch.world.truth
    kind = truth.kind[worlds, 0].astype(np.int64)
    objects = np.zeros((*kind.shape, OBJECT_FIELDS), np.float32)
    objects[..., :7] = truth.objects[worlds, 0, :, :7]
    objects[..., 7] = kind >= 0
    rules = [np.minimum(truth.stop_distance[worlds, 0], FAR), truth.stop_sign[worlds, 0], truth.speed_limit[worlds, 0]]
    return Scenes(
        ego=truth.ego[worlds, 0].copy(),
        objects=objects,
        kind=kind,
        route=straighten(truth.route[worlds, 0]).copy(),
        light=truth.light[worlds, 0].astype(np.int64),
        rules=np.stack(rules, 1).astype(np.float32),
    )


class TrueSight:
    """The truth."""

    def begin(self, batch: Batch) -> None:
        """Nothing is kept between steps."""

    def look(self, batch: Batch, worlds: Worlds) -> Scenes:
        """As true_scenes."""
        return true_scenes(batch, worlds)


class ErringSight:
    """What a perception of given errors would tell.

    share: of the worlds; in the others the truth is told. lines: whether lights and stop lines err as well.
    """

    def __init__(self, config: ErrorConfig, seed: int, share: float = 1.0, lines: bool = True) -> None:
        self._config, self._seed, self._share, self._lines = config, seed, share, lines

    def begin(self, batch: Batch) -> None:
        """New worlds, new errors; the same worlds, the same errors."""
        b, worlds = batch.world.state.buffers, len(batch.routes)
        random = np.random.default_rng([self._seed, batch.config.seed])
        self._first = np.cumsum([0, b.vf.shape[2], b.pf.shape[2]])  # number of a vehicle, pedestrian, obstacle
        self._erring = random.random(worlds) < self._share
        self._teller = Teller(self._config, worlds, int(self._first[-1] + b.of.shape[2]), random, self._lines)

    def look(self, batch: Batch, worlds: Worlds) -> Scenes:
        """What is told of `worlds`."""
        true = true_scenes(batch, worlds)
        rows = self._erring[worlds]
        slot, kind = batch.world.truth.slot[worlds[rows], 0].astype(np.int64), true.kind[rows]
        family = np.where(kind == ObjectClass.PEDESTRIAN, 1, np.where(kind == ObjectClass.STATIC, 2, 0))
        numbers = np.where(kind < 0, -1, slot + self._first[family])
        told = self._teller.tell(true.take(rows), worlds[rows], numbers, batch.config.dt)
        for field, fresh in zip(true, told, strict=True):
            field[rows] = fresh
        return true
