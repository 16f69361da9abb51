"""A CARLA 0.9.16 server over the batched world: the protocol, its actors, and the loop that serves them.

Wire units are CARLA's (metres, degrees); the world behind is in metres and radians. `serve.py` is the way in.
"""
