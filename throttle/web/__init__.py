"""The web page: the live world of a CARLA server, the progress of runs, links to their reports. On 127.0.0.1."""
