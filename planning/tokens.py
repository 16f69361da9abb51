"""What the network is told about a scene: features of the ego, of each object and of pieces of the route.

All are computed from a Scene alone, by torch operations without data-dependent shapes, so they are part of the exported
network. Lengths are divided by typical values so that most features lie in [-2, 2].
"""

from __future__ import annotations

import torch
from torch import Tensor

from contracts import LightState, ObjectClass
from planning.scenes import (
    HALF_LENGTH,
    HALF_WIDTH,
    LENGTH,
    SPEED,
    SPEED_LIMIT,
    STOP_DISTANCE,
    STOP_SIGN,
    VX,
    VY,
    WIDTH,
    YAW,
    Scenes,
)

MOMENT, MOMENTS = 0.5, 11
"""Seconds between the moments at which an object's place on the route is looked at, had it gone straight on."""
AHEAD = (2, 4, 8)
"""The moments whose places are told as they are."""
EGO_FEATURES = 23
OBJECT_FEATURES = 37 + len(ObjectClass) + 3 * len(AHEAD)
POINT_FEATURES = 4
SIDE_ACCELERATION, SLOW_DOWN = 3.4, 2.4
"""m/s^2 across in bends and of slowing down for them, of the speed that a bend is said to allow."""
BESIDE = 0.5
"""Metres between ego and object at which they meet, as far as `meeting` tells."""
CROSSES = 0.7
"""Cosine of the angle between an object's heading and the route below which it crosses and does not follow."""
START = 2.0
"""m/s^2 with which an ego that stands is said to go ahead of another."""
URGE, COMFORT, HEADWAY, MIN_GAP = 3.3, 3.2, 1.0, 2.0
"""IDM's m/s^2, m/s^2, s and m, of the gap that is said to be wished (Treiber, Hennecke, Helbing 2000)."""


def squash(speed: Tensor) -> Tensor:
    """A speed, m/s, of either sign, so that a motorway's is not far from a street's: linear below 3 m/s, then log."""
    return (speed / 3.0).asinh()


def bend_speed(route: Tensor) -> Tensor:
    """[B] m/s that the bends of routes [B, R, 2], points 1 m apart, allow now, braking evenly on the way to them."""
    points = route[:, ::2]
    way = points[:, 1:] - points[:, :-1]
    way = way / way.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    turn = way[:, :-1, 0] * way[:, 1:, 1] - way[:, :-1, 1] * way[:, 1:, 0]
    square = SIDE_ACCELERATION / (turn.abs() / 2.0).clamp_min(1e-3)
    distance = 2.0 * torch.arange(1, turn.shape[1] + 1, dtype=route.dtype, device=route.device)
    return (square + 2.0 * SLOW_DOWN * distance).amin(1).sqrt()


def squared_gaps(points: Tensor, route: Tensor) -> Tensor:
    """[B, P, R] squared distances of points [B, P, 2] to the points of routes [B, R, 2].

    x and y apart: a sum over an axis of two takes several times as long.
    """
    x = points[:, :, None, 0] - route[:, None, :, 0]
    y = points[:, :, None, 1] - route[:, None, :, 1]
    return x * x + y * y


def on_route(points: Tensor, route: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where points [B, P, 2] lie along a route [B, R, 2] with points 1 m apart.

    Returns (along, beside, tangent): metres along from the route's first point and metres to its right [B, P], and the
    route's direction there [B, P, 2]. Beyond its ends the route goes on straight.
    """
    nearest = squared_gaps(points, route).argmin(-1)
    # the direction at a point: from its predecessor to its successor
    ends = torch.cat([route[:, :1], route, route[:, -1:]], 1)
    way = ends[:, 2:] - ends[:, :-2]
    way = way / way.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    index = nearest[..., None].expand(-1, -1, 2)
    tangent, foot = way.gather(1, index), route.gather(1, index)
    offset = points - foot
    along = nearest + (offset * tangent).sum(-1)
    beside = offset[..., 1] * tangent[..., 0] - offset[..., 0] * tangent[..., 1]
    return along, beside, tangent


def relevant(scenes: Scenes, count: int) -> Tensor:
    """[B, min(count, N)] the objects that matter most: those on the route or soon there, the near ones first.

    Sorted by the distance to the route ahead, now or two seconds later, plus a quarter of the distance to the ego; a
    pedestrian on the pavement beside the ego comes after a car that stands on the route 40 m ahead.
    """
    centre = scenes.objects[..., :2]
    later = centre + 2.0 * scenes.objects[..., VX : VY + 1]
    points, route = torch.cat([centre, later], 1), scenes.route[:, ::2]
    gap = squared_gaps(points, route).amin(-1).sqrt()
    reach = torch.minimum(gap[:, : centre.shape[1]], gap[:, centre.shape[1] :]) + 0.25 * centre.norm(dim=-1)
    reach = torch.where(scenes.kind >= 0, reach, 1e6)
    return reach.topk(min(count, reach.shape[1]), largest=False).indices


def ego_features(scenes: Scenes) -> Tensor:
    """[B, EGO_FEATURES]. The ego's acceleration and steering are left out: copying them predicts a recorded expert
    well and drives badly (de Haan et al. 2019, causal confusion).
    """
    ego, rules, route = scenes.ego, scenes.rules, scenes.route
    speed, limit, stop = ego[:, SPEED], rules[:, SPEED_LIMIT], rules[:, STOP_DISTANCE]
    rest = (stop - 0.5 * ego[:, LENGTH]).clamp_min(0.0)  # metres that the bumper has left
    heading = route[:, 2] - route[:, 0]
    heading = heading / heading.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    beside = heading[:, 1] * route[:, 0, 0] - heading[:, 0] * route[:, 0, 1]
    light = torch.nn.functional.one_hot(scenes.light, len(LightState)).to(ego.dtype)
    to_limit, to_bend = limit - speed, bend_speed(route) - speed
    columns = [
        squash(speed),
        ego[:, LENGTH] / 5.0,
        ego[:, WIDTH] / 2.0,
        squash(limit),
        (to_limit / 10.0).clamp(-1.0, 1.0),
        (to_limit / 2.0).clamp(-1.0, 1.0),
        (to_bend / 10.0).clamp(-1.0, 1.0),
        (to_bend / 2.0).clamp(-1.0, 1.0),
        (torch.minimum(to_limit, to_bend) / 0.5).clamp(-1.0, 1.0),
        (speed < 0.1).to(ego.dtype),
        (1.0 - rest / 60.0).clamp_min(0.0),
        (1.0 - rest / 20.0).clamp_min(0.0),
        (1.0 - rest / 5.0).clamp_min(0.0),
        (speed.square() / (2.0 * rest + 1.0) / 4.0).clamp_max(3.0),  # deceleration that a stop there takes
        rules[:, STOP_SIGN],
        beside / 2.0,
        heading[:, 1] * 2.0,
        route[:, 10, 1] / 5.0,
        route[:, 20, 1] / 10.0,
    ]
    return torch.cat([torch.stack(columns, 1), light], 1)


def object_features(scenes: Scenes) -> Tensor:
    """[B, N, OBJECT_FEATURES]; where there is no object, whatever comes out of zeros."""
    ego, objects, route = scenes.ego, scenes.objects, scenes.route
    batch, count = objects.shape[0], objects.shape[1]
    centre, velocity, yaw = objects[..., :2], objects[..., VX : VY + 1], objects[..., YAW]
    half = objects[..., None, :, HALF_LENGTH : HALF_WIDTH + 1]
    seconds = MOMENT * torch.arange(MOMENTS, dtype=ego.dtype, device=ego.device)
    later = centre[:, None] + seconds[:, None, None] * velocity[:, None]
    along, beside, tangents = on_route(later.reshape(batch, MOMENTS * count, 2), route)
    along, beside = along.reshape(batch, MOMENTS, count), beside.reshape(batch, MOMENTS, count)
    tangents = tangents.reshape(batch, MOMENTS, count, 2)
    cos, sin = yaw.cos(), yaw.sin()
    turns_cos = cos[:, None] * tangents[..., 0] + sin[:, None] * tangents[..., 1]
    turns_sin = sin[:, None] * tangents[..., 0] - cos[:, None] * tangents[..., 1]
    reaches_along = half[..., 0] * turns_cos.abs() + half[..., 1] * turns_sin.abs()
    reaches_beside = half[..., 0] * turns_sin.abs() + half[..., 1] * turns_cos.abs()
    tangent, turn_cos, turn_sin = tangents[:, 0], turns_cos[:, 0], turns_sin[:, 0]
    reach_along, reach_beside, half = reaches_along[:, 0], reaches_beside[:, 0], half[:, 0]
    with_route = (velocity * tangent).sum(-1)
    across = velocity[..., 1] * tangent[..., 0] - velocity[..., 0] * tangent[..., 1]
    speed, nose = ego[:, SPEED : SPEED + 1], 0.5 * ego[:, LENGTH : LENGTH + 1]
    here = along[:, 0]
    gap = here - reach_along - nose
    room = beside[:, 0].abs() - reach_beside - 0.5 * ego[:, WIDTH : WIDTH + 1]
    closing = speed - with_route
    in_way = ((gap > -2.0 * nose) & (room < 0.4)).to(ego.dtype)
    wished = (MIN_GAP + HEADWAY * speed + speed * closing / (2.0 * (URGE * COMFORT) ** 0.5)).clamp_min(MIN_GAP)
    columns = [
        centre[..., 0] / 30.0,
        centre[..., 1] / 15.0,
        cos,
        sin,
        squash(velocity[..., 0]),
        squash(velocity[..., 1]),
        half[..., 0] / 3.0,
        half[..., 1],
        objects[..., 7],
        here / 30.0,
        beside[:, 0].clamp(-20.0, 20.0) / 5.0,
        turn_cos,
        turn_sin,
        squash(with_route),
        squash(across),
        (gap / 30.0).clamp(-1.0, 2.0),
        (1.0 - gap.abs() / 8.0).clamp_min(0.0),
        (room / 4.0).clamp(-1.0, 2.0),
        (1.0 - room / 1.0).clamp(0.0, 1.0),
        in_way,
        squash(closing),
        in_way * (closing.clamp_min(0.0) / gap.clamp_min(1.0)).clamp_max(1.0),
        in_way * (closing.clamp_min(0.0).square() / (2.0 * gap.clamp_min(0.5)) / 4.0).clamp_max(3.0),
        in_way * (wished / gap.clamp_min(1.0)).clamp_max(2.0),
        (gap.clamp_min(0.0) / (speed + 1.0) / 5.0).clamp_max(2.0),
        (room.clamp_min(0.0) / (across.abs() + 0.5) / 5.0).clamp_max(2.0) * across.sign() * -beside[:, 0].sign(),
        (velocity.square().sum(-1) < 0.25).to(ego.dtype),
        torch.ones_like(here),
    ]
    columns += meeting(along, beside, reaches_along, reaches_beside, turns_cos < CROSSES, ego)
    for k in AHEAD:
        columns += [
            (along[:, k] / 30.0).clamp(-2.0, 3.0),
            ((along[:, k] - speed * k * MOMENT) / 30.0).clamp(-2.0, 2.0),  # from the ego, had it gone on, too
            beside[:, k].clamp(-20.0, 20.0) / 5.0,
        ]
    kind = torch.nn.functional.one_hot(scenes.kind.clamp_min(0), len(ObjectClass)).to(ego.dtype)
    return torch.cat([torch.stack(columns, -1), kind], -1)


def meeting(
    along: Tensor, beside: Tensor, reach_along: Tensor, reach_beside: Tensor, crosses: Tensor, ego: Tensor
) -> list[Tensor]:
    """Nine features [B, N] of where and when an object crosses the ego's way, all 0 for one that does not.

    along, beside, reach_along, reach_beside: [B, MOMENTS, N], an object's place on the route, had it gone straight on,
    and how far it reaches from there; crosses: whether its heading there is not the route's. Who drives the same way is
    told by gap and closing speed; on a motorway it would fill these features with numbers that no street has. The piece
    of the route that it takes, and the time for which, are set against the times at which the ego would enter and leave
    that piece: at its speed, and (leave) speeding up with START.
    """
    speed, nose, wide = (ego[:, k : k + 1] for k in (SPEED, LENGTH, WIDTH))
    nose = 0.5 * nose
    seconds = MOMENT * torch.arange(MOMENTS, dtype=ego.dtype, device=ego.device)[:, None]
    there = (beside.abs() - reach_beside - 0.5 * wide[:, None] < BESIDE) & (along + reach_along > -nose[:, None])
    there = there & crosses & (along < 60.0)
    met = there.any(1).to(ego.dtype)
    comes = torch.where(there, seconds, 9.0).amin(1)
    goes = torch.where(there, seconds, 0.0).amax(1) + MOMENT
    near = torch.where(there, along - reach_along, 90.0).amin(1)
    far = torch.where(there, along + reach_along, -90.0).amax(1)
    pace = speed + 0.5
    into, out = (near - nose).clamp_min(0.0), (far + nose).clamp_min(0.0)
    hurried = ((speed.square() + 2.0 * START * out).sqrt() - speed) / START
    found = [
        torch.ones_like(met),
        1.0 - comes / 5.0,
        goes / 5.0,
        (near / 30.0).clamp(-1.0, 2.0),
        (far / 30.0).clamp(-1.0, 2.0),
        ((into / pace - goes) / 3.0).clamp(-2.0, 2.0),
        ((out / pace - comes) / 3.0).clamp(-2.0, 2.0),
        ((hurried - comes) / 3.0).clamp(-2.0, 2.0),
        (speed.square() / (2.0 * (into - 1.0).clamp_min(0.5)) / 4.0).clamp_max(3.0),
    ]
    return [met * feature for feature in found]


def route_features(route: Tensor, chunk: int) -> Tensor:
    """[B, R / chunk, chunk * POINT_FEATURES]: points and directions, pieces of `chunk` points."""
    batch, count = route.shape[0], route.shape[1]
    distance = torch.arange(count, dtype=route.dtype, device=route.device)
    step = torch.cat([route[:, 1:] - route[:, :-1], route[:, -1:] - route[:, -2:-1]], 1)
    step = step / step.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    features = torch.stack(
        [route[..., 0] / (distance + 3.0), route[..., 1] / (0.6 * distance + 2.0), step[..., 0], step[..., 1]], -1
    )
    return features.reshape(batch, count // chunk, chunk * POINT_FEATURES)
