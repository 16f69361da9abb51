"""Checkpoints as plain data: they come back exactly, and reading one runs nothing."""

from __future__ import annotations

import base64
import json
import pickle
import sys
import zipfile
from collections import deque
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from control.evaluate import load_learned
from control.state import Opaque, environment_state, from_plain, read, set_environment, to_plain, write

sys.path.insert(0, str(Path(__file__).parent))
from control_helpers import after, run_training, small


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray | torch.Tensor):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple | deque):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return type(a) is type(b) and a == b


def test_everything_plain_comes_back_with_its_type_and_bits(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    random.random(3)
    state = {
        "arrays": [
            random.random((3, 2)),
            np.arange(4, dtype=np.uint32),
            np.array([True, False]),
            np.zeros((0, 5), "i2"),
        ],
        "scalars": (np.float64(0.1), np.int32(3), True, None, 2**90, "text", float("inf")),
        "deque": deque([{"r": 1.5}, {"r": np.float32(2)}], maxlen=3),
        3: {"tensor": torch.randn(4), "kind": "a key that the format uses itself"},
    }
    write(tmp_path / "state.pt", {**state, "generator": random})
    found = read(tmp_path / "state.pt")
    generator = found.pop("generator")
    assert same(state, found)
    assert found["deque"].maxlen == 3
    assert np.array_equal(generator.random(5), random.random(5))
    with pytest.raises(Opaque, match="pathlib"):
        to_plain({"a": [tmp_path]})
    assert same(from_plain(to_plain(state)), state)


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1", "Acrobot-v1", "MountainCarContinuous-v0"])
def test_environments_go_on_from_their_state(id: str, tmp_path: Path) -> None:
    one, two = gymnasium.make(id), gymnasium.make(id)
    one.reset(seed=3)
    one.action_space.seed(4)
    for _ in range(5):
        one.step(one.action_space.sample())
    write(tmp_path / "state.pt", {"env": environment_state(one)})
    set_environment(two, read(tmp_path / "state.pt")["env"])
    for _ in range(40):
        a, b = one.step(one.action_space.sample()), two.step(two.action_space.sample())
        assert same(list(a[:4]), list(b[:4]))
        if a[2] or a[3]:
            assert same(one.reset()[0], two.reset()[0])


class Evil:
    """Unpickled, it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.mark, "run")


def test_a_checkpoint_of_somebody_else_runs_nothing(tmp_path: Path) -> None:
    config = small("ppo")
    checkpoint = run_training(tmp_path / "run", config, stop=after(4)).checkpoint
    assert checkpoint is not None
    mark = tmp_path / "mark"
    # in SB3's archive, where SB3 itself would unpickle it
    archive = {name: zipfile.ZipFile(checkpoint / "model.zip").read(name)
               for name in zipfile.ZipFile(checkpoint / "model.zip").namelist()}  # fmt: skip
    data = json.loads(archive["data"])
    text = base64.b64encode(pickle.dumps(Evil(mark))).decode()
    data["policy_class"] = {":type:": "x", ":serialized:": text}
    archive["data"] = json.dumps(data).encode()
    with zipfile.ZipFile(checkpoint / "model.zip", "w") as file:
        for name, content in archive.items():
            file.writestr(name, content)
    load_learned(checkpoint, config)
    assert not mark.exists()
    # and in our own file
    torch.save({"kind": "dict", "value": [("model", Evil(mark))]}, checkpoint / "state.pt")
    with pytest.raises(pickle.UnpicklingError):
        read(checkpoint / "state.pt")
    assert not mark.exists()
