"""The blueprint library: CARLA's ids, and encodings that the client takes."""

from __future__ import annotations

import numpy as np

from sim.sensors.meshes.designs import Body
from sim.sensors.meshes.people import PHASES, walker
from sim.sensors.meshes.props import prop, shape_of
from sim.sensors.meshes.two_wheelers import bicycle, motorcycle
from sim.sensors.meshes.vehicles import body
from sim.server.blueprints import BY_ID, LIBRARY, WIRE, Kind
from sim.world.presets import BodyType

VEHICLES = """
audi.a2 audi.etron audi.tt bh.crossbike bmw.grandtourer carlamotors.carlacola carlamotors.european_hgv
carlamotors.firetruck chevrolet.impala citroen.c3 diamondback.century dodge.charger_2020 dodge.charger_police
dodge.charger_police_2020 ford.ambulance ford.crown ford.mustang gazelle.omafiets harley-davidson.low_rider
jeep.wrangler_rubicon kawasaki.ninja lincoln.mkz_2017 lincoln.mkz_2020 mercedes.coupe mercedes.coupe_2020
mercedes.sprinter micro.microlino mini.cooper_s mini.cooper_s_2021 mitsubishi.fusorosa nissan.micra nissan.patrol
nissan.patrol_2021 seat.leon tesla.cybertruck tesla.model3 toyota.prius vespa.zx125 volkswagen.t2 volkswagen.t2_2021
yamaha.yzf
"""
"""What follows `vehicle.` in the catalogue of CARLA 0.9.16."""


def test_library_is_complete_and_well_formed() -> None:
    assert len(BY_ID) == len(LIBRARY), "every id once"
    count = {prefix: sum(b.id.startswith(prefix) for b in LIBRARY) for prefix in ("vehicle.", "walker.", "sensor.")}
    assert count == {"vehicle.": 41, "walker.": 52, "sensor.": 19}
    for name in ("vehicle.lincoln.mkz_2020", "vehicle.audi.tt", "vehicle.audi.a2", "vehicle.toyota.prius",
                 "vehicle.gazelle.omafiets", "walker.pedestrian.0007", "static.trigger.friction",
                 "controller.ai.walker", "static.prop.streetbarrier"):  # fmt: skip
        assert name in BY_ID
    for uid, (number, name, tags, attributes) in enumerate(WIRE, 1):
        assert number == uid
        assert name.count(".") == 2
        assert tags == name.replace(".", ",")
        for key, kind, value, recommended, modifiable, restrict in attributes:
            assert key
            assert kind in (1, 2, 3, 4, 5)
            assert type(value) is str
            assert all(type(r) is str for r in recommended)
            assert type(modifiable) is bool
            assert type(restrict) is bool
            if kind == 1:
                assert value in ("true", "false")
            elif kind == 2:
                int(value)
            elif kind == 3:
                float(value)
            elif kind == 5:
                assert all(0 <= int(part) <= 255 for part in value.split(","))


def test_all_vehicles_of_carla_are_there() -> None:
    assert {b.id for b in LIBRARY if b.kind is Kind.VEHICLE} == {f"vehicle.{name}" for name in VEHICLES.split()}


def test_tags_are_those_of_what_is_drawn() -> None:
    bodies = {
        BodyType.CAR: body(Body.SEDAN, False), BodyType.VAN: body(Body.VAN, False),
        BodyType.TRUCK: body(Body.TRUCK, False), BodyType.BUS: body(Body.BUS, False),
        BodyType.MOTORCYCLE: motorcycle(0, False), BodyType.BICYCLE: bicycle(0, 0, 8, False),
    }  # fmt: skip
    kinds = set()
    for blueprint in LIBRARY:
        if blueprint.kind is Kind.PROP:
            drawn = prop(shape_of(blueprint.id), False)
        elif blueprint.vehicle is not None:
            drawn = bodies[blueprint.vehicle.body]
        elif blueprint.kind is Kind.WALKER:
            drawn = walker(0, PHASES, False)
        else:
            continue
        kinds.add(blueprint.tags)
        assert set(blueprint.tags) == set(np.unique(drawn.semantic)), blueprint.id
    assert len(kinds) >= 8


def test_event_sensors_have_no_tick() -> None:
    for name in ("sensor.other.collision", "sensor.other.lane_invasion"):
        assert "sensor_tick" not in BY_ID[name].attributes
    assert "sensor_tick" in BY_ID["sensor.other.gnss"].attributes
