"""Where Traffic Managers announce themselves. They run in clients; see sim.server.rescue for the care they need."""

from __future__ import annotations

from typing import Any

from sim.server.arguments import integer, items, text
from sim.server.rpc.table import value
from sim.server.simulation import Manager, Simulation


@value
def is_traffic_manager_running(sim: Simulation, port: Any) -> bool:
    """Somebody announced one on this port. A client asks before it starts its own there."""
    number = integer(port, 0, 65535, "port")
    if sim.caller is not None:
        sim.caller.asked = number
    return number in sim.managers


@value
def get_traffic_manager_running(sim: Simulation, port: Any) -> list[Any]:
    """[host, port]; ["", 0] where there is none."""
    found = sim.managers.get(integer(port, 0, 65535, "port"))
    return [found.host, found.port] if found else ["", 0]


@value
def add_traffic_manager_running(sim: Simulation, where: Any) -> bool:
    """Announce one; false where the port is taken.

    A client without a route to any network does not find its own address and announces ["", 0]: its manager then
    listens on the port that it asked for before.
    """
    host, port = items(where, 2, "address")[:2]
    number = integer(port, 0, 65535, "port")
    if number == 0 and sim.caller is not None:
        number = sim.caller.asked
    if number in sim.managers:
        return False
    sim.managers[number] = Manager(text(host), number, sim.caller)
    return True


@value
def destroy_traffic_manager(sim: Simulation, port: Any) -> bool:
    """Forget one."""
    return sim.managers.pop(integer(port, 0, 65535, "port"), None) is not None
