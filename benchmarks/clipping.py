"""What clipping costs, against other ways to clip and against the physical limit, in one interleaved run.

    python benchmarks/clipping.py [--nets policy resnet18 large] [--threads 2] [--rounds 15] [--cpu]
    python benchmarks/clipping.py --device cuda

Two costs a row: `clip`, the clip alone, and `added`, what clip + optimiser step (fused Adam) takes more than the step
without clipping; the second is the honest one for a folded clip, whose scaling happens inside the optimiser. Medians
over rounds; within a round every way runs once on the same parameters, in an order that moves on from round to round,
so that a busy machine disturbs all alike. The limit is one read of one flat buffer of all gradients (the faster of
torch.dot and our kernel). The last two columns are clip + step relative to torch's clip_grad_norm_ (foreach) + step in
the same state, by medians and by the fastest rounds: below 1.00 is faster. Telemetry is on in all rows of ours.

The gradients are put back before every call, outside the clock, because clipped gradients need no clipping.

Then an update of the policy net as a whole (forward, backward, clip, step: caches are as cold as in training), and what
telemetry alone costs a step, into each kind of sink.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path[0] = str(Path(__file__).parent.parent)  # not this folder, where `clipping` is this very file

from clipping import GradientClipper, kernels  # noqa: E402
from clipping.flat import FlatParameters  # noqa: E402

CLOCK: list[Callable[[], float]] = [time.perf_counter]
OURS = ("global_norm", "value", "quantile", "agc")
IDLE, CLIPPING = 1e9, 1e-3  # thresholds: far above and far below the norm of the gradients


def settled() -> float:
    """The time when the GPU has done all that it was told to."""
    torch.cuda.synchronize()
    return time.perf_counter()


def policy_net() -> nn.Module:
    """12k parameters, 6 tensors."""
    return nn.Sequential(nn.Linear(108, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 16))


def resnet_sized() -> nn.Module:
    """11.7M parameters, 62 tensors: torchvision's resnet18."""
    from torchvision.models import resnet18

    return resnet18()


def large() -> nn.Module:
    """100M parameters, 66 tensors: a transformer's worth of square layers."""
    return nn.Sequential(*(nn.Linear(1760, 1760) for _ in range(33)))


NETS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "policy": (policy_net, 200),
    "resnet18": (resnet_sized, 3),
    "large": (large, 1),
}


@dataclass
class Way:
    """One way to clip, on parameters of its own."""

    name: str
    state: str  # idle or clipping
    clip: Callable[[], object] | None
    step: Callable[[], object]
    reset: Callable[[], object]
    alone: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


class Bench:
    """Parameters with gradients, shared by all ways (and with them Adam's moments): a large net fits in memory once."""

    def __init__(self, module: nn.Module) -> None:
        self.source = [torch.randn_like(p) * 1e-2 for p in module.parameters()]
        self.params = [nn.Parameter(torch.zeros_like(g)) for g in self.source]
        for p, g in zip(self.params, self.source):
            p.grad = g.clone()
        self.first = torch.optim.Adam(self.params, lr=1e-6, fused=True)
        self.first.step()

    def reset(self) -> None:
        """Put the gradients back."""
        torch._foreach_copy_([p.grad for p in self.params if p.grad is not None], self.source)

    def adam(self) -> torch.optim.Optimizer:
        """An optimiser of its own (for hooks of its own) on the shared state."""
        optimizer = torch.optim.Adam(self.params, lr=1e-6, fused=True)
        optimizer.state = self.first.state
        return optimizer

    def by_hand(self, name: str, state: str, clip: Callable[[list[nn.Parameter]], object]) -> Way:
        """A way that is called before the step."""
        optimizer = self.adam()

        def both() -> None:
            clip(self.params)
            optimizer.step()

        return Way(name, state, lambda: clip(self.params), both, self.reset)

    def attached(self, name: str, state: str, clipper: GradientClipper) -> Way:
        """A way of ours."""
        optimizer = self.adam()
        clipper.attach(optimizer)
        return Way(name, state, alone(clipper), optimizer.step, self.reset)


def peers(bench: Bench) -> list[Way]:
    """The other ways: torch's three, timm's AGC, the PyPI package autoclip."""
    out = []
    for state, tau in (("idle", IDLE), ("clipping", CLIPPING)):
        out += [bench.by_hand(name, state, clip) for name, clip in torch_ways(tau).items()]
    try:
        from timm.utils.agc import adaptive_clip_grad

        out.append(bench.by_hand("timm agc", "clipping", lambda ps: adaptive_clip_grad(ps, 0.01)))
    except ImportError:
        print("timm is not installed: its row is left out")
    try:
        from autoclip.torch import QuantileClip

        clipper = QuantileClip(bench.params, quantile=0.5, history_length=1000)
        out.append(bench.by_hand("PyPI autoclip", "clipping", lambda ps: clipper.step()))
    except ImportError:
        print("autoclip is not installed: its row is left out")
    return out


def torch_ways(tau: float) -> dict[str, Callable[[list[nn.Parameter]], object]]:
    norm, value = torch.nn.utils.clip_grad_norm_, torch.nn.utils.clip_grad_value_
    return {
        "torch norm foreach": lambda ps: norm(ps, tau, foreach=True),
        "torch norm loop": lambda ps: norm(ps, tau, foreach=False),
        "torch value": lambda ps: value(ps, tau, foreach=True),
    }


def ours(bench: Bench, module: nn.Module, small: bool) -> list[Way]:
    """Our ways: global norm folded into the optimiser and not, value, quantile, AGC; flat buffers for a small net."""
    out = []
    for state, tau in (("idle", IDLE), ("clipping", CLIPPING)):
        out += [
            bench.attached("global_norm", state, GradientClipper("global_norm", tau)),
            bench.attached("global_norm unfolded", state, GradientClipper("global_norm", tau, fold=False)),
            bench.attached("value", state, GradientClipper("value", tau)),
        ]
        if small:
            out.append(flat_way(state, tau, module, bench.source))
    out.append(bench.attached("quantile", "clipping", GradientClipper("quantile")))
    out.append(bench.attached("agc", "clipping", GradientClipper("agc")))
    return out


def flat_way(state: str, tau: float, module: nn.Module, source: list[Tensor]) -> Way:
    """Global norm on one flat parameter."""
    flat = FlatParameters(copy.deepcopy(module))
    kept = torch.cat([g.reshape(-1) for g in source])
    grad = flat.parameter.grad
    assert grad is not None
    optimizer = torch.optim.Adam([flat.parameter], lr=1e-6, fused=True)
    clipper = GradientClipper("global_norm", tau)
    clipper.attach(optimizer)
    return Way("global_norm flat", state, alone(clipper), optimizer.step, lambda: grad.copy_(kept))


def alone(clipper: GradientClipper) -> Callable[[], object]:
    def run() -> None:
        clipper.before_step()
        clipper.after_step()

    return run


def measure(call: Callable[[], object], reset: Callable[[], object], repeats: int) -> float:
    """Mean seconds of ``call`` in a burst; gradients put back before each call, outside the clock."""
    total = 0.0
    for _ in range(repeats):
        reset()
        start = CLOCK[0]()
        call()
        total += CLOCK[0]() - start
    return total / repeats


def run_net(name: str, rounds: int) -> list[dict[str, object]]:
    """Measure every way on one net; returns the rows of its table."""
    build, repeats = NETS[name]
    torch.manual_seed(0)
    module = build()
    bench = Bench(module)
    buffer = torch.cat([g.reshape(-1) for g in bench.source])
    plain = Way("no clipping", "", None, bench.adam().step, bench.reset)
    ways = [plain, *peers(bench), *ours(bench, module, name == "policy")]
    kernel = kernels.Kernel()
    readers: list[Callable[[], object]] = [lambda: torch.dot(buffer, buffer)]
    if kernels.available() and kernel.load([buffer]):
        readers.append(kernel.sum_squares)
    limits: list[list[float]] = [[] for _ in readers]
    for round_ in range(rounds + 1):  # the first round warms up
        for reader, limit in zip(readers, limits):
            spent = measure(reader, lambda: None, repeats)
            if round_:
                limit.append(spent)
        for way in ways[round_ % len(ways) :] + ways[: round_ % len(ways)]:
            a = measure(way.clip, way.reset, repeats) if way.clip else 0.0
            b = measure(way.step, way.reset, repeats)
            if round_:
                way.alone.append(a)
                way.whole.append(b)
    best = min(statistics.median(limit) for limit in limits)
    extra = {w.name + w.state: [b - p for b, p in zip(w.whole, plain.whole)] for w in ways}
    rows: list[dict[str, object]] = []
    for way in ways:
        torch_row = next((w for w in ways if w.name == "torch norm foreach" and w.state == way.state), None)
        added = statistics.median(extra[way.name + way.state])
        against = (
            statistics.median(b / t for b, t in zip(way.whole, torch_row.whole)) if torch_row is not None else None
        )
        rows.append(
            {
                "net": name,
                "way": way.name,
                "state": way.state,
                "clip_us": statistics.median(way.alone) * 1e6,
                "added_us": added * 1e6,
                "step_us": statistics.median(way.whole) * 1e6,
                "clip_limits": statistics.median(way.alone) / best,
                "added_limits": added / best,
                "step_share": added / statistics.median(plain.whole),
                "against_torch": against,
                "fastest_against_torch": min(way.whole) / min(torch_row.whole) if torch_row is not None else None,
                "limit_us": best * 1e6,
            }
        )
    return rows


def show(rows: list[dict[str, object]]) -> None:
    """Print the table of one net."""
    first = rows[0]
    print(f"\n{first['net']}: one read of all gradients {first['limit_us']:.1f} us")
    head = ("way", "state", "clip us", "added us", "clip/limit", "added/limit", "of step", "step vs torch", "fastest")
    print("{:22s} {:9s} {:>10s} {:>10s} {:>11s} {:>12s} {:>9s} {:>14s} {:>8s}".format(*head))
    for r in rows:
        both = [f"{r[k]:.2f}" if r[k] is not None else "" for k in ("against_torch", "fastest_against_torch")]
        print(
            f"{r['way']:22s} {r['state']:9s} {r['clip_us']:10.1f} {r['added_us']:10.1f} {r['clip_limits']:11.2f} "
            f"{r['added_limits']:12.2f} {r['step_share']:9.1%} {both[0]:>14s} {both[1]:>8s}"
        )


def verdict(rows: list[dict[str, object]]) -> str:
    """Which rows of this module take longer than torch's clip_grad_norm_ in the same state, by either measure."""
    mine = [r for r in rows if str(r["way"]).startswith(OURS)]
    slower = [
        f"{r['net']} {r['way']} {r['state']} ({r['against_torch']:.2f}, fastest {r['fastest_against_torch']:.2f})"
        for r in mine
        if max(float(str(r["against_torch"])), float(str(r["fastest_against_torch"]))) > 1.0
    ]
    return f"\nof {len(mine)} rows of this module slower than torch's norm: {', '.join(slower) or 'none'}"


UPDATES: dict[str, float | None] = {"no clipping": None, "global_norm, idle": IDLE, "global_norm, clipping": CLIPPING}


def updates(rounds: int) -> None:
    """Whole updates of the policy net: clipped by us, by torch, and in flat buffers."""
    taken: dict[str, list[float]] = {}
    runs: dict[str, Callable[[], None]] = {}
    for name, tau in UPDATES.items():
        runs[name] = update(tau)
        if tau is not None:
            runs[name.replace("global_norm", "global_norm flat")] = update(tau, flat=True)
            runs[name.replace("global_norm", "torch norm foreach")] = update(tau, by_torch=True)
    names = list(runs)
    for turn in range(40 * rounds + 20):
        for k in range(len(names)):
            name = names[(k + turn) % len(names)]
            start = CLOCK[0]()
            runs[name]()
            if turn >= 20:
                taken.setdefault(name, []).append(CLOCK[0]() - start)
    base, least = statistics.median(taken["no clipping"]), min(taken["no clipping"])
    print(f"\nan update of the policy net, 64 samples: {base * 1e6:.0f} us without clipping")
    print(f"{'way':32s} {'median us':>10s} {'added':>8s} {'added, fastest':>15s}")
    for name in names:
        middle = statistics.median(taken[name])
        print(f"{name:32s} {middle * 1e6:10.1f} {middle / base - 1:8.1%} {min(taken[name]) / least - 1:15.1%}")


def update(tau: float | None, flat: bool = False, by_torch: bool = False) -> Callable[[], None]:
    """One update: zero, forward, backward, clip, fused Adam."""
    torch.manual_seed(0)
    module, x = policy_net(), torch.randn(64, 108)
    buffers = FlatParameters(module) if flat else None
    params = [buffers.parameter] if buffers is not None else list(module.parameters())
    optimizer = torch.optim.Adam(params, lr=1e-6, fused=True)
    if tau is not None and not by_torch:
        GradientClipper("global_norm", tau).attach(optimizer)

    def run() -> None:
        (buffers or optimizer).zero_grad()
        module(x).square().mean().backward()
        if by_torch and tau is not None:
            torch.nn.utils.clip_grad_norm_(params, tau)
        optimizer.step()

    return run


def telemetry(rounds: int) -> None:
    """What it costs a step to keep one update's numbers and to bring them where they belong, in batches of 100."""
    import wandb

    from clipping.sinks import CsvSink, ParquetSink, WandbSink

    with tempfile.TemporaryDirectory() as folder:
        run = wandb.init(mode="offline", dir=folder, settings=wandb.Settings(silent=True))
        sinks: dict[str, list[Any]] = {
            "kept for drain() and summary()": [],
            "CSV": [CsvSink(folder)],
            "Parquet": [ParquetSink(folder)],
            "W&B (offline)": [WandbSink(run)],
        }
        clippers = {name: GradientClipper("none", sinks=chosen) for name, chosen in sinks.items()}
        row = (1.0, 1.0, 1.0, 2.0, 0.0, 0.0, 0.0)
        taken: dict[str, list[float]] = {name: [] for name in clippers}
        for round_ in range(rounds + 1):
            for name, clipper in clippers.items():
                start = CLOCK[0]()
                for _ in range(1000):
                    clipper.record(row, [row])
                if round_:
                    taken[name].append((CLOCK[0]() - start) / 1000)
        for clipper in clippers.values():
            clipper.close()
        run.finish()
    print("\ntelemetry alone, microseconds a step, amortised over batches of 100")
    for name, times in taken.items():
        print(f"{name:32s} median {statistics.median(times) * 1e6:6.2f}  fastest {min(times) * 1e6:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="*", default=list(NETS), choices=list(NETS))
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    parser.add_argument("--rounds", type=int, default=15, help="measured rounds, interleaved")
    parser.add_argument("--cpu", action="store_true", help="CPU time of all threads: for a machine that is busy")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where parameters and gradients are")
    parser.add_argument("--json", help="also write the rows to this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.cpu:
        CLOCK[0] = time.process_time
    where = f"{args.threads} threads"
    if args.device == "cuda":
        if not torch.cuda.is_available():
            parser.error("--device cuda: there is no CUDA device")
        torch.set_default_device("cuda")
        CLOCK[0], where = settled, torch.cuda.get_device_name()
    print(f"torch {torch.__version__}, {where}, medians of {args.rounds} interleaved rounds, fused Adam")
    rows: list[dict[str, object]] = []
    for name in args.nets:
        rows += run_net(name, args.rounds)
        show([r for r in rows if r["net"] == name])
    print(verdict(rows))
    updates(args.rounds)
    if args.device == "cpu":
        telemetry(args.rounds)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
