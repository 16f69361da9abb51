"""The planner's network, in the manner of PlanT: object and route tokens, a small transformer, a path and speeds.

PlanT: Renz et al. 2022, arXiv:2210.14222. Here the path is an offset from the route, a speed is the present one plus a
distribution over accelerations, and tokens tell where an object lies on the route.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from contracts.plan import PATH_POINTS, PATH_SPACING, SPEED_PERIOD, SPEED_STEPS
from planning.config import NetConfig
from planning.scenes import MOST_OBJECTS, SPEED, Scenes
from planning.tokens import (
    EGO_FEATURES,
    OBJECT_FEATURES,
    POINT_FEATURES,
    ego_features,
    object_features,
    on_route,
    relevant,
    route_features,
)

ACCELERATIONS = (-9.0, -7.0, -5.5, -4.0, -3.0, -2.2, -1.5, -1.0, -0.6, -0.3, 0.0, 0.3, 0.6, 1.0, 1.5, 2.0, 2.6, 3.5)
"""The classes of a planned speed, m/s^2: the mean acceleration from now until then. One between two belongs to both."""
STANDSTILL = 0.4
"""m/s: where the last planned speed is below this, all that are become 0, so that who should stand does not creep."""
FORECAST_TIMES = (1.0, 2.0, 3.0)
"""Seconds ahead at which objects are forecast."""


class Output(NamedTuple):
    """path [B, 20, 2], speed [B, 8]: the plan. logits [B, 8, len(ACCELERATIONS)] of its classes, None for values.

    chosen [B, K]: the objects that were looked at. future [B, K, len(FORECAST_TIMES), 2]: where they will be, in the
    present ego frame; None without forecast and outside training.
    """

    path: Tensor
    speed: Tensor
    logits: Tensor | None
    chosen: Tensor
    future: Tensor | None


class Block(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mix, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, T, dim]; mask [B, 1, 1, T]: which tokens may be looked at."""
        batch, count, dim = x.shape
        q, k, v = self.mix(self.before(x)).reshape(batch, count, 3, self.heads, dim // self.heads).unbind(2)
        seen = functional.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=mask
        )
        x = x + self.out(seen.transpose(1, 2).reshape(batch, count, dim))
        return x + self.narrow(functional.gelu(self.widen(self.between(x)), approximate="tanh"))


class PathSpeedDecoder(nn.Module):
    """Everything at once: [B, 2 dim] to offsets [B, 20, 2] and speeds [B, 8, K]."""

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.path = nn.Sequential(nn.Linear(2 * dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, 2 * PATH_POINTS))
        self.speed = nn.Sequential(nn.Linear(2 * dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, SPEED_STEPS * classes))

    def forward(self, summary: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets and speeds (class logits, or numbers where there is one class)."""
        return (
            self.path(summary).reshape(-1, PATH_POINTS, 2),
            self.speed(summary).reshape(-1, SPEED_STEPS, self.classes),
        )


class RecurrentDecoder(nn.Module):
    """Point by point and moment by moment, each from the one before (GRU)."""

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.begin = nn.Linear(2 * dim, 2 * dim)
        self.path_cell, self.speed_cell = nn.GRUCell(2, dim), nn.GRUCell(classes, dim)
        self.path_out, self.speed_out = nn.Linear(dim, 2), nn.Linear(dim, classes)

    def forward(self, summary: Tensor) -> tuple[Tensor, Tensor]:
        """As PathSpeedDecoder."""
        path_state, speed_state = self.begin(summary).chunk(2, -1)
        offset, value = self.path_out(path_state) * 0.0, self.speed_out(speed_state) * 0.0
        offsets, values = [], []
        for _ in range(PATH_POINTS):
            path_state = self.path_cell(offset, path_state)
            offset = offset + self.path_out(path_state)
            offsets.append(offset)
        for _ in range(SPEED_STEPS):
            speed_state = self.speed_cell(value, speed_state)
            value = self.speed_out(speed_state)
            values.append(value)
        return torch.stack(offsets, 1), torch.stack(values, 1)


class PlanningNet(nn.Module):
    """Scenes to plans. The order of the objects makes no difference."""

    classes: Tensor
    times: Tensor

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.from_ego = _embedding(EGO_FEATURES, dim)
        self.from_object = _embedding(OBJECT_FEATURES, dim)
        self.from_route = _embedding(config.route_chunk * POINT_FEATURES, dim)
        self.place = nn.Parameter(0.02 * torch.randn(config.route_points // config.route_chunk, dim))
        self.blocks = nn.ModuleList(Block(dim, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(dim)
        classes = len(ACCELERATIONS) if config.speed == "classes" else 1
        self.decoder: nn.Module = (PathSpeedDecoder if config.decoder == "mlp" else RecurrentDecoder)(dim, classes)
        self.future = nn.Linear(dim, 2 * len(FORECAST_TIMES)) if config.forecast else None
        self.register_buffer("classes", torch.tensor(ACCELERATIONS), persistent=False)
        self.register_buffer("times", SPEED_PERIOD * torch.arange(1, SPEED_STEPS + 1), persistent=False)

    def forward(self, scenes: Scenes) -> Output:
        """Scenes of any number of objects and route points; the most relevant objects and the first points are seen."""
        scenes = scenes.narrow(MOST_OBJECTS, self.config.route_points)
        with torch.no_grad():
            chosen = relevant(scenes, self.config.objects)
            scenes = scenes.choose(chosen)
            features = (
                ego_features(scenes),
                object_features(scenes),
                route_features(scenes.route, self.config.route_chunk),
            )
            base = base_path(scenes)
        ego, objects = self.from_ego(features[0])[:, None], self.from_object(features[1])
        route = self.from_route(features[2]) + self.place
        x = torch.cat([ego, route, objects], 1)
        there = torch.ones_like(x[:, : 1 + route.shape[1], 0], dtype=torch.bool)
        mask = torch.cat([there, scenes.kind >= 0], 1)[:, None, None, :]
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        offsets, speeds = self.decoder(torch.cat([x[:, 0], x[:, 1 : 1 + route.shape[1]].mean(1)], -1))
        logits = speeds if self.config.speed == "classes" else None
        mean = speeds[..., 0] if logits is None else (logits.softmax(-1) * self.classes).sum(-1)
        speed = scenes.ego[:, SPEED : SPEED + 1] + mean * self.times
        future = None
        if self.future is not None and self.training:
            here, velocity = scenes.objects[..., None, :2], scenes.objects[..., None, 5:7]
            times = torch.tensor(FORECAST_TIMES, device=x.device)[:, None]
            moved = self.future(x[:, 1 + route.shape[1] :]).reshape(*scenes.kind.shape, len(FORECAST_TIMES), 2)
            future = here + velocity * times + 3.0 * moved
        return Output(base + offsets, speed, logits, chosen, future)


def _embedding(features: int, dim: int) -> nn.Module:
    return nn.Sequential(nn.Linear(features, dim), nn.GELU(), nn.Linear(dim, dim))


def base_path(scenes: Scenes) -> Tensor:
    """The route itself as a path [B, 20, 2]: points 1 m, 2 m ... past the place of the ego on it."""
    route = scenes.route
    along, _, _ = on_route(torch.zeros_like(route[:, :1]), route)
    wanted = along + PATH_SPACING * torch.arange(1, PATH_POINTS + 1, dtype=route.dtype, device=route.device)
    low = wanted.floor().clamp(0, route.shape[1] - 2).long()
    share = (wanted - low)[..., None]
    index = low[..., None].expand(-1, -1, 2)
    return route.gather(1, index) * (1.0 - share) + route.gather(1, index + 1) * share


def even(path: Tensor) -> Tensor:
    """Paths [B, 20, 2] with the same first point and course, but points 1 m apart (going on straight at the end)."""
    step = path[:, 1:] - path[:, :-1]
    size = step.norm(dim=-1).clamp_min(1e-4)
    reached = torch.cat([torch.zeros_like(size[:, :1]), size.cumsum(1)], 1)
    wanted = PATH_SPACING * torch.arange(PATH_POINTS, dtype=path.dtype, device=path.device)
    low = (reached[:, None, :] <= wanted[None, :, None]).sum(-1).sub(1).clamp(0, PATH_POINTS - 2)
    share = (wanted - reached.gather(1, low)) / size.gather(1, low)
    index = low[..., None].expand(-1, -1, 2)
    return path.gather(1, index) + share[..., None] * step.gather(1, index)


def to_plan(output: Output) -> tuple[Tensor, Tensor]:
    """Path and speed as contracts.Plan wants them: points 1 m apart; speeds at least 0, a stop without creeping."""
    speed = output.speed.clamp_min(0.0)
    return even(output.path), speed.masked_fill((speed < STANDSTILL) & (speed[:, -1:] < STANDSTILL), 0.0)
