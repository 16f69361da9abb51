"""What the demonstration records, trains, compares and drives."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from contracts import UserError
from perception.config import PerceptionConfig
from planning.config import PlanningConfig
from sim.recorder.config import RecordConfig
from throttle.compare.config import ControlComparison
from throttle.drive.config import IDM, DriveConfig

STAGES = ("record", "perception", "planning", "control", "drive", "report")
"""In their order."""


@dataclass
class DemoConfig:
    """Each part is the configuration of the command that does it; which data set and runs they use is filled in."""

    record: RecordConfig = field(default_factory=RecordConfig)
    """throttle record"""
    perception: PerceptionConfig = field(default_factory=PerceptionConfig)
    """throttle train perception; data.path is not used"""
    planning: PlanningConfig = field(default_factory=PlanningConfig)
    """throttle train planning; dataset is not used"""
    control: ControlComparison = field(default_factory=ControlComparison)
    """throttle compare control; the first seed of the first arm that clips drives in the stack"""
    drive: DriveConfig = field(default_factory=lambda: DriveConfig(planner=IDM))
    """throttle drive; perception, planner, control and others are not used"""

    def __post_init__(self) -> None:
        arms = self.control.parsed()
        if not any(arm.clip.strategy != "none" for arm in arms) or not any(arm.clip.strategy == "none" for arm in arms):
            raise UserError("control.arms: the demonstration needs 'none' and at least one arm that clips")
        if not self.control.control.env.id.startswith("throttle/"):
            raise UserError("control.control.env.id: the policy is to drive, so an environment of throttle's own")
        test = set(self.drive.towns)
        seen = test & {*self.record.towns, str(self.control.control.env.arguments.get("town", ""))}
        if seen:
            raise UserError(f"drive.towns: {sorted(seen)[0]} is trained in; drive in a town that is not")

    @property
    def name(self) -> str:
        """Name of the demonstration's folder: the same for the same configuration."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True, default=str)
        return f"demo-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def section(self, stage: str) -> Any:
        """The configuration of a stage."""
        return getattr(self, stage)
