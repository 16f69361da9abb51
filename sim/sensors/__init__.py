"""Sensors of the simulated world: cameras, lidar and radar over a scene built from a road network."""
