"""State for checkpoints as plain containers and tensors, so that reading one runs no code.

`to_plain` turns numbers, text, containers, NumPy arrays and generators into what `torch.load(weights_only=True)` takes;
`from_plain` turns it back, types and bits included.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

TAG = "kind"
GENERATORS = {kind.__name__: kind for kind in (np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937)}
Plain = Any


class Opaque(Exception):
    """A value that is none of the plain ones; the text names it."""


def to_plain(value: Any) -> Plain:
    """`value` as plain containers and tensors; raises Opaque."""
    if isinstance(value, np.generic):
        return {TAG: "scalar", "value": torch.from_numpy(np.array([value]))}
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            raise Opaque(f"an array of {value.dtype}")
        return {TAG: "array", "value": torch.from_numpy(np.array(value, order="C"))}
    if value is None or isinstance(value, bool | int | float | str | torch.Tensor):
        return value
    if isinstance(value, np.random.Generator):
        name = type(value.bit_generator).__name__
        if name not in GENERATORS:
            raise Opaque(f"a generator of type {name}")
        return {TAG: "generator", "name": name, "value": to_plain(value.bit_generator.state)}
    if type(value) in (list, tuple):
        return type(value)(to_plain(v) for v in value)
    if type(value) is deque:
        return {TAG: "deque", "value": [to_plain(v) for v in value], "most": value.maxlen}
    if type(value) is dict:
        return {TAG: "dict", "value": [(to_plain(k), to_plain(v)) for k, v in value.items()]}
    raise Opaque(f"a {type(value).__module__}.{type(value).__qualname__}")


def from_plain(value: Plain) -> Any:
    """What `to_plain` was given."""
    if isinstance(value, list | tuple):
        return type(value)(from_plain(v) for v in value)
    if not isinstance(value, dict):
        return value
    kind, inner = value[TAG], value["value"]
    if kind == "array":
        return inner.numpy().copy()
    if kind == "scalar":
        return inner.numpy()[0]
    if kind == "deque":
        return deque((from_plain(v) for v in inner), maxlen=value["most"])
    if kind == "generator":
        bits = GENERATORS[value["name"]]()
        bits.state = from_plain(inner)
        return np.random.Generator(bits)
    return {from_plain(k): from_plain(v) for k, v in inner}


def write(file: Path, state: dict[str, Any]) -> None:
    """Write a dictionary of anything that `to_plain` takes."""
    torch.save(to_plain(state), file)


def read(file: Path) -> dict[str, Any]:
    """What `write` was given. Nothing in the file is run: torch reads tensors and containers only."""
    state: dict[str, Any] = from_plain(torch.load(file, map_location="cpu", weights_only=True))
    return state


# -- environments ----------------------------------------------------------------------------------------------------


def arrays_of(owner: object) -> dict[str, Any]:
    """The arrays that an object holds, and those of objects of its own package inside it, copied."""
    found: dict[str, Any] = {}
    for name, value in vars(owner).items():
        if isinstance(value, np.ndarray):
            found[name] = value.copy()
        elif _is_ours(value):
            found[name] = arrays_of(value)
    return found


def set_arrays(owner: object, saved: dict[str, Any]) -> None:
    """Give an object the arrays that `arrays_of` found in one like it."""
    for name, value in saved.items():
        if isinstance(value, dict):
            set_arrays(getattr(owner, name), value)
        else:
            setattr(owner, name, value)


def _is_ours(value: object) -> bool:
    return type(value).__module__.startswith("sim.envs.") and hasattr(value, "__dict__")


def environment_state(env: gymnasium.Env) -> list[dict[str, Any]]:
    """The attributes of a Gymnasium environment and of each wrapper around it, outermost first; raises Opaque.

    Spaces, specifications, classes and functions do not change while it runs and are left out, but for a space's
    random generator.
    """
    found: list[dict[str, Any]] = []
    layer: Any = env
    while True:
        state: dict[str, Any] = {}
        for name, value in vars(layer).items():
            if name == "env" or isinstance(value, gymnasium.envs.registration.EnvSpec | type) or callable(value):
                continue
            if isinstance(value, gymnasium.spaces.Space):
                if value._np_random is not None:
                    state[name] = (to_plain(value.np_random),)
                continue
            try:
                to_plain(value)
            except Opaque as error:
                raise Opaque(f"{type(layer).__name__}.{name} is {error}") from None
            state[name] = value
        found.append(state)
        if not isinstance(layer, gymnasium.Wrapper):
            return found
        layer = layer.env


def set_environment(env: gymnasium.Env, saved: list[dict[str, Any]]) -> None:
    """Bring an environment, made in the same way, into the state that `environment_state` found."""
    layer: Any = env
    for state in saved:
        for name, value in state.items():
            present = getattr(layer, name, None)
            if isinstance(present, gymnasium.spaces.Space):
                present._np_random = from_plain(value[0])
            else:
                setattr(layer, name, value)
        layer = getattr(layer, "env", layer)
