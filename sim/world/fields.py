"""Where each quantity lies in the state buffers.

A buffer is `[worlds, fields, slots]`: all of a world lies together, so that one world's step works in the first-level
cache, and a kernel takes a handful of arrays, not a hundred. Kernels index rows by the constants below; everything else
uses the named views of `sim.world.state`. The name of a view is the constant's name in lower case without its prefix.

Prefixes: none or V_ vehicles, P_ pedestrians, O_ static obstacles, E_ egos, J_ junctions, L_ lights, W_ worlds. The
first eight float fields are the same for vehicles, pedestrians and obstacles.
"""

from __future__ import annotations

# common to everything that has a body (float32)
X, Y, Z, YAW, COS, SIN, HALF_LENGTH, HALF_WIDTH = range(8)

# vehicles, float32 (after the eight common ones)
(
    PITCH, HALF_HEIGHT, SPEED, SIDE_SPEED, YAW_RATE, ACCEL, SIDE_ACCEL, WHEEL,
    THROTTLE, BRAKE, STEER,
    S, LAT, HEADING,
    MASS, INERTIA, WHEELBASE, MAX_WHEEL, MU, POWER, FORCE, BRAKE_FORCE, DRAG, ROLL, WHEEL_RATE, TOP_SPEED,
    WISH, HEADWAY, MIN_GAP, URGE, COMFORT, POLITE,
    WAIT, CHANGE_TIMER, GAP, TARGET, STUCK, HELD, SHIFT,
) = range(8, 47)  # fmt: skip
VEHICLE_FLOATS = 47

# vehicles, int32
(
    V_MODE, V_KIND, V_LANE, V_NEXT1, V_NEXT2, V_NEXT3, V_FLAGS, V_GRANT, V_STOPPED, V_CHANGE_LANE, V_TOUCH, V_LIGHT,
    V_REASON, V_GOAL, V_GOAL_NEXT,
) = range(15)  # fmt: skip
VEHICLE_INTS = 15

# pedestrians, float32 (after the eight common ones)
P_SPEED, P_VX, P_VY, P_WISH, P_AHEAD, P_SIDE, P_WAIT, P_HALF_HEIGHT, P_ROAD_Z = range(8, 17)
WALKER_FLOATS = 17
# pedestrians, int32
P_MODE, P_EDGE, P_TO, P_STATE, P_TOUCH = range(5)
WALKER_INTS = 5

# static obstacles, float32 (after the eight common ones)
O_HALF_HEIGHT = 8
STATIC_FLOATS = 9
# static obstacles, int32
O_MODE, O_TOUCH = range(2)
STATIC_INTS = 2

# egos, float32
(
    E_ALONG, E_OFFSET, E_ERROR, E_DISTANCE, E_OUTSIDE, E_BLOCKED, E_TIME, E_ALLOWED, E_CHECK_SPEED, E_CHECK_TRAFFIC,
    E_STOP_DISTANCE, E_SPEED_LIMIT, E_COMPLETION, E_SPEED_SHARE, E_PREVIOUS_ACCEL, E_LENGTH, E_JERK, E_HOLDING_UP,
    E_SCENARIO_BEGIN, E_SCENARIO_END, E_SCENARIO_LIMIT, E_SCENARIO_TIME,
) = range(22)  # fmt: skip
EGO_FLOATS = 22
# egos, int32
(
    E_ROUTE_POINTS, E_PROGRESS, E_HIT_VEHICLE, E_HIT_WALKER, E_HIT_STATIC, E_RED_LIGHT, E_STOP_SIGN, E_OFF_ROAD,
    E_WRONG_WAY, E_DEVIATED, E_STALLED, E_TIMEOUT, E_COMPLETED, E_SPEED_CHECKS, E_IS_OFF_ROAD, E_IS_WRONG_WAY,
    E_IS_OUTSIDE, E_LIGHT, E_STOP_SIGN_AHEAD, E_STOP_POINT, E_STOP_HONOURED, E_STEPS, E_HITS_FORGIVEN,
    E_YIELD_EMERGENCY, E_SCENARIO_TIMEOUT, E_SCENARIOS_PASSED, E_STRAYED, E_EMERGENCY, E_SCENARIO,
) = range(29)  # fmt: skip
EGO_INTS = 29

# junctions, float32
J_ELAPSED, J_STAGE_TIME = range(2)
JUNCTION_FLOATS = 2
# junctions, int32
J_GROUP, J_STAGE, J_FROZEN = range(3)
JUNCTION_INTS = 3

# traffic lights, float32: seconds of each stage
L_GREEN, L_YELLOW, L_RED = range(3)
LIGHT_FLOATS = 3
# traffic lights, int32
L_STATE = 0
LIGHT_INTS = 1

# worlds, float32
W_TIME, W_DENSITY, W_WALKER_DENSITY, W_JAYWALK, W_SPEED_FACTOR, W_EMERGENCY = range(6)
WORLD_FLOATS = 6
# worlds, int32
W_TICK, W_SEED, W_EPISODE, W_EXITS, W_REMOVED, W_CONTACTS = range(6)
WORLD_INTS = 6

# control modes of a vehicle or pedestrian slot
ABSENT, EXTERNAL, TRAFFIC, PARKED, KINEMATIC = range(5)
# bits of V_FLAGS
REVERSE, HAND_BRAKE, EMERGENCY = 1, 2, 4
# light states: those of contracts.LightState
LIGHT_NONE, GREEN, YELLOW, RED = range(4)
