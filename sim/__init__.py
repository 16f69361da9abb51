"""The simulated world: roads, world step, environments."""

import os

# libgomp's spinning threads slow every neighbour down 2 to 4 times on small machines; read once, when libgomp loads,
# so it is set before anything here imports numba.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
