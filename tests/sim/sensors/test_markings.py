"""What is painted on the road: lane lines where the map has them, of its type and colour; stop lines; crossings."""

import numpy as np
import pytest

from sim.roads.tables import StopControl
from sim.sensors.labels import Tag
from sim.sensors.lidar import RayCaster
from sim.sensors.records import LOOK
from sim.sensors.scene.markings import DASH, PERIOD
from sim.sensors.scene.profile import sample


@pytest.fixture(scope="module")
def below(town):
    """Tags and linear colours of what lies straight below points [n, 3]."""
    caster, scene = RayCaster(town.scene), town.scene

    def look(points):
        points = np.asarray(points, np.float32) + np.array([0, 0, 0.6], np.float32)
        _, triangle, _ = caster.trace(points, np.tile(np.array([[0, 0, -1]], np.float32), (len(points), 1)), 2.0)
        assert (triangle >= 0).all()
        rows = scene.lidar_ids[triangle]
        return scene.semantic[rows], scene.looks[scene.records[rows, LOOK], :3]

    return look


def test_lane_lines_have_the_maps_type_and_colour(town, below):
    lines, broken, solid = 0, [], []
    for index, road in enumerate(town.network.roads):
        if road.junction != "-1":
            continue
        for section in road.sections:
            for number, lane in section.lanes.items():
                ends = [section.s + mark.s for mark in lane.marks[1:]] + [section.end]
                for mark, end in zip(lane.marks, ends):
                    begin = section.s + mark.s
                    if mark.kind not in ("solid", "broken") or end - begin < 15:
                        continue
                    profile = sample(road, index, town.network.lines, np.linspace(begin + 1, end - 1, 200), section)
                    inner, outer = profile.edges[number]
                    # of a line beside a kerb only the half on the road is seen
                    tag, colour = below(profile.at(outer + 0.03 * np.sign(inner - outer)))
                    painted = tag == Tag.ROAD_LINE
                    (broken if mark.kind == "broken" else solid).append(painted.mean())
                    yellow = colour[painted][:, 2] < 0.3
                    assert yellow.mean() > 0.95 if mark.color == "yellow" else yellow.mean() < 0.05
                    lines += 1
    assert lines > 20
    assert min(solid) > 0.97
    assert np.mean(broken) == pytest.approx(DASH / PERIOD, abs=0.04)


def test_stop_lines_and_crossings_are_painted(town, below):
    t = town.network.lane_tables()
    stops = [k for k in np.flatnonzero(t.control) if t.control[k] != StopControl.YIELD]
    k = t.first_point[stops]
    ahead = np.stack([np.cos(t.yaw[k]), np.sin(t.yaw[k]), 0 * t.yaw[k]], 1)
    entries = np.stack([t.x[k], t.y[k], t.z[k]], 1)
    assert len(stops) > 20
    assert (below(entries - 0.5 * ahead)[0] == Tag.ROAD_LINE).all()
    walk = town.network.walk_tables()
    rows = np.flatnonzero(walk.edge_crossing)
    assert len(rows) > 8
    places = np.stack([walk.x, walk.y, walk.z], 1)
    for edge in rows:
        a, b = places[walk.edge_from[edge]], places[walk.edge_to[edge]]
        way = np.linspace(0, 1, 200)[:, None]
        tag = below(a + way * (b - a))[0]
        on_road = np.isin(tag, [Tag.ROAD, Tag.ROAD_LINE])
        assert on_road.sum() > 60
        assert 0.3 < (tag[on_road] == Tag.ROAD_LINE).mean() < 0.65, "zebra bars and gaps"
