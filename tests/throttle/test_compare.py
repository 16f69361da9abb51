"""Comparisons for real, small: paired, resumable, honest about runs that diverge."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contracts import UserError
from throttle.cli import main
from throttle.compare.collect import collect
from throttle.compare.config import ControlComparison
from throttle.compare.curves import curves
from throttle.compare.plan import pinned, plan
from throttle.compare.worker import work
from throttle.report.summary import tell
from throttle.runs import list_checkpoints

sys.path.insert(0, str(Path(__file__).parent))
from compare_helpers import begin, design, result, silent

ROOT = Path(__file__).parents[2]


def test_equal_arms_are_identical_runs_and_arms_differ_in_clipping_alone(tmp_path: Path) -> None:
    comparison = begin(tmp_path, design(arms="none,global_norm=0.05,same:global_norm=0.05", seeds=[3, 4]))
    comparison.train_all(silent)
    found = collect(tmp_path)
    for seed in (3, 4):
        runs = {r.arm: r for r in found.rows if r.seed == seed}
        assert len({r.initial_weights for r in runs.values()}) == 1, "paired: the same initial weights"
        twin, other = runs["global_norm=0.05"], runs["same"]
        assert twin.final_weights == other.final_weights != runs["none"].final_weights
        assert (twin.score, twin.figures, twin.norm_max) == (other.score, other.figures, other.norm_max)
        assert runs["none"].clipped == 0.0
        assert runs["none"].norm_median > 0, "unclipped runs are measured by the same telemetry"
        assert twin.clipped > 0.5
        assert 0 < twin.clip_cost < 0.5
    assert found.rows[0].initial_weights != found.rows[-1].initial_weights
    configs = [(tmp_path / f"{arm}-seed3" / "config.yaml").read_text() for arm in ("none", "same")]
    changed = [(a, b) for a, b in zip(configs[0].splitlines(), configs[1].splitlines()) if a != b]
    assert [a.split(":")[0].strip() for a, _ in changed] == ["name", "strategy", "threshold", "nonfinite"]
    told = tell(found)
    same = next(v for _, v in told.verdicts if v.arm == "same")
    assert same.runs == 2
    assert same.claim == "none"
    made = curves(found, found.settings[0])
    assert made is not None
    assert {arm: len(runs) for arm, runs in made.by_step.items()} == dict.fromkeys(found.arms, 2)


def test_a_diverged_run_is_a_result_with_the_step_and_layer_where_it_began(tmp_path: Path) -> None:
    made = design(arms="none,global_norm=0.05", seeds=[0], total_steps=20_000)
    comparison = begin(tmp_path, made)
    for planned in comparison.planned:
        planned.config.ppo.vf_coef = 1e38  # the loss overflows; the command line would refuse this
    for job in comparison.left():
        work(job, lambda step, total, figures: None, lambda: False)
        assert job.done
    found = collect(tmp_path)
    by = {r.arm: r for r in found.rows}
    lost = by["none"]
    assert lost.state == "diverged"
    assert lost.over, "counted, not dropped"
    assert lost.origin.startswith("step ")
    assert any(word in lost.origin for word in ("mlp_extractor", "value_net", "action_net", "all layers at once"))
    comparison.references()
    untrained = collect(tmp_path).references[found.settings[0]]["untrained"]["return"]
    assert lost.score == untrained, "worth what its untrained policy is"
    assert found.diverged(found.settings)["none"] == 1


SCRIPT = [sys.executable, "-m", "throttle.cli", "compare", "control", "--config", "configs/compare/small.yaml",
          "--robustness", "[]", "--video_seconds", "0", "--episodes", "4", "--control.total_steps", "6000",
          "--control.checkpoint_every", "500", "--tracking.tensorboard", "false"]  # fmt: skip


@pytest.mark.slow  # when the kill falls is the machine's choice
def test_killed_at_any_moment_it_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_MODE": "offline", "COLUMNS": "200"}
    options = {"cwd": tmp_path, "env": environment, "text": True}
    process = subprocess.Popen(SCRIPT, **options, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # type: ignore[call-overload]
    runs = tmp_path / "runs"
    limit = time.monotonic() + 200
    while not (list(runs.glob("*/*/done.json")) and len(list(runs.glob("*/*seed1/checkpoints/0*"))) >= 2):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < limit
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    place = next(runs.glob("*"))
    over = {path: path.stat().st_mtime_ns for path in place.glob("*/done.json")}
    begun = [p for p in place.glob("*-seed1") if not (p / "done.json").exists()]
    saved = {p: int(list_checkpoints(p)[-1].name) for p in begun if list_checkpoints(p)}
    assert saved
    command = [*SCRIPT[:5], "--resume", "last", "--tracking.tensorboard", "false"]
    done = subprocess.run(command, **options, capture_output=True, check=False)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    assert f"4 runs ({len(over)} done)" in done.stdout
    assert all(path.stat().st_mtime_ns == before for path, before in over.items()), "a finished run is not repeated"
    for path, step in saved.items():
        assert f"at step {step}" in (path / "run.log").read_text(), "others go on from their checkpoint"
    found = collect(place)
    assert not found.missing
    for name in ("report.html", "report.md", "runs.csv", "runs.parquet"):
        assert (place / "report" / name).stat().st_size > 500
    identities = {json.loads((place / r.name / "status.json").read_text())["wandb_id"] for r in found.rows}
    assert len(identities) == 4, "each run is a W&B run of its own"
    for row in found.rows:  # the file of a killed part may end anywhere, so any part of a run may tell
        files = list((place / row.name).glob("wandb/offline-run-*/run-*.wandb"))
        assert any(place.name.encode() in path.read_bytes() for path in files), "all in one group"


def test_settings_are_crossed_and_threads_shared_out() -> None:
    made = design(learning_rates=[1e-3, 1e-2], algorithms=["ppo", "backprop"], seeds=[0, 1, 2])
    runs = plan(made)
    assert len(runs) == 2 * 2 * 2 * 3
    assert len({r.name for r in runs}) == len(runs)
    assert {r.setting.learning_rate for r in runs} == {1e-3, 1e-2}
    assert runs[0].seed == runs[7].seed != runs[8].seed, "all arms of a seed come together"
    control = runs[0].config
    assert (pinned(control, 1, 2).numba_threads, pinned(control, 2, 2).numba_threads) == (1, 1)
    assert pinned(runs[-1].config, 2, 2).torch_threads == 1
    towns = plan(design(tasks=["throttle/Urban-v0@Alder", "throttle/LaneFollow-v0"]))
    assert towns[0].config.env.arguments == {"town": "Alder"}


@pytest.mark.parametrize("preset", sorted(path.name for path in (ROOT / "configs" / "compare").glob("*.yaml")))
def test_every_preset_is_a_plan_with_a_question(preset: str) -> None:
    from throttle.cli import make_parser

    parser, _ = make_parser("compare control")
    arguments = parser.instantiate(parser.parse_args(["--config", f"configs/compare/{preset}"]))
    made = ControlComparison(**{name: arguments[name] for name in ControlComparison.__dataclass_fields__})
    assert made.question
    assert plan(made)
    assert len(made.seeds) >= (2 if preset == "small.yaml" else 5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--arms", "globalnorm=1"], "no strategy is called"),
        (["--seeds", "[]"], "seeds must be different"),
        (["--algorithms", "[dqn]"], "algorithms: no 'dqn'"),
        (["--robustness", "[fog]"], "robustness: no 'fog'"),
        (["--tasks", "[Nowhere-v0]"], "Nowhere"),
        (["--algorithms", "[sac]"], "needs continuous actions"),
        (["--ray", "127.0.0.1:1"], "--ray 127.0.0.1:1"),
        (["--resume", "nothing"], "no run 'nothing'"),
    ],
)
def test_what_cannot_be_is_one_line(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--config", str(ROOT / "configs/compare/small.yaml")]
    start = [] if "--resume" in options else small
    code = main(["compare", "control", *start, "--runs", str(tmp_path), "--tracking.wandb", "disabled", *options])
    said = capsys.readouterr().err
    assert code == 2
    assert words in said
    assert len(said.strip().splitlines()) == 1


def test_backprop_runs_are_compared_too(tmp_path: Path) -> None:
    comparison = begin(tmp_path, design(algorithms=["backprop"], seeds=[0]))
    comparison.train_all(silent)
    found = collect(tmp_path)
    assert [r.state for r in found.rows] == ["finished"] * 2
    assert all(r.metric == "return" and not math.isnan(r.score) for r in found.rows)
    assert result(tmp_path, "none-seed0")["clip_seconds"] > 0


def test_a_crashed_worker_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    comparison = begin(tmp_path, design(seeds=[0, 1], arms="none,agc"))
    blocked = tmp_path / "agc-seed0"
    blocked.write_text("a file where the run's folder should be")
    with pytest.raises(UserError, match=r"1 of 4 runs failed, agc-seed0 first"):
        comparison.train_all(silent)
    assert len(comparison.left()) == 1
    blocked.unlink()
    comparison.train_all(silent)
    assert not comparison.left()
