"""What CARLA does not have: a client's word that it is about to tick. See sim.server.rescue for its use."""

from __future__ import annotations

from time import monotonic

from sim.server.rpc.table import void
from sim.server.simulation import Simulation


@void
def throttle_will_announce_ticks(sim: Simulation) -> None:
    """From now on, until this connection ends, every tick is announced."""
    sim.announcer, sim.announced, sim.announced_frame = sim.caller, None, sim.frame


@void
def throttle_tick_comes(sim: Simulation, frame: int) -> None:
    """The client is about to tick from this frame on: its Traffic Manager begins its step. Too late is not heard."""
    if sim.announcer is sim.caller:
        sim.announced_frame = max(sim.announced_frame, min(frame, sim.frame))
        if sim.frame <= frame:
            sim.announced = monotonic()
