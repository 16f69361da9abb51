"""Builds the OpenDRIVE towns that ship with the project.

Frame: OpenDRIVE's own (right-handed, x east, y north, z up), metres, radians. `tools/make_towns.py` is the command.
"""
