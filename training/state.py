"""Random generators, weights and their hash."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module

from contracts import UserError

CHECKPOINT = "training.ckpt"
BEST = "best.pt"


def seed_all(seed: int) -> None:
    """Seed python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed % (1 << 32))  # noqa: NPY002 - libraries draw from it
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """The state of all generators, of types that torch loads with `weights_only`."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": [str(name), torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Undo what was drawn since `random_state`."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def whole(tensor: Tensor) -> Tensor:
    """A tensor on the host, put together from its shards where it has some (a collective call)."""
    full = getattr(tensor, "full_tensor", None)
    return (full() if full is not None else tensor).detach().cpu()


def weights(module: Module) -> dict[str, Tensor]:
    """All parameters and buffers on the host, whole."""
    return {name: whole(value) for name, value in module.state_dict().items()}


def weights_hash(module: Module) -> str:
    """A short hash of all weights: two networks with the same hash are the same to the last bit."""
    digest = hashlib.sha256()
    for name, value in sorted(weights(module).items()):
        digest.update(name.encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def finite(module: Module) -> bool:
    """Whether all parameters are finite (each process looks at its own shards)."""
    sums: list[Tensor] = []
    for parameter in module.parameters():
        local: Any = parameter.detach()
        local = local.to_local() if hasattr(local, "to_local") else local
        sums.append(local.sum(dtype=torch.float64))
    return bool(torch.stack(sums).isfinite().all()) if sums else True


def load_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a file: of `best.pt`, a checkpoint's `training.ckpt`, or a plain state dict.

    Loaded as data only: a file cannot run code. Raises UserError for a file that is none of these.
    """
    if path.is_dir():
        path = path / CHECKPOINT
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path} is not there; a run has its best.pt from its first validation on") from None
    except Exception as error:  # torch raises many types for a damaged file
        raise UserError(f"{path}: cannot be read as weights: {' '.join(str(error).split())[:200]}") from None
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{path}: holds no weights")
    return content


def check_fits(module: Module, values: Mapping[str, Tensor], path: Path) -> None:
    """Raise UserError where `values`, read from `path`, are not the module's: other names or shapes."""
    mine = {name: value.shape for name, value in module.state_dict().items()}
    given = {name: value.shape for name, value in values.items()}
    wrong = sorted(name for name in {**mine, **given} if mine.get(name) != given.get(name))
    if wrong:
        others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise UserError(
            f"{path}: not the weights of this network ({wrong[0]}{others} differ): "
            "made with other options or by another version, so train again"
        )


def write_tensors(path: Path, content: dict[str, Any]) -> None:
    """Replace a file of tensors: after a crash at any moment it holds the old or the new ones, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
