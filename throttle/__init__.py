"""The application: command line, run tracking, demonstration."""

import os

# Waiting threads that spin slow every neighbour down, up to ten times on two busy cores (torch and Numba share one
# libgomp, and it reads this once, when the first of them loads it). So it is set before torch can be imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
