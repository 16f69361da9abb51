"""Control: Plan and ego state to Control; Stable-Baselines3 through the shared clipper."""

import os

# Before torch is imported: see throttle/__init__.py.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
