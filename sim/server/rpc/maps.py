"""Maps and episodes: what is there, loading, OpenDRIVE, navigation files, map layers."""

from __future__ import annotations

from typing import Any

from contracts import UserError
from sim.server.arguments import boolean, integer, items, text
from sim.server.errors import CallError
from sim.server.rpc.table import Style, method, value, void
from sim.server.simulation import Simulation

CUSTOM = "OpenDriveMap"
"""The name under which generate_opendrive_world loads what it sent."""


@value
def get_map_info(sim: Simulation) -> list[Any]:
    """Name and recommended spawn points."""
    town = sim.episode.town
    return [town.map_name, [pose.wire() for pose in town.spawn_points]]


@value
def get_map_data(sim: Simulation) -> str:
    """The OpenDRIVE text."""
    return sim.episode.town.xodr


@value
def get_available_maps(sim: Simulation) -> list[str]:
    """Everything that load_world takes."""
    return [f"/Game/Carla/Maps/{name}" for name in sim.towns.names()]


@void
def load_new_episode(sim: Simulation, name: Any, reset_settings: Any, layers: Any) -> None:
    """Load a town by name or path; the present one for an empty name. Layers are all there is."""
    wanted, reset = text(name, "map"), boolean(reset_settings)
    integer(layers, 0, 0xFFFF, "layers")
    short = wanted.replace("\\", "/").split("/")[-1]
    if not short or short == sim.episode.town.name:
        town = sim.episode.town
        if short == CUSTOM and sim.custom_map is not None:
            town = _parse(sim, sim.custom_map)
    elif short == CUSTOM and sim.custom_map is not None:
        town = _parse(sim, sim.custom_map)
    else:
        try:
            town = sim.towns.load(short)
        except UserError as error:
            raise CallError(str(error)) from error
    sim.load(town, reset)


def _parse(sim: Simulation, xodr: str) -> Any:
    try:
        return sim.towns.parse(CUSTOM, xodr)
    except UserError as error:
        raise CallError(str(error)) from error


@void
def copy_opendrive_to_file(sim: Simulation, xodr: Any, parameters: Any) -> None:
    """Take a map for generate_opendrive_world; refused where it cannot be read."""
    items(parameters, 7, "parameters")
    found = text(xodr, "map")
    _parse(sim, found)
    sim.custom_map = found


@method(Style.VOID, "load_map_layer", "unload_map_layer")
def change_layer(sim: Simulation, layers: Any) -> None:
    """Accepted: towns here have one layer, the road."""
    integer(layers, 0, 0xFFFF, "layers")


@value
def get_required_files(sim: Simulation, folder: Any) -> list[str]:
    """Files that the client should fetch first: the navigation mesh of walkers."""
    name = text(folder, "folder")
    return [sim.episode.town.navigation_file] if name.startswith("Nav") and sim.episode.town.navigation else []


@value
def request_file(sim: Simulation, name: Any) -> bytes:
    """A file of that list."""
    town = sim.episode.town
    if town.navigation is None or text(name, "file") != town.navigation_file:
        raise CallError("no such file")
    return town.navigation


@value
def get_navigation_mesh(sim: Simulation) -> bytes:
    """The navigation mesh of walkers, empty where the town has none."""
    return sim.episode.town.navigation or b""
