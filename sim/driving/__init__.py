"""What it takes to drive a route on any server or in the batched world.

    network = sim.roads.load("Alder")
    routes = named_routes(network, "validation", 20)             # routes.py: named, seeded, split
    batch = Batch(network, routes, BatchConfig(seed=7))          # batch.py: a world a route; evaluation.py: figures
    result = batch.run("lane follower", RowsPlanner(lane_follower))
    result.figures()["driving_score/carla-lb-2.0"]

    with connect(ClientConfig(town="Alder")) as sim:             # the same on a CARLA server
        car = sim.spawn("vehicle.tesla.model3", pose)
        view = CarlaView(sim, car)                               # carla_view.py: surroundings.Surroundings
        drive_route(sim, car, view, Expert(view.network, route)) # loop.py

Surroundings (the truth in the town's frame) go into a RouteTracker (route.py: progress, stop line, light; makes the
contracts.Scene), a driver (expert.py, baselines.py) and a Referee (referee.py); tracking.py follows a Plan.
"""
