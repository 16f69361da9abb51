"""Recording: an expert driven through `sim.client` on any CARLA server, written in the format of docs/datasets.md."""
