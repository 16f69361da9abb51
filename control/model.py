"""Stable-Baselines3 algorithms from a configuration, with SB3's own gradient clip off and the shared clipper on."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import sb3_contrib
import stable_baselines3
import torch
from gymnasium.spaces import Box
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.save_util import load_from_zip_file, recursive_setattr
from stable_baselines3.common.vec_env import VecEnv

from clipping import GradientClipper, Sb3Attachment, attach_sb3
from contracts import UserError
from control.config import ON_POLICY, ControlConfig, PPOConfig, RecurrentPPOConfig, SACConfig, TD3Config, TQCConfig

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    "ppo": stable_baselines3.PPO,
    "a2c": stable_baselines3.A2C,
    "sac": stable_baselines3.SAC,
    "td3": stable_baselines3.TD3,
    "recurrent_ppo": sb3_contrib.RecurrentPPO,
    "tqc": sb3_contrib.TQC,
}
ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "elu": torch.nn.ELU}


class Linear:
    """A learning rate that falls linearly over the training; SB3 hands in the share that is left, 1 to 0."""

    def __init__(self, first: float, last: float) -> None:
        self.first, self.last = first, last

    def __call__(self, left: float) -> float:
        return self.last + left * (self.first - self.last)


def set_threads(config: ControlConfig) -> None:
    """Give torch and Numba the threads that the configuration says; torch beside a busy simulation wants one."""
    torch.set_num_threads(config.torch_threads)
    import numba

    numba.set_num_threads(min(config.numba_threads, numba.config.NUMBA_NUM_THREADS))


def build(config: ControlConfig, env: VecEnv) -> BaseAlgorithm:
    """A fresh model for `env`; the same configuration and seed give the same weights.

    Raises UserError where the algorithm cannot take the environment's actions.
    """
    options = dataclasses.asdict(config.settings)
    activation = ACTIVATIONS[config.net.activation]
    policy_kwargs: dict[str, Any] = {"activation_fn": activation}
    if config.algorithm in ON_POLICY:
        policy_kwargs["net_arch"] = {"pi": config.net.hidden, "vf": config.net.hidden}
        policy_kwargs["log_std_init"] = config.net.log_std
        # Infinity, never 0 or less, is what turns SB3's own clip off.
        options["max_grad_norm"] = math.inf
    else:
        policy_kwargs["net_arch"] = list(config.net.hidden)
    settings = config.settings
    policy = "MlpPolicy"
    if isinstance(settings, PPOConfig):
        options["learning_rate"] = Linear(options.pop("learning_rate"), options.pop("final_learning_rate"))
    if isinstance(settings, RecurrentPPOConfig):
        policy = "MlpLstmPolicy"
        policy_kwargs["lstm_hidden_size"] = options.pop("lstm_size")
    if isinstance(settings, SACConfig):
        options["ent_coef"] = f"auto_{options.pop('initial_entropy')}"
    if isinstance(settings, TD3Config):
        size = env.action_space.shape or (1,)
        deviation = np.full(size, options.pop("noise"))
        options["action_noise"] = NormalActionNoise(np.zeros(size), deviation)
    if isinstance(settings, TQCConfig):
        options["top_quantiles_to_drop_per_net"] = options.pop("top_quantiles_to_drop")
    check_actions(config, env)
    kind: Any = ALGORITHMS[config.algorithm]
    model: BaseAlgorithm = kind(policy, env, seed=config.seed, device="cpu", policy_kwargs=policy_kwargs, **options)
    return model


def check_actions(config: ControlConfig, env: VecEnv) -> None:
    """Raise UserError where the algorithm cannot take the environment's actions."""
    if config.algorithm not in ON_POLICY and not isinstance(env.action_space, Box):
        raise UserError(
            f"algorithm {config.algorithm} needs continuous actions; {config.env.id} has {env.action_space}"
        )


def attach_clipping(model: BaseAlgorithm, config: ControlConfig) -> Sb3Attachment:
    """Attach one clipper of config.clip to every optimiser of `model`; needed again after each load."""

    def factory(name: str) -> GradientClipper:
        del name  # every optimiser gets the same settings and a state of its own
        return GradientClipper.from_config(config.clip)

    return attach_sb3(model, factory)


def parameters_finite(model: BaseAlgorithm) -> bool:
    """Whether no parameter of the policy is NaN or infinite."""
    return all(bool(torch.isfinite(p).all()) for p in model.policy.parameters())


def weights_hash(model: BaseAlgorithm) -> str:
    """The first 12 hex digits of the SHA-256 of all the policy's weights: equal hashes, equal weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.policy.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def set_weights(model: BaseAlgorithm, file: Path) -> None:
    """Give a model the tensors of a saved one: policy, optimisers, entropy coefficient.

    Reads the archive's tensors alone (torch, weights_only), never its pickled part. Raises UserError where the file is
    missing, damaged or of another model.
    """
    try:
        _, parameters, variables = load_from_zip_file(file, load_data=False, device="cpu")
        model.set_parameters(parameters, exact_match=True, device="cpu")
    except (OSError, ValueError, KeyError, RuntimeError, UnpicklingError) as error:
        raise UserError(f"{file} cannot be read: {' '.join(str(error).split())}") from None
    for name, tensor in (variables or {}).items():
        recursive_setattr(model, f"{name}.data", tensor.data)
    if getattr(model, "use_sde", False):
        model.policy.reset_noise()  # type: ignore[operator]
