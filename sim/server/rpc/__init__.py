"""The calls, by subject. Importing this package fills the table of methods."""

from sim.server.rpc import (
    actors,
    batch,
    lights,
    manager,
    maps,
    motion,
    objects,
    recording,
    sensors,
    ticks,
    vehicles,
    walkers,
    world,
)
from sim.server.rpc.table import METHODS, SCENE_CALLS, Method, Style, serve

_SUBJECTS = (actors, batch, lights, manager, maps, motion, objects, recording, sensors, ticks, vehicles, walkers, world)

__all__ = ["METHODS", "SCENE_CALLS", "Method", "Style", "serve"]
