"""What subsystems hand to one another: Scene, Plan, Control; frames, units, rates and their checks.

World and ego frames are CARLA's: left-handed, x forward, y right, z up. Metres, seconds, m/s, radians, float32.
A positive yaw turns from x towards y, which is to the right.
"""

from contracts.control import Control
from contracts.errors import ContractError, UserError
from contracts.plan import Plan
from contracts.scene import Ego, LightState, ObjectClass, Objects, Scene

__all__ = [
    "ContractError",
    "Control",
    "Ego",
    "LightState",
    "ObjectClass",
    "Objects",
    "Plan",
    "Scene",
    "UserError",
]
