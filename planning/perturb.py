"""Scenes as they might also have been seen: from beside the recorded pose, or as perception errs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts import ObjectClass
from planning.config import AugmentConfig
from planning.data import Examples
from planning.errors import ErrorConfig
from planning.scenes import CONFIDENCE, HALF_LENGTH, HALF_WIDTH, VX, VY, YAW, Scenes
from planning.sight import true_scenes
from planning.tell import tell_once
from planning.tokens import on_route, squared_gaps
from sim.driving.batch import Batch

CLEAR = 4.0
"""Metres from the route within which training adds no false object: the expert would have braked for it."""
CONCERN = 3.0
"""Metres from the route within which an object concerns the ego."""
GHOST = (2.2, 0.95)
"""Half length and width of a false car, metres."""


def move_points(points: Tensor, shift: Tensor, turn: Tensor) -> Tensor:
    """Points [B, ..., 2] seen from a pose at `shift` [B, 2], turned by `turn` [B] (radians to the right)."""
    extra = (1,) * (points.dim() - 2)
    cos, sin = turn.cos().reshape(-1, *extra), turn.sin().reshape(-1, *extra)
    moved = points - shift.reshape(-1, *extra, 2)
    x, y = moved[..., 0], moved[..., 1]
    return torch.stack([x * cos + y * sin, y * cos - x * sin], -1)


def move(scenes: Scenes, shift: Tensor, turn: Tensor) -> Scenes:
    """The scenes as an ego at `shift` [B, 2] in the old frame sees them, its heading turned by `turn` [B].

    The ego's speed along its heading, the stop line's distance and all rules stay.
    """
    objects = scenes.objects.clone()
    there = scenes.kind >= 0
    objects[..., :2] = move_points(scenes.objects[..., :2], shift, turn)
    objects[..., YAW] = scenes.objects[..., YAW] - turn[:, None]
    objects[..., VX : VY + 1] = move_points(scenes.objects[..., VX : VY + 1], torch.zeros_like(shift), turn)
    return scenes._replace(
        objects=torch.where(there[..., None], objects, scenes.objects), route=move_points(scenes.route, shift, turn)
    )


def augment(
    batch: Examples, config: AugmentConfig, random: torch.Generator, errors: ErrorConfig | None = None
) -> Examples:
    """A batch for training, changed as `config` says; all random numbers come from `random`.

    errors: those of a perception, with which a share of the scenes is told.
    """
    scenes, count = batch.scenes, batch.rows
    chosen = torch.rand(count, generator=random) < config.pose
    shift = torch.zeros(count, 2)
    shift[:, 1] = config.lateral * torch.randn(count, generator=random) * chosen
    turn = config.heading * torch.randn(count, generator=random) * chosen
    scenes = move(scenes, shift, turn)
    path = move_points(batch.path, shift, turn)
    future = move_points(batch.future, shift, turn)
    erring = torch.zeros(count, dtype=torch.bool)
    if errors is not None:
        erring = torch.rand(count, generator=random) < config.erring
        scenes = err(scenes, erring, errors, random)
    spoilt = (torch.rand(count, generator=random) < config.noise) & ~erring
    scenes = measure_badly(scenes, spoilt, config.position, config.drop, random)
    scenes = add_ghosts(scenes, spoilt, config.false, CLEAR, random)
    return Examples(scenes, path, batch.speed, future, batch.known)


def err(scenes: Scenes, rows: Tensor, errors: ErrorConfig, random: torch.Generator) -> Scenes:
    """In the scenes of `rows` [B] bool: what a perception of those errors tells of the objects; lines stay true.

    Objects that concern the ego (`concerns`) are never missing: a plan that follows what cannot be seen teaches to
    brake for nothing.
    """
    chosen = rows.nonzero()[:, 0]
    if not len(chosen):
        return scenes
    seed = int(torch.randint(1 << 62, (), generator=random))
    mine = scenes.take(chosen)
    told = tell_once(mine.arrays(), errors, seed, concerns(mine).numpy()).tensors()
    return Scenes(*(field.index_copy(0, chosen, new) for field, new in zip(scenes, told, strict=True)))


def concerns(scenes: Scenes) -> Tensor:
    """[B, N] bool: objects within CONCERN of the route ahead, now or (at constant velocity) up to two seconds later."""
    centre, velocity = scenes.objects[..., :2], scenes.objects[..., VX : VY + 1]
    gaps = [squared_gaps(centre + s * velocity, scenes.route[:, ::2]).amin(-1) for s in (0.0, 1.0, 2.0)]
    return torch.stack(gaps).amin(0) < CONCERN**2


def measure_badly(scenes: Scenes, rows: Tensor, position: float, drop: float, random: torch.Generator) -> Scenes:
    """In the scenes of `rows` [B] bool: noisy boxes (`position`: standard deviation of the centre), some missing."""
    shape = scenes.kind.shape
    noise = torch.randn(*shape, 7, generator=random) * (rows[:, None] & (scenes.kind >= 0))[..., None]
    objects = scenes.objects.clone()
    objects[..., :2] += position * noise[..., :2]
    objects[..., HALF_LENGTH : HALF_WIDTH + 1] *= (0.3 * position * noise[..., 2:4]).exp()
    objects[..., YAW] += 0.2 * position * noise[..., 4]
    objects[..., VX : VY + 1] += position * noise[..., 5:7]
    lost = rows[:, None] & (torch.rand(shape, generator=random) < drop)
    kind = torch.where(lost, -1, scenes.kind)
    return scenes._replace(objects=torch.where((kind >= 0)[..., None], objects, 0.0), kind=kind)


def add_ghosts(scenes: Scenes, rows: Tensor, mean: float, clear: float, random: torch.Generator) -> Scenes:
    """In the scenes of `rows` [B] bool: false cars, `mean` each on average, in free places of the objects' list.

    clear: metres that they keep from the route (0: they may be anywhere).
    """
    shape = scenes.kind.shape
    place = torch.rand(*shape, 2, generator=random) * torch.tensor([80.0, 60.0]) - torch.tensor([20.0, 30.0])
    yaw = (torch.rand(shape, generator=random) * 2.0 - 1.0) * torch.pi
    speed = 8.0 * torch.rand(shape, generator=random) * (torch.rand(shape, generator=random) < 0.5)
    chance = torch.rand(shape, generator=random)
    free = scenes.kind < 0
    wanted = mean / free.sum(1).clamp_min(1)
    fresh = rows[:, None] & free & (chance < wanted[:, None])
    if clear > 0:
        _, beside, _ = on_route(place, scenes.route)
        fresh &= beside.abs() > clear
    ghost = torch.zeros_like(scenes.objects)
    ghost[..., :2] = place
    ghost[..., HALF_LENGTH], ghost[..., HALF_WIDTH] = GHOST
    ghost[..., YAW] = yaw
    ghost[..., VX], ghost[..., VY] = speed * yaw.cos(), speed * yaw.sin()
    ghost[..., CONFIDENCE] = 0.5
    return scenes._replace(
        objects=torch.where(fresh[..., None], ghost, scenes.objects),
        kind=torch.where(fresh, int(ObjectClass.CAR), scenes.kind),
    )


SEVERITIES = (1, 2, 3, 4, 5)
LEVELS: dict[str, tuple[float, ...]] = {
    "position": (0.2, 0.4, 0.8, 1.2, 2.0),  # standard deviation of an object's centre, metres
    "velocity": (0.5, 1.0, 2.0, 3.5, 5.0),  # of its velocity, m/s, and in proportion of its yaw
    "missed": (0.05, 0.1, 0.2, 0.35, 0.5),  # share of objects not seen, drawn anew each step
    "false": (0.25, 0.5, 1.0, 2.0, 4.0),  # mean number of false cars, anywhere, drawn anew each step
    "localisation": (0.1, 0.2, 0.4, 0.6, 0.9),  # standard deviation of the ego's own place, metres to the side
}
"""Perturbations of a Scene and what their severities 1 to 5 mean."""


def perturb(scenes: Scenes, kind: str, severity: int, random: torch.Generator) -> Scenes:
    """Scenes as a sensor of that failing would tell them; severity 1 to 5, KeyError for an unknown kind."""
    level = LEVELS[kind][severity - 1]
    all_rows = torch.ones(scenes.batch, dtype=torch.bool)
    if kind == "position":
        return measure_badly(scenes, all_rows, level, 0.0, random)
    if kind == "missed":
        return measure_badly(scenes, all_rows, 0.0, level, random)
    if kind == "false":
        return add_ghosts(scenes, all_rows, level, 0.0, random)
    if kind == "velocity":
        objects = scenes.objects.clone()
        noise = level * torch.randn(*scenes.kind.shape, 3, generator=random)
        objects[..., VX : VY + 1] += noise[..., :2]
        objects[..., YAW] += 0.1 * noise[..., 2]
        return scenes._replace(objects=torch.where((scenes.kind >= 0)[..., None], objects, scenes.objects))
    shift = torch.zeros(scenes.batch, 2)
    shift[:, 1] = LEVELS["localisation"][severity - 1] * torch.randn(scenes.batch, generator=random)
    moved = move(scenes, shift, torch.zeros(scenes.batch))
    return scenes._replace(route=moved.route)


class PerturbedSight:
    """The truth with one of LEVELS, drawn anew each step."""

    def __init__(self, kind: str, severity: int, seed: int) -> None:
        self._kind, self._severity = kind, severity
        self._random = torch.Generator().manual_seed(seed)

    def begin(self, batch: Batch) -> None:
        """Nothing is kept between steps."""

    def look(self, batch: Batch, worlds: NDArray[np.intp]) -> Scenes:
        """As `perturb`."""
        scenes = true_scenes(batch, worlds).tensors()
        return perturb(scenes, self._kind, self._severity, self._random).arrays()
