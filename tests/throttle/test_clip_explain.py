"""`throttle clip explain` on files that real clippers wrote, and on files that are something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from clipping import GradientClipper
from clipping.sinks import CsvSink, ParquetSink
from throttle.cli import main


def train(clipper: GradientClipper, norms: list[float]) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    clipper.attach(optimizer := torch.optim.SGD([weight], lr=0.1))
    for norm in norms:
        weight.grad = torch.tensor([norm])
        optimizer.step()


NORMS = [1.0 + 0.01 * (i % 10) for i in range(196)] + [50.0, 60.0, 70.0, float("nan")]


def explained(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["clip", "explain", str(path), *options]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("sink", [CsvSink, ParquetSink])
def test_a_run_is_explained_in_words_and_figures(
    sink: type[CsvSink | ParquetSink], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clipper = GradientClipper(threshold=2.0, subsystem="control", sinks=[sink(tmp_path)], drain_every=7)
    train(clipper, NORMS)
    clipper.close()
    text = explained(tmp_path, capsys, "--optimizer", "SGD")
    assert str(clipper.summary()) in text  # one verdict, from the files and in the program
    assert "control: 200 steps, 1.51% of them limited" in text
    assert "brake on spikes" in text
    assert "Gradients that were not finite: 1. Skipped updates: 1." in text
    assert "<- threshold" in text
    (body,) = json.loads(explained(tmp_path, capsys, "--json"))
    assert body["subsystem"] == "control"
    assert body["steps"] == 200
    assert (body["nonfinite"], body["skipped"], body["threshold"]) == (1, 1, 2.0)
    assert 1.1 <= body["suggested"] < 50


def test_a_running_run_and_a_resumed_one_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # the second run starts at step 1 again and appends, as after a kill before a checkpoint
        clipper = GradientClipper(
            threshold=0.5, subsystem="planning", sinks=[CsvSink(tmp_path / "deep")], drain_every=10
        )
        train(clipper, [1.0] * 20)
    path = tmp_path / "deep" / "clip_planning.csv"
    assert len(path.read_text().splitlines()) == 41
    with path.open("a") as file:
        file.write("41,0.3")  # a row being written
    text = explained(tmp_path, capsys, "--optimizer", "Adam")
    assert "planning: 20 steps, 100%" in text
    assert "a factor that hardly varies cancels" in text


def test_the_optimiser_is_that_of_the_runs_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clipper = GradientClipper(threshold=0.5, sinks=[CsvSink(tmp_path)])
    train(clipper, [1.0] * 20)
    clipper.close()
    config = tmp_path / "config.yaml"
    for text, words in (
        ("train: {optimizer: momentum}", "Under SGD"),
        ("train: {optimizer: adamw}", "Under AdamW"),
        ("algorithm: ppo", "Under Adam a factor"),
        ("name: x", "Under Adam and its kin"),
        ("[", "Under Adam and its kin"),
    ):
        config.write_text(text)
        assert words in explained(tmp_path, capsys)
    config.write_text("algorithm: ppo")
    assert "Under RMSprop" in explained(tmp_path, capsys, "--optimizer", "RMSprop")


def test_unclipped_runs_have_telemetry_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clipper = GradientClipper("none", sinks=[CsvSink(tmp_path)])
    train(clipper, NORMS[:100])
    clipper.close()
    assert "measured without clipping" in explained(tmp_path, capsys)


def test_what_is_no_telemetry_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def complaint(path: Path) -> str:
        assert main(["clip", "explain", str(path)]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        return err

    assert "no such run" in complaint(tmp_path / "missing")
    assert "no clip telemetry" in complaint(tmp_path)
    foreign = tmp_path / "clip_x.csv"
    foreign.write_text("step,loss\n1,2\n")
    assert "no column norm, coef, threshold" in complaint(tmp_path)
    foreign.write_bytes(b"\xff\xfe\x00\x01")
    assert "not text" in complaint(foreign)
    foreign.write_text("")
    assert "no step is recorded yet" in complaint(foreign)
    header = "step,norm,norm_after,coef,threshold,clipped,skipped,nonfinite\n"
    foreign.write_text(header)
    assert "no step is recorded yet" in complaint(foreign)
    foreign.write_text(header + "1,1,1,1,2,0,0,0\n2,one,1,1,2,0,0,0\n")
    assert "line 3" in complaint(foreign)
    foreign.write_text(header + "1,1,1,1\n")
    assert "line 2" in complaint(foreign)
    foreign.unlink()
    damaged = tmp_path / "clip_y.parquet"
    damaged.write_bytes(b"PAR1 and no more")
    assert "cannot be read" in complaint(damaged)
    other = tmp_path / "notes.txt"
    other.write_text("step")
    assert ".csv or .parquet" in complaint(other)
