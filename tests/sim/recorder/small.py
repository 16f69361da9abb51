"""A small dataset made in one process in seconds: a batched World with pictures, through the recorder's own writer."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from sim import roads
from sim.driving.baselines import lane_follower, scene_plan
from sim.driving.referee import Referee
from sim.driving.route import RouteTracker
from sim.driving.routes import named_routes
from sim.driving.surroundings import from_world
from sim.driving.tracking import PlanTracker
from sim.recorder import schema
from sim.recorder.rows import Post, Posts, Tracks, row_of, things_of
from sim.recorder.shot import Picture, make_shot
from sim.recorder.writer import EpisodeWriter, begin, finalise
from sim.roads.network import RoadNetwork
from sim.sensors.camera import Camera, Renderer
from sim.sensors.meshes.furniture import HEAD_HALF, light_heads, mast_arm
from sim.sensors.weather import Weather
from sim.sensors.world_view import actors_of, lights_of
from sim.world.config import WorldConfig
from sim.world.world import World

_RENDERERS: dict[str, Renderer] = {}
FRONT = schema.CameraInfo((1.4, 0.0, 1.5, 0.0, 0.0, 0.0), 192, 96, math.radians(90.0))
PLACES = (("Alder", "train"), ("Alder", "validation"), ("Alder", "train"), ("Gridley", "test"))


def posts_of(network: RoadNetwork) -> Posts:
    """The traffic lights of a town, as the server shows them."""
    tables, found = network.lane_tables(), []
    for light, number in enumerate(tables.light_signal.tolist()):
        signal, facing = network.signals[number], float(tables.light_yaw[light])
        x, y, z, _ = (float(v[0]) for v in network.point(signal.road, np.array([signal.s]), np.array([signal.t])))
        heads = light_heads(mast_arm(signal.t), facing)
        boxes = tuple(((x + float(h[0]), y + float(h[1]), z + float(h[2])), HEAD_HALF) for h in heads)
        found.append(Post((x, y, z), facing, boxes, light))
    return Posts(found)


def scan_of(depth: np.ndarray) -> np.ndarray:
    """[N, 4] every tenth pixel's point in the ego frame, intensity 1: a scan as seen by the camera."""
    v, u = np.mgrid[: FRONT.height, : FRONT.width]
    rays = np.stack([np.ones(u.shape), (u + 0.5 - FRONT.width / 2) / FRONT.focal,
                     (FRONT.height / 2 - v - 0.5) / FRONT.focal], -1)  # fmt: skip
    points = (rays * depth[..., None] + FRONT.pose[:3])[depth < 100.0][::10]
    return np.concatenate([points, np.ones((len(points), 1))], 1).astype(np.float32)


def make(root: Path, steps: int = 40, image_every: int = 5, pictures: bool = True) -> Path:
    """Four episodes of `steps` rows at 10 Hz: Alder (train, validation, train), Gridley (test)."""
    cameras = {"front": FRONT} if pictures else {}
    info = schema.Info(10.0, image_every, ("Alder", "Gridley"), cameras, episodes=len(PLACES))
    begin(root, info)
    for index, (town, split) in enumerate(PLACES):
        _episode(root, index, town, split, steps, image_every, cameras)
    finalise(root, info)
    return root


def _episode(
    root: Path, index: int, town: str, split: str, steps: int, every: int, cameras: dict[str, schema.CameraInfo]
) -> None:
    network = roads.load(town)
    tables = network.lane_tables()
    world = World(tables, network.walk_tables(), WorldConfig(vehicles=160, walkers=96, route_points=1024), seed=index)
    world.reset()
    named = named_routes(network, split, index + 1)[-1]  # type: ignore[arg-type]
    x, y, z, yaw = named.start
    world.set_pose(0, 0, x, y, z, yaw)
    world.set_route(0, 0, named.route)
    tracker, follower = RouteTracker(network, named.route), PlanTracker(0.1)
    referee, tracks, posts = Referee(tracker), Tracks(), posts_of(network)
    if cameras and town not in _RENDERERS:
        _RENDERERS[town] = Renderer(network)
    renderer = _RENDERERS[town] if cameras else None
    weather, writer = "ClearNoon", EpisodeWriter(root, index)
    for frame in range(steps):
        around = from_world(world)
        tracker.update(around)
        events = [found.kind for found in referee.update(around)]
        plan = scene_plan(lane_follower, tracker.scene(around))
        control = follower.act(plan, around.ego)
        image = renderer is not None and frame % every == 0
        row = row_of(
            index, frame, 0.0, around, tracker, plan, control, control, posts, tracks, events, False, "free", image
        )
        shot = None
        if renderer is not None and image:
            pose = np.asarray(around.pose, float)
            ahead = np.array([math.cos(pose[5]), math.sin(pose[5])])
            got = renderer.render(
                Camera(FRONT.width, FRONT.height, 90.0, *(pose[:2] + FRONT.pose[0] * ahead), pose[2] + FRONT.pose[2],
                       yaw=pose[5]),
                actors_of(world.state, tables, hide=0), Weather.named(weather), lights_of(world.state), frame=frame,
            )  # fmt: skip
            picture = Picture(got["rgb"][..., ::-1], got["semantic"], got["instance"], got["depth"])
            level = np.array([*around.pose[:3], 0.0, 0.0, around.pose[5]], np.float32)
            flat = replace(around, pose=level)
            about = {"town": town, "weather": weather, "ego_speed": round(around.ego.speed, 3)}
            things = things_of(flat, tracker, posts, tracks)
            shot = make_shot(index, frame, cameras, {"front": picture}, scan_of(got["depth"]), things, about)
        writer.add(row, shot)
        world.step(np.array([[[control.throttle, control.brake, control.steer]]], np.float32))
    result = referee.result()
    writer.commit(
        {
            "episode_index": index, "split": split, "town": town, "route": named.name, "weather": weather,
            "density": 1.0, "scenario": "", "seed": index, "length": tracker.length,
            "completion": result.completion, "driving_score": 0.0, "ended": referee.ended or "limit",
        }
    )  # fmt: skip
