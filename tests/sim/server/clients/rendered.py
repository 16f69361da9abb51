"""Sensors that look at the scene: cameras, lidars, radar."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import carla

from tests.sim.server.clients.common import car, connect, scenario

AROUND = (
    "static.prop.vendingmachine", "static.prop.trafficcone01", "static.prop.streetsign", "walker.pedestrian.0007",
    "static.prop.omafiets", "vehicle.kawasaki.ninja", "vehicle.carlamotors.carlacola",
)  # fmt: skip
"""What stands beside the car, by turns right and left."""


@scenario
def pictures(port: int) -> dict[str, Any]:
    """Every rendered sensor, decoded by the client, matched to its tick."""
    import numpy as np

    client, world = connect(port)
    client.set_timeout(300.0)
    library = world.get_blueprint_library()
    vehicle = car(world)
    point = vehicle.get_transform()
    point.location += point.get_forward_vector() * 12.0
    point.location.z += 0.3
    other = world.spawn_actor(library.find("vehicle.audi.tt"), point)
    around = []
    for n, name in enumerate(AROUND):
        place = vehicle.get_transform()
        place.location += place.get_forward_vector() * (4.0 + 2.0 * n) + place.get_right_vector() * (4.0, -4.0)[n % 2]
        if name.startswith("static"):
            place.rotation.yaw += 90.0  # a sign's face is its long side
        place.location.z += 1.0 if name.startswith("walker") else 0.1
        around.append(world.spawn_actor(library.find(name), place))
    got: dict[str, list[Any]] = defaultdict(list)
    sensors = []
    for name in (
        "camera.rgb", "camera.depth", "camera.semantic_segmentation", "camera.instance_segmentation", "camera.normals",
        "camera.optical_flow", "camera.dvs", "camera.cosmos_visualization", "lidar.ray_cast",
        "lidar.ray_cast_semantic", "other.radar",
    ):  # fmt: skip
        blueprint = library.find(f"sensor.{name}")
        if name.startswith("camera"):
            blueprint.set_attribute("image_size_x", "160")
            blueprint.set_attribute("image_size_y", "96")
        elif name.startswith("lidar"):
            blueprint.set_attribute("range", "60")
            blueprint.set_attribute("points_per_second", "200000")
        place = carla.Transform(carla.Location(x=0.2, z=1.9))
        sensor = world.spawn_actor(blueprint, place, attach_to=vehicle)
        sensor.listen(lambda data, name=name: got[name].append(data))
        sensors.append(sensor)
    # at the same time, on another vehicle, looking back
    for name, more in (
        ("camera.rgb", {}), ("camera.instance_segmentation", {}), ("lidar.ray_cast", {"points_per_second": "100000"}),
        ("camera.rgb", {"exposure_mode": "manual", "shutter_speed": "50"}),
    ):  # fmt: skip
        blueprint = library.find(f"sensor.{name}")
        if name.startswith("camera"):
            more = {"image_size_x": "120", "image_size_y": "80", **more}
        for key, value in more.items():
            blueprint.set_attribute(key, value)
        place = carla.Transform(carla.Location(x=-0.3, z=2.2), carla.Rotation(yaw=180.0))
        sensor = world.spawn_actor(blueprint, place, attach_to=other)
        label = f"{name} {'slow shutter' if 'shutter_speed' in more else 'behind'}"
        sensor.listen(lambda data, name=label: got[name].append(data))
        sensors.append(sensor)
    frames = [world.tick() for _ in range(4)]
    time.sleep(0.5)

    def pixels(name: str) -> Any:
        image = got[name][-1]
        return np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4).astype(int)

    tags, depth, colour = pixels("camera.semantic_segmentation"), pixels("camera.depth"), pixels("camera.rgb")
    metres = (depth[..., 2] + 256 * depth[..., 1] + 65536 * depth[..., 0]) / (2**24 - 1) * 1000
    seen = (tags[..., 2] == 14) & (np.arange(96)[:, None] < 70) & (np.abs(np.arange(160) - 80)[None] < 25)
    points = [point for sweep in got["lidar.ray_cast_semantic"] for point in sweep]
    result = {
        "frames": {name: [d.frame for d in rows] == frames for name, rows in got.items()},
        "tags": sorted(set(tags[..., 2].ravel().tolist())),
        "car_depth": float(np.median(metres[seen])) if seen.any() else None,
        "control": sorted({tuple(pixel[2::-1]) for pixel in pixels("camera.cosmos_visualization")[seen].tolist()}),
        "colours": float(colour[..., :3].std()),
        "instances": int(
            np.bincount((pixels("camera.instance_segmentation")[..., 1]).ravel(), minlength=256)[other.id & 255]
        ),
        "behind": {
            "size": [pixels("camera.rgb behind").shape[:2], pixels("camera.instance_segmentation behind").shape[:2]],
            "colours": float(pixels("camera.rgb behind")[..., :3].std()),
            "sees": bool((pixels("camera.instance_segmentation behind")[..., 1] == vehicle.id & 255).any()),
            "brightness": [float(pixels(f"camera.rgb {how}")[..., :3].mean()) for how in ("behind", "slow shutter")],
            "lidar_points": [len(d) for d in got["lidar.ray_cast behind"]],
        },
        "lidar_points": [len(d) for d in got["lidar.ray_cast"]],
        "lidar_channels": got["lidar.ray_cast"][-1].channels,
        "lidar_sees": other.id in [p.object_idx for p in points],
        "shown": {a.type_id: sorted({p.object_tag for p in points if p.object_idx == a.id}) for a in around},
        "told": {a.type_id: sorted(a.semantic_tags) for a in around},
        "radar": len(got["other.radar"][-1]),
        "radar_depths": [d.depth for d in got["other.radar"][-1]][:5],
    }
    for sensor in sensors:
        sensor.stop()
        sensor.destroy()
    world.apply_settings(carla.WorldSettings())
    return result
