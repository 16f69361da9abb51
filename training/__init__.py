"""The training loop that perception and planning share: Lightning underneath, the clipper on every optimiser step.

    result = training.fit(module, training.Data(train, validation), config, clip, run, tracking, progress)

`module` is a `training.Module`; a data set is indexed by `training.Draw`. A killed run goes on exactly with
`resume=True`.
"""

from training.config import TrainConfig, within
from training.data import Data, Draw
from training.loop import Result, fit
from training.module import Module
from training.state import check_fits, load_weights, seed_all, weights_hash, write_tensors

__all__ = [
    "Data",
    "Draw",
    "Module",
    "Result",
    "TrainConfig",
    "check_fits",
    "fit",
    "load_weights",
    "seed_all",
    "weights_hash",
    "within",
    "write_tensors",
]
