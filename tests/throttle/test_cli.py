"""Bad input is one line and exit code 2, before a folder is made."""

from __future__ import annotations

from argparse import SUPPRESS
from pathlib import Path

import pytest
import yaml

from throttle.cli import VERBS, main, make_parser
from throttle.compare.plan import plan
from throttle.demo.config import DemoConfig

ROOT = Path(__file__).parents[2]

CARTPOLE = "configs/control/cartpole_ppo.yaml"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["train", "control", "--ppo.n_stepz", "8"], "did you mean 'ppo.n_steps'"),
        (["train", "control", "--ppo.n_steps", "0"], "ppo.n_steps must be at least 2"),
        (["train", "control", "--ppo.n_steps", "many"], "ppo.n_steps"),
        (["train", "control", "--ppo.gamma", "1.5"], "ppo.gamma must be at least 0 and at most 1"),
        (["train", "control", "--ppo.learning_rate", "nan"], "ppo.learning_rate"),
        (["train", "control", "--ppo.batch_size", "100000"], "more than the 16384 steps"),
        (["train", "control", "--algorithm", "magic"], "magic"),
        (["train", "control", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["train", "control", "--config", "typo.yaml"], "did you mean 'ppo.n_steps'"),
        (["train", "control", "--config", "broken.yaml"], "parsing"),
        (["train", "control", "--clip.threshold", "0"], "threshold"),
        (["train", "control", "--clip.threshold", "-1"], "threshold"),
        (["train", "control", "--clip.strategy", "value", "--clip.lower", "1"], "clip"),
        (["train", "perception", "--clip.strategy", "skip"], "needs a threshold"),
        (["train", "planning", "--clip.strategy", "none", "--clip.threshold", "5"], "does not read 'threshold'"),
        (["train", "control", "--env.id", "NoSuchGame-v0"], "NoSuchGame"),
        (["train", "control", "--env.id", "throttle/Nothing-v0"], "throttle/Nothing-v0"),
        (["train", "control", "--env.arguments", "{town: Atlantis}"], "Atlantis"),
        (["train", "control", "--env.arguments", "{twon: Alder}"], "twon"),
        (["train", "control", "--config", CARTPOLE, "--algorithm", "sac"], "sac"),
        (["train", "control", "--name", "../up"], "name"),
        (["train", "control", "--resume", "nothing"], "no run 'nothing'"),
        (["evaluate", "control", "nothing"], "no run 'nothing'"),
        (["evaluate", "control"], "run"),
        (["demo", "--control.seeds", "[1,1]"], "seeds"),
        (["demo", "--control.arms", "none"], "at least one arm that clips"),
        (["demo", "--drive.towns", "[Alder]"], "trained in"),
        (["demo", "--only", "[paint]"], "no stage 'paint'"),
        (["drive", "--perception", "somewhere"], "the expert sees the truth"),
        (["drive", "--perception", "somewhere", "--planner", "idm"], "no run 'somewhere'"),
        (["drive", "--routes", "0"], "routes"),
        (["drive", "--towns", "Alder"], "a list is written '[first, second]'"),
        (["drive", "--towns", "[Aldr]"], "no town 'Aldr'; there are Alder"),
        (["record", "--towns", "[Aldr]"], "no town 'Aldr'; there are Alder"),
        (["train", "perception", "--dataset", "datasets/small"], "did you mean 'data.path'"),
        (["train", "planning", "--data.path", "datasets/small"], "did you mean 'dataset'"),
        (["record", "--towns", "Alder"], "a list is written '[first, second]'"),
        (["drive", "--server", "here"], "host:port"),
        (["drive", "--weathers", "[Sunny]"], "Sunny"),
        (["sim", "view", "--live.server", "here"], "host:port"),
        (["sim", "view", "--live.vehicles", "1000"], "vehicles"),
        (["train"], "needs one of"),
        (["fly"], "unknown command 'fly'"),
        (["trian", "control"], "did you mean 'train control'"),
        (["train", "kontrol", "--seed", "1"], "did you mean 'train control'"),
        (["recrod", "--seed", "1"], "did you mean 'record'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_line_and_two(
    options: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "typo.yaml").write_text("ppo: {n_stepz: 8}")
    (tmp_path / "broken.yaml").write_text("ppo: [")
    assert main(options) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1, said.err
    assert says in said.err
    assert not said.out
    assert not (tmp_path / "runs").exists()


def test_help_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "train control" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["train", "control", "--help"])
    assert ended.value.code == 0
    assert "--ppo.n_steps" in capsys.readouterr().out
    assert main(["train", "--help"]) == 0
    some = capsys.readouterr().out
    assert "train perception" in some
    assert "sim serve" not in some


def test_help_lists_every_command_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert sorted(line.split("  ")[0] for line in lines) == sorted(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_says_what_each_option_means(verb: str) -> None:
    parser, _ = make_parser(verb)
    options = [action for action in parser._actions if action.option_strings and action.help != SUPPRESS]
    assert not [action.option_strings[0] for action in options if not action.help]
    assert parser.usage
    assert parser.usage.endswith("[OPTIONS]")


@pytest.mark.parametrize("preset", sorted((ROOT / "configs" / "control").glob("*.yaml")), ids=lambda p: p.stem)
def test_presets_are_complete_and_name_what_they_use(preset: Path) -> None:
    parser, _ = make_parser("train control")
    values = parser.instantiate(parser.parse_args(["--config", str(preset)]))
    written = yaml.safe_load(preset.read_text())
    others = {"ppo", "a2c", "sac", "td3", "tqc", "recurrent_ppo"} - {values.algorithm}
    assert not others & set(written), "a preset holds no option of an algorithm that it does not use"
    assert values.clip.subsystem == "control"


@pytest.mark.parametrize("verb", ["train control", "train perception", "train planning"])
def test_a_strategy_named_alone_begins_with_its_own_numbers(verb: str, tmp_path: Path) -> None:
    preset = tmp_path / "preset.yaml"
    preset.write_text("clip: {strategy: quantile, quantile: 0.9, threshold: 2.0}")

    def numbers(*options: str) -> tuple[str, dict[str, float]]:
        parser, module = make_parser(verb)
        clip = parser.instantiate(parser.parse_args(module.rewrite(list(options)))).clip
        assert clip.subsystem == verb.split()[1]
        return clip.strategy, clip.numbers()

    default = numbers()
    assert default[0] == "global_norm"
    assert numbers("--clip.strategy", "global_norm") == default
    assert numbers("--clip.strategy", "none") == numbers("--clip.strategy=none") == ("none", {})
    assert numbers("--clip.strategy", "quantile") == ("quantile", {})
    assert numbers("--clip.threshold", "0.02", "--clip.strategy", "agc") == ("agc", {"threshold": 0.02})
    assert numbers("--config", str(preset)) == ("quantile", {"quantile": 0.9, "threshold": 2.0})
    assert numbers("--config", str(preset), "--clip.strategy", "none") == ("none", {})
    preset.write_text("clip: {strategy: none}")
    assert numbers("--config", str(preset)) == ("none", {})
    assert numbers("--config", str(preset), "--clip.strategy", "skip", "--clip.threshold", "3") == (
        "skip",
        {"threshold": 3.0},
    )


@pytest.mark.parametrize("name", ["demo", "demo_small", "demo_full"])
def test_the_demonstration_compares_clipping_and_drives_elsewhere(name: str) -> None:
    parser, _ = make_parser("demo")
    values = parser.instantiate(parser.parse_args(["--config", str(ROOT / "configs" / f"{name}.yaml")]))
    demo = DemoConfig(**{key: values[key] for key in DemoConfig.__dataclass_fields__})
    assert {run.seed for run in plan(demo.control)} == set(demo.control.seeds)
    seen = {*demo.record.towns, demo.control.control.env.arguments["town"]}
    assert not seen & {*demo.drive.towns}
    assert demo.name == DemoConfig(**{key: values[key] for key in DemoConfig.__dataclass_fields__}).name
