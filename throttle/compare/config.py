"""What is compared: arms x seeds x learning rates x algorithms x tasks, and what is measured of each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from contracts import UserError
from control.backprop import BackpropConfig
from control.config import ControlConfig
from control.robustness import SEVERITIES
from throttle.compare.arms import Arm, parse_arms

BACKPROP = "backprop"
ALGORITHMS = ("ppo", "a2c", "sac", "td3", "recurrent_ppo", "tqc", BACKPROP)


@dataclass
class Design:
    """The part that is the same for every subsystem."""

    name: str = "compare"
    """The comparison's folder is runs/<date>-<name>."""
    question: str = ""
    """What the comparison is to answer; stands at the head of the report."""
    arms: str = "none,global_norm=0.5,quantile"
    """Ways to clip, as in none,global_norm=0.5,quantile,agc,skip=5. The baseline is none, else the first."""
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 4])
    """Each arm is trained once with each."""
    learning_rates: list[float] = field(default_factory=list)
    """Empty: the configuration's own."""
    jobs: int = 0
    """Trainings at once; 0: one a core."""

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise UserError(f"seeds must be different numbers from 0, at least one, got {self.seeds}")
        if any(not (math.isfinite(r) and r > 0) for r in self.learning_rates):
            raise UserError(f"learning_rates must be above 0, got {self.learning_rates}")
        if len(set(self.learning_rates)) != len(self.learning_rates):
            raise UserError(f"learning_rates must be different, got {self.learning_rates}")
        if not 0 <= self.jobs <= 1024:
            raise UserError(f"jobs must be from 0 to 1024, got {self.jobs}")
        self.parsed()

    def parsed(self) -> list[Arm]:
        """The arms."""
        return parse_arms(self.arms)

    @property
    def baseline(self) -> str:
        """Name of the arm that the others are compared with."""
        arms = self.parsed()
        return next((a.name for a in arms if a.clip.strategy == "none"), arms[0].name)


@dataclass
class ControlComparison(Design):
    """A comparison of control trainings."""

    algorithms: list[str] = field(default_factory=list)
    """ppo, a2c, sac, td3, recurrent_ppo, tqc, backprop (through the differentiable dynamics); empty: control's own."""
    tasks: list[str] = field(default_factory=list)
    """Environments to train in, e.g. throttle/Urban-v0, or throttle/Urban-v0@Alder for a town; empty: control's own."""
    towns: list[str] = field(default_factory=list)
    """Towns never trained in that are driven in the evaluation, besides new routes of the town trained in."""
    episodes: int = 64
    """Episodes of the evaluation in each town, none of them trained on."""
    robustness: list[str] = field(default_factory=list)
    """Perturbations to drive under: sensor_noise, action_delay, disturbance, actuator_gain; empty: none."""
    robustness_episodes: int = 32
    """Episodes at each severity."""
    video_seconds: float = 20.0
    """Length of the side-by-side video of the arms; 0: none."""
    control: ControlConfig = field(default_factory=ControlConfig)
    """The training; its clip, seed and name are those of each arm."""
    backprop: BackpropConfig = field(default_factory=BackpropConfig)
    """The training of the algorithm backprop."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for names, known, what in (
            (self.algorithms, ALGORITHMS, "algorithms"),
            (self.robustness, SEVERITIES, "robustness"),
        ):
            for name in names:
                if name not in known:
                    raise UserError(f"{what}: no '{name}'; there are {', '.join(known)}")
            if len(set(names)) != len(names):
                raise UserError(f"{what} are named twice: {names}")
        if len(set(self.tasks)) != len(self.tasks):
            raise UserError(f"tasks are named twice: {self.tasks}")
        if not 1 <= self.episodes <= 100_000 or not 1 <= self.robustness_episodes <= 100_000:
            raise UserError("episodes and robustness_episodes must be from 1 to 100000")
        if not 0 <= self.video_seconds <= 600:
            raise UserError(f"video_seconds must be from 0 to 600, got {self.video_seconds}")
