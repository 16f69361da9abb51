"""What a subsystem gives to the loop: a network with its loss and its figures."""

from __future__ import annotations

from typing import Any

import lightning
from torch.optim import Optimizer

from clipping import ClipConfig, GradientClipper
from training.config import TrainConfig
from training.optim import make_optimizer, parameter_groups


class Module(lightning.LightningModule):
    """A network with its loss. Subclasses implement `training_step`, and the other two where there is validation.

    `training_step(batch, number)` returns a loss, or a dict with "loss" and further figures to log; losses are means
    over the batch. Parameters belong to child modules, used by calling them. `monitor` names the validation figure
    that chooses the best weights, "" for none.
    """

    monitor = ""
    higher_is_better = True

    def validation_step(self, batch: Any, number: int) -> Any:
        """What `validation_figures` needs of a batch, on the host and picklable."""
        raise NotImplementedError

    def validation_figures(self, results: list[Any]) -> dict[str, float]:
        """Figures of the whole validation set from the results of its batches, in order.

        Called by rank 0 alone: it must not wait for other processes.
        """
        raise NotImplementedError

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """Torch's parameter groups; a group may have its own "lr" (its peak)."""
        return parameter_groups(self, config.weight_decay)

    def prepare(self, config: TrainConfig, clip: ClipConfig) -> GradientClipper:
        """Settle how this module is trained; called by the loop before Lightning asks for the optimiser."""
        self._config = config
        self._clipper = GradientClipper.from_config(clip)
        return self._clipper

    def configure_optimizers(self) -> Optimizer:
        """The optimiser, with the clipper attached to its every step."""
        optimizer = make_optimizer(self.parameter_groups(self._config), self._config, self._fused())
        self._clipper.attach(optimizer, self)
        return optimizer

    def configure_model(self) -> None:
        """Shard the parameters where the strategy asks for it (Lightning gives it a device mesh)."""
        if self.device_mesh is None:
            return
        from torch.distributed.fsdp import fully_shard

        for child in self.children():
            if any(True for _ in child.parameters()):
                fully_shard(child, mesh=self.device_mesh["data_parallel"])

    def _fused(self) -> bool | None:
        """Fused where it is exact with the clip: one process without a gradient scaler on the host."""
        return True if self.device_mesh is None and self._config.precision != "16-mixed" else None
