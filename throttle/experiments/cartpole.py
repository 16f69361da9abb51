"""PPO on CartPole: does clipping the gradient help reinforcement learning? Stable-Baselines3, Adam and SGD.

SB3's own clipping is switched off with max_grad_norm = inf in every arm; the clipper is attached to the policy's
optimiser.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from throttle.experiments.base import Experiment, Results, Trial, short
from throttle.experiments.training import attach, seen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEST_RETURN = 500.0


@dataclass(frozen=True)
class CartPole(Experiment):
    """Arms: optimiser and learning rate x clip. "shortfall" is 500 - mean return of 20 evaluation episodes."""

    name: ClassVar[str] = "cartpole"
    question: ClassVar[str] = "Does clipping help PPO on CartPole?"
    columns: ClassVar[tuple[str, ...]] = ("shortfall", "training_return", "clipped")

    settings: tuple[tuple[str, float], ...] = (("adam", 1e-3), ("adam", 1e-2), ("sgd", 0.1), ("sgd", 1.0))
    clips: tuple[str, ...] = ("none", "tau=0.5")
    timesteps: int = 20_000

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(f"{name} {rate:g}, {clip}" for name, rate in self.settings for clip in self.clips)

    def trial(self, arm: str, seed: int) -> Trial:
        from stable_baselines3 import PPO
        from stable_baselines3.common.env_util import make_vec_env
        from stable_baselines3.common.evaluation import evaluate_policy

        setting, clip = arm.split(", ")
        optimizer, rate = setting.split(" ")
        policy: dict[str, Any] = {"optimizer_class": torch.optim.Adam, "optimizer_kwargs": {"eps": 1e-5}}
        if optimizer == "sgd":
            policy = {"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {}}
        envs = make_vec_env("CartPole-v1", n_envs=8, seed=seed)
        model = PPO(
            "MlpPolicy", envs, learning_rate=float(rate), n_steps=128, batch_size=256, n_epochs=4, gae_lambda=0.95,
            max_grad_norm=math.inf, policy_kwargs=policy, seed=seed, device="cpu",
        )  # fmt: skip
        clipper = attach(clip, model.policy.optimizer)
        try:
            model.learn(self.timesteps)
        except ValueError as error:  # torch.distributions refuses the NaN that a diverged policy puts out
            if "nan" not in str(error):
                raise
            return {"shortfall": math.inf, "training_return": 0.0, **seen(clipper)}
        finite = all(bool(p.isfinite().all()) for p in model.policy.parameters())
        if not finite:
            return {"shortfall": math.inf, "training_return": 0.0, **seen(clipper)}
        recent = [float(e["r"]) for e in model.ep_info_buffer or []]
        test = make_vec_env("CartPole-v1", n_envs=4, seed=10_000 + seed)
        mean, _ = evaluate_policy(model, test, n_eval_episodes=20, deterministic=True)
        training = sum(recent) / len(recent) if recent else 0.0
        return {"shortfall": BEST_RETURN - float(mean), "training_return": training, **seen(clipper)}  # type: ignore[arg-type]

    def sentence(self, results: Results) -> str:
        rows, helped, hurt = [], [], []
        for name, rate in self.settings:
            bare, clip = f"{name} {rate:g}, none", f"{name} {rate:g}, {self.clips[1]}"
            won, lost = (results.wins(a, b, "shortfall") for a, b in ((clip, bare), (bare, clip)))
            means = [results.median(a, "shortfall") for a in (bare, clip)]
            shown = [f"{short(BEST_RETURN - m.middle)}" if math.isfinite(m.middle) else "diverged" for m in means]
            rows.append(
                f"{name} {rate:g}: {shown[0]} -> {shown[1]} (better in {won}, worse in {lost} of {len(results.seeds)})"
            )
            if won == len(results.seeds):
                helped.append(f"{name} {rate:g}")
            if lost == len(results.seeds):
                hurt.append(f"{name} {rate:g}")
        return (
            f"Median return of 500, unclipped -> {self.clips[1]}: {'; '.join(rows)}. Clipping won in every seed at: "
            f"{', '.join(helped) or 'no rate'}; lost in every seed at: {', '.join(hurt) or 'no rate'}."
        )

    def plot(self, results: Results, figure: Figure) -> None:
        axes = figure.subplots()
        names = [f"{name} {rate:g}" for name, rate in self.settings]
        for number, clip in enumerate(self.clips):
            for column, name in enumerate(names):
                values = [
                    BEST_RETURN - v if math.isfinite(v) else 0.0 for v in results.values(f"{name}, {clip}", "shortfall")
                ]
                label = clip if column == 0 else None
                axes.plot(
                    [column + 0.2 * number] * len(values), values, "o", color=f"C{number}", alpha=0.6, label=label
                )
        axes.set_xticks([i + 0.1 for i in range(len(names))], names)
        axes.set(ylabel="mean return of 20 episodes (a dot a seed; 0: diverged)", ylim=(-10, 510))
        axes.legend()


EXPERIMENT = CartPole()
