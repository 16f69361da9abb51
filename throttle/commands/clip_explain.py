"""Say in words what the clipping threshold did to a run, and which threshold the run's own norms suggest."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "run", help="a run directory, finished or running, or last, or one clip_*.csv or clip_*.parquet file"
    )
    parser.add_argument(
        "--optimizer", type=str | None, default=None, help="its class, such as AdamW or SGD, for a sharper verdict"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: Namespace) -> int:
    import dataclasses
    import json
    from pathlib import Path

    from clipping.explain import explain, histogram
    from throttle.clip_records import find, read
    from throttle.experiments.runner import finite
    from throttle.runs import find_run

    told = []
    for path in find(find_run("runs", "last") if args.run == "last" else Path(args.run)):
        records = read(path)
        c = records.columns
        flags = (c["clipped"] > 0, c["skipped"] > 0)
        said = explain(c["norm"], c["threshold"], c["coef"], *flags, records.subsystem, args.optimizer)
        told.append({"file": str(path), **dataclasses.asdict(said)})
        if not args.json:
            print(f"{path}\n{said.words}\n\n{histogram(c['norm'], said.threshold)}\n")
    if args.json:
        print(json.dumps(finite(told), indent=1, allow_nan=False))
    return 0
