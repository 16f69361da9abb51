"""How many of what, and how they behave."""

from __future__ import annotations

from dataclasses import dataclass

from contracts import UserError


@dataclass(frozen=True)
class WorldConfig:
    """Sizes of the arrays and behaviour of a batch of worlds.

    worlds, vehicles, walkers, statics: slots; egos are the first `egos` vehicle slots of each world.
    dt: seconds a step; substeps: of the vehicles' motion within it.
    density, walker_density: share of the slots (besides egos) that a reset fills with traffic and pedestrians.
    jaywalk: how often a pedestrian on a sidewalk crosses the road where it should not, per minute.
    speed_factor: share of the speed limit that drivers want, on average.
    emergency: share of the traffic that are emergency vehicles on duty (see sim.world.emergency).
    route_length: metres of an ego's random route; route_points bounds any route (points 1 m apart).
    nearest: K objects of the truth; route_ahead: R points of the truth.
    response: collisions push bodies (the server); without it they are events only (training).
    """

    worlds: int = 1
    vehicles: int = 32
    walkers: int = 8
    statics: int = 4
    egos: int = 1
    dt: float = 0.1
    substeps: int = 2
    density: float = 1.0
    walker_density: float = 1.0
    jaywalk: float = 0.2
    speed_factor: float = 0.95
    emergency: float = 0.0
    route_length: float = 300.0
    route_points: int = 512
    nearest: int = 16
    route_ahead: int = 32
    response: bool = False

    def __post_init__(self) -> None:
        for name, low in (("worlds", 1), ("vehicles", 1), ("walkers", 0), ("statics", 0), ("egos", 0), ("substeps", 1),
                          ("route_points", 32), ("nearest", 1), ("route_ahead", 2)):  # fmt: skip
            if getattr(self, name) < low:
                raise UserError(f"WorldConfig.{name}: {getattr(self, name)} is less than {low}")
        if self.egos > self.vehicles:
            raise UserError(f"WorldConfig.egos: {self.egos} is more than the {self.vehicles} vehicles")
        limits = (("dt", 1e-4, 1.0), ("density", 0, 1), ("walker_density", 0, 1), ("jaywalk", 0, 60),
                  ("speed_factor", 0.1, 2), ("emergency", 0, 1), ("route_length", 20, 1e5))  # fmt: skip
        for name, lowest, highest in limits:
            if not lowest <= getattr(self, name) <= highest:
                raise UserError(f"WorldConfig.{name}: {getattr(self, name)} is not in [{lowest:g}, {highest:g}]")
        if self.route_length + 2 > self.route_points:
            raise UserError(f"WorldConfig.route_points: {self.route_points} do not hold {self.route_length:g} m")
