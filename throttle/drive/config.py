"""What `throttle drive` drives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from contracts import UserError
from planning.checks import Check
from sim.recorder.config import SCENARIOS
from sim.sensors.weather import Weather

TRUTH, EXPERT, IDM, TRACKER = "truth", "expert", "idm", "tracker"


@dataclass(frozen=True)
class Stack:
    """Who perceives, plans and controls: a word, a run (its folder, its name below --runs, or last), or module:Name, a

    class of yours (see docs/own-parts.md).
    """

    perception: str = TRUTH
    """truth: what the simulator knows; or a run of train perception."""
    planner: str = EXPERT
    """expert: rules that see the truth; idm: lane follower that sees the Scene; or a run of train planning."""
    control: str = TRACKER
    """tracker: follows the plan with a model of the car; or a run of train control (one that tracks plans drives
    behind the planner, one that was trained on scenes drives without)."""
    safety: list[Check] | None = None
    """Checks of a trained planner's plans; by default those of its run, behind a perception lines and leaders."""

    def __post_init__(self) -> None:
        for name in ("perception", "planner", "control"):
            if not getattr(self, name):
                raise UserError(f"{name}: must not be empty")
        if self.perception != TRUTH and self.planner == EXPERT:
            raise UserError("the expert sees the truth: --perception truth, or another planner")

    def words(self) -> str:
        """In one line."""
        return f"{self.perception} / {self.planner} / {self.control}"


@dataclass(frozen=True)
class DriveConfig:
    """A benchmark."""

    name: str = "drive"
    """The run's folder is runs/<date>-<name>."""
    perception: str = TRUTH
    """truth, a run of train perception, or module:Name."""
    planner: str = EXPERT
    """expert, idm, a run of train planning, or module:Name."""
    control: str = TRACKER
    """tracker, a run of train control, or module:Name."""
    safety: list[Check] | None = None
    """Checks of a trained planner's plans (docs/planning.md); by default those of its run, behind a perception of these
    lines and leaders only: what it tells of who crosses is too uncertain to brake for."""
    ablation: bool = False
    """Also drive with each learned part replaced, and with the expert: which part costs how much."""
    others: dict[str, Stack] = field(default_factory=dict)
    """Further stacks on the same routes, by name, e.g. the same parts trained without clipping."""
    towns: list[str] = field(default_factory=lambda: ["Marlin"])
    """Where; Marlin is held out from every training by default."""
    split: Literal["train", "validation", "test"] = "test"
    """Which routes of a town."""
    routes: int = 5
    """Routes in each town."""
    seeds: list[int] = field(default_factory=lambda: [0])
    """Each route is driven once with the traffic of each seed."""
    density: float = 0.5
    """Traffic; 1 is 36 vehicles and 24 pedestrians around the route."""
    weathers: list[str] = field(default_factory=lambda: ["ClearNoon"])
    """Dealt out in turn over the routes."""
    scenarios: list[str] = field(default_factory=lambda: [""])
    """What is staged on the routes beside the traffic, dealt out in turn; "" is nothing. See docs/recording.md."""
    shortest: float = 0.0
    """Metres of the shortest route; 0: the town's usual."""
    longest: float = 0.0
    """Metres of the longest route; 0: the town's usual."""
    seconds: float = 300.0
    """Simulated seconds after which a route that has not ended otherwise ends as it is."""
    sense_every: int = 2
    """Steps of 0.05 s from picture to picture; between them what was seen moves on by its velocity."""
    video: bool = True
    """Keep a clip of each infraction."""
    pairs: bool = False
    """Keep what perception told beside the truth, look by look, for throttle evaluate scenes."""
    server: str = ""
    """Host:port of a CARLA server; empty starts our own."""
    maps: str = ""
    """Folder of further towns for our own server."""
    workers: int = 0
    """Routes driven at once, each on a server of its own; 0: two, or one for two
    cores where there are more than four. With --server always one."""
    tries: int = 3
    """How often a route is begun when the server is lost; then it counts as failed."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", self.name):
            raise UserError(f"a run's name has letters, digits, '.', '_' and '-' only, not '{self.name}'")
        if not self.towns or not self.weathers or not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise UserError("towns, weathers and seeds: at least one each, and no seed twice")
        for low, high, name in (
            (1, 10_000, "routes"), (0, 5, "density"), (1, 7200, "seconds"), (1, 40, "sense_every"), (0, 64, "workers"),
            (1, 20, "tries"), (0, 1e5, "shortest"), (0, 1e5, "longest"),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise UserError(f"{name}: {getattr(self, name)} is not in {low:g}..{high:g}")
        for weather in self.weathers:
            Weather.named(weather)
        unknown = [name for name in self.scenarios if name not in ("", *SCENARIOS)]
        if unknown or not self.scenarios:
            named = f"no scenario '{unknown[0]}'" if unknown else "none is named"
            raise UserError(f'scenarios: {named}; there are {", ".join(SCENARIOS)}, and ""')
        if any(not 0 <= seed < 2**31 for seed in self.seeds):
            raise UserError("seeds: from 0 to 2^31 - 1")
        if self.server:
            self.address()
        self.arms()

    def address(self) -> tuple[str, int]:
        """Host and port of `server`; raises UserError."""
        host, _, port = self.server.rpartition(":")
        if not host or not port.isdigit() or not 1 <= int(port) <= 65534:
            raise UserError(f"server: '{self.server}' is not host:port")
        return host, int(port)

    @property
    def stack(self) -> Stack:
        """The stack in question."""
        return Stack(self.perception, self.planner, self.control, self.safety)

    def arms(self) -> dict[str, Stack]:
        """All stacks by name: the one in question, those of the ablation, the others."""
        stack = self.stack
        found = {"stack": stack}
        if self.ablation:
            if stack.perception != TRUTH:
                found["true perception"] = replace(stack, perception=TRUTH)
            if stack.planner not in (EXPERT, IDM):
                found["idm planner"] = replace(stack, planner=IDM)
                found["expert planner"] = replace(stack, perception=TRUTH, planner=EXPERT)
            if stack.control != TRACKER:
                found["tracker control"] = replace(stack, control=TRACKER)
            expert = Stack()
            if expert not in found.values():
                found["expert"] = expert
        for name, other in self.others.items():
            if name in found or not re.fullmatch(r"[\w .-]{1,60}", name):
                raise UserError(f"others: '{name}' is taken or not a name")
            found[name] = other
        return found


@dataclass(frozen=True)
class Job:
    """One route to drive with one stack."""

    arm: str
    town: str
    number: int
    seed: int
    weather: str
    scenario: str = ""

    @property
    def key(self) -> str:
        """Name of its files."""
        return f"{file_name(self.arm)}/{self.town}-{self.number:03d}-s{self.seed}"


def file_name(arm: str) -> str:
    """An arm's name in the names of files."""
    return re.sub(r"[^A-Za-z0-9]+", "-", arm)


def jobs(config: DriveConfig) -> Iterator[Job]:
    """All routes of all stacks; neighbours differ in the stack alone, so that what is there early compares."""
    for number in range(config.routes):
        for town in config.towns:
            for seed in config.seeds:
                for arm in config.arms():
                    weather = config.weathers[number % len(config.weathers)]
                    yield Job(arm, town, number, seed, weather, config.scenarios[number % len(config.scenarios)])
