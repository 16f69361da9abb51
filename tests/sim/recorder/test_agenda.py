"""Which episodes a recording has: they follow from its config; lights are where `idle` puts them."""

from dataclasses import replace

import pytest

from sim.client import ClientConfig, connect
from sim.recorder.agenda import agenda
from sim.recorder.config import LidarConfig, RecordConfig, TrafficConfig
from sim.recorder.hosted import HostedServer


def test_the_agenda_follows_from_the_config():
    config = RecordConfig(train=12, validation=3, test=2, seed=5)
    one = agenda(config)
    assert one == agenda(config)
    assert one != agenda(RecordConfig(train=12, validation=3, test=2, seed=6))
    assert {a.town for a in one if a.split == "test"} == {"Marlin"}
    assert len({(a.town, a.split, a.route) for a in one}) == len(one)
    assert {a.passing for a in one} == {""}
    ways = agenda(RecordConfig(train=12, validation=3, test=2, seed=5, passing=("stop", "light", "")))
    for town in config.towns:
        assert sorted(a.passing for a in ways if a.split == "train" and a.town == town) == [
            "",
            "",
            "light",
            "light",
            "stop",
            "stop",
        ]
    assert [replace(a, passing="", route=0) for a in ways] == [replace(a, route=0) for a in one]  # all else stays
    assert len({(a.town, a.split, a.passing, a.route) for a in ways}) == len(ways)
    many = agenda(RecordConfig(train=40, validation=10, test=20, test_towns=("Marlin", "Town09")))
    for split, each in (("train", 4), ("validation", 1), ("test", 2)):
        mine = [a for a in many if a.split == split]
        assert {w: sum(a.weather == w for a in mine) for w in config.weathers} == dict.fromkeys(config.weathers, each)
        for town in {a.town for a in mine} if split != "validation" else ():
            assert len({a.weather for a in mine if a.town == town}) == len(config.weathers)


@pytest.mark.slow
def test_an_idle_town_has_its_lights_anywhere_in_their_cycles(tmp_path):
    from sim.recorder.episode import DELTA, Stage

    def shown(sim, idle, seed):
        config = RecordConfig(
            towns=("Gridley",), train=1, validation=0, test=0, scenarios=("",), idle=idle, cameras={},
            lidar=LidarConfig(enabled=False), traffic=TrafficConfig(vehicles=0, walkers=0),
        )  # fmt: skip
        Stage(sim, config, replace(agenda(config)[0], seed=seed), True)
        lights = sim.world.get_actors().filter("traffic.traffic_light*")
        return [str(light.get_state()) for light in sorted(lights, key=lambda light: light.id)]

    server = HostedServer("Gridley", tmp_path)
    try:
        with connect(ClientConfig(port=server.port, delta=DELTA, timeout=60.0)) as sim:
            assert shown(sim, 0.0, 1) == shown(sim, 0.0, 2)
            some = [shown(sim, 45.0, seed) for seed in (1, 2, 1)]
    finally:
        server.stop()
    assert some[0] == some[2] != some[1]
