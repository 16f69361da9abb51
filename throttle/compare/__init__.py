"""Clipped against unclipped: arms x seeds of the same training, run, measured and compared.

Read in this order: arms (what differs), config (what is compared), plan (the runs), scheduler and cluster (where they
run), worker (one run), collect (what they left), statistics and verdict (what may be said). throttle/report shows it.
"""
