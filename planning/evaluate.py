"""How well does a planner drive where it was not trained: many worlds at once, against expert and baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import UserError
from planning.data import Episodes
from planning.openloop import judge, spread, summary
from planning.perturb import LEVELS, SEVERITIES, PerturbedSight
from planning.planner import BatchDriver, Planner
from planning.scenes import Scenes, concatenate
from planning.sight import true_scenes
from sim.driving.baselines import SceneRows, constant_velocity, lane_follower
from sim.driving.batch import Batch, BatchConfig, RowsPlanner
from sim.driving.batch import Planner as BatchPlanner
from sim.driving.evaluation import Drive, Evaluation
from sim.driving.expert import ExpertPlanner
from sim.driving.plans import Plans
from sim.driving.routes import Split, named_routes
from sim.envs.birdseye import Painter
from sim.roads import load

SCORE = "driving_score/carla-lb-2.0"
SEED = 1 << 29
"""Seeds of evaluated traffic begin here; those of trainings are smaller."""
EXPERT, FOLLOWER, CONSTANT = "expert", "lane follower + IDM", "constant velocity"


@dataclass
class Course:
    """What is driven: `routes` routes of a split in each town at each traffic density."""

    towns: list[str] = field(default_factory=lambda: ["Alder", "Gridley", "Marlin"])
    """Marlin is a town that no training sees."""
    split: Split = "test"
    """Which routes of a town."""
    densities: list[float] = field(default_factory=lambda: [3.0, 6.0, 12.0])
    """Vehicles for each kilometre of lane: light, normal and dense traffic."""
    routes: int = 10
    """Routes in each town at each density."""
    walkers: int = 24
    """Pedestrians in each world."""
    jaywalk: float = 0.2
    """How often each steps onto the road where it should not, per minute."""
    seed: int = 0
    """Another one is another course: other routes, other traffic."""
    dt: float = 0.1
    """Seconds of a step."""
    limit: float = 300.0
    """Seconds after which a route that has not ended is ended."""
    errors: str = ""
    """File of a perception's errors (configs/planning/errors.yaml) with which the Scenes are told; empty: the truth."""

    def __post_init__(self) -> None:
        if not self.towns or not self.densities:
            raise UserError("a course needs at least one of towns and one of densities")
        if not 1 <= self.routes <= 10_000:
            raise UserError(f"course.routes must be from 1 to 10000, got {self.routes}")
        if not 0 <= self.seed < 1 << 20:
            raise UserError(f"course.seed must be from 0 to {(1 << 20) - 1}, got {self.seed}")
        if not 0 <= self.walkers <= 1000 or not 0 <= self.jaywalk <= 60:
            raise UserError("course.walkers must be from 0 to 1000 and course.jaywalk from 0 to 60")


def baselines() -> dict[str, BatchPlanner]:
    """Who a learned planner is compared with."""
    return {
        EXPERT: ExpertPlanner(),
        FOLLOWER: RowsPlanner(lane_follower),
        CONSTANT: RowsPlanner(constant_velocity),
    }


def places(course: Course) -> Iterator[tuple[str, float]]:
    """Towns and densities of a course."""
    for town in course.towns:
        for density in course.densities:
            yield town, density


def make_batch(course: Course, town: str, density: float) -> Batch:
    """The worlds of one town and density, about to start; the same for every planner."""
    network = load(town)
    routes = named_routes(network, course.split, course.routes, course.seed)
    config = BatchConfig(
        density=density, walkers=course.walkers, jaywalk=course.jaywalk, seed=SEED + 1000 * course.seed, dt=course.dt,
        limit=course.limit,
    )  # fmt: skip
    return Batch(network, routes, config)


@dataclass(frozen=True)
class Outcome:
    """One planner on a part of the course."""

    town: str
    density: float
    evaluation: Evaluation


def drive_course(
    name: str,
    planner: BatchPlanner,
    course: Course,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> list[Outcome]:
    """Drive a whole course. `progress`: what is driven, routes done and all of that part."""
    found = []
    for town, density in places(course):

        def report(done: int, total: int, what: str = f"{name}, {town}, density {density:g}") -> None:
            progress(what, done, total)

        batch = make_batch(course, town, density)
        found.append(Outcome(town, density, batch.run(name, planner, report)))
    return found


def together(outcomes: Sequence[Outcome]) -> Evaluation:
    """All routes of one planner."""
    drives: tuple[Drive, ...] = sum((o.evaluation.drives for o in outcomes), ())
    return Evaluation(outcomes[0].evaluation.planner, drives)


def infractions(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Every infraction: route, density, kind, second, place, the other's id (-1: nobody)."""
    return [
        {"planner": o.evaluation.planner, "route": drive.name, "density": o.density, "kind": i.kind,
         "time": round(i.time, 2), "x": round(i.place[0], 1), "y": round(i.place[1], 1), "other": i.other}
        for o in outcomes
        for drive in o.evaluation.drives
        for i in drive.infractions
    ]  # fmt: skip


def worst(outcomes: Sequence[Outcome], count: int) -> list[tuple[Outcome, int]]:
    """The routes with the lowest carla-lb-2.0 scores below 100: (outcome, world), the worst first."""
    rows = [(drive.row()["score/carla-lb-2.0"], o, w) for o in outcomes for w, drive in enumerate(o.evaluation.drives)]
    rows = sorted((row for row in rows if row[0] < 99.0), key=lambda row: row[0])
    return [(o, w) for _, o, w in rows[:count]]


def film(
    path: Path,
    planner: BatchPlanner,
    course: Course,
    outcome: Outcome,
    world: int,
    size: int = 512,
    seconds: float = 40.0,
) -> None:
    """Drive the same part again and write an mp4 of one world, seen from above: its last `seconds`.

    All worlds are driven, so that the planner computes the very numbers of the first time.
    """
    import imageio_ffmpeg

    batch = make_batch(course, outcome.town, outcome.density)
    painter = Painter(batch.network.lane_tables(), batch.network.walk_tables())
    drive = outcome.evaluation.drives[world]
    planner.begin(batch)
    temporary = path.with_name(f".{path.name}")
    writer = imageio_ffmpeg.write_frames(
        str(temporary), (size, size), fps=round(1.0 / course.dt), output_params=["-f", "mp4"], macro_block_size=2
    )
    writer.send(None)
    while batch.active[world]:
        if batch.seconds[world] >= drive.seconds - seconds:
            writer.send(np.ascontiguousarray(painter.paint(batch.world.state, world, size, 70.0)))
        batch.step(planner.plan(batch))
    writer.close()
    temporary.replace(path)


# -- open loop --------------------------------------------------------------------------------------------------------


def scene_rows(scenes: Scenes) -> SceneRows:
    """NumPy scenes as sim.driving's baselines take them."""
    objects = scenes.objects.copy()
    objects[..., 7] = np.hypot(objects[..., 0], objects[..., 1])
    stop = np.where(scenes.rules[:, 0] < 999.0, scenes.rules[:, 0], np.inf).astype(np.float32)
    return SceneRows(
        scenes.ego, objects, (scenes.kind >= 0).sum(1).astype(np.int32), scenes.route, scenes.light.astype(np.int32),
        stop, scenes.rules[:, 1].astype(np.int32), scenes.rules[:, 2],
    )  # fmt: skip


def plan_rows(planner: Planner, scenes: Scenes, chunk: int = 256) -> Plans:
    """Plans for any number of NumPy scenes."""
    parts = [
        planner.rows(scenes.take(slice(k, k + chunk)).tensors()) for k in range(0, scenes.batch, chunk)
    ]  # fmt: skip
    return Plans(np.concatenate([p.path for p in parts]), np.concatenate([p.speed for p in parts]))


def open_loop(planner: Planner, episodes: Episodes, count: int = 2000) -> dict[str, dict[str, float]]:
    """Figures of planning.openloop for the planner, the expert itself and the baselines, on `count` recorded scenes.

    Raises UserError where no episode lasts the 4 s that are judged.
    """
    rows = spread(episodes, count)
    if not len(rows):
        raise UserError("no recorded episode lasts longer than the 4 s that a plan is judged over")
    scenes = episodes.scenes.take(rows)
    plans = {
        "learned": plan_rows(planner, scenes),
        EXPERT: Plans(episodes.path[rows], episodes.speed[rows]),
        FOLLOWER: lane_follower(scene_rows(scenes)),
        CONSTANT: constant_velocity(scene_rows(scenes)),
    }
    return {name: summary(judge(episodes, rows, plan)) for name, plan in plans.items()}


# -- robustness -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Robustness:
    """A planner under one perturbation. scores: driving score carla-lb-2.0 at severity 0 (none) to 5."""

    kind: str
    scores: list[float]

    @property
    def area(self) -> float:
        """Mean height of the curve of the scores over severity (trapezoids)."""
        return float(np.trapezoid(self.scores) / (len(self.scores) - 1))


def robustness(
    planner: Planner,
    course: Course,
    kinds: Sequence[str] = tuple(LEVELS),
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> list[Robustness]:
    """Drive the course with perturbed Scenes, every kind at five severities."""
    clean = together(drive_course("clean", BatchDriver(planner), course, progress)).figures()[SCORE]
    found = []
    for kind in kinds:
        scores = [clean]
        for severity in SEVERITIES:
            driver = BatchDriver(planner, PerturbedSight(kind, severity, course.seed * 100 + severity))
            outcomes = drive_course(f"{kind} {severity}", driver, course, progress)
            scores.append(together(outcomes).figures()[SCORE])
        found.append(Robustness(kind, scores))
    return found


def course_scenes(planner: Planner, course: Course, every: int = 20, seconds: float = 40.0) -> Scenes:
    """NumPy scenes that the planner meets on the course: one every `every` steps of each route's first seconds."""
    found = []
    for town, density in places(course):
        batch, driver = make_batch(course, town, density), BatchDriver(planner)
        for step in range(round(seconds / course.dt)):
            if step % every == 0:
                found.append(true_scenes(batch, np.flatnonzero(batch.active)))
            batch.step(driver.plan(batch))
            if not batch.active.any():
                break
    return concatenate(found).arrays()


def sensitivity(planner: Planner, scenes: Scenes, size: float = 0.01, seed: int = 0) -> dict[str, float]:
    """Local sensitivity: ||change of the output|| / ||change of the input||, median and 95th percentile over scenes.

    scenes: NumPy. The input moves by noise of standard deviation `size` (metres, m/s) on the objects' places and
    velocities, the route and the ego's speed; the output is path (metres) and speed (m/s).
    """
    random = np.random.default_rng(seed)

    def noise(like: NDArray[np.float32]) -> NDArray[np.float32]:
        return (size * random.standard_normal(like.shape)).astype(np.float32)

    moved = scenes._replace(
        ego=scenes.ego.copy(), objects=scenes.objects.copy(), route=scenes.route + noise(scenes.route)
    )
    moved.ego[:, 0] += noise(moved.ego[:, 0])
    there = (scenes.kind >= 0)[..., None]
    for columns in (slice(0, 2), slice(5, 7)):
        moved.objects[..., columns] += noise(moved.objects[..., columns]) * there
    before, after = plan_rows(planner, scenes), plan_rows(planner, moved)
    change = np.sqrt(((after.path - before.path) ** 2).sum((1, 2)) + ((after.speed - before.speed) ** 2).sum(1))
    pushed = np.sqrt(
        ((moved.route - scenes.route) ** 2).sum((1, 2))
        + ((moved.objects - scenes.objects) ** 2).sum((1, 2))
        + ((moved.ego - scenes.ego) ** 2).sum(1)
    )
    ratio = change / np.maximum(pushed, 1e-9)
    return {"median": float(np.median(ratio)), "p95": float(np.percentile(ratio, 95))}
