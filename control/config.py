"""The configuration of a control training: one documented field per option, checked before anything starts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from clipping import ClipConfig, ClippingError, GradientClipper
from contracts import UserError

Algorithm = Literal["ppo", "a2c", "sac", "td3", "recurrent_ppo", "tqc"]
ON_POLICY = ("ppo", "a2c", "recurrent_ppo")


def _within(owner: str, config: object, **limits: tuple[float, float]) -> None:
    """Raise UserError unless each named field is a finite number within its limits, both included."""
    for name, (low, high) in limits.items():
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UserError(f"{owner}{name} must be a number, not {value!r}")
        if not low <= value <= high:
            above = "" if high == math.inf else f" and at most {high:g}"
            raise UserError(f"{owner}{name} must be at least {low:g}{above}, got {value!r}")


INF = math.inf
TINY = 1e-12  # the least value of what must be above 0


@dataclass
class EnvConfig:
    """The environment and how many of it."""

    id: str = "throttle/Urban-v0"
    """A Gymnasium id: one of `throttle/...-v0`, or any other with a Box or Discrete action.

    `module:id` imports the module before."""
    worlds: int = 256
    """Environments stepped together."""
    arguments: dict[str, str | int | float | bool] = field(default_factory=dict)
    """Arguments of the environment, e.g. town: Alder."""
    normalize: bool = False
    """Running normalisation of observations and rewards (SB3's VecNormalize). Throttle's own need none."""
    glitches: float = 0.0
    """Share of the training's observations that arrive 50 times too loud, as from a faulty sensor; never in tests."""

    def __post_init__(self) -> None:
        _within("env.", self, worlds=(1, 65536), glitches=(0, 1))


@dataclass
class NetConfig:
    """The networks of policy and value."""

    hidden: list[int] = field(default_factory=lambda: [64, 64])
    """Widths of the hidden layers, for policy and value (or Q) networks alike."""
    activation: Literal["tanh", "relu", "elu"] = "tanh"
    """Between the layers."""
    log_std: float = 0.0
    """Logarithm of the initial standard deviation of actions (PPO, A2C)."""

    def __post_init__(self) -> None:
        if not self.hidden or any(isinstance(w, bool) or not 1 <= w <= 8192 for w in self.hidden):
            raise UserError(f"net.hidden must be widths from 1 to 8192, got {self.hidden}")
        _within("net.", self, log_std=(-20, 2))


@dataclass
class PPOConfig:
    """Proximal policy optimisation."""

    learning_rate: float = 3e-4
    """Adam's, at the start."""
    final_learning_rate: float = 3e-4
    """Reached linearly at the end of the training."""
    n_steps: int = 64
    """Steps of each world between updates."""
    batch_size: int = 4096
    """Samples of an optimiser step; at most env.worlds x n_steps."""
    n_epochs: int = 4
    """Passes over what was gathered, at each update."""
    gamma: float = 0.99
    """Discount of a step."""
    gae_lambda: float = 0.95
    """Of generalised advantage estimation."""
    clip_range: float = 0.2
    """How far the probability ratio may move (not the gradient clip)."""
    ent_coef: float = 0.0
    """Weight of the entropy in the loss."""
    vf_coef: float = 0.5
    """Weight of the value function in the loss."""

    def __post_init__(self) -> None:
        _within("ppo.", self, learning_rate=(TINY, 100), final_learning_rate=(0, 100), n_steps=(2, 1 << 20),
                batch_size=(2, 1 << 24), n_epochs=(1, 1000), gamma=(0, 1), gae_lambda=(0, 1), clip_range=(TINY, 10),
                ent_coef=(0, 100), vf_coef=(0, 100))  # fmt: skip


@dataclass
class RecurrentPPOConfig(PPOConfig):
    """PPO with an LSTM (sb3-contrib)."""

    batch_size: int = 1024
    """Samples of an optimiser step; at most env.worlds x n_steps."""
    lstm_size: int = 64
    """Units of the LSTM."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _within("recurrent_ppo.", self, lstm_size=(1, 8192))


@dataclass
class A2CConfig:
    """Advantage actor critic."""

    learning_rate: float = 7e-4
    """RMSprop's."""
    n_steps: int = 16
    """Steps of each world between updates."""
    gamma: float = 0.99
    """Discount of a step."""
    gae_lambda: float = 0.95
    """Of generalised advantage estimation."""
    ent_coef: float = 0.0
    """Weight of the entropy in the loss."""
    vf_coef: float = 0.5
    """Weight of the value function in the loss."""

    def __post_init__(self) -> None:
        _within("a2c.", self, learning_rate=(TINY, 100), n_steps=(1, 1 << 20), gamma=(0, 1), gae_lambda=(0, 1),
                ent_coef=(0, 100), vf_coef=(0, 100))  # fmt: skip


@dataclass
class OffPolicyConfig:
    """What SAC, TD3 and TQC share."""

    learning_rate: float = 3e-4
    """Adam's."""
    buffer_size: int = 300_000
    """Transitions remembered."""
    learning_starts: int = 5_000
    """Random steps before the first update."""
    batch_size: int = 256
    """Samples of an optimiser step."""
    tau: float = 0.005
    """Share of the network that the target network takes over at each update."""
    gamma: float = 0.99
    """Discount of a step."""
    train_freq: int = 1
    """Steps of each world between updates."""
    gradient_steps: int = 4
    """Updates each time; -1: as many as transitions gathered."""

    def __post_init__(self) -> None:
        _within("off-policy ", self, learning_rate=(TINY, 100), buffer_size=(1, 1 << 32), learning_starts=(0, 1 << 32),
                batch_size=(1, 1 << 24), tau=(TINY, 1), gamma=(0, 1), train_freq=(1, 1 << 20),
                gradient_steps=(-1, 1 << 20))  # fmt: skip
        if self.gradient_steps == 0:
            raise UserError("gradient_steps must not be 0: nothing would be learned")


@dataclass
class SACConfig(OffPolicyConfig):
    """Soft actor critic; the entropy coefficient is learned."""

    initial_entropy: float = 1.0
    """The entropy coefficient at first; small where rewards a step are small, or the policy stays random for long."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _within("sac.", self, initial_entropy=(TINY, 1e6))


@dataclass
class TD3Config(OffPolicyConfig):
    """Twin delayed deterministic policy gradient."""

    noise: float = 0.1
    """Standard deviation of the exploration noise."""
    policy_delay: int = 2
    """Updates of the critics for one of the policy."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _within("td3.", self, noise=(0, 10), policy_delay=(1, 1000))


@dataclass
class TQCConfig(OffPolicyConfig):
    """Truncated quantile critics (sb3-contrib)."""

    top_quantiles_to_drop: int = 2
    """Of each critic: the more, the less it overestimates."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _within("tqc.", self, top_quantiles_to_drop=(0, 24))


@dataclass
class ControlConfig:
    """A control training."""

    name: str = "control"
    """The run's folder is runs/<date>-<name>."""
    algorithm: Algorithm = "ppo"
    """Its own options are below its name (--ppo.*, --sac.*, ...)."""
    seed: int = 0
    """Weights, routes and traffic follow from it."""
    total_steps: int = 2_000_000
    """Steps over all worlds."""
    env: EnvConfig = field(default_factory=EnvConfig)
    net: NetConfig = field(default_factory=NetConfig)
    clip: ClipConfig = field(default_factory=lambda: ClipConfig(subsystem="control", threshold=0.5))
    """The shared gradient clipper, attached to every optimiser; SB3's own is off."""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    a2c: A2CConfig = field(default_factory=A2CConfig)
    sac: SACConfig = field(default_factory=SACConfig)
    td3: TD3Config = field(default_factory=TD3Config)
    tqc: TQCConfig = field(default_factory=TQCConfig)
    recurrent_ppo: RecurrentPPOConfig = field(default_factory=RecurrentPPOConfig)
    checkpoint_every: int = 500_000
    """Steps over all worlds between checkpoints."""
    keep: int = 2
    """Newest checkpoints that stay on disk."""
    torch_threads: int = 1
    """More than 1 is slower for networks of this size beside a busy simulation."""
    numba_threads: int = 2
    """Threads of the simulator; 1 beside other busy processes."""

    def __post_init__(self) -> None:
        _within("", self, seed=(0, 10**9), total_steps=(1, 1 << 50), checkpoint_every=(1, 1 << 50), keep=(1, 1000),
                torch_threads=(1, 1024), numba_threads=(1, 1024))  # fmt: skip
        if self.algorithm in ("ppo", "recurrent_ppo"):
            part = self.ppo if self.algorithm == "ppo" else self.recurrent_ppo
            if self.env.worlds * part.n_steps < part.batch_size:
                raise UserError(
                    f"{self.algorithm}.batch_size {part.batch_size} is more than the "
                    f"{self.env.worlds * part.n_steps} steps of a rollout (env.worlds x {self.algorithm}.n_steps)"
                )
        try:
            GradientClipper.from_config(self.clip)
        except ClippingError as error:
            raise UserError(f"clip: {error}") from None

    @property
    def settings(self) -> PPOConfig | A2CConfig | OffPolicyConfig:
        """The part that belongs to the chosen algorithm."""
        part: PPOConfig | A2CConfig | OffPolicyConfig = getattr(self, self.algorithm)
        return part
