"""Traffic lights and signs where the map has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.roads.network import RoadNetwork
from sim.sensors.meshes import furniture
from sim.sensors.meshes.furniture import SignFace
from sim.sensors.meshes.shapes import turn
from sim.sensors.scene.assembly import Collector
from sim.sensors.scene.placed import Placed
from sim.sensors.scene.profile import KERB

F64 = NDArray[np.float64]
SIGN_FACES = {
    "206": SignFace.STOP, "205": SignFace.YIELD, "274": SignFace.LIMIT, "267": SignFace.NO_ENTRY,
    "314": SignFace.PARKING, "350": SignFace.CROSSING,
}  # fmt: skip
"""Signs of the German catalogue, which CARLA's towns use."""
UNBOUND = 9999
"""Light index of a traffic light that binds no lane: always dark."""


def lights_and_signs(parts: Collector, placed: Placed, network: RoadNetwork) -> F64:
    """Traffic lights and signs of the map; returns where the network's lights stand [S, 3]."""
    tables = network.lane_tables()
    bound = {int(signal): k for k, signal in enumerate(tables.light_signal)}
    places = np.zeros((len(bound), 3))
    for index, signal in enumerate(network.signals):
        x, y, z, facing = network.stand(signal)
        at = (x, y, z + KERB - 0.05)
        if signal.dynamic:
            light = bound.get(index, UNBOUND)
            if light != UNBOUND:
                facing = float(tables.light_yaw[light])
                places[light] = at
            arm = furniture.mast_arm(signal.t)
            forms = [furniture.traffic_light(arm, facing, light, fine) for fine in (True, False)]
            parts.prop(forms, turn(0.0, at), placed.take())
        elif signal.type in SIGN_FACES:
            # the network gives limits in m/s where the file names a unit
            value = float(signal.value or 0)
            value = round(value * 3.6 if signal.unit else value)
            forms = [furniture.sign(SIGN_FACES[signal.type], fine, int(value)) for fine in (True, False)]
            parts.prop(forms, turn(facing, at), placed.take())
    return places
