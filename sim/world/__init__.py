"""The batched world: state arrays [worlds, actors] and their step. Numba kernels, no I/O."""
