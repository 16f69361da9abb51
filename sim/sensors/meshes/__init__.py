"""Meshes of what stands and moves in a town."""
