"""Speed and memory of the CARLA server, measured with the real client in a process of its own.

    python benchmarks/server.py [--ticks 2000] [--soak-ticks 0] [--reloads 0]

Prints ticks per second of synchronous mode with the client's round trip in it (median of five parts, and the best of
them): driving cars (full physics and collisions), cars driven by the client's Traffic Manager; their ratio to CARLA's
published 26 ticks/s with 50 vehicles under the Traffic Manager; and the processor time of a tick in the server and in
the client. `--soak-ticks 500000 --reloads 200` drives 50 cars for that long, then reloads the town that often, and
prints the server's memory after each fifth; `--soak-only` leaves the rest out.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PUBLISHED = 26.0


def serve(town: str) -> tuple[subprocess.Popen[str], int]:
    """A server on a free port."""
    command = [
        sys.executable,
        "-m",
        "throttle.cli",
        "sim",
        "serve",
        "--port",
        "0",
        "--town",
        town,
        "--prepare",
        "false",
    ]
    process = subprocess.Popen(
        [*command, "--recordings", tempfile.gettempdir()], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, env={**os.environ, "NUMBA_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    found = re.search(r":(\d+)$", process.stdout.readline().strip())
    if found is None:
        raise SystemExit("the server did not start")
    return process, int(found[1])


def memory(process: subprocess.Popen[str]) -> float:
    """Resident MB."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def fill(client: Any, town: str, count: int) -> tuple[Any, list[Any]]:
    """A fresh synchronous episode with `count` cars."""
    world = client.load_world(town)
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    world.apply_settings(settings)
    library = [b for b in world.get_blueprint_library().filter("vehicle.*") if b.get_attribute("base_type") == "car"]
    library.sort(key=lambda b: b.id)
    points = world.get_map().get_spawn_points()
    random.Random(0).shuffle(points)
    cars = []
    for point in points:
        if len(cars) == count:
            break
        car = world.try_spawn_actor(library[len(cars) % len(library)], point)
        if car is not None:
            cars.append(car)
    if len(cars) < count:
        raise SystemExit(f"{town} has room for {len(cars)} cars only")
    return world, cars


def seconds_of(process: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(world: Any, ticks: int, server: int) -> str:
    """A row: ticks per second (median and best of five parts), microseconds of a tick in the server and here."""
    rates = []
    used = [seconds_of(process) for process in (server, os.getpid())]
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(ticks // 5):
            world.tick()
        rates.append((ticks // 5) / (time.perf_counter() - began))
    spent = [seconds_of(process) - before for process, before in zip((server, os.getpid()), used)]
    rates.sort()
    return "|".join(f"{value:.0f}" for value in (rates[2], rates[4], *(1e6 * part / ticks for part in spent)))


def client(port: int, town: str, ticks: int, server: int) -> None:
    """The client's side: prints one row a line."""
    import carla

    door = carla.Client("127.0.0.1", port)
    door.set_timeout(60.0)
    for count in (1, 50, 100):
        world, cars = fill(door, town, count)
        for car in cars:
            car.apply_control(carla.VehicleControl(throttle=0.4, steer=0.15))
        measure(world, 100, server)
        print(f"{count} cars driving in circles|{measure(world, ticks, server)}", flush=True)
    for count in (10, 50):
        world, cars = fill(door, town, count)
        manager = door.get_trafficmanager(8000 + port % 1000)
        manager.set_synchronous_mode(True)
        manager.set_random_device_seed(1)
        for car in cars:
            car.set_autopilot(True, manager.get_port())
        measure(world, 100, server)
        print(f"{count} cars under the Traffic Manager|{measure(world, ticks, server)}", flush=True)
        manager.set_synchronous_mode(False)
        world.apply_settings(carla.WorldSettings())
        manager.shut_down()
        time.sleep(0.5)


def soak(port: int, town: str, ticks: int, reloads: int) -> None:
    """Long runs; waits for a line on stdin after each part so that the parent can read the memory."""
    import carla

    door = carla.Client("127.0.0.1", port)
    door.set_timeout(60.0)
    world, cars = fill(door, town, 50)
    for car in cars:
        car.apply_control(carla.VehicleControl(throttle=0.4, steer=0.15))
    for part in range(6):
        began, count = time.perf_counter(), ticks // 5 if part else min(ticks, 2000)
        for _ in range(count):
            world.tick()
        rate = count / (time.perf_counter() - began)
        print(f"after {part * (ticks // 5)} ticks ({rate:.0f} ticks/s)", flush=True)
        sys.stdin.readline()
    for part in range(6):
        for _ in range(reloads // 5 if part else min(reloads, 5)):
            door.load_world(town)
        print(f"after {part * (reloads // 5)} reloads", flush=True)
        sys.stdin.readline()


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--town", default="Gridley")
    parser.add_argument("--ticks", type=int, default=2000)
    parser.add_argument("--soak-ticks", type=int, default=0)
    parser.add_argument("--reloads", type=int, default=0)
    parser.add_argument("--soak-only", action="store_true")
    parser.add_argument("--as", dest="role", default="parent", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--server", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role == "client":
        return client(args.port, args.town, args.ticks, args.server)
    if args.role == "soak":
        return soak(args.port, args.town, args.soak_ticks, args.reloads)

    process, port = serve(args.town)
    try:
        common = [sys.executable, __file__, "--town", args.town, "--port", str(port), "--server", str(process.pid)]
        if not args.soak_only:
            words = [*common, "--as", "client", "--ticks", str(args.ticks)]
            head = f"{'ticks/s':>9}{'best':>8}{'x CARLA (26)':>14}{'server us':>11}{'client us':>11}"
            print(f"{'synchronous mode, ' + args.town:<36}{head}")
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as run:
                assert run.stdout is not None
                for line in run.stdout:
                    if "|" in line:
                        name, rate, best, server, client_ = line.strip().split("|")
                        ratio = f"{float(rate) / PUBLISHED:.0f}x"
                        print(f"{name:<36}{rate:>9}{best:>8}{ratio:>14}{server:>11}{client_:>11}", flush=True)
        if args.soak_ticks or args.reloads:
            words = [*common, "--as", "soak", "--soak-ticks", str(args.soak_ticks), "--reloads", str(args.reloads)]
            with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as run:
                assert run.stdout is not None
                assert run.stdin is not None
                for line in run.stdout:
                    if line.startswith("after"):
                        print(f"{line.strip():<36}{memory(process):>8.1f} MB", flush=True)
                        run.stdin.write("\n")
                        run.stdin.flush()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    return None


if __name__ == "__main__":
    main()
