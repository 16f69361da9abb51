"""apply_batch: many commands in one call. The Traffic Manager steers all its vehicles with one a tick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim.server import codec, pedals, strides
from sim.server.arguments import boolean, integer, items, optional
from sim.server.errors import CallError, Gone
from sim.server.rpc import actors, lights, motion, vehicles, walkers, world
from sim.server.rpc.table import Style, method
from sim.server.simulation import Simulation

SPAWN, DESTROY, CONSOLE = 0, 1, 20
_ACTIONS: dict[int, Callable[..., Any]] = {
    DESTROY: actors.destroy_actor,
    pedals.APPLY_VEHICLE_CONTROL: vehicles.apply_control_to_vehicle,
    3: vehicles.apply_ackermann_control_to_vehicle,
    4: walkers.apply_control_to_walker,
    5: vehicles.apply_physics_control,
    6: actors.set_actor_transform,
    strides.SET_WALKER_STATE: walkers.set_walker_state,
    8: motion.set_actor_target_velocity,
    9: motion.set_actor_target_angular_velocity,
    10: motion.add_actor_impulse,
    11: motion.add_actor_force,
    12: motion.add_actor_angular_impulse,
    13: motion.add_actor_torque,
    14: actors.set_actor_simulate_physics,
    15: actors.set_actor_enable_gravity,
    16: actors.set_actor_autopilot,
    17: vehicles.show_vehicle_debug_telemetry,
    18: vehicles.set_vehicle_light_state,
    19: actors.set_actor_location,
    21: lights.set_traffic_light_state,
}
_COUNTS = {DESTROY: 1, strides.SET_WALKER_STATE: 3}
"""Elements of a payload, the actor included, where they are not two."""
_TOGETHER: tuple[Any, ...] = (pedals, strides)
"""Commands that come in dozens in every tick: one after the other they are written together."""


@method(Style.BARE, "apply_batch")
def apply_batch(sim: Simulation, commands: Any, tick: Any = False) -> list[Any]:
    """Responses in the commands' order: [[1, actor]] or [[0, [error]]]. An error does not stop the rest."""
    found: list[Any] = []
    kind: Any = pedals
    alike: list[Any] = []
    for command in items(commands, 0, "commands"):
        now, said = _well_formed(sim, kind, command)
        if alike and (said is None or now is not kind):
            kind.apply(sim.episode, alike)
            alike = []
        if said is None:
            found.append(_respond(sim, command))
        else:
            kind = now
            alike.append(said)
            found.append(codec.success(said[0].id))
    if alike:
        kind.apply(sim.episode, alike)
    sim.batches += sim.manages()
    if boolean(tick):
        sim.tick()
    return found


def _well_formed(sim: Simulation, likely: Any, command: Any) -> tuple[Any, Any]:
    """Which of _TOGETHER (`likely` first) a command belongs to, and what it says, None where it is of neither."""
    actors = sim.episode.registry.actors
    for kind in (likely, *_TOGETHER):
        said = kind.well_formed(actors, command)
        if said is not None:
            return kind, said
    return likely, None


def _respond(sim: Simulation, command: Any) -> list[Any]:
    try:
        return codec.success(perform(sim, command))
    except Gone:
        return codec.success(command[0][1][0])
    except CallError as error:
        return codec.failure(str(error))


def perform(sim: Simulation, command: Any, future: int = 0) -> int:
    """One command; the actor it was about. `future` stands for actor 0 (a FutureActor) in a spawn's follow-ups."""
    number, payload = items(items(command, 1, "command")[0], 2, "command")[:2]
    payload = items(payload, 1, "command")
    if number == SPAWN:
        return _spawn(sim, payload)
    if number == CONSOLE:
        world.console_command(sim, payload[0])
    action = _ACTIONS.get(number) if type(number) is int else None
    if action is None:
        raise CallError(f"unknown command {number!r:.20}")
    actor = payload[0] or future
    count = _COUNTS.get(number, 2)
    action(sim, actor, *items(payload, count, f"command {number}")[1:count])
    return int(actor)


def _spawn(sim: Simulation, payload: list[Any]) -> int:
    description, pose, parent, attachment, _, then = items(payload, 6, "spawn command")[:6]
    above = optional(parent, "parent")
    # the client leaves a command's attachment to chance where the script does not name one, as for walkers' controllers
    sensor = "sensor." in str(items(description, 2, "description")[1])
    kind = attachment if sensor and type(attachment) is int else 0
    actor = actors.spawn(sim, description, pose, 0 if above is None else integer(above), kind)
    for command in items(then, 0, "commands"):
        try:
            perform(sim, command, actor.id)
        except CallError:
            continue  # follow-ups have no response of their own
    return actor.id
