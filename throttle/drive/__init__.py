"""The closed-loop benchmark: camera and lidar -> perception -> Scene -> planning -> Plan -> control -> vehicle.

config.py says what is driven, parts.py makes the parts of a stack, episode.py drives one route, film.py films it,
worker.py is the process that does, benchmark.py hands out routes and keeps results, report.py writes the page.
"""
