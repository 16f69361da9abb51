"""What CARLA does not have: a client's word that it is in a tick. See sim.server.rescue for its use."""

from __future__ import annotations

from time import monotonic

from sim.server.rpc.table import void
from sim.server.simulation import Simulation


@void
def throttle_will_announce_ticks(sim: Simulation) -> None:
    """From now on, until this connection ends, its client announces every tick."""
    if sim.caller is not None:
        sim.announcers[sim.caller] = None


@void
def throttle_tick_begins(sim: Simulation) -> None:
    """The client goes into a tick: the server's step, then that of its Traffic Manager."""
    if sim.caller in sim.announcers:
        sim.announced_frame = sim.frame
        sim.announcers[sim.caller] = monotonic()


@void
def throttle_tick_ends(sim: Simulation) -> None:
    """It is out again: until the next one nobody owes anything."""
    if sim.caller in sim.announcers:
        sim.announcers[sim.caller] = None
