"""Say in words what the clipping threshold did to a run, and which threshold the run's own norms suggest."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

OPTIMIZERS = {"sgd": "SGD", "momentum": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
ALGORITHMS = {"a2c": "RMSprop", **dict.fromkeys(("ppo", "recurrent_ppo", "sac", "td3", "tqc"), "Adam")}
"""What Stable-Baselines3 trains them with."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "run", help="a run directory, finished or running, or last, or one clip_*.csv or clip_*.parquet file"
    )
    parser.add_argument(
        "--optimizer",
        type=str | None,
        default=None,
        help="its class, such as AdamW (default: of the run's config)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: Namespace) -> int:
    import dataclasses
    import json

    from clipping.explain import explain, histogram
    from throttle.clip_records import find, read
    from throttle.experiments.runner import finite
    from throttle.runs import find_run

    told = []
    for path in find(find_run("runs", "last") if args.run == "last" else Path(args.run)):
        records = read(path)
        c = records.columns
        flags = (c["clipped"] > 0, c["skipped"] > 0)
        optimizer = args.optimizer or optimizer_of(path.parent)
        said = explain(c["norm"], c["threshold"], c["coef"], *flags, records.subsystem, optimizer)
        told.append({"file": str(path), **dataclasses.asdict(said)})
        if not args.json:
            print(f"{path}\n{said.words}\n\n{histogram(c['norm'], said.threshold)}\n")
    if args.json:
        print(json.dumps(finite(told), indent=1, allow_nan=False))
    return 0


def optimizer_of(run: Path) -> str | None:
    """The class of the optimiser that a run's config.yaml names, None where it names none."""
    import yaml

    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    if not isinstance(config, dict):
        return None
    train = config.get("train")
    if isinstance(train, dict) and "optimizer" in train:
        return OPTIMIZERS.get(str(train["optimizer"]))
    return ALGORITHMS.get(str(config.get("algorithm")))
