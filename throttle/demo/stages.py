"""Each stage as the command that a user would call: how to start it, whether it is done, how it goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts import UserError
from sim.recorder.schema import is_complete
from throttle.compare.plan import plan
from throttle.demo.config import DemoConfig
from throttle.drive.config import TRUTH, Stack
from throttle.runs import dump_config, list_runs, write_atomic

ENDED = ("finished", "diverged")
KINDS = {"perception": "perception", "planning": "planning", "control": "comparison", "drive": "drive"}
"""Stage -> kind of its run."""
VERBS = {
    "perception": ["train", "perception"], "planning": ["train", "planning"], "control": ["compare", "control"],
    "drive": ["drive"],
}  # fmt: skip


class Stages:
    """The stages of one demonstration in its folder."""

    def __init__(self, config: DemoConfig, folder: Path, options: list[str], server: str = "") -> None:
        """options: for every command, such as --tracking.wandb. server: host:port to record and drive on."""
        self.config, self.folder, self.options, self.server = config, folder, options, server
        self.dataset = folder / "dataset"

    def run_of(self, stage: str) -> Path | None:
        """The newest run of a stage."""
        found = next(list_runs(self.folder / stage, KINDS[stage]), None)
        return found[0] if found is not None else None

    def state(self, stage: str) -> str:
        """new, begun or done."""
        if stage == "record":
            return "done" if is_complete(self.dataset) else "begun" if self.dataset.exists() else "new"
        if stage == "report":
            return "new"
        found = next(list_runs(self.folder / stage, KINDS[stage]), None)
        if found is None:
            return "new"
        return "done" if found[1].state in ENDED else "begun"

    def lacking(self, stage: str) -> list[str]:
        """Stages that must be done before this one."""
        before = {"perception": ["record"], "planning": ["record"], "drive": ["perception", "planning", "control"]}
        before["report"] = ["control", "drive"]
        return [other for other in before.get(stage, []) if self.state(other) != "done"]

    def command(self, stage: str) -> list[str]:
        """The words after `throttle` that begin a stage or go on with it. Writes the configuration that they name."""
        if stage == "record":
            words = ["record", "--config", str(self._write(stage, self.config.record)), "--out", str(self.dataset)]
            host, _, port = self.server.rpartition(":")
            words += ["--host", host, "--port", port] if self.server else []
            return [*words, "--runs", str(self.folder / stage), *self.options]
        runs = ["--runs", str(self.folder / stage)]
        begun = self.run_of(stage)
        if begun is not None:
            words = [*VERBS[stage], "--resume", str(begun), *runs, *self.options]
            return [*words, "--server", self.server] if stage == "drive" and self.server else words
        return [*VERBS[stage], "--config", str(self._write(stage, self._section(stage))), *runs, *self.options]

    def _section(self, stage: str) -> Any:
        section = self.config.section(stage)
        if stage == "perception":
            return replace(section, data=replace(section.data, path=str(self.dataset)))
        if stage == "planning":
            return replace(section, dataset=str(self.dataset))
        if stage == "drive":
            stack, (_, unclipped) = self.stack(), self.policies()
            others = {"control trained unclipped": replace(stack, control=str(unclipped))}
            if not section.ablation:  # which would drive these too
                others |= {"true perception": replace(stack, perception=TRUTH), "expert": Stack()}
            parts = {"perception": stack.perception, "planner": stack.planner, "control": stack.control}
            return replace(section, server=self.server, others=others, **parts)
        return section

    def stack(self) -> Stack:
        """The stack in question: the trained parts, control from the first arm that clips."""
        return Stack(str(self.run_of("perception")), str(self.run_of("planning")), str(self.policies()[0]))

    def _write(self, stage: str, section: Any) -> Path:
        path = self.folder / f"{stage}.yaml"
        write_atomic(path, dump_config(section))
        return path

    def policies(self) -> tuple[Path, Path]:
        """Folders of the first seed's policies: of the first arm that clips, and of the one that does not."""
        place = self.run_of("control")
        if place is None:
            raise UserError(f"{self.folder}: control is not trained yet")
        control = self.config.control
        clipped = next(arm.name for arm in control.parsed() if arm.clip.strategy != "none")
        found = {run.arm: place / run.name for run in reversed(plan(control)) if run.seed == control.seeds[0]}
        return found[clipped], found[control.baseline]
