"""OpenDRIVE to a road network: lanes, junctions, signals, routes; and the towns that ship."""
